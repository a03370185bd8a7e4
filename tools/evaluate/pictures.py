"""Camera health, debris, smoke and fire: real clips, undisturbed and with something done to them.

Every clip is played there and back at five pictures a second, so that short ones last; from
`ON_S` to `OFF_S` something is done to the pictures (`pictures_painted`). What is drawn on the
road is drawn before its traffic: vehicles that the detector finds further down pass in front.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from edge_agent.analyzers.camera.health import CameraHealth
from edge_agent.analyzers.debris.debris import Debris
from edge_agent.analyzers.smoke.smoke_fire import SmokeFire
from edge_agent.analyzers.view import View
from edge_agent.config.models import TrackerSettings
from edge_agent.geometry import Polygon
from edge_agent.ports import Analyzer, Detector
from edge_agent.sources import open_recording
from edge_agent.tracking import Tracker
from edge_agent.types import ArrayPicture, Box, Detections, Event, Frame, Scene
from edge_agent.vision.cards import search_path
from edge_agent.vision.detector import open_onnx
from evaluate import pictures_painted as painted
from evaluate.everything import DEFAULT_MODEL, views
from evaluate.pictures_painted import Array, Paint, Picture

STEP_S = 0.2
LENGTH_S, ON_S, OFF_S = 50.0, 15.0, 37.0
LONGEST_S = 60.0
"""So much of a longer clip is used."""
WIDTH = 640
HEALTH_STEP = 5
"""Camera health looks once a second: every fifth picture will do."""

CHANGES: Mapping[str, tuple[str | None, Callable[[], Paint]]] = {
    "shift 5 %": ("moved", lambda: painted.warped((0.05, 0.02))),
    "shift 20 %": ("moved", lambda: painted.warped((0.2, 0.1))),
    "turn 3 deg": ("moved", lambda: painted.warped(turn_deg=3)),
    "turn 8 deg": ("moved", lambda: painted.warped(turn_deg=-8)),
    "zoom 1.15": ("moved", lambda: painted.warped(zoom=1.15)),
    "blur 0.3 % of width": ("blurred", lambda: painted.blurred(0.003)),
    "blur 1 % of width": ("blurred", lambda: painted.blurred(0.01)),
    "dark cover at once": ("covered", lambda: painted.covered(12, 0)),
    "bright cover in 4 s": ("covered", lambda: painted.covered(215, 4)),
    "dark cover in 4 s": ("covered", lambda: painted.covered(25, 4)),
    "white spray": ("covered", lambda: painted.sprayed(225)),
    "black spray": ("covered", lambda: painted.sprayed(15)),
    "frozen": ("frozen", painted.Frozen),
    "light fades": ("dark", lambda: painted.lit(0.1)),
    "overexposed": ("overexposed", lambda: painted.lit(5.0, 0.6)),
    "sways": (None, lambda: painted.swaying),
    "half the light": (None, lambda: painted.lit(0.5)),
    "other gamma": (None, lambda: painted.lit(1.0, 0.5, 0.5)),
    "fog": (None, lambda: painted.foggy),
    "lorry passes": (None, lambda: painted.passing),
}
"""What is done, and what `camera.health` must say of it; None: nothing."""
THINGS = ("tyre", "box", "plank", "cone")
SHARES = (0.015, 0.03)
"""Of the picture's width."""
PLUMES: Mapping[str, tuple[str, Callable[[tuple[float, float]], Paint]]] = {
    "white smoke": ("smoke", lambda place: painted.smoke(place, 215, 1.0)),
    "thin smoke": ("smoke", lambda place: painted.smoke(place, 170, 0.6)),
    "dark smoke": ("smoke", lambda place: painted.smoke(place, 50, 1.0)),
    "fire, 4 % of width": ("fire", lambda place: painted.fire(place, 0.04)),
    "fire, 8 % of width": ("fire", lambda place: painted.fire(place, 0.08)),
}


@dataclass(frozen=True, eq=False)
class Recorded:
    """One clip at `STEP_S`, at most `WIDTH` wide, with what the detector saw in it."""

    name: str
    zone: Polygon | None
    pictures: Sequence[Picture]
    seen: Sequence[Detections]
    min_score: float
    """From which on a detection starts a track, and passes in front of what is painted."""

    def sure(self, seen: Detections) -> Array:
        """(N, 4) boxes of what the detector is sure of."""
        return np.asarray(seen.boxes[seen.scores >= self.min_score])

    def there_and_back(self, step: int) -> Iterator[tuple[float, Picture, Detections]]:
        """Every so-manieth picture with its time."""
        order = [*range(len(self.pictures)), *range(len(self.pictures) - 2, 0, -1)]
        for count in range(0, round(LENGTH_S / STEP_S), step):
            at = order[count % len(order)]
            yield count * STEP_S, self.pictures[at], self.seen[at]


@dataclass
class Tally:
    """How often one change was noticed."""

    found: int = 0
    of: int = 0
    delays_s: list[float] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    def add(self, clip: str, hits: Sequence[Event], others: Sequence[Event]) -> None:
        self.of += 1
        self.other += [f"{clip}: {each.kind} at {each.t_s:.0f} s" for each in others]
        if hits:
            self.found += 1
            self.delays_s.append(round(hits[0].t_s - ON_S, 1))
        else:
            self.missed.append(clip)

    def told(self) -> dict[str, Any]:
        delay = statistics.median(self.delays_s) if self.delays_s else None
        told = {"found": self.found, "of": self.of, "median_delay_s": delay}
        return {**told, "missed": self.missed, "other": self.other}


def evaluate(shared: Path) -> dict[str, Any]:
    """Tallies per change, thing and plume; false alarms on undisturbed clips one by one."""
    detector = open_onnx(
        DEFAULT_MODEL, search_path(None, {"EDGE_AGENT_MODELS": str(shared / "models")})
    )
    undisturbed: list[str] = []
    health = {name: Tally() for name in CHANGES}
    debris = {f"{kind}, {share:.1%} of width": Tally() for kind in THINGS for share in SHARES}
    plumes = {name: Tally() for name in PLUMES}
    for number, (name, view) in enumerate(views().items()):
        clip = record(shared / "footage" / name, view, detector)
        told = play(clip, [CameraHealth, SmokeFire, Debris])
        undisturbed += [f"{clip.name}: {e.kind} at {e.t_s:.0f} s" for e in told]
        check_health(clip, health)
        if clip.zone is not None:
            check_debris(clip, debris, np.random.default_rng([painted.SEED, number]))
            check_plumes(clip, plumes)
    return {
        "clips": len(views()),
        "model": detector.model.name,
        "false alarms on undisturbed clips": undisturbed,
        "camera.health": {name: tally.told() for name, tally in health.items()},
        "incident.debris": {name: tally.told() for name, tally in debris.items()},
        "incident.smoke_fire": {name: tally.told() for name, tally in plumes.items()},
    }


def record(path: Path, view: Mapping[str, Any], detector: Detector) -> Recorded:
    """Look at a clip once."""
    pictures, seen = [], []
    next_s = 0.0
    for frame in open_recording(path, "camera").frames():
        if frame.t_s > LONGEST_S:
            break
        if frame.t_s < next_s - 1e-6:
            continue
        next_s = max(next_s, frame.t_s - STEP_S) + STEP_S
        width = min(WIDTH, frame.width)
        pictures.append(frame.picture.scaled(width, round(frame.height * width / frame.width)))
        found = detector.detect(frame)
        boxes = found.boxes * np.float32(width / frame.width)
        seen.append(Detections(boxes, found.scores, found.classes, found.names))
    corners = view["zones"].get("carriageway")
    zone = Polygon(corners) if corners else None
    return Recorded(path.stem, zone, pictures, seen, detector.min_score)


def play(clip: Recorded, rules: Sequence[Any], paint: Paint | None = None) -> list[Event]:
    """What the rules begin to report while something is done to the pictures."""
    zones = {"carriageway": clip.zone} if clip.zone else {}
    view = View("camera", zones, {}, ZoneInfo("UTC"))
    asked: list[Analyzer] = []
    for rule in rules:
        if rule is not Debris:
            asked.append(rule(rule.Settings(), view))
        elif zones:
            asked.append(Debris(Debris.Settings(zone="carriageway"), view))
    step = HEALTH_STEP if list(rules) == [CameraHealth] else 1
    tracker = Tracker(TrackerSettings(), clip.min_score)
    began: list[Event] = []
    for seq, (t_s, picture, seen) in enumerate(clip.there_and_back(step)):
        shown = paint(picture, t_s - ON_S) if paint and ON_S <= t_s < OFF_S else picture
        if Debris in rules and shown is not picture:
            shown = _behind_traffic(shown, picture, clip.sure(seen))
        wall = datetime(2026, 5, 13, tzinfo=UTC) + timedelta(seconds=t_s)
        frame = Frame("camera", seq, t_s, wall, ArrayPicture(shown))
        tracks = tracker.update(seen, frame)
        scene = Scene(frame, seen, tracks, tracker.ended())
        began += [e for rule in asked for e in rule.update(scene) if e.phase == "begin"]
    return began


def check_health(clip: Recorded, tallies: Mapping[str, Tally]) -> None:
    for name, (kind, make) in CHANGES.items():
        began = play(clip, [CameraHealth], make())
        hits = [e for e in began if e.kind == f"camera.{kind}" and e.t_s >= ON_S]
        hidden = {"camera.dark", "camera.covered", "camera.overexposed", "camera.frozen"}
        is_blind = f"camera.{kind}" in hidden  # a black cover is dark as well
        others = [e for e in began if e not in hits and not (is_blind and e.kind in hidden)]
        tallies[name].add(clip.name, hits, others)
        if kind is None:
            tallies[name].missed.clear()


def check_debris(clip: Recorded, tallies: Mapping[str, Tally], rng: np.random.Generator) -> None:
    assert clip.zone is not None
    for name, tally in tallies.items():
        kind, share = name.split(", ")[0], float(name.split(", ")[1].split("%")[0]) / 100
        place = _place(clip.zone, rng)
        began = play(clip, [Debris], painted.thing(kind, place, share))
        height, width = clip.pictures[0].shape[:2]
        point = (place[0] * width, place[1] * height - share * width / 2)
        hits = [e for e in began if e.track and _is_near(e.track.box, point, share * width)]
        tally.add(clip.name, hits, [e for e in began if e not in hits])


def check_plumes(clip: Recorded, tallies: Mapping[str, Tally]) -> None:
    assert clip.zone is not None
    x, y = np.mean(clip.zone.points, axis=0)
    for name, (sign, make) in PLUMES.items():
        began = play(clip, [SmokeFire], make((float(x), float(y) + 0.15)))
        hits = [e for e in began if e.facts["sign"] == sign and e.t_s >= ON_S]
        tallies[name].add(clip.name, hits, [e for e in began if e not in hits])


def _behind_traffic(shown: Picture, picture: Picture, boxes: Array) -> Picture:
    """The painted picture, with what the detector saw for sure before what was painted."""
    shown = shown.copy()
    rows = np.nonzero((shown != picture).any(axis=(1, 2)))[0]
    foot = int(rows.max()) if len(rows) else 0
    for corners in boxes:
        x1, y1, x2, y2 = (max(0, int(v)) for v in corners)
        if y2 > foot:
            shown[y1:y2, x1:x2] = picture[y1:y2, x1:x2]
    return shown


def _place(zone: Polygon, rng: np.random.Generator) -> tuple[float, float]:
    """A point of the zone, normalised, not at the picture's edge."""
    while True:
        x, y = (float(v) for v in rng.uniform(0.06, 0.94, 2))
        if zone.contains((x, y), 1, 1):
            return x, y


def _is_near(box: Box, point: tuple[float, float], reach: float) -> bool:
    x, y = box.centre
    return abs(x - point[0]) <= reach and abs(y - point[1]) <= reach
