"""Counts who crosses a line, by class and direction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import hypot
from typing import Literal

from edge_agent import config
from edge_agent.analyzers.view import Happening, View, expand_classes, rule_name
from edge_agent.geometry import Point, segments_cross, side
from edge_agent.types import Box, Event, Scene, Track

MARGIN = 0.05
"""Share of the object's diagonal that it must be clear of the line, so that jitter counts once."""


@dataclass(slots=True)
class _Way:
    """Where a track last was clearly on one side."""

    point: Point
    is_right: bool
    crossings: int = 0


class LineCrossing:
    """`flow.line_crossing`: one event per object, line and direction change; phase `end`."""

    kind = "flow.line_crossing"

    class Settings(config.Settings):
        """What the site file says beside `kind`."""

        line: str
        classes: tuple[str, ...] = ("vehicle", "bicycle", "person")
        anchor: Literal["centre", "foot"] = "centre"
        """The point of the box that has to cross."""

    def __init__(self, settings: Settings, view: View) -> None:
        self._settings = settings
        self._name = rule_name(self.kind, settings.line, settings)
        self._line = view.lines[settings.line]
        self._classes = expand_classes(settings.classes)
        self._ways: dict[int, _Way] = {}

    def update(self, scene: Scene) -> Iterable[Event]:
        for track in scene.ended:
            self._ways.pop(track.id, None)
        for track in scene.tracks:
            if track.cls in self._classes and track.last_s == scene.frame.t_s:
                yield from self._follow(track, scene)

    def finish(self, scene: Scene) -> Iterable[Event]:
        self._ways.clear()
        return ()

    def _follow(self, track: Track, scene: Scene) -> Iterator[Event]:
        if track.id not in self._ways and track.born is not None:
            yield from self._advance(track, track.born, scene)
        yield from self._advance(track, track.box, scene)

    def _advance(self, track: Track, box: Box, scene: Scene) -> Iterator[Event]:
        size = (scene.frame.width, scene.frame.height)
        a, b = (_scale(point, size) for point in (self._line.a, self._line.b))
        point = box.centre if self._settings.anchor == "centre" else box.foot
        distance = side(point, a, b) / hypot(b[0] - a[0], b[1] - a[1])
        if abs(distance) < MARGIN * hypot(box.width, box.height):
            return
        way = self._ways.setdefault(track.id, _Way(point, distance > 0))
        if way.is_right != (distance > 0) and segments_cross(way.point, point, a, b):
            way.crossings += 1
            yield self._event(track, scene, way.crossings, distance > 0)
        way.point, way.is_right = point, distance > 0

    def _event(self, track: Track, scene: Scene, count: int, to_right: bool) -> Event:
        direction = self._line.to_right if to_right else self._line.to_left
        subject = f"{self._name}/{track.id}/{count}"
        happening = Happening(self.kind, subject, scene.frame.t_s)
        return happening.event(
            scene, "end", track, {"line": self._settings.line, "direction": direction}
        )


def _scale(point: Point, size: tuple[int, int]) -> Point:
    return point[0] * size[0], point[1] * size[1]
