"""Who is who: joins the detections of one frame to the tracks that there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import lap
import numpy as np
from numpy.typing import NDArray

from edge_agent.geometry import iou_matrix
from edge_agent.types import VEHICLES, Detections

if TYPE_CHECKING:
    from edge_agent.tracking.kalman import Edges
    from edge_agent.tracking.trace import Trace

FORBIDDEN = 1e3
"""Costs more than any limit."""
IOU_STRONG = 0.2
"""Least overlap of a prediction with a strong detection ..."""
IOU_WEAK = 0.5
"""... with a weak one ..."""
IOU_PLACE = 0.5
"""... and of the place where a hidden object stands with whatever is taken for it."""
IOU_REACH = 0.25
"""Least overlap of boxes that were grown by what is not known about the speed."""
REACH_SIGMAS = 2.0
REACH_SIZES = 0.75
"""Boxes are grown by so many standard deviations, but by no more than that, in own sizes."""
LIKE_AREA = 0.5
"""Boxes whose areas differ more are not of one object."""
HANDICAP = 0.1
"""A hidden or a new track has to fit better than one that was just seen."""
SAME = 0.7
"""Two boxes of one kind that overlap more than this are one object ..."""
INSIDE = 0.85
"""... and so is a new one with this share of its area inside another of like area."""

Floats = NDArray[np.float32]


def assign(cost: NDArray[np.float64], limit: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of the cheapest assignment, none dearer than `limit`.

    Jonker-Volgenant; a pair is made only if it is cheaper than leaving both alone.
    """
    if not cost.size or float(cost.min()) > limit:
        return []
    columns, _ = lap.lapjv(cost, extend_cost=True, cost_limit=limit, return_cost=False)
    return [(row, int(column)) for row, column in enumerate(columns) if column >= 0]


def groups(names: Sequence[str]) -> NDArray[np.str_]:
    """Classes that a detector may take for each other share a group: all vehicles, else none."""
    return np.array(["vehicle" if name in VEHICLES else name for name in names], dtype=np.str_)


class Sightings:
    """The detections of one frame, strongest first, each object once.

    A detector that suppresses overlaps per class reports one vehicle as a car and as a truck.
    """

    def __init__(self, detections: Detections) -> None:
        order = np.argsort(-detections.scores, kind="stable")
        boxes = detections.boxes[order]
        kinds = groups(detections.names)[detections.classes[order]] if len(order) else order
        same = np.tril(iou_matrix(boxes, boxes) > SAME, -1) & (kinds[:, None] == kinds)
        keep = ~same.any(axis=1)
        self.boxes: Floats = boxes[keep]
        self.scores: Floats = detections.scores[order][keep]
        self.groups = kinds[keep]
        self._names = [detections.names[k] for k in detections.classes[order][keep]]

    def __len__(self) -> int:
        return len(self.boxes)

    def edges(self, column: int) -> Edges:
        """The box of one detection."""
        x1, y1, x2, y2 = self.boxes[column].tolist()
        return x1, y1, x2, y2

    def vote(self, column: int) -> tuple[str, float]:
        """Class name and score of one detection."""
        return self._names[column], float(self.scores[column])


class Association:
    """Rounds of assignment between traces, already moved to the frame's time, and its sightings."""

    def __init__(self, traces: Sequence[Trace], sightings: Sightings) -> None:
        self.seen: dict[int, int] = {}
        """Row of a trace -> column of its sighting."""
        self._traces = traces
        self._sightings = sightings
        self._boxes = np.array([trace.motion.edges for trace in traces], np.float32).reshape(-1, 4)
        self._iou = iou_matrix(self._boxes, sightings.boxes)
        kinds = groups([trace.cls for trace in traces])
        self._barred = kinds[:, None] != sightings.groups
        self._handicap = np.array([HANDICAP * (t.is_hidden or not t.id) for t in traces])
        self._bar()

    def _bar(self) -> None:
        for row, trace in enumerate(self._traces):
            if trace.is_holding:
                self._barred[row] |= self._iou[row] < IOU_PLACE
            elif trace.is_back:
                for column in np.flatnonzero(self._iou[row] > IOU_STRONG):
                    self._barred[row, column] |= not trace.may_be(self._sightings.edges(column))

    def match(self, columns: Sequence[int], least: float) -> None:
        """Join free traces to these sightings where they overlap at least so much."""
        rows = [row for row in range(len(self._traces)) if row not in self.seen]
        self._join(rows, columns, self._iou, least)

    def match_weak(self, columns: Sequence[int]) -> None:
        """The same for weak sightings, which cannot tell where a hidden moving object is."""
        rows = [
            row
            for row, trace in enumerate(self._traces)
            if row not in self.seen and (trace.is_holding or not trace.is_hidden)
        ]
        self._join(rows, columns, self._iou, IOU_WEAK)

    def match_reach(self, columns: Sequence[int]) -> None:
        """Join what moves too fast, or is known too little, to overlap with its prediction."""
        rows = [
            row
            for row, trace in enumerate(self._traces)
            if row not in self.seen and not trace.is_still
        ]
        if not rows or not columns:
            return
        reach = np.array([self._traces[row].reach(REACH_SIGMAS, REACH_SIZES) for row in rows])
        grow = (reach[:, None] * (-1, -1, 1, 1)).astype(np.float32)
        ours, theirs = self._boxes[rows], self._sightings.boxes[columns]
        iou = np.zeros_like(self._iou)
        for i, row in enumerate(rows):
            iou[row, columns] = iou_matrix((ours + grow)[i : i + 1], theirs + grow[i])[0]
        areas = np.prod(ours[:, 2:] - ours[:, :2], axis=1)[:, None]
        areas = areas / np.maximum(np.prod(theirs[:, 2:] - theirs[:, :2], axis=1), 1e-6)
        unlike = (areas < LIKE_AREA) | (areas > 1 / LIKE_AREA)
        iou[np.ix_(rows, columns)] *= ~unlike
        self._join(rows, columns, iou, IOU_REACH)

    def _join(self, rows: list[int], columns: Sequence[int], iou: Floats, least: float) -> None:
        if not rows or not columns:
            return
        taken = set(self.seen.values())
        columns = [column for column in columns if column not in taken]
        block = np.ix_(rows, columns)
        cost = 1.0 - iou[block] + self._handicap[rows][:, None]
        cost[self._barred[block] | (iou[block] < least)] = FORBIDDEN
        for row, column in assign(cost, 1.0 - least + HANDICAP):
            self.seen[rows[row]] = columns[column]

    def is_known(self, column: int) -> bool:
        """True for a free sighting that shows an object which another sighting stands for."""
        others = [other for other in self.seen.values()]
        alike = [o for o in others if self._sightings.groups[o] == self._sightings.groups[column]]
        if not alike:
            return False
        box, boxes = self._sightings.boxes[column], self._sightings.boxes[alike]
        corners = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
        inner = np.prod(np.clip(corners, 0, None), axis=1)
        area = np.prod(box[2:] - box[:2])
        areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        return bool(np.any((inner >= INSIDE * area) & (area >= LIKE_AREA * areas)))
