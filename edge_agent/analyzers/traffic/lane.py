"""A lane of traffic: a zone with a direction; how fast, how dense and how long the queue is.

A box says little about where a vehicle touches the ground. Its *footprint* here is the lower edge
and the centre: seen from the side the lower edge spans the vehicle; seen from ahead, by a camera
that looks down by some 20 degrees, the lower edge is its front and the ground below its rear lies
near the centre of the box; seen from behind the other way round.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import dist, hypot, inf
from typing import NamedTuple

from edge_agent.config import Camera
from edge_agent.config.models import Arrow
from edge_agent.geometry import Ground, Point, Polygon, iou, overlap
from edge_agent.types import Box, Scene, Track

MOMENT_S = 1.0
"""Speeds are the mean of such a time."""
LEAST_S = 0.25
"""From a shorter time no speed is claimed: a box is only sure to a pixel or two."""
BORDER = 0.01
"""A box nearer than this share of the picture to its border is cut off there."""
QUEUE_GAP = 2.0
"""Own sizes: room for one vehicle that was not detected, and the usual distances."""
SAME = 0.5
"""Share of a box that another one covers when both show one vehicle."""
HIDDEN_S = 3.0
"""So long may passing traffic hide a vehicle that stands."""
VEHICLE_M = 4.5
"""Length of a car: from the first one's front to the last one's rear it is one more than from
front to front."""
CRAWL_SIZES_PER_S = 0.5
"""Slow where no km/h are known; for a car seen from the side some 8 km/h."""


def undirected(zone: str, camera: Camera) -> Iterator[tuple[str, str]]:
    """What a rule about a lane lacks whose zone has no direction."""
    if zone not in camera.directions:
        arrow = f"directions: {{{zone}: [[x1, y1], [x2, y2]]}}"
        yield "zone", f"nothing says which way the traffic of `{zone}` goes; add `{arrow}`"


def footprint(box: Box) -> tuple[Point, Point, Point]:
    """Points (px) between which the vehicle stands on the ground."""
    return (box.x1, box.y2), (box.x2, box.y2), box.centre


def size_of(box: Box) -> float:
    """The longer side in px."""
    return max(box.width, box.height)


def is_cut(box: Box, picture: tuple[int, int]) -> bool:
    """True when a part of the object lies outside the picture (width, height in px)."""
    x, y = BORDER * picture[0], BORDER * picture[1]
    return box.x1 < x or box.y1 < y or box.x2 > picture[0] - x or box.y2 > picture[1] - y


def distinct(tracks: Iterable[Track], scene: Scene) -> list[Track]:
    """The vehicles that are there: each one once, and none that has long been out of sight.

    Behind foliage a network sees one vehicle as several parts. What is weak or hidden and covers,
    or is covered by, the half of a better one is a part of it; two clear ones may well stand one
    before the other unless their boxes are nearly the same.
    """
    chosen: list[Track] = []
    recent = (track for track in tracks if scene.frame.t_s - track.last_s <= HIDDEN_S)
    for track in sorted(recent, key=lambda each: (-each.score, each.id)):
        is_clear = track.is_sure and track.last_s == scene.frame.t_s
        if not any(_is_part(track.box, other.box, is_clear) for other in chosen):
            chosen.append(track)
    return sorted(chosen, key=lambda each: each.id)


def _is_part(box: Box, of: Box, is_clear: bool) -> bool:
    shared = overlap(box, of)
    if not shared:
        return False
    if is_clear:
        return iou(box, of) >= SAME
    return shared >= SAME * max(min(box.area, of.area), 1e-6)


class Lane:
    """A zone and which way its traffic goes."""

    def __init__(self, zone: Polygon, arrow: Arrow) -> None:
        self.zone = zone
        self.arrow = arrow
        self._latest: _Course | None = None

    def holds(self, box: Box, scene: Scene) -> bool:
        """True when the object touches the ground inside."""
        return self.zone.contains(box.foot, scene.frame.width, scene.frame.height)

    def heading(self, scene: Scene) -> Point:
        """Unit vector in px."""
        return self._course(scene).heading

    def reach(self, box: Box, scene: Scene) -> tuple[float, float]:
        """Rear and front as shares of the lane: 0 where traffic comes in, 1 where it goes out."""
        _, (x, y), begin, length = self._course(scene)
        points = [px * x + py * y for px, py in footprint(box)]
        return (min(points) - begin) / length, (max(points) - begin) / length

    def covered(self, tracks: Iterable[Track], scene: Scene) -> float:
        """The share of the lane's length on which vehicles stand."""
        total, until = 0.0, 0.0
        for rear, front in sorted(self.reach(track.box, scene) for track in tracks):
            total += max(0.0, min(front, 1.0) - max(rear, until))
            until = max(until, min(front, 1.0))
        return total

    def _course(self, scene: Scene) -> _Course:
        picture = scene.frame.width, scene.frame.height
        if self._latest is None or self._latest.picture != picture:
            self._latest = _Course.of(self, picture)
        return self._latest


class _Course(NamedTuple):
    """A lane in pictures of one size, px."""

    picture: tuple[int, int]
    heading: Point
    """Unit vector."""
    begin: float
    """Where the zone begins along the heading."""
    length: float

    @classmethod
    def of(cls, lane: Lane, picture: tuple[int, int]) -> _Course:
        width, height = picture
        (x1, y1), (x2, y2) = lane.arrow
        x, y = (x2 - x1) * width, (y2 - y1) * height
        length = hypot(x, y)
        heading = x / length, y / length
        corners = ((x * width, y * height) for x, y in lane.zone.points)
        begin, end = _span(corners, heading)
        return cls(picture, heading, begin, max(end - begin, 1e-6))


def _span(points: Iterable[Point], heading: Point) -> tuple[float, float]:
    along = [x * heading[0] + y * heading[1] for x, y in points]
    return min(along), max(along)


@dataclass(frozen=True, slots=True)
class Queue:
    """Vehicles that wait one behind another."""

    share: float = 0.0
    """Of the lane's length in the picture, from the first one's front to the last one's rear."""
    feet: Sequence[Point] = ()
    """Where they touch the ground, the first one first; px."""
    picture: tuple[int, int] = (0, 0)
    ground: Ground | None = None

    @property
    def vehicles(self) -> int:
        return len(self.feet)

    @property
    def length_m(self) -> float | None:
        """None where the camera is not calibrated."""
        if self.ground is None or not self.feet:
            return None
        feet = [self.ground.metres(foot, *self.picture) for foot in self.feet]
        return sum(hypot(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(feet)) + VEHICLE_M

    def facts(self) -> dict[str, int | float | None]:
        """As events tell it."""
        length_m = self.length_m
        return {
            "queue_vehicles": self.vehicles,
            "queue_share": round(self.share, 3),
            "queue_m": None if length_m is None else round(length_m, 1),
        }


class _Waiting(NamedTuple):
    """A vehicle's place in its lane; rear and front as shares of it."""

    front: float
    rear: float
    foot: Point
    size: float


def queue_of(waiting: Iterable[Track], lane: Lane, scene: Scene, ground: Ground | None) -> Queue:
    """The longest chain of waiting vehicles; of equal ones that nearest to the lane's end."""
    placed = []
    for track in sorted(waiting, key=lambda each: each.id):
        rear, front = lane.reach(track.box, scene)
        placed.append(_Waiting(front, rear, track.box.foot, size_of(track.box)))
    placed.sort(key=lambda each: -each.front)
    chains: list[list[_Waiting]] = []
    for each in placed:
        if chains and _is_next(chains[-1][-1], each):
            chains[-1].append(each)
        else:
            chains.append([each])
    chain = max(chains, key=len, default=[])
    if not chain:
        return Queue()
    share = max([each.front for each in chain]) - min([each.rear for each in chain])
    picture = scene.frame.width, scene.frame.height
    return Queue(min(1.0, max(0.0, share)), [each.foot for each in chain], picture, ground)


def _is_next(ahead: _Waiting, behind: _Waiting) -> bool:
    """True when there is no room between the two for more than one vehicle.

    Sizes are the means of both: perspective makes the farther one smaller.
    """
    size = (ahead.size + behind.size) / 2
    return dist(ahead.foot, behind.foot) <= (1 + QUEUE_GAP) * size


class _Moment(NamedTuple):
    """Which vehicles were seen at one time."""

    t_s: float
    picture: tuple[int, int]
    seen: dict[int, Track]


@dataclass(slots=True)
class _Path:
    """Where one vehicle touched the ground of late, and when; in metres or else px."""

    spots: deque[tuple[float, Point]] = field(default_factory=deque)
    until_s: float = -inf


class Paces:
    """How fast vehicles go; in km/h where the camera is calibrated, else in own sizes."""

    def __init__(self, ground: Ground | None) -> None:
        self._ground = ground
        self._moments: deque[_Moment] = deque()
        self._paths: dict[int, _Path] = {}
        """Of those whose speed was asked for: of most vehicles nobody ever does."""
        self._speeds: dict[int, float | None] = {}
        """Per second; what was asked about since the latest update."""

    def update(self, scene: Scene, tracks: Iterable[Track]) -> None:
        """Remember where those were seen that lie within the picture as a whole."""
        t_s, moments = scene.frame.t_s, self._moments
        seen = {track.id: track for track in tracks if track.last_s == t_s}
        moments.append(_Moment(t_s, (scene.frame.width, scene.frame.height), seen))
        while t_s - moments[0].t_s > MOMENT_S + HIDDEN_S:
            moments.popleft()
        self._speeds.clear()
        for track in scene.ended:
            self._paths.pop(track.id, None)

    def kmh(self, track: Track) -> float | None:
        """Speed over ground, or None when it is not known."""
        if self._ground is None:
            return None
        if track.still_since_s is not None:
            return 0.0
        mps = self._speed(track)
        return None if mps is None else mps * 3.6

    def is_slow(self, track: Track, slow_kmh: float) -> bool:
        """True when it is known to stand or crawl.

        Without calibration speeds are in own sizes, the longer sides of boxes: for a car seen from
        the side its length.
        """
        if track.still_since_s is not None:
            return True
        speed = self._speed(track)
        if speed is None:
            return False
        if self._ground is not None:
            return speed * 3.6 < slow_kmh
        return speed / max(size_of(track.box), 1.0) < CRAWL_SIZES_PER_S

    def _speed(self, track: Track) -> float | None:
        if track.id not in self._speeds:
            self._speeds[track.id] = _speed(self._spots(track))
        return self._speeds[track.id]

    def _spots(self, track: Track) -> Sequence[tuple[float, Point]]:
        """Where it was seen during the `MOMENT_S` before it was seen last."""
        key, fresh = track.id, []
        path = self._paths.setdefault(key, _Path())
        for moment in reversed(self._moments):
            if moment.t_s <= path.until_s or track.last_s - moment.t_s > MOMENT_S:
                break
            if key in moment.seen and (place := self._place(moment, moment.seen[key])):
                fresh.append((moment.t_s, place))
        path.spots.extend(reversed(fresh))
        path.until_s = self._moments[-1].t_s
        while path.spots and track.last_s - path.spots[0][0] > MOMENT_S:
            path.spots.popleft()
        return path.spots

    def _place(self, moment: _Moment, track: Track) -> Point | None:
        """None where the picture cuts the vehicle off."""
        box = track.seen or track.box
        if is_cut(box, moment.picture):
            return None
        return box.foot if self._ground is None else self._ground.metres(box.foot, *moment.picture)


def _speed(path: Sequence[tuple[float, Point]]) -> float | None:
    """Length per second of the straight line that fits the path best (least squares)."""
    if not path or path[-1][0] - path[0][0] < LEAST_S:
        return None
    mean_t = sum([t_s for t_s, _ in path]) / len(path)
    spread = x = y = 0.0
    for t_s, point in path:
        off_s = t_s - mean_t
        spread += off_s * off_s
        x += off_s * point[0]
        y += off_s * point[1]
    return hypot(x / spread, y / spread)
