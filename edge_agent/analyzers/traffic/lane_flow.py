"""Traffic statistics of a lane, minute by minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import hypot
from typing import Any, Literal

from pydantic import model_validator

from edge_agent import config
from edge_agent.analyzers.traffic.crossing import Crossing, Crossings, ends, unnamed
from edge_agent.analyzers.traffic.lane import (
    Lane,
    Paces,
    Queue,
    distinct,
    footprint,
    queue_of,
    undirected,
)
from edge_agent.analyzers.view import Happening, View, expand_classes, rule_name
from edge_agent.clock import utc_text
from edge_agent.config import Camera, SiteInfo
from edge_agent.config.models import Line
from edge_agent.geometry import Point, segments_cross
from edge_agent.types import Box, Event, Scene, Track

MINUTE_S = 60.0
UNSEEN_S = 2.0
"""Between pictures farther apart than this the lane was not watched."""
SLACK_S = 1.0
"""A minute of which no more than this is missing was watched as a whole."""
SLOW_KMH = 10.0
"""Who is slower belongs to a queue, where speeds are measured."""


@dataclass(slots=True)
class _Minute:
    """What was seen of one minute of wall time."""

    start: datetime
    begin_s: float
    watched_s: float = 0.0
    covered_s: float = 0.0
    volume: Counter[str] = field(default_factory=Counter)
    speeds: list[float] = field(default_factory=list)
    headways: list[float] = field(default_factory=list)
    queue: Queue | None = None

    def facts(self) -> dict[str, Any]:
        vehicles = sum(self.volume.values())
        watched_s = max(self.watched_s, 1e-9)
        queue = self.queue.facts() if self.queue is not None else {}
        return {
            "minute": utc_text(self.start),
            "watched_s": round(self.watched_s, 3),
            "is_partial": self.watched_s < MINUTE_S - SLACK_S,
            "vehicles": vehicles,
            "volume": dict(sorted(self.volume.items())),
            "flow_per_h": round(vehicles * 3600 / watched_s, 1) if self.watched_s else None,
            "mean_speed_kmh": _rounded(_harmonic_mean(self.speeds), 1),
            "speeds": len(self.speeds),
            "occupancy": round(min(1.0, self.covered_s / watched_s), 4),
            "headway_mean_s": _rounded(_mean(self.headways), 2),
            "headway_min_s": _rounded(min(self.headways, default=None), 2),
            **{f"{name}_max": value for name, value in queue.items()},
        }


class LaneFlow:
    """`flow.lane`: one event per minute of wall time, phase `end`; what is left at the end too.

    Counted is at a line: a counting line of the camera, in one of its directions, or else the line
    across the middle of the lane's zone. `mean_speed_kmh` is the harmonic mean of the speeds at
    the line, which is the mean over the lane's length (Wardrop's space-mean speed, 1952).
    `occupancy` is the share of time in which a vehicle's footprint covers the line; headways are
    from centre to centre.
    """

    kind = "flow.lane"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        zone: str | None = None
        """The lane, with its arrow under `directions`; this or `line` is needed."""
        line: str | None = None
        """Where it counts; across the middle of the zone when absent."""
        direction: str | None = None
        """As the line names it; both when absent."""
        classes: tuple[str, ...] = ("vehicle", "bicycle")

        @model_validator(mode="after")
        def _is_somewhere(self) -> LaneFlow.Settings:
            if self.zone is None and self.line is None:
                raise ValueError("a lane needs a `zone`, a `line` or both")
            if self.direction is not None and self.line is None:
                raise ValueError("`direction` names a direction of a `line`: add `line:`")
            return self

        def problems(self, camera: Camera, site: SiteInfo) -> Iterable[tuple[str, str]]:
            if self.zone is not None:
                yield from undirected(self.zone, camera)
            if self.line is not None and self.direction is not None:
                yield from unnamed(self.line, self.direction, camera)

    def __init__(self, settings: Settings, view: View) -> None:
        self._settings = settings
        self._name = rule_name(self.kind, settings.zone or settings.line or "", settings)
        self._classes = expand_classes(settings.classes)
        self._lane = None
        if settings.zone is not None:
            self._lane = Lane(view.zones[settings.zone], view.directions[settings.zone])
        self._direction = settings.direction
        anchor: Literal["centre", "foot"] = "centre"
        if settings.line is not None:
            self._line = view.lines[settings.line]
        else:
            assert self._lane is not None
            # In a zone the foot says which lane it is; across a drawn line it is the centre.
            self._line, anchor = across(self._lane), "foot"
            self._direction = self._line.to_right
        self._crossings = Crossings(self._line, self._classes, anchor)
        self._ground = view.ground
        self._paces = Paces(view.ground)
        self._minute: _Minute | None = None
        self._latest_s: float | None = None
        self._crossed_s: float | None = None

    def update(self, scene: Scene) -> Iterable[Event]:
        start = scene.frame.wall.astimezone(UTC).replace(second=0, microsecond=0)
        if self._minute is not None and start != self._minute.start:
            yield self._event(self._minute, scene)
            self._minute = None
        if self._minute is None:
            self._minute = _Minute(start, scene.frame.t_s)
        self._count(self._minute, scene)
        self._latest_s = scene.frame.t_s

    def finish(self, scene: Scene) -> Iterable[Event]:
        if self._minute is not None:
            yield self._event(self._minute, scene)
        self._minute = None

    def _count(self, minute: _Minute, scene: Scene) -> None:
        tracks = [track for track in scene.tracks if track.cls in self._classes]
        self._paces.update(scene, tracks)
        watched_s = self._watched_s(scene)
        minute.watched_s += watched_s
        lane = self._lane
        inside = [track for track in tracks if lane is None or lane.holds(track.box, scene)]
        line, t_s = ends(self._line, scene), scene.frame.t_s
        if any(track.last_s == t_s and _covers(track.box, line) for track in inside):
            minute.covered_s += watched_s
        for crossing in self._crossings.update(scene):
            if self._direction in (None, crossing.direction):
                self._take(minute, crossing)
        if lane is not None:
            minute.queue = self._longer(minute.queue or Queue(), lane, inside, scene)

    def _watched_s(self, scene: Scene) -> float:
        if self._latest_s is None:
            return 0.0
        passed_s = scene.frame.t_s - self._latest_s
        if passed_s > UNSEEN_S:
            self._crossed_s = None
            return 0.0
        return passed_s

    def _take(self, minute: _Minute, crossing: Crossing) -> None:
        minute.volume[crossing.track.cls] += 1
        kmh = self._paces.kmh(crossing.track)
        if kmh:
            minute.speeds.append(kmh)
        if self._crossed_s is not None:
            minute.headways.append(abs(crossing.at_s - self._crossed_s))
        self._crossed_s = crossing.at_s

    def _longer(self, known: Queue, lane: Lane, inside: Iterable[Track], scene: Scene) -> Queue:
        """The queue that there is now, if it is longer than that."""
        slow = {track.id: track for track in inside if self._paces.is_slow(track, SLOW_KMH)}
        reaches = [lane.reach(track.box, scene) for track in slow.values()]
        rears, fronts = [rear for rear, _ in reaches], [front for _, front in reaches]
        if not slow or max(fronts) - min(rears) <= known.share:
            return known  # cheaper, and true of most pictures
        waiting = [track for track in distinct(inside, scene) if track.id in slow]
        queue = queue_of(waiting, lane, scene, self._ground)
        return queue if queue.share > known.share else known

    def _event(self, minute: _Minute, scene: Scene) -> Event:
        subject = f"{self._name}/{utc_text(minute.start)}"
        happening = Happening(self.kind, subject, minute.begin_s, self._settings.zone)
        where = {"line": self._settings.line, "direction": self._direction}
        named = {key: value for key, value in where.items() if self._settings.line and value}
        return happening.event(scene, "end", None, named | minute.facts())


def _covers(box: Box, line: tuple[Point, Point]) -> bool:
    (ax, ay), (bx, by) = line
    if max(ax, bx) < box.x1 or min(ax, bx) > box.x2 or max(ay, by) < box.y1 or min(ay, by) > box.y2:
        return False  # cheaper, and true of most boxes
    left, right, centre = footprint(box)
    edges = ((left, right), (left, centre), (right, centre))
    return any(segments_cross(p, q, *line) for p, q in edges)


def across(lane: Lane) -> Line:
    """The line across the lane's zone, halfway along; its traffic crosses it to the right."""
    (x1, y1), (x2, y2) = lane.arrow
    length = hypot(x2 - x1, y2 - y1)
    cos, sin = (x2 - x1) / length, (y2 - y1) / length
    corners = [(x * cos + y * sin, x * sin - y * cos) for x, y in lane.zone.points]
    """Along the arrow, and to its left."""
    reach = [along for along, _ in corners]
    half = (min(reach) + max(reach)) / 2
    sides = [
        p[1] + (q[1] - p[1]) * (half - p[0]) / (q[0] - p[0])
        for p, q in zip(corners, [*corners[1:], corners[0]], strict=True)
        if min(p[0], q[0]) <= half <= max(p[0], q[0]) and p[0] != q[0]
    ]
    a, b = (
        (half * cos + aside * sin, half * sin - aside * cos) for aside in (min(sides), max(sides))
    )
    # A corner may lie on the border of the picture; rounding must not put it outside.
    return Line.model_construct(a=a, b=b, to_right="with", to_left="against")


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _harmonic_mean(values: list[float]) -> float | None:
    return len(values) / sum(1 / value for value in values) if values else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
