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
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edge_agent.geometry import iou_matrix
from edge_agent.types import Detections

Floats = NDArray[np.float64]

Edges = tuple[float, float, float, float]
"""x1, y1, x2, y2 in px. Plain numbers: a handful of them is dearer as an array."""

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


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """One outline at one time."""

    t_s: float
    step: int
    """Counts the pictures that were looked at."""
    box: Edges
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
    def own_s(self) -> float:
        """When it was last seen as itself."""
        return next((s.t_s for s in reversed(self.sights) if s.is_own), -np.inf)

    def add(self, sight: Sight) -> None:
        """It was seen; forget what is too long ago."""
        self.sights.append(sight)
        while sight.t_s - self.sights[0].t_s > MEMORY_S:
            self.sights.popleft()

    def ahead(self, t_s: float) -> Edges:
        """Where it will be, going on as it went of late."""
        last = self.sights[-1]
        since_s = last.t_s - RECENT_S - 1e-6
        first = next(s for s in self.sights if s.t_s >= since_s)
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
    return math.sqrt(max(1e-6, (box[2] - box[0]) * (box[3] - box[1])))


def sizes(boxes: Floats) -> Floats:
    """Square root of the area of each box (..., 4), px."""
    extent = np.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return np.asarray(np.maximum(np.sqrt(extent[..., 0] * extent[..., 1]), 1e-3))


def outlines(detections: Detections, classes: frozenset[str]) -> Floats:
    """(N, 4) boxes of those classes, strongest first, each object once."""
    names = detections.names
    order = np.argsort(-detections.scores, kind="stable")
    wanted = [
        i
        for i in order.tolist()
        if detections.scores[i] >= WEAKEST and names[detections.classes[i]] in classes
    ]
    boxes = detections.boxes[wanted].astype(np.float64)
    if len(boxes) < 2:
        return boxes
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    both = np.maximum(high - low, 0)
    shared = both[..., 0] * both[..., 1]
    area = sizes(boxes) ** 2
    is_part = shared > PART * np.minimum(area[:, None], area[None, :])
    kept: list[int] = []
    for i in range(len(boxes)):
        if not is_part[i, kept].any():
            kept.append(i)
    return boxes[kept]


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
        boxes = outlines(detections, self._classes)
        edges: list[Edges] = [(b[0], b[1], b[2], b[3]) for b in boxes.tolist()]
        own: dict[int, int] = {}
        if live and edges:
            own = self._own(t_s, live, boxes)
            for row, column in own.items():
                live[row].add(Sight(t_s, self._step, edges[column], is_own=True))
            shared = self._shared(t_s, live, boxes, own)
            for row, column in shared.items():
                live[row].add(Sight(t_s, self._step, edges[column], is_own=False))
            for column in sorted(set(shared.values())):
                _introduce([live[row] for row, c in (own | shared).items() if c == column])
        for column in sorted(set(range(len(edges))) - set(own.values())):
            self._count += 1
            trail = Trail(self._count)
            trail.add(Sight(t_s, self._step, edges[column], is_own=True))
            self.all.append(trail)

    def _is_live(self, trail: Trail, t_s: float) -> bool:
        """What was seen once must be seen again at once."""
        if len(trail.sights) == 1:
            return self._step - trail.sights[0].step == 1
        return t_s - trail.own_s <= PATIENCE_S

    def _own(self, t_s: float, live: Sequence[Trail], boxes: Floats) -> dict[int, int]:
        """Rows of trails -> columns of outlines; the best first, and newcomers last."""
        last = np.array([trail.box for trail in live])
        dt_s = np.array([t_s - trail.last_s for trail in live])
        ahead = np.array([trail.ahead(t_s) for trail in live])
        ours, theirs = sizes(last)[:, None], sizes(boxes)[None, :]
        unit, ratio = np.minimum(ours, theirs), ours / theirs
        cost = np.minimum(_apart(last, boxes), _apart(ahead, boxes)) / unit
        is_new = np.array([len(trail.sights) == 1 for trail in live])
        reach = np.minimum(JITTER + JOLT * dt_s, NEAR)
        reach = np.where(is_new, np.clip(FASTEST * dt_s, reach, FARTHEST), reach)
        cost[(cost > reach[:, None]) | (ratio < ALIKE) | (ratio > 1 / ALIKE)] = np.inf
        cost[is_new] += FARTHEST
        rows, columns = np.nonzero(np.isfinite(cost))
        order = np.argsort(cost[rows, columns], kind="stable")
        found: dict[int, int] = {}
        taken: set[int] = set()
        for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
            if row not in found and column not in taken:
                found[row] = column
                taken.add(column)
        return found

    def _shared(
        self, t_s: float, live: Sequence[Trail], boxes: Floats, own: dict[int, int]
    ) -> dict[int, int]:
        """Rows of trails without an outline of their own -> the one that is around them too."""
        found: dict[int, int] = {}
        for row, trail in enumerate(live):
            if row in own or len(trail.sights) == 1:
                continue
            twins = [o for o in own if len(live[o].sights) > 1 and _is_twin(trail, live[o])]
            column = own[twins[0]] if twins else _merged(trail, live, boxes, t_s)
            if column is not None:
                found[row] = column
        return found


def _introduce(group: Sequence[Trail]) -> None:
    """These were just seen in one outline."""
    for trail in group:
        company = frozenset(other.id for other in group if other is not trail)
        trail.sights[-1] = replace(trail.sights[-1], company=company)


def _apart(ours: Floats, theirs: Floats) -> Floats:
    """(N, M) mean distance of the edges, px."""
    return np.asarray(np.abs(ours[:, None] - theirs[None]).sum(axis=2) / 4)


def _is_twin(trail: Trail, seen: Trail) -> bool:
    """True when the two had one outline in common before the other one was seen again."""
    return trail.box == seen.sights[-2].box


def _merged(trail: Trail, live: Sequence[Trail], boxes: Floats, t_s: float) -> int | None:
    """The outline that goes around it and a neighbour, as both were seen a moment ago."""
    others = np.array([other.sights[-1 if other.last_s < t_s else -2].box for other in live])
    for box in (trail.box, trail.ahead(t_s)):
        mine = np.array(box)
        low, high = np.minimum(mine[:2], others[:, :2]), np.maximum(mine[2:], others[:, 2:])
        around = np.hstack([low, high])
        larger = np.maximum(sizes(others), sizes(mine))
        around[sizes(around) < LARGER * larger] = 0.0
        fit = iou_matrix(around.astype(np.float32), boxes.astype(np.float32))
        best = int(np.argmax(fit))
        if fit.flat[best] >= MERGED:
            return best % len(boxes)
    return None
