"""What a site file may say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    Field,
    field_validator,
    model_validator,
)

from edge_agent.config.base import Name as Name
from edge_agent.config.base import Settings
from edge_agent.config.privacy import Privacy as Privacy
from edge_agent.config.signal_io import Call as Call
from edge_agent.config.signal_io import Gpio as Gpio
from edge_agent.config.signal_io import HealthOutput as HealthOutput
from edge_agent.config.signal_io import Output as Output
from edge_agent.config.signal_io import Phase as Phase
from edge_agent.config.signing import DeviceKeySettings, Pkcs11, TimestampSettings
from edge_agent.config.source import SourceSettings
from edge_agent.config.uplink import Metrics as Metrics
from edge_agent.config.uplink import Mqtt as Mqtt
from edge_agent.config.uplink import Tls as Tls
from edge_agent.geometry import Ground

Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Point = tuple[Unit, Unit]


def _is_simple(points: list[Point]) -> list[Point]:
    n = len(points)
    edges = [(points[i], points[(i + 1) % n]) for i in range(n)]
    for i in range(n):
        for j in range(i + 2, n):
            if (j + 1) % n == i:
                continue
            if _cross(*edges[i], *edges[j]):
                raise ValueError(
                    f"the outline crosses itself between points {i + 1} and {j + 1}: "
                    "list the corners in order, going round"
                )
    if abs(sum(_turn(points[0], points[i], points[i + 1]) for i in range(1, n - 1))) < 1e-9:
        raise ValueError("the outline encloses no area: its corners lie on one line or point")
    return points


def _turn(o: Point, u: Point, v: Point) -> float:
    """Twice the signed area of the triangle."""
    return (u[0] - o[0]) * (v[1] - o[1]) - (u[1] - o[1]) * (v[0] - o[0])


def _cross(p: Point, q: Point, a: Point, b: Point) -> bool:
    return _turn(p, q, a) * _turn(p, q, b) < 0 and _turn(a, b, p) * _turn(a, b, q) < 0


Zone = Annotated[list[Point], Field(min_length=3, max_length=200), AfterValidator(_is_simple)]
"""Corners in order, normalised to the picture: 0,0 top left, 1,1 bottom right."""


class Line(Settings):
    """A counting line from `a` to `b`; the arrow a->b has a left and a right side."""

    a: Point
    b: Point
    to_right: str = "forward"
    """Name of the direction that crosses from the arrow's left to its right side."""
    to_left: str = "backward"

    @model_validator(mode="after")
    def _has_length(self) -> Line:
        if self.a == self.b:
            raise ValueError("a line needs two different points")
        return self


def _has_heading(arrow: tuple[Point, Point]) -> tuple[Point, Point]:
    if arrow[0] == arrow[1]:
        raise ValueError("an arrow needs two different points: from where, to where")
    return arrow


Arrow = Annotated[tuple[Point, Point], AfterValidator(_has_heading)]
"""From where to where, normalised to the picture; only its heading counts."""


Metres = Annotated[float, Field(ge=-100_000, le=100_000)]


class GroundPoint(Settings):
    """One point of the road, in the picture and as measured on the ground."""

    picture: Point
    metres: tuple[Metres, Metres]


def _is_plane(points: list[GroundPoint]) -> list[GroundPoint]:
    if not any(_are_spread(four) for four in combinations(points, 4)):
        raise ValueError(
            "three of the points lie on one line in the picture or on the ground: measure the "
            "corners of a large rectangle"
        )
    picture, metres = zip(*((point.picture, point.metres) for point in points), strict=True)
    try:
        Ground(picture, metres).area_m2(picture)
    except ValueError as error:
        raise ValueError(
            "no flat ground looks like that: two of the points may have been mixed up, or one "
            "lies above the horizon"
        ) from error
    return points


def _are_spread(points: Iterable[GroundPoint]) -> bool:
    """True when no three of them lie on one line, neither in the picture nor on the ground."""
    return all(
        abs(_turn(*(point.picture for point in chosen))) > 1e-6
        and abs(_turn(*(point.metres for point in chosen))) > 1e-6
        for chosen in combinations(points, 3)
    )


class SiteInfo(Settings):
    """Where the box stands and who answers for it."""

    name: Name
    timezone: str = "UTC"
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    responsible: str | None = None
    """Institution and contact that an alarm must name."""
    safety_manager: str | None = None
    """Whom an alarm of a building site must call: name and number."""

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # a folder, a name too long
            raise ValueError("no such time zone; use an IANA name such as Europe/Berlin") from error
        return value


class DetectorSettings(Settings):
    """Which model looks at the pictures, and how often."""

    model: str = "motion"
    """Name of a model card, or `motion` for the weight-free background model."""
    min_score: Annotated[float, Field(gt=0, le=1)] | None = None
    """Weakest detection that starts a track; the card's own value when absent."""
    max_fps: Annotated[float, Field(gt=0, le=240)] | None = None
    """Frames above this rate are decoded but not analysed."""
    gate: bool = True
    """Skip the inference while nothing in the picture moves."""
    rest: bool = False
    """Decode key frames only while nothing in the picture moves, and what stirs after them."""
    provider: Literal["cpu", "xnnpack", "openvino", "cuda", "tensorrt"] = "cpu"
    """What of onnxruntime runs the network; anything but `cpu` needs another wheel of it."""


class TrackerSettings(Settings):
    """How long an object may hide, in seconds."""

    lost_s: Annotated[float, Field(gt=0, le=60)] = 1.5
    """A moving object that stays unseen longer is given up."""
    lost_still_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """The same for an object that was standing still (hidden behind passing traffic)."""
    confirm_s: Annotated[float, Field(ge=0, le=5)] = 0.2
    """An object must be seen this long before rules hear of it."""


# fmt: off
Region = Literal[
    "cn", "us", "ar", "br", "eu",
    "at", "be", "bg", "ch", "cz", "de", "dk", "ee", "es", "fi", "fr", "gb", "gr", "hr", "hu",
    "ie", "it", "lt", "lu", "lv", "nl", "no", "pl", "pt", "ro", "se", "si", "sk",
]
# fmt: on
"""Whose number plates are expected, as `vision/plates/grammars.yaml` describes them; `eu` stands
for all of Europe, a country alone decides more between characters that look alike."""


class PlateSettings(Settings):
    """Which number plates are read, how often, and through which models."""

    regions: Annotated[tuple[Region, ...], Field(min_length=1)]
    min_width_px: Annotated[int, Field(ge=20, le=1000)] = 75
    """A narrower plate counts as unread, `plate too narrow`: of those between 60 and 90 px nine in
    ten were read right, and whatever looked sound was, but for one; below there are few to tell."""
    max_reads_per_s: Annotated[float, Field(gt=0, le=100)] = 2.0
    """Vehicles looked at per second of this camera: this bounds what reading costs."""
    finder: str = "hyperlpr3_320"
    """Name of the model card that finds plates and their corners."""
    recogniser: str = "cct_xs_global"
    """Name of the model card that reads Latin letters and digits."""
    chinese_recogniser: str = "ppocr_v4"
    """Name of the model card that reads the plates of `cn`; opened only where it is listed."""


class HeadSettings(Settings):
    """How heads are looked at, for rules about helmets."""

    model: str = "helmets"
    """Name of a model card with the classes `head` (bare) and `helmet`."""
    max_fps: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Looks per second while persons are there; one look serves up to four of them."""


class BaySettings(Settings):
    """Which zones are parking bays, what they are kept for, and how they are looked at."""

    zones: Annotated[tuple[Name, ...], Field(min_length=1, max_length=200)]
    """One zone per bay: its outline on the ground."""
    lot: Name | None = None
    """The zone in which vehicles outside of all bays are looked for as well."""
    ev: tuple[Name, ...] = ()
    """Bays for electric vehicles."""
    reserved: dict[Name, tuple[Name, ...]] = Field(default_factory=dict)
    """For whom -> bays, e.g. `disabled: [a1, a2]`."""
    every_s: Annotated[float, Field(ge=0, le=3600)] = 20.0
    """Time between two looks; 0 looks at every frame, as a time-lapse recording needs."""
    model: str | None = None
    """Name of the model card of the network that looks; the camera's own when absent."""

    @model_validator(mode="after")
    def _are_bays(self) -> BaySettings:
        if twice := [name for name, count in Counter(self.zones).items() if count > 1]:
            raise ValueError(f"`{twice[0]}` is listed twice: list every bay once")
        for name in (*self.ev, *(bay for bays in self.reserved.values() for bay in bays)):
            if name not in self.zones:
                raise ValueError(f"`{name}` is kept for somebody, but is no bay: add it to `zones`")
        return self


class Rule(Settings):
    """One analyzer of one camera; `settings` is validated by the analyzer's own model."""

    kind: str
    settings: Any


class Camera(Settings):
    """One view: what to look with, where, and by which rules."""

    source: SourceSettings | None = None
    """Where live pictures come from; a recording can be replayed without one."""
    detector: DetectorSettings = DetectorSettings()
    tracker: TrackerSettings = TrackerSettings()
    zones: dict[Name, Zone] = Field(default_factory=dict)
    directions: dict[Name, Arrow] = Field(default_factory=dict)
    """Zone -> which way its traffic goes."""
    lines: dict[Name, Line] = Field(default_factory=dict)
    ground: (
        Annotated[list[GroundPoint], Field(min_length=4, max_length=20), AfterValidator(_is_plane)]
        | None
    ) = None
    """Points measured on the road, for metres and km/h; without them both are unknown."""
    plates: PlateSettings | None = None
    """Number plates are read only where this is given."""
    heads: HeadSettings | None = None
    """Heads are looked at where this is given or a rule needs them."""
    bays: BaySettings | None = None
    """Parking bays are looked at only where this is given."""
    rules: list[Rule] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_its_bays(self) -> Camera:
        if self.bays is None:
            return self
        for name in (*self.bays.zones, *([self.bays.lot] if self.bays.lot else [])):
            if name not in self.zones:
                raise ValueError(f"bays: there is no zone `{name}`: draw it under `zones`")
        if (self.bays.model or self.detector.model) == "motion":
            raise ValueError("bays: motion cannot see parked vehicles; name a network as `model:`")
        return self


class RuleSettings(Settings):
    """Base of what a rule is told."""

    def problems(self, camera: Camera, site: SiteInfo) -> Iterable[tuple[str, str]]:
        """What a rule with these settings lacks there: (key, what is wrong and what to do)."""
        return ()


class Evidence(Settings):
    """How a case is documented."""

    jpeg_quality: Annotated[int, Field(ge=50, le=100)] = 92
    clip_before_s: Annotated[float, Field(ge=0, le=60)] = 5.0
    clip_after_s: Annotated[float, Field(ge=0, le=60)] = 5.0
    close_margin: Annotated[float, Field(ge=0, le=1)] = 0.12
    """Share of the vehicle's size added around the close-up."""
    disk_budget_mb: Annotated[int, Field(ge=1)] | None = None
    """Evidence of live cameras may take this much; beyond it clips are given up, then photos."""
    min_free_mb: Annotated[int, Field(ge=0)] = 100
    """As much is left free on the disk for everything else; only records go below it."""
    profile: Annotated[str, Field(min_length=1)] | None = None
    """What a case has to show to be evidential: a shipped profile's name, or a file of your own."""
    sheet: bool = True
    """Whether a case carries the sheet to print; it takes up to 500 kB."""
    timestamp: TimestampSettings | None = None
    witnesses: tuple[str, ...] = ()
    """Verifier keys of those who cosign the device's log, as `edge-agent witness --show-key`
    prints them."""
    log_days: Annotated[int, Field(ge=1, le=36500)] | None = 400
    """So long at least the log can show that it goes on from a checkpoint; null: for ever."""

    @field_validator("witnesses")
    @classmethod
    def _are_keys(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if len(text.split("+")) < 3:
                raise ValueError(
                    f"`{text[:60]}` is no verifier key: copy the whole line that `edge-agent "
                    "witness --show-key` prints, e.g. city.example/witness+3d1c7a52+AeR0..."
                )
        return value


class PlateListFile(Settings):
    """A list of number plates and what it says about them."""

    file: Path
    """CSV with the columns plate, valid_from, valid_until, note."""
    meaning: Literal["allow", "deny", "permit"]


class Site(Settings):
    """One box at one place."""

    site: SiteInfo
    device: Name
    models_dir: Path | None = None
    state_dir: Path | None = None
    """Where the device key lives; the platform's own place when absent."""
    data_dir: Path | None = None
    """Where a live box keeps evidence, log and undelivered events; beside its key when absent."""
    device_key: DeviceKeySettings | None = None
    mqtt: Mqtt | None = None
    metrics: Metrics | None = None
    evidence: Evidence = Evidence()
    privacy: Privacy = Privacy()
    plate_lists: dict[Name, PlateListFile] = Field(default_factory=dict)
    gpio: Gpio | None = None
    outputs: dict[Name, Output] = Field(default_factory=dict)
    calls: dict[Name, Call] = Field(default_factory=dict)
    phases: dict[Name, Phase] = Field(default_factory=dict)
    health_output: HealthOutput | None = None
    cameras: Annotated[dict[Name, Camera], Field(min_length=1)]

    @property
    def token(self) -> Pkcs11 | None:
        """What holds the device key, if that is no file."""
        return self.device_key.pkcs11 if self.device_key else None
