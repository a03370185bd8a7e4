"""What a manifest says: one definition for writing and for verifying.

Canonical JSON (RFC 8785). Hashes are SHA-256 in hex, boxes xyxy normalised to the whole picture,
`utc` RFC 3339, `pts_s` media time; numbers are rounded where they are made, in `bundle`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import rfc8785
from pydantic import Field, ValidationError

from edge_agent.clock import ClockSpan, utc_text
from edge_agent.config.models import Name
from edge_agent.evidence.bundle.container import MAX_MEMBERS
from edge_agent.evidence.bundle.parts import Count as Count
from edge_agent.evidence.bundle.parts import FileName as FileName
from edge_agent.evidence.bundle.parts import NormalisedBox as NormalisedBox
from edge_agent.evidence.bundle.parts import Part as Part
from edge_agent.evidence.bundle.parts import Sha256 as Sha256
from edge_agent.evidence.bundle.parts import Utc as Utc
from edge_agent.evidence.bundle.parts import Words as Words
from edge_agent.text import printable
from edge_agent.types import Phase

FORMAT: Final = "edge-agent.bundle/1"


class Moment(Part):
    """One picture's time, three ways."""

    utc: Utc
    pts_s: float
    frame: Count


class CaseFacts(Part):
    """What happened."""

    id: Words
    kind: Words
    subject: Words
    zone: Name | None
    revision: Annotated[int, Field(ge=1)]
    phase: Phase
    """Of the latest event; `end`: the happening is over."""
    since_s: float
    """Media time at which it began."""
    begin: Moment
    """When it was decided that it is one, e.g. the dwell limit passed."""
    latest: Moment
    dwell_s: float
    is_complete: bool
    reasons: list[Words]
    facts: dict[str, Any]
    """What the rule says of it."""
    boot_id: Words | None = None
    """The boot in which it began; absent where that is the one which `device` names."""


class StepFacts(Part):
    """A jump of the wall clock."""

    before: Utc
    """What it would have said without."""
    after: Utc


class ClockFacts(Part):
    """What is known of the clock that the pictures were timed by, at its worst."""

    ref: Words
    """What it is synchronised to, e.g. `ntp`."""
    synced: bool
    max_error_ms: Annotated[float, Field(ge=0)] | None
    """Null where nobody knows."""
    steps: list[StepFacts]
    """While the case was open."""

    @classmethod
    def of(cls, span: ClockSpan) -> ClockFacts:
        """As it was over that time."""
        return cls(
            ref=span.sync.ref,
            synced=span.sync.is_synced,
            max_error_ms=span.sync.max_error_ms,
            steps=[
                StepFacts(before=utc_text(step.before), after=utc_text(step.after))
                for step in span.steps
            ],
        )


class SourceFacts(Part):
    """Where the pictures come from."""

    kind: Literal["live", "replay"]
    camera: Name
    media_name: Words
    media_sha256: Sha256 | None
    start: Utc
    start_from: Words
    clock: ClockFacts | None = None
    """Absent in recordings: nobody knows by what clock they were made."""


class ObjectFacts(Part):
    """The vehicle, when the case began."""

    track: int
    cls: Words
    confidence: float
    box: NormalisedBox


class Plain(Part):
    """What an encrypted file holds."""

    sha256: Sha256
    bytes: Count


class FileFacts(Part):
    """One file of the bundle."""

    path: FileName
    sha256: Sha256
    bytes: Count
    plain: Plain | None = None
    """Present where the file is encrypted (age)."""


class Encoding(Part):
    """How a photo became a file: cameras deliver video, so it is never their own encoding."""

    source: Literal["decoded frame"]
    format: Literal["jpeg"]
    quality: Annotated[int, Field(ge=1, le=100)]
    bits: Count | None = None
    """Per pixel, all colours together."""


class ModelFacts(Part):
    """Which model made the detections."""

    name: Words
    sha256: Sha256 | None


Score = Annotated[float, Field(ge=0, le=1)]


class PlateFacts(Part):
    """A number plate: as one photo shows it, or as all looks together agree on it."""

    text: Words | None
    """Null when it counts as unread."""
    confidence: Score
    """Of the weakest character."""
    chars: list[Score]
    """One per character of `text`."""
    region: Words | None
    reason: Words | None
    """Why it counts as unread."""


class AgreedPlate(PlateFacts):
    """The plate of a case."""

    reads: Count
    """Looks that agree on it, between which the vehicle had moved."""
    models: list[ModelFacts]
    """Which ones found and read it."""


class Taken(Part):
    """When a photo was taken that came over from the earlier revision's file, byte by byte."""

    boot_id: Words
    """The boot whose media clock `pts_s` is; `frame` counts anew with every process."""
    index: Count
    """The place in the chain of the bundle that had the photo first."""


class PhotoFile(FileFacts):
    """A photo without any overlay."""

    role: Literal["enter", "wide", "close", "leave"]
    width: Count
    height: Count
    frame: Count
    pts_s: float
    utc: Utc
    box: NormalisedBox
    """The vehicle."""
    crop: NormalisedBox | None
    """The part of the picture that the photo shows; null: all of it."""
    sharpness: float
    encoding: Encoding
    plate: PlateFacts | None = None
    """What it shows of the plate; absent where no plates are read."""
    taken: Taken | None = None
    """Present where the device was restarted since."""


class ClipFile(FileFacts):
    """Original packets around the beginning; starts at the key frame at or before `begin_s`."""

    role: Literal["clip"]
    begin_s: float
    end_s: float
    frames: Count | None = None
    """Absent, as the rates are, where the packets cannot be counted."""
    fps: Annotated[float, Field(ge=0)] | None = None
    """Pictures a second on average."""
    min_fps: Annotated[float, Field(ge=0)] | None = None
    """One over the longest time between two pictures, in s."""
    taken: Taken | None = None
    """As for photos: the boot whose media clock `begin_s` and `end_s` are."""


class HiddenPart(Part):
    """One part of a picture in which a bystander could have been recognised."""

    trait: Literal["face", "head", "plate"]
    by: Words
    """What said that it is there: a model's name, or `person box`, `vehicle box`."""
    box: NormalisedBox


class Redaction(Part):
    """What was made irrecognisable in a copy."""

    method: Literal["pixelation"]
    hidden: list[HiddenPart]
    models: list[ModelFacts]
    """Which ones looked for faces and plates beside the camera's own detector."""


class DerivedFile(FileFacts):
    """A copy that was drawn on, composed or redacted; never the original."""

    derived_from: FileName | Annotated[list[FileName], Field(min_length=2)]
    """A list where several were put together."""
    redaction: Redaction | None = None
    """Absent from a copy that shows what the original shows."""

    @property
    def originals(self) -> tuple[str, ...]:
        """Every file that it was made from."""
        named = self.derived_from
        return (named,) if isinstance(named, str) else tuple(named)


class DeviceFacts(Part):
    """Who signs."""

    id: Name
    fingerprint: Sha256
    """Of the device certificate (DER)."""
    boot_id: Words


class ChainFacts(Part):
    """The place in the sequence of bundles of this device, or of this replay."""

    origin: Words
    index: Count
    previous: Sha256 | None
    """Hash of the manifest before; null for the first."""


class Superseded(Part):
    """The earlier revision of this case, whose file this one replaces."""

    index: Count
    manifest_sha256: Sha256


class Cosigned(Part):
    """A state of the log that a witness had seen before the manifest was signed."""

    size: Count
    root: Sha256
    witness: Words
    utc: Utc
    """When the witness saw it: the bundle is not older."""
    signature: Words
    """The cosignature in base64: key id, POSIX time and Ed25519 (c2sp.org/tlog-cosignature)."""


class LogFacts(Part):
    """The manifest's own entry in the device's transparency log, or in this replay's."""

    origin: Words
    index: Count
    after: Cosigned | None = None


class Privacy(Part):
    """What has been done to protect bystanders."""

    redacted: bool
    """Of the originals: always false; redacted copies are listed under `derived`."""
    delete_after: Words | None
    encrypted_to: Annotated[list[Words], Field(min_length=1)] | None = None
    """Public keys (age) to which every original is encrypted; absent where none is."""


class Shed(Part):
    """What was given up so that the record of the case could be kept."""

    what: Annotated[
        list[Literal["clip", "derived", "enter", "leave", "wide", "close"]], Field(min_length=1)
    ]
    """The clip, every derived copy, photos by their role."""
    why: Literal["disk budget", "disk full"]

    @property
    def reason(self) -> str | None:
        """Why the case is partial; None while no photo had to be given up."""
        has_photos = not {"clip", "derived"}.issuperset(self.what)
        return f"photos shed: {self.why}" if has_photos else None


class Manifest(Part):
    """Everything that is signed."""

    format: Literal["edge-agent.bundle/1"]
    case: CaseFacts
    evidential: bool
    reasons: list[Words]
    """Why it is not evidential; empty if it is."""
    source: SourceFacts
    object: ObjectFacts | None
    media: Annotated[list[PhotoFile | ClipFile], Field(max_length=MAX_MEMBERS)]
    derived: Annotated[list[DerivedFile], Field(max_length=MAX_MEMBERS)]
    attached: Annotated[list[FileFacts], Field(max_length=MAX_MEMBERS)]
    model: ModelFacts
    config_sha256: Words
    software: Words
    site: dict[str, Any]
    device: DeviceFacts
    chain: ChainFacts
    supersedes: Superseded | None
    log: LogFacts | None
    """Null in bundles of versions that kept no log."""
    profile: Words | None
    privacy: Privacy
    plate: AgreedPlate | None = None
    """Absent where no plates are read."""
    shed: Shed | None = None
    """Absent where there was room for everything."""

    @property
    def files(self) -> tuple[FileFacts, ...]:
        """Every file that the manifest answers for, in the order in which a bundle holds them."""
        return (*self.media, *self.derived, *self.attached)

    @property
    def photos(self) -> tuple[PhotoFile, ...]:
        """The photos in manifest order."""
        return tuple(item for item in self.media if isinstance(item, PhotoFile))

    def as_json(self) -> dict[str, Any]:
        """As it is signed: what was not said is absent, so that older manifests stay the same."""
        return self.model_dump(mode="json", exclude_unset=True)

    def to_bytes(self) -> bytes:
        """Canonical JSON; raises ValueError for a fact that JSON cannot carry exactly."""
        return rfc8785.dumps(self.as_json())

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Parse; raises ValueError for anything that `to_bytes` would not have written."""
        try:
            manifest = cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(printable(str(step)) for step in first["loc"]) or "the whole"
            raise ValueError(f"is not a manifest of {FORMAT}: {place}: {first['msg']}") from error
        if manifest.to_bytes() != data:
            raise ValueError("is not in canonical form (RFC 8785)")
        return manifest
