"""Vehicles that drive against the direction of their lane."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from math import acos, degrees, hypot
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from edge_agent import config
from edge_agent.analyzers.traffic.lane import BORDER, Lane, Paces, size_of, undirected
from edge_agent.analyzers.view import Happening, View, expand_classes, rule_name
from edge_agent.config import Camera, SiteInfo
from edge_agent.geometry import Point
from edge_agent.types import Box, Event, Scene, Track

STEP_S = 0.5
"""Vehicles follow each other at a second or more. From sights farther apart than half of that
nobody can tell which one is which, and traffic may seem to run backwards."""
WINDOW_S = 10.0
"""Who needs longer for the way is manoeuvring."""
STEADY = 0.5
"""At least so much of the time it must be seen going at half its mean pace or faster: a jump to
another vehicle, or from behind something, covers its way in a moment."""
OUTSIDE_S = 1.0
"""Outside the zone for longer than this, it has left."""


class _Step(NamedTuple):
    """Where a vehicle had got to; px summed up over its visible way."""

    t_s: float
    point: Point
    along: float
    """px along the lane's arrow."""
    is_sure: bool


@dataclass(slots=True)
class _Drive:
    """One vehicle since it was farthest along its lane."""

    track: Track
    box: Box
    """As it was latest seen."""
    steps: deque[_Step] = field(default_factory=deque)
    size: float = 0.0
    """px; its longer side when the way began."""
    inside_s: float = 0.0
    """Media time at which it was last inside the zone."""
    happening: Happening | None = None
    is_over: bool = False
    """It has been told of and has left: a vehicle is told of once."""


class WrongWay:
    """`incident.wrong_way`: begin when it has driven far enough against the arrow, end when gone.

    What counts is the way that the box as a whole went, measured in sizes of the vehicle, so that
    neither jitter nor a corner that comes out of hiding is a way. Reversing by a few metres is
    shorter than the way, a jump of the tracker is not steady.
    """

    kind = "incident.wrong_way"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        zone: str
        angle_deg: Annotated[float, Field(ge=90, lt=180)] = 120.0
        """Its way must differ from the arrow by more than this."""
        path_sizes: Annotated[float, Field(gt=0, le=20)] = 1.0
        """Way that establishes it, in longer sides of its box: about its length from the side."""
        path_s: Annotated[float, Field(gt=0, le=10)] = 0.5
        """It must have driven for that long."""
        classes: tuple[str, ...] = ("vehicle",)

        def problems(self, camera: Camera, site: SiteInfo) -> Iterable[tuple[str, str]]:
            return undirected(self.zone, camera)

    def __init__(self, settings: Settings, view: View) -> None:
        self._settings = settings
        self._name = rule_name(self.kind, settings.zone, settings)
        self._lane = Lane(view.zones[settings.zone], view.directions[settings.zone])
        self._classes = expand_classes(settings.classes)
        self._paces = Paces(view.ground)
        self._drives: dict[int, _Drive] = {}

    def update(self, scene: Scene) -> Iterable[Event]:
        tracks = [track for track in scene.tracks if track.cls in self._classes]
        self._paces.update(scene, tracks)
        for track in scene.ended:
            drive = self._drives.pop(track.id, None)
            if drive is not None:
                yield from self._end(drive, scene, "left")
        for track in tracks:
            if track.last_s != scene.frame.t_s:
                continue
            drive = self._drives.get(track.id) or self._meet(track, scene)
            drive.track = track
            self._follow(drive, track.last_s, track.seen or track.box, scene)
            yield from self._judge(drive, scene)

    def finish(self, scene: Scene) -> Iterable[Event]:
        for drive in self._drives.values():
            yield from self._end(drive, scene, "recording_ended")
        self._drives.clear()

    def _meet(self, track: Track, scene: Scene) -> _Drive:
        """A track is only told of when it is confirmed; its way began where it was born."""
        born = track.born or track.box
        drive = self._drives[track.id] = _Drive(track, born)
        self._follow(drive, track.first_s, born, scene)
        return drive

    def _follow(self, drive: _Drive, t_s: float, box: Box, scene: Scene) -> None:
        before, drive.box = drive.box, box
        is_still = drive.track.still_since_s is not None
        if not self._lane.holds(box, scene):
            drive.steps.clear()
            return
        drive.inside_s = t_s
        point = drive.steps[-1].point if drive.steps else (0.0, 0.0)
        if drive.steps:
            dx, dy = _shift(before, box, scene)
            point = point[0] + dx, point[1] + dy
        x, y = self._lane.heading(scene)
        step = _Step(t_s, point, point[0] * x + point[1] * y, drive.track.is_sure)
        if not drive.steps or is_still or step.along >= drive.steps[0].along:
            drive.steps.clear()
            drive.size = size_of(box)
        drive.steps.append(step)
        while t_s - drive.steps[0].t_s > WINDOW_S:
            drive.steps.popleft()

    def _judge(self, drive: _Drive, scene: Scene) -> Iterator[Event]:
        if drive.happening is not None:
            if scene.frame.t_s - drive.inside_s > OUTSIDE_S:
                yield from self._end(drive, scene, "left")
        elif facts := self._offence(drive):
            subject = f"{self._name}/{drive.track.id}"
            begin_s = drive.steps[0].t_s
            drive.happening = Happening(self.kind, subject, begin_s, self._settings.zone)
            kmh = self._paces.kmh(drive.track)
            facts["speed_kmh"] = None if kmh is None else round(kmh, 1)
            yield drive.happening.event(scene, "begin", drive.track, facts)

    def _offence(self, drive: _Drive) -> dict[str, Any] | None:
        """The way that establishes it, or None."""
        if not drive.steps:
            return None
        first, last = drive.steps[0], drive.steps[-1]
        way = hypot(last.point[0] - first.point[0], last.point[1] - first.point[1])
        size = max(drive.size, size_of(drive.box))
        lasted_s = last.t_s - first.t_s
        if way < self._settings.path_sizes * size or lasted_s < self._settings.path_s:
            return None
        back = first.along - last.along
        angle_deg = degrees(acos(max(-1.0, min(1.0, -back / way))))
        # Nobody is accused unseen: on the way it must have been clearly there.
        is_clear = any(step.is_sure for step in drive.steps)
        if angle_deg <= self._settings.angle_deg or not is_clear or not _is_steady(drive.steps):
            return None
        return {"angle_deg": round(angle_deg, 1), "path_sizes": round(way / size, 2)}

    def _end(self, drive: _Drive, scene: Scene, reason: str) -> Iterator[Event]:
        if drive.happening is None or drive.is_over:
            return
        drive.is_over = True
        facts = {"end_s": round(drive.inside_s, 3), "end_reason": reason}
        yield drive.happening.event(scene, "end", drive.track, facts)


def _shift(a: Box, b: Box, scene: Scene) -> Point:
    """How far the object went from box a to box b, in px; what the picture cuts off goes along."""
    width, height = scene.frame.width, scene.frame.height
    return _along((a.x1, a.x2), (b.x1, b.x2), width), _along((a.y1, a.y2), (b.y1, b.y2), height)


def _along(a: Point, b: Point, length: float) -> float:
    """The mean movement of two opposite edges; of the other one where the picture cuts one off."""
    low, high, margin = b[0] - a[0], b[1] - a[1], BORDER * length
    is_low_cut, is_high_cut = min(a[0], b[0]) < margin, max(a[1], b[1]) > length - margin
    if is_low_cut and is_high_cut:
        return 0.0
    return high if is_low_cut else low if is_high_cut else (low + high) / 2


def _is_steady(steps: Iterable[_Step]) -> bool:
    """True when most of the time was spent going, and not waiting for a jump."""
    path = list(steps)
    lasted_s = path[-1].t_s - path[0].t_s
    half_pace = (path[0].along - path[-1].along) / lasted_s / 2
    going_s = sum(
        b.t_s - a.t_s
        for a, b in pairwise(path)
        if b.t_s - a.t_s <= STEP_S and a.along - b.along >= half_pace * (b.t_s - a.t_s)
    )
    return going_s >= STEADY * lasted_s
