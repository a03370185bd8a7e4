"""A lane of traffic: a zone with a direction; how fast, how dense and how long the queue is.

A box says little about where a vehicle touches the ground. Its *footprint* here is the lower edge
and the centre: seen from the side the lower edge spans the vehicle; seen from ahead, by a camera
that looks down by some 20 degrees, the lower edge is its front and the ground below its rear lies
near the centre of the box; seen from behind the other way round.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot
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
        course = self._course(scene)
        rear, front = _span(footprint(box), course.heading)
        return (rear - course.begin) / course.length, (front - course.begin) / course.length

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

    vehicles: int = 0
    share: float = 0.0
    """Of the lane's length in the picture, from the first one's front to the last one's rear."""
    length_m: float | None = None

    def facts(self) -> dict[str, int | float | None]:
        """As events tell it."""
        length_m = None if self.length_m is None else round(self.length_m, 1)
        share = round(self.share, 3)
        return {"queue_vehicles": self.vehicles, "queue_share": share, "queue_m": length_m}


def queue_of(waiting: Iterable[Track], lane: Lane, scene: Scene, ground: Ground | None) -> Queue:
    """The longest chain of waiting vehicles; of equal ones that nearest to the lane's end."""
    placed = [(lane.reach(track.box, scene), track) for track in waiting]
    placed.sort(key=lambda each: (-each[0][1], each[1].id))
    chains: list[list[tuple[tuple[float, float], Track]]] = []
    for each in placed:
        if chains and _is_next(chains[-1][-1], each):
            chains[-1].append(each)
        else:
            chains.append([each])
    chain = max(chains, key=len, default=[])
    if not chain:
        return Queue()
    share = max(front for (_, front), _ in chain) - min(rear for (rear, _), _ in chain)
    length_m = None
    if ground is not None:
        feet = [ground.metres(track.box.foot, scene.frame.width, scene.frame.height)
                for _, track in chain]  # fmt: skip
        length_m = sum(hypot(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(feet)) + VEHICLE_M
    return Queue(len(chain), min(1.0, max(0.0, share)), length_m)


def _is_next(
    ahead: tuple[tuple[float, float], Track], behind: tuple[tuple[float, float], Track]
) -> bool:
    """True when there is no room between the two for more than one vehicle.

    Sizes are the means of both: perspective makes the farther one smaller.
    """
    a, b = ahead[1].box, behind[1].box
    size = (size_of(a) + size_of(b)) / 2
    return hypot(a.foot[0] - b.foot[0], a.foot[1] - b.foot[1]) <= (1 + QUEUE_GAP) * size


@dataclass(slots=True)
class _Spot:
    """Where a vehicle was seen to touch the ground."""

    t_s: float
    foot: Point
    metres: Point | None = None
    """Worked out when somebody asks for a speed: of most vehicles nobody ever does."""


class Paces:
    """How fast vehicles go; in km/h where the camera is calibrated, else in own sizes."""

    def __init__(self, ground: Ground | None) -> None:
        self._ground = ground
        self._picture = (0, 0)
        self._spots: dict[int, deque[_Spot]] = {}
        self._kmh: dict[int, float | None] = {}
        """What was asked about since the latest update."""

    def update(self, scene: Scene, tracks: Iterable[Track]) -> None:
        """Remember where those were seen that lie within the picture as a whole."""
        t_s = scene.frame.t_s
        self._picture = scene.frame.width, scene.frame.height
        self._kmh.clear()
        for track in scene.ended:
            self._spots.pop(track.id, None)
        for track in tracks:
            box = track.seen or track.box
            if track.last_s != t_s or is_cut(box, self._picture):
                continue
            spots = self._spots.setdefault(track.id, deque())
            spots.append(_Spot(t_s, box.foot))
            while t_s - spots[0].t_s > MOMENT_S:
                spots.popleft()

    def kmh(self, track: Track) -> float | None:
        """Speed over ground, or None when it is not known."""
        if self._ground is None:
            return None
        if track.still_since_s is not None:
            return 0.0
        if track.id not in self._kmh:
            path = [(spot.t_s, self._metres(spot, self._ground)) for spot in self._recent(track)]
            mps = _speed(path)
            self._kmh[track.id] = None if mps is None else mps * 3.6
        return self._kmh[track.id]

    def sizes_per_s(self, track: Track) -> float | None:
        """Speed in the picture in own sizes per second, or None when it is not known.

        A size is the longer side of its box; for a car seen from the side it is its length.
        """
        if track.still_since_s is not None:
            return 0.0
        px = _speed([(spot.t_s, spot.foot) for spot in self._recent(track)])
        return None if px is None else px / max(size_of(track.box), 1.0)

    def is_slow(self, track: Track, slow_kmh: float) -> bool:
        """True when it is known to stand or crawl."""
        kmh = self.kmh(track)
        if kmh is not None:
            return kmh < slow_kmh
        sizes_per_s = self.sizes_per_s(track)
        return sizes_per_s is not None and sizes_per_s < CRAWL_SIZES_PER_S

    def _metres(self, spot: _Spot, ground: Ground) -> Point:
        if spot.metres is None:
            spot.metres = ground.metres(spot.foot, *self._picture)
        return spot.metres

    def _recent(self, track: Track) -> Sequence[_Spot]:
        spots = self._spots.get(track.id, ())
        return [spot for spot in spots if track.last_s - spot.t_s <= MOMENT_S]


def _speed(path: Sequence[tuple[float, Point]]) -> float | None:
    """Length per second of the straight line that fits the path best (least squares)."""
    if not path or path[-1][0] - path[0][0] < LEAST_S:
        return None
    mean_t = sum(t_s for t_s, _ in path) / len(path)
    spread = x = y = 0.0
    for t_s, point in path:
        off_s = t_s - mean_t
        spread += off_s * off_s
        x += off_s * point[0]
        y += off_s * point[1]
    return hypot(x / spread, y / spread)
