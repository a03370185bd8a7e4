"""Who crosses a line, when and which way: what counting, red lights and lanes have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import hypot
from typing import Literal

from edge_agent.config import Camera
from edge_agent.config.models import Line
from edge_agent.geometry import Point, segments_cross, side
from edge_agent.types import Box, Scene, Track

Anchor = Literal["centre", "foot"]
"""The point of the box that has to cross."""

MARGIN = 0.05
"""Share of the object's diagonal that it must be clear of the line, so that jitter counts once."""


def unnamed(line: str, direction: str, camera: Camera) -> Iterator[tuple[str, str]]:
    """What a rule about one direction of a line lacks when the line does not name it."""
    named = camera.lines.get(line)
    known = {named.to_right, named.to_left} if named else {direction}
    if direction not in known:
        names = " and ".join(f"`{name}`" for name in sorted(known))
        yield "direction", f"`{direction}` is no direction of the line `{line}`; it names {names}"


@dataclass(frozen=True, slots=True)
class Crossing:
    """One object has gone from one side of the line to the other."""

    track: Track
    direction: str
    """As the line names it."""
    count: int
    """The how-manieth of this track, from 1."""
    at_s: float
    """Media time, between the sights on either side."""


@dataclass(slots=True)
class _Way:
    """Where a track last was clearly on one side."""

    t_s: float
    point: Point
    distance_px: float
    crossings: int = 0


class Crossings:
    """Follows objects across one line."""

    def __init__(self, line: Line, classes: frozenset[str], anchor: Anchor) -> None:
        self._line = line
        self._classes = classes
        self._anchor = anchor
        self._ways: dict[int, _Way] = {}

    def update(self, scene: Scene) -> Iterator[Crossing]:
        """The crossings that show in this scene."""
        line, now_s = ends(self._line, scene), scene.frame.t_s
        for track in scene.ended:
            self._ways.pop(track.id, None)
        for track in scene.tracks:
            if track.last_s != now_s or track.cls not in self._classes:
                continue
            sights = [(now_s, track.box)]
            if track.id not in self._ways and track.born is not None:
                sights.insert(0, (track.first_s, track.born))
            for t_s, box in sights:
                crossing = self._advance(track, t_s, box, line)
                if crossing is not None:
                    yield crossing

    def clear(self) -> None:
        """Forget everybody."""
        self._ways.clear()

    def _advance(
        self, track: Track, t_s: float, box: Box, line: tuple[Point, Point]
    ) -> Crossing | None:
        """Go on to where it was at that time; the crossing, if that was one."""
        a, b = line
        point = box.centre if self._anchor == "centre" else box.foot
        distance_px = side(point, a, b) / hypot(b[0] - a[0], b[1] - a[1])
        if abs(distance_px) < MARGIN * hypot(box.width, box.height):
            return None
        way = self._ways.get(track.id)
        if way is None:
            self._ways[track.id] = _Way(t_s, point, distance_px)
            return None
        crossing = None
        to_right = distance_px > 0
        if (way.distance_px > 0) != to_right and segments_cross(way.point, point, a, b):
            way.crossings += 1
            direction = self._line.to_right if to_right else self._line.to_left
            share = way.distance_px / (way.distance_px - distance_px)
            at_s = way.t_s + (t_s - way.t_s) * share
            crossing = Crossing(track, direction, way.crossings, at_s)
        way.t_s, way.point, way.distance_px = t_s, point, distance_px
        return crossing


def ends(line: Line, scene: Scene) -> tuple[Point, Point]:
    """The line's two ends in px of the scene's picture."""
    width, height = scene.frame.width, scene.frame.height
    return (line.a[0] * width, line.a[1] * height), (line.b[0] * width, line.b[1] * height)
