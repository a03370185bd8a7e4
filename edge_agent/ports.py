"""What the pipeline and the runner need from the outside, and nothing about who provides it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from cryptography.hazmat.primitives.asymmetric import ec

from edge_agent.clock import Sync
from edge_agent.privacy import Redacted
from edge_agent.recollection import Moved
from edge_agent.types import (
    JSON,
    BayLook,
    Box,
    Case,
    Detections,
    Event,
    Frame,
    HeadSighting,
    Media,
    ModelInfo,
    Photo,
    PlateRead,
    Pulse,
    Scene,
    Signals,
    Track,
)


class Source(Protocol):
    """One camera or recording.

    `frames` raises `SourceLost` when a source that worked stops; whatever was yielded before
    stays valid. `SourceError` means that it never worked.
    """

    camera: str
    live: bool
    media: Media
    duration_s: float | None
    """Expected length for progress bars; None when unknown."""

    def frames(self) -> Iterator[Frame]: ...

    def clip(self, start_s: float, end_s: float) -> bytes | None:
        """An MP4 with the original packets of that time span, or None if they cannot be copied.

        Starts at the key frame at or before `start_s`.
        """
        ...

    def rest(self, is_resting: bool) -> None:
        """Say whether nothing happens in the scene, so that not every picture has to be decoded."""
        ...

    def close(self) -> None: ...


class Detector(Protocol):
    """Finds objects in one frame."""

    model: ModelInfo
    is_ordered: bool
    """True when `detect` remembers earlier frames and so must see all of them, in order."""
    min_score: float
    """Weakest score that starts a track; weaker detections may only continue one."""
    names: tuple[str, ...]
    """Every class that it can report."""

    def detect(self, frame: Frame) -> Detections: ...


class Glance(Protocol):
    """One frame on its way through a network."""

    def infer(self) -> None:
        """The long part: once, in any thread."""
        ...

    def detections(self) -> Detections:
        """What was found; after `infer`."""
        ...


@runtime_checkable
class Glancing(Protocol):
    """A detector whose `detect` can be had in parts, by who looks at several frames in one go."""

    def glance(self, frame: Frame) -> Glance:
        """Take from the frame what the network needs, while caches still hold its picture."""
        ...


class Gate(Protocol):
    """Says whether a frame is worth an inference; sees every frame of one camera in order."""

    changed_s: float
    """Media time of the latest frame in which something had changed."""

    def is_open(self, frame: Frame) -> bool: ...


class Tracker(Protocol):
    """Joins detections of one camera over time."""

    def update(self, detections: Detections, frame: Frame) -> tuple[Track, ...]:
        """Advance to `frame.t_s`; returns the confirmed tracks."""
        ...

    def hold(self, frame: Frame) -> tuple[Track, ...]:
        """Advance to `frame.t_s` knowing that nothing in the picture has changed."""
        ...

    def ended(self) -> tuple[Track, ...]:
        """The tracks that the latest call gave up."""
        ...


class PlateReader(Protocol):
    """Reads number plates: a closer look at vehicles that are being followed.

    One per camera: it remembers whose turn it is, in media time, so that the cost stays bounded
    and a replay looks at the same plates again.
    """

    models: tuple[ModelInfo, ...]

    def read(self, frame: Frame, tracks: Iterable[Track]) -> tuple[PlateRead, ...]:
        """Look at the plates of those vehicles whose turn it is in this frame."""
        ...

    def look(self, frame: Frame, vehicle: Box) -> PlateRead | None:
        """Look at one vehicle now, for an evidence photo; None where no plate is found."""
        ...


class Redactor(Protocol):
    """Makes people and vehicles that are in a picture by chance irrecognisable in a copy."""

    models: tuple[ModelInfo, ...]

    def redact(self, photo: Photo, plate: PlateRead | None, may_guess: bool = True) -> Redacted:
        """A copy of the whole picture; `plate` is the subject's, which stays legible.

        Where it is not known it is what looks like it or, unless that may be guessed, none.
        """
        ...


class HeadFinder(Protocol):
    """Looks at the heads of persons that are being followed, now and then."""

    models: tuple[ModelInfo, ...]

    def find(self, frame: Frame, tracks: Iterable[Track]) -> tuple[HeadSighting, ...]: ...


class BayWatcher(Protocol):
    """Looks now and then at the parking bays of one camera, whose outlines it knows."""

    models: tuple[ModelInfo, ...]

    def look(self, frame: Frame) -> BayLook | None:
        """Go on with the look that is due; what it showed once it is finished, else None."""
        ...


class SignalFeed(Protocol):
    """States of the signal phases over time."""

    sha256: str | None
    """Of the recording; None for a live controller."""
    phases: Mapping[str, float]
    """Phase -> media time from which on something is known of it."""

    def at(self, t_s: float) -> Signals:
        """Every known phase's state at that media time."""
        ...


class Analyzer(Protocol):
    """One rule of one camera: a function of the scenes so far."""

    kind: str

    def update(self, scene: Scene) -> Iterable[Event]: ...

    def finish(self, scene: Scene) -> Iterable[Event]:
        """Close what is open; `scene` is the last one. Called once, when the footage ends.

        Where only the watching ends, the pipeline says so instead of `recording_ended`.
        """
        ...


@runtime_checkable
class Memory(Protocol):
    """What an analyzer or collector implements whose state outlives the process."""

    def remember(self) -> JSON:
        """What another one of the same settings needs to go on; no pictures of anybody."""
        ...

    def recall(self, state: JSON, moved: Moved) -> None:
        """Go on from there; called before the first scene. Raises ValueError for nonsense."""
        ...


class Collector(Memory, Protocol):
    """Turns events into documented cases by choosing photos as the frames go by."""

    def update(self, scene: Scene, events: Iterable[Event]) -> Iterable[Case]: ...

    def finish(self, scene: Scene, events: Iterable[Event]) -> Iterable[Case]: ...

    def suspend(self, scene: Scene, events: Iterable[Event]) -> Iterable[Case]:
        """Document what has begun and is not yet, before another process goes on."""
        ...


class ClockSync(Protocol):
    """Somebody who knows how right the machine's wall clock is."""

    def state(self) -> Sync | None:
        """Ask now, which may take a second; None when this one does not know."""
        ...


class Outputs(Protocol):
    """The contacts that a grant or an alarm closes: gates, beacons, sirens.

    Without power, after a crash and while nobody asks, every one of them is open: a gate stays
    shut and a siren silent.
    """

    def pulse(self, name: str, at: datetime) -> Pulse | None:
        """Close one for its pulse; None, and nothing moves, while an earlier pulse goes on."""
        ...


class LineState(NamedTuple):
    """A contact or a signal phase now, by the name that the site file gives it."""

    direction: Literal["in", "out"]
    name: str
    state: str
    """`on` or `off` of a contact; what a phase shows."""
    since: datetime


class Cabinet(Outputs, Protocol):
    """The signal controller's wires: calls and alarms towards it, phase states from it.

    Every call is on until its camera has been healthy for a while, and again when nobody asks
    any more. Safe to use from several threads.
    """

    def see(self, scene: Scene) -> None:
        """Take what a camera's latest frame shows."""
        ...

    def fault(self, camera: str, reason: str | None) -> None:
        """Say why a camera cannot vouch for an empty zone; None while it can."""
        ...

    def progress(self, now_s: float) -> None:
        """A frame has been dealt with; what the health output follows."""
        ...

    def tick(self, now_s: float) -> Iterable[Event]:
        """Drive the lines at this monotonic time; returns what has to be told."""
        ...

    def feed(self, camera: str) -> SignalFeed:
        """The phases' states, for one camera's rules."""
        ...

    def states(self) -> list[LineState]:
        """How every contact and phase is now."""
        ...

    def close(self) -> None:
        """Let go of the lines, every call on."""
        ...


class Sink(Protocol):
    """Where the runner puts what the pipeline decided."""

    def event(self, event: Event) -> None: ...

    def case(self, case: Case, clip: bytes | None) -> None: ...


class SigningKey(Protocol):
    """The private key of a device (EC on P-256), wherever it lives."""

    @property
    def facts(self) -> Mapping[str, str]:
        """`algorithm`, `grade` (file, replay, pkcs11, tpm) and which token, if it is in one."""
        ...

    def public_key(self) -> ec.EllipticCurvePublicKey: ...

    def sign(self, data: bytes) -> bytes:
        """ES256 over `data`: ASN.1 DER, low s."""
        ...


class Keyring(Protocol):
    """Where the private keys of one identity live: one in use, a successor while it changes."""

    @property
    def where(self) -> str:
        """The place, for messages."""
        ...

    def find(self, public: ec.EllipticCurvePublicKey | None) -> SigningKey | None:
        """The key with that public part, or the one there is; None when there is none."""
        ...

    def create(self) -> SigningKey:
        """Make a key, beside the one in use if there is one."""
        ...

    def replace(self, old: ec.EllipticCurvePublicKey, keep: bool) -> None:
        """Put the successor in the old key's place; the old one is kept apart or destroyed."""
        ...
