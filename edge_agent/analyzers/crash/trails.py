"""Outlines of vehicles followed for a few seconds, through an impact as well.

A tracker expects things to go on as they went, and loses or swaps vehicles at the very moment at
which they collide. Here an outline may go on or stop dead, and one outline may be taken for two
vehicles that met just before. What is remembered are edges, because a box that is partly hidden or
merged with another still has edges that tell the truth.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from edge_agent.geometry import Edges, area_of, edges_iou, shared
from edge_agent.types import Detections

MEMORY_S = 1.6
"""How far back a trail is remembered, and for how long after its last sight."""
PATIENCE_S = 0.6
"""A trail that was not seen for longer has ended."""
JITTER = 0.15
JOLT = 5.0
NEAR = 0.6
"""An outline continues a trail when its edges are, on average, nearer than `JITTER` plus what a
change of velocity by `JOLT` (own sizes/s) makes of it, but than `NEAR` at most: own sizes."""
FASTEST = 16.0
"""Own sizes/s; what was seen only once may go as fast: some 150 km/h for a car from the side."""
FARTHEST = 1.6
"""Own sizes; but not farther in one step."""
ALIKE = 0.55
"""Least ratio of the sizes of two outlines of one vehicle."""
RECENT_S = 0.25
"""A trail's velocity for the next step is that of so long a time."""
PART = 0.7
"""An outline of which a stronger one has this share is a part or a repetition of it."""
MERGED = 0.65
"""Least IoU of a merged outline with that around both vehicles."""
LARGER = 1.15
"""It has so many times the size of the larger one, or else it shows that one alone."""
WEAKEST = 0.2
"""Least score of a detection that counts."""


class Sight(NamedTuple):
    """One outline at one time."""

    t_s: float
    step: int
    """Counts the pictures that were looked at."""
    box: Edges
    size_px: float
    is_own: bool
    """False for an outline that belongs to another vehicle and is around it as well."""
    company: frozenset[int] = frozenset()
    """Ids of the others that are in the same outline."""


@dataclass(slots=True, eq=False)
class Trail:
    """One vehicle's outlines, oldest first; edges are x1, y1, x2, y2 in px."""

    id: int
    sights: deque[Sight] = field(default_factory=deque)

    @property
    def last_s(self) -> float:
        return self.sights[-1].t_s

    @property
    def box(self) -> Edges:
        return self.sights[-1].box

    @property
    def size_px(self) -> float:
        return self.sights[-1].size_px

    @property
    def own_s(self) -> float:
        """When it was last seen as itself."""
        return next((s.t_s for s in reversed(self.sights) if s.is_own), -math.inf)

    def add(self, sight: Sight) -> None:
        """It was seen; forget what is too long ago."""
        self.sights.append(sight)
        while sight.t_s - self.sights[0].t_s > MEMORY_S:
            self.sights.popleft()

    def ahead(self, t_s: float) -> Edges:
        """Where it will be, going on as it went of late."""
        last = self.sights[-1]
        since_s = last.t_s - RECENT_S - 1e-6
        first = last
        for sight in reversed(self.sights):
            if sight.t_s < since_s:
                break
            first = sight
        dt_s = last.t_s - first.t_s
        return moved(last.box, first.box, (t_s - last.t_s) / dt_s) if dt_s > 0 else last.box


def moved(box: Edges, before: Edges, times: float) -> Edges:
    """The box after so many times the way from the one before."""
    return (
        box[0] + (box[0] - before[0]) * times,
        box[1] + (box[1] - before[1]) * times,
        box[2] + (box[2] - before[2]) * times,
        box[3] + (box[3] - before[3]) * times,
    )


def around(a: Edges, b: Edges) -> Edges:
    """The box around both."""
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def size_of(box: Edges) -> float:
    """Square root of its area, px."""
    return math.sqrt(max(1e-6, area_of(box)))


def outlines(detections: Detections, classes: frozenset[str]) -> list[Edges]:
    """Boxes of those classes, strongest first, each object once."""
    scores, kinds = detections.scores.tolist(), detections.classes.tolist()
    edges = detections.boxes.tolist()
    kept: list[Edges] = []
    for i in sorted(range(len(scores)), key=lambda row: -scores[row]):
        if scores[i] < WEAKEST:
            break
        x1, y1, x2, y2 = edges[i]
        box = x1, y1, x2, y2
        is_wanted = detections.names[kinds[i]] in classes
        if is_wanted and not any(_is_part(box, other) for other in kept):
            kept.append(box)
    return kept


def _is_part(a: Edges, b: Edges) -> bool:
    both = shared(a, b)
    return both > 0.0 and both > PART * min(area_of(a), area_of(b))


class Trails:
    """Follows the vehicles of one camera."""

    def __init__(self, classes: frozenset[str]) -> None:
        self._classes = classes
        self._count = 0
        self._step = 0
        self.all: list[Trail] = []
        """In the order of their births; those that ended a moment ago are among them."""

    def update(self, t_s: float, detections: Detections) -> None:
        """Advance to that media time."""
        self._step += 1
        self.all = [trail for trail in self.all if t_s - trail.last_s <= MEMORY_S]
        live = [trail for trail in self.all if self._is_live(trail, t_s)]
        edges = outlines(detections, self._classes)
        own: dict[int, int] = {}
        if live and edges:
            own = _own(t_s, live, edges)
            for row, column in own.items():
                live[row].add(self._sight(t_s, edges[column], is_own=True))
            joint = _joint(t_s, live, edges, own)
            for row, column in joint.items():
                live[row].add(self._sight(t_s, edges[column], is_own=False))
            for column in sorted(set(joint.values())):
                _introduce([live[row] for row, c in (own | joint).items() if c == column])
        for column in sorted(set(range(len(edges))) - set(own.values())):
            self._count += 1
            trail = Trail(self._count)
            trail.add(self._sight(t_s, edges[column], is_own=True))
            self.all.append(trail)

    def _sight(self, t_s: float, box: Edges, *, is_own: bool) -> Sight:
        return Sight(t_s, self._step, box, size_of(box), is_own)

    def _is_live(self, trail: Trail, t_s: float) -> bool:
        """What was seen once must be seen again at once."""
        if len(trail.sights) == 1:
            return self._step - trail.sights[0].step == 1
        return t_s - trail.own_s <= PATIENCE_S


def _own(t_s: float, live: Sequence[Trail], boxes: Sequence[Edges]) -> dict[int, int]:
    """Rows of trails -> columns of outlines; the best first, and newcomers last."""
    pairs = []
    theirs = [size_of(box) for box in boxes]
    for row, trail in enumerate(live):
        last, ahead, ours = trail.box, trail.ahead(t_s), trail.size_px
        is_new, reach = len(trail.sights) == 1, _reach(trail, t_s)
        far = 4 * reach * ours
        for column, box in enumerate(boxes):
            size = theirs[column]
            if abs(last[0] - box[0]) > far and abs(ahead[0] - box[0]) > far:
                continue  # cheaper, and true of most pairs
            if not ALIKE <= ours / size <= 1 / ALIKE:
                continue
            cost = min(_apart(last, box), _apart(ahead, box)) / min(ours, size)
            if cost <= reach:
                pairs.append((cost + FARTHEST if is_new else cost, row, column))
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, row, column in sorted(pairs):
        if row not in found and column not in taken:
            found[row] = column
            taken.add(column)
    return found


def _reach(trail: Trail, t_s: float) -> float:
    """How far its next outline may be, own sizes."""
    dt_s = t_s - trail.last_s
    usual = min(JITTER + JOLT * dt_s, NEAR)
    return usual if len(trail.sights) > 1 else min(max(FASTEST * dt_s, usual), FARTHEST)


def _joint(
    t_s: float, live: Sequence[Trail], boxes: Sequence[Edges], own: dict[int, int]
) -> dict[int, int]:
    """Rows of trails without an outline of their own -> the one that is around them too."""
    found: dict[int, int] = {}
    others = [other.sights[-1 if other.last_s < t_s else -2] for other in live]
    for row, trail in enumerate(live):
        if row in own or len(trail.sights) == 1:
            continue
        twins = [o for o in own if len(live[o].sights) > 1 and _is_twin(trail, live[o])]
        column = own[twins[0]] if twins else _merged(trail, others, boxes, t_s)
        if column is not None:
            found[row] = column
    return found


def _introduce(group: Sequence[Trail]) -> None:
    """These were just seen in one outline."""
    for trail in group:
        company = frozenset(other.id for other in group if other is not trail)
        trail.sights[-1] = trail.sights[-1]._replace(company=company)


def _apart(a: Edges, b: Edges) -> float:
    """Mean distance of the edges, px."""
    return (abs(a[0] - b[0]) + abs(a[1] - b[1]) + abs(a[2] - b[2]) + abs(a[3] - b[3])) / 4


def _is_twin(trail: Trail, seen: Trail) -> bool:
    """True when the two had one outline in common before the other one was seen again."""
    return trail.box == seen.sights[-2].box


def _merged(
    trail: Trail, others: Sequence[Sight], boxes: Sequence[Edges], t_s: float
) -> int | None:
    """The outline that goes around it and a neighbour, as both were seen a moment ago."""
    areas = [area_of(box) for box in boxes]
    largest = max(areas) / MERGED
    for mine in (trail.box, trail.ahead(t_s)):
        best, fits, own = None, MERGED, area_of(mine)
        for other in others:
            both = around(mine, other.box)
            area = area_of(both)
            if area > largest or area < LARGER**2 * max(other.size_px**2, own):
                continue
            for column, box in enumerate(boxes):
                if not MERGED * area <= areas[column] <= area / MERGED:
                    continue
                fit = edges_iou(both, box)
                if fit > fits or (best is None and fit == fits):
                    best, fits = column, fit
        if best is not None:
            return best
    return None
