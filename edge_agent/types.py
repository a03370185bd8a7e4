"""The nouns: Frame -> Detections -> Track -> Scene -> Event -> Case -> Bundle.

All frozen. Pixels are always those of the native picture, origin top left, x right, y down.
Units are in the names (`_s`, `_ms`, `_px`); zones and lines are normalised to 0..1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_agent.clock import ClockReading, ClockSpan, ClockStep
from edge_agent.picture import ArrayPicture as ArrayPicture
from edge_agent.picture import Image as Image
from edge_agent.picture import Picture as Picture
from edge_agent.picture import Window as Window

Phase = Literal["suspect", "dismissed", "begin", "update", "end"]
"""`suspect` and `dismissed` never leave the box: they let a case collect the arrival early."""

Role = Literal["enter", "wide", "close", "leave"]

SMALL_WIDTH = 320
"""px; at this width rules about the whole picture look at it."""

DOUBTS: Mapping[str, str] = MappingProxyType(
    {
        "camera.moved": "camera moved",
        "camera.covered": "camera covered",
        "camera.blurred": "camera blurred",
        "camera.frozen": "camera frozen",
        "camera.dark": "picture too dark",
        "camera.overexposed": "picture overexposed",
    }
)
"""What nothing can be evidential under, from such an event's begin to its end."""

VEHICLES = frozenset({"vehicle", "car", "van", "bus", "truck", "motorcycle"})
"""Class names that count as motor vehicles; model cards map their labels onto these."""

JSON = Any


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of one camera at one time."""

    camera: str
    seq: int
    """Index of the picture in its source, 0-based, counting every decoded picture."""
    t_s: float
    """Media clock in seconds, strictly rising per camera, 0 at the first frame of a recording."""
    wall: datetime
    """UTC; from the clock, or from the recording's start plus `t_s`."""
    picture: Picture
    clock: ClockReading | None = None
    """How right `wall` is, from a live source; None in a recording."""
    _small: dict[str, Image] = field(default_factory=dict, init=False, repr=False)

    @property
    def width(self) -> int:
        return self.picture.width

    @property
    def height(self) -> int:
        return self.picture.height

    @property
    def image(self) -> Image:
        """(H, W, 3) uint8 BGR, read-only, native resolution; converted on first use."""
        return self.picture.bgr()

    @property
    def small(self) -> Image:
        """(h, w, 3) uint8 BGR, read-only, `SMALL_WIDTH` wide at most; made once for all rules."""
        return self._made_once("bgr", self.picture.small)

    @property
    def small_grey(self) -> Image:
        """(h, w) uint8 luma of the same size as `small`, read-only; made once for all rules."""
        return self._made_once("grey", self.picture.small_grey)

    def _made_once(self, layout: str, make: Callable[[int, int], Image]) -> Image:
        if layout not in self._small:
            width = min(SMALL_WIDTH, self.width)
            image = make(width, max(1, round(self.height * width / self.width)))
            image.flags.writeable = False
            self._small[layout] = image
        return self._small[layout]


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What a detector saw in one frame, as a struct of arrays."""

    boxes: NDArray[np.float32]
    """(N, 4) xyxy in px of the native picture."""
    scores: NDArray[np.float32]
    """(N,) 0..1."""
    classes: NDArray[np.int64]
    """(N,) indices into `names`."""
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.boxes)
        for name, array, shape in (
            ("boxes", self.boxes, (n, 4)),
            ("scores", self.scores, (n,)),
            ("classes", self.classes, (n,)),
        ):
            if array.shape != shape:
                raise ValueError(f"detections.{name}: expected shape {shape}, got {array.shape}")
        if n and not 0 <= int(self.classes.min()) <= int(self.classes.max()) < len(self.names):
            raise ValueError(f"detections.classes: outside 0..{len(self.names) - 1}")

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def none(cls, names: tuple[str, ...] = ()) -> Detections:
        """No objects."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, int), names)


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned box, xyxy in px."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def centre(self) -> tuple[float, float]:
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2

    @property
    def edges(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2."""
        return self.x1, self.y1, self.x2, self.y2

    @property
    def foot(self) -> tuple[float, float]:
        """Bottom centre: where the object touches the ground, as far as a box can tell."""
        return (self.x1 + self.x2) / 2, self.y2


@dataclass(frozen=True, slots=True)
class Track:
    """One object followed through time by one camera's tracker."""

    id: int
    """Unique per camera and run, from 1; never shared between cameras or classes."""
    cls: str
    """The class that most of its detections had, weighted by score."""
    score: float
    box: Box
    velocity: tuple[float, float]
    """px/s of the box centre."""
    first_s: float
    """Media time of its first detection."""
    last_s: float
    """Media time of its latest detection; older than the scene's time while it is hidden."""
    still_since_s: float | None
    """Media time since which it has not moved, or None while it moves."""
    is_sure: bool = True
    """False while its latest detection was too weak to have started a track."""
    born: Box | None = None
    """Where it was at `first_s`; a track is only told of when it is confirmed, a little later."""
    seen: Box | None = None
    """Its latest detection as it was; `box` is steadier, above all while it stands."""


@dataclass(frozen=True, slots=True)
class PlateRead:
    """What one look at one number plate made out."""

    track_id: int
    """The vehicle's track; 0 where a photo was looked at without one."""
    text: str
    """Upper case, without blanks, dashes or dots; empty when nothing could be read."""
    char_scores: tuple[float, ...]
    """0..1, one per character of `text`."""
    region: str | None
    """Of the grammar that `text` fits, e.g. `eu`, `us`, `cn`; None when it fits none."""
    corners: tuple[tuple[float, float], ...]
    """Top left, top right, bottom right, bottom left in px of the native picture."""
    found_score: float
    """0..1, how sure the plate detector was."""
    reason: str | None = None
    """Why it counts as unread, e.g. `plate too narrow`; None for a sound read."""

    @property
    def score(self) -> float:
        """The weakest character's score; 0 for an empty text."""
        return min(self.char_scores, default=0.0)


@dataclass(frozen=True, slots=True)
class HeadSighting:
    """What a person was seen to have on the head."""

    track_id: int
    """The person's track."""
    box: Box
    """The head, helmet included."""
    has_helmet: bool
    score: float


@dataclass(frozen=True, slots=True)
class BayVehicle:
    """A vehicle in or near the bays of a car park."""

    box: Box
    score: float
    bay: str | None
    """The bay that it stands in; None for one that stands or drives outside of all."""


@dataclass(frozen=True, slots=True)
class BayLook:
    """What one look over all bays of a camera showed."""

    since_s: float
    """Media time of the oldest picture that it rests on."""
    vehicles: tuple[BayVehicle, ...] = ()
    """At most one per bay; a bay without one was seen free."""


Signals = Mapping[str, str]
"""Signal phase name -> `red` | `amber` | `green` | `dark` | `conflict`."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Everything that an analyzer may see."""

    frame: Frame
    detections: Detections
    tracks: tuple[Track, ...]
    """Confirmed tracks, hidden ones included (`last_s` < `frame.t_s`)."""
    ended: tuple[Track, ...] = ()
    """Tracks that were given up in this step."""
    signals: Signals = field(default_factory=lambda: MappingProxyType({}))
    plates: tuple[PlateRead, ...] = ()
    """Plates that were looked at in this very frame; not every vehicle's turn comes every time."""
    heads: tuple[HeadSighting, ...] = ()
    """Heads that were looked at in this very frame."""
    bays: BayLook | None = None
    """The look over the parking bays that was finished in this very frame."""
    clock_step: ClockStep | None = None
    """The wall clock was stepped since the scene before."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a rule decided, at one time, about one subject."""

    camera: str
    kind: str
    """`<family>.<kind>`, e.g. `parking.illegal`."""
    subject: str
    """What the phases of one happening share; unique per camera and run."""
    phase: Phase
    begin_s: float
    """Media time at which the happening began (not when it was decided)."""
    t_s: float
    """Media time of this event."""
    wall: datetime
    frame: int
    zone: str | None = None
    track: Track | None = None
    facts: Mapping[str, JSON] = field(default_factory=dict)
    """JSON values that the envelope's `data` carries beside the standard fields."""
    plate: Mapping[str, JSON] | None = None
    """`text`, `confidence`, `region` as agreed over time; `text` None and a `reason` if unread."""
    signal: Mapping[str, str] | None = None
    """The signal phases that it rests on and their states."""
    doubts: tuple[str, ...] = ()
    """Why it cannot be evidential beside what holds for the whole run, e.g. `camera moved`."""
    clock: ClockReading | None = None
    """How right `wall` is; None in a recording."""
    since_boot: str | None = None
    """The boot in which the happening began; None in a recording."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model made the detections; part of every event."""

    name: str
    sha256: str | None
    """Hash of the weight file; None for the weight-free motion model."""
    is_evidential: bool = True
    runtime: str = ""
    """What ran it, where that is not the plain CPU: results may differ in their last digits."""


@dataclass(frozen=True, slots=True)
class Media:
    """What a source plays, as evidence has to name it."""

    name: str
    kind: Literal["live", "replay"]
    sha256: str | None
    start: datetime
    start_from: Literal["given", "name", "metadata", "assumed", "clock"]
    """Where the wall clock of the first frame comes from; `assumed` is no better than none."""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A picture chosen as evidence."""

    role: Role
    frame: Frame
    subject: Box
    """The object in px of the native picture."""
    crop: Box | None
    """The part of the picture that is kept; None keeps all of it."""
    sharpness: float
    """Variance of the Laplacian inside `subject`; comparable within one case only."""
    beside: tuple[tuple[str, Box], ...] = ()
    """Class and box of everything else that was seen in the picture or is remembered there."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """An offence or incident that is being documented."""

    subject: str
    begin: Event
    latest: Event
    photos: tuple[Photo, ...]
    clip_s: tuple[float, float] | None
    """Media times of the clip's first and last moment, or None when there is none to cut."""
    is_complete: bool
    reasons: tuple[str, ...]
    """Why it is partial, e.g. `arrival not seen`; then it is not evidential either, unless the
    site's evidence profile does without what is missing."""
    revision: int = 1
    doubts: tuple[str, ...] = ()
    """Why it cannot be evidential although it may be complete, e.g. `camera moved`."""
    plates: Mapping[Role, PlateRead | None] | None = None
    """What each photo shows of the plate; None where no plates are read."""
    plate: Mapping[str, JSON] | None = None
    """What the photos and the rule agree on, as in `Event.plate`; None where no plates are read."""
    plate_models: tuple[ModelInfo, ...] = ()
    """Which models read the plates."""
    clock: ClockSpan | None = None
    """What the wall clock did meanwhile; None in a recording."""
    kept: tuple[Role, ...] = ()
    """Photos that only the bundle of the earlier revision has: taken before a restart."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """A contact that was closed for a moment."""

    output: str
    at: datetime
    pulse_ms: int
    backend: str
    """What drove it; `mock` moves nothing."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A finished evidence file."""

    case_id: str
    path: str
    manifest_sha256: str
    manifest: Mapping[str, JSON]
