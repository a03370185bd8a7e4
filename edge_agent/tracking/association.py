"""Who is who: joins the detections of one frame to the tracks that there are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import lap
import numpy as np
from numpy.typing import NDArray

from edge_agent.geometry import Edges, area_of, iou_matrix, ious, shared
from edge_agent.tracking.sameness import (
    LIKE_AREA,
    PART_AREA,
    SAME,
    Floats,
    areas_of,
    group,
    is_part,
    is_same,
    overlaps,
)
from edge_agent.types import Detections

if TYPE_CHECKING:
    from edge_agent.tracking.trace import Trace

FORBIDDEN = 1e3
"""Costs more than any limit."""
IOU_STRONG = 0.2
"""Least overlap of a prediction with a strong detection ..."""
IOU_WEAK = 0.5
"""... with a weak one ..."""
IOU_PLACE = 0.5
"""... and of the place where something stands with whatever is taken for it."""
IOU_REACH = 0.25
"""Least overlap of boxes that were grown by what is not known about the speed."""
REACH_SIGMAS = 2.0
REACH_SIZES = 0.75
"""Boxes are grown by so many standard deviations, but by no more than that, in own sizes."""
HANDICAP = 0.1
"""A hidden or a new track has to fit better than one that was just seen."""
WIDER = 1.25
"""A box with so many times the area shows more of an object."""
COVER = 0.15
"""A still object is covered if something that moves shares this much of its area."""


def assign(cost: NDArray[np.float64], limit: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of the cheapest assignment, none dearer than `limit`.

    Jonker-Volgenant; a pair is made only if it is cheaper than leaving both alone.
    """
    if not cost.size or float(cost.min()) > limit:
        return []
    columns, _ = lap.lapjv(cost, extend_cost=True, cost_limit=limit, return_cost=False)
    return [(row, int(column)) for row, column in enumerate(columns) if column >= 0]


@lru_cache(maxsize=64)
def groups(names: tuple[str, ...]) -> NDArray[np.str_]:
    """The group of every class name."""
    return np.array([group(name) for name in names], dtype=np.str_)


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
        self.areas = areas_of(self.boxes)
        self._edges: list[Edges] = [(a, b, c, d) for a, b, c, d in self.boxes.tolist()]
        self.scores: Floats = detections.scores[order][keep]
        self.groups = kinds[keep]
        self._names = [detections.names[k] for k in detections.classes[order][keep]]

    def __len__(self) -> int:
        return len(self.boxes)

    def edges(self, column: int) -> Edges:
        """The box of one detection."""
        return self._edges[column]

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
        kinds = groups(tuple(trace.cls for trace in traces))
        self._barred_kind = kinds[:, None] != sightings.groups
        self._barred = self._barred_kind.copy()
        self._handicap = np.array([HANDICAP * (t.is_hidden or not t.id) for t in traces])
        self._bar()

    def _bar(self) -> None:
        for row, trace in enumerate(self._traces):
            if trace.is_holding:
                self._barred[row] |= self._iou[row] < IOU_PLACE
            if trace.is_back or trace.is_settled:
                for column in np.flatnonzero(self._iou[row] > IOU_STRONG).tolist():
                    is_near = bool(self._iou[row, column] >= IOU_PLACE)
                    edges = self._sightings.edges(column)
                    self._barred[row, column] |= not trace.may_be(edges, is_near)

    def match(self, columns: Sequence[int], least: float) -> None:
        """Join free traces to these sightings where they overlap at least so much."""
        rows, columns = self._free_rows(), self._free(columns)
        self._join(rows, columns, self._iou[rows][:, columns], least)

    def match_weak(self, columns: Sequence[int]) -> None:
        """The same for weak sightings, which cannot tell where a hidden moving object is."""
        traces, columns = self._traces, self._free(columns)
        rows = [r for r in self._free_rows() if traces[r].is_holding or not traces[r].is_hidden]
        self._join(rows, columns, self._iou[rows][:, columns], IOU_WEAK)

    def match_reach(self, columns: Sequence[int]) -> None:
        """Join what moves too fast, or is known too little, to overlap with its prediction."""
        rows = [row for row in self._free_rows() if not self._traces[row].is_still]
        columns = self._free(columns)
        if not rows or not columns:
            return
        reach = np.array([self._traces[row].reach(REACH_SIGMAS, REACH_SIZES) for row in rows])
        grow = (reach[:, None] * (-1, -1, 1, 1)).astype(np.float32)
        ours, theirs = self._boxes[rows], self._sightings.boxes[columns]
        ratio = areas_of(ours)[:, None] / np.maximum(areas_of(theirs), 1e-6)
        unlike = (ratio < LIKE_AREA) | (ratio > 1 / LIKE_AREA)
        grown = ious((ours + grow)[:, None], theirs + grow[:, None])
        self._join(rows, columns, grown * ~unlike, IOU_REACH)

    def _free_rows(self) -> list[int]:
        return [row for row in range(len(self._traces)) if row not in self.seen]

    def _free(self, columns: Sequence[int]) -> list[int]:
        taken = set(self.seen.values())
        return [column for column in columns if column not in taken]

    def _join(self, rows: list[int], columns: list[int], iou: Floats, least: float) -> None:
        """`iou` has a row and a column for each of these."""
        if not rows or not columns:
            return
        cost = 1.0 - iou + self._handicap[rows][:, None]
        cost[self._barred[rows][:, columns] | (iou < least)] = FORBIDDEN
        for row, column in assign(cost, 1.0 - least + HANDICAP):
            self.seen[rows[row]] = columns[column]

    def match_parts(self, columns: Sequence[int]) -> None:
        """Join free traces that stand to what sticks out of something that hides them."""
        taken = set(self.seen.values())
        for row, trace in enumerate(self._traces):
            if row in self.seen or not trace.is_still:
                continue
            for column in columns:
                if column not in taken and not self._barred_kind[row, column]:
                    edges = self._sightings.edges(column)
                    fits = is_part(edges, trace.place) or is_same(trace.place, edges)
                    if fits and trace.may_be(edges, is_near=True):
                        self.seen[row] = column
                        taken.add(column)
                        break

    def outlines(self) -> list[tuple[Trace, Edges]]:
        """Boxes that show more of something that stands than what is known, and nothing else."""
        known = [(trace, trace.place) for trace in self._traces]
        taken = set(self.seen.values())
        found: list[tuple[Trace, Edges]] = []
        for row, column in self.seen.items():
            trace, place = known[row]
            if not trace.is_settled:
                continue
            free = [o for o in self._wider(place) if o == column or o not in taken]
            for other in free:
                edges = self._sightings.edges(other)
                if self._barred_kind[row, other] or not is_same(trace.place, edges):
                    continue
                boxes = (box for another, box in known if another is not trace)
                if not any(shared(box, edges) > SAME * area_of(box) for box in boxes):
                    found.append((trace, edges))
        return found

    def _wider(self, place: Edges) -> list[int]:
        areas, area = self._sightings.areas, area_of(place)
        return np.flatnonzero((areas > WIDER * area) & (areas * PART_AREA < area)).tolist()

    def births(self, columns: Sequence[int]) -> list[int]:
        """Free sightings that show something new, not another side of something known."""
        known = sorted(self.seen.values())
        new: list[int] = []
        sightings = self._sightings
        for column in columns:
            if column in known:
                continue
            box, kind = sightings.edges(column), sightings.groups[column]
            others = (sightings.edges(o) for o in known if sightings.groups[o] == kind)
            if not any(is_same(box, other) or is_same(other, box) for other in others):
                new.append(column)
                known.append(column)
        return new

    def hidden(self) -> set[int]:
        """Rows of what may be there unseen: something else that is seen covers its place."""
        seen = sorted(self.seen)
        if not seen:
            return set()
        boxes = self._sightings.boxes[[self.seen[row] for row in seen]]
        places = np.array([trace.place for trace in self._traces], np.float32)
        share = overlaps(places, boxes) / np.maximum(areas_of(places), 1e-6)[:, None]
        share[seen, range(len(seen))] = 0.0  # nothing hides itself
        return set(np.flatnonzero(np.any(share > COVER, axis=1)).tolist())

    def covered(self) -> set[int]:
        """Rows of what was seen partly behind or before something seen moving."""
        rows = sorted(self.seen)
        still = [row for row in rows if self._traces[row].is_still]
        moving = [row for row in rows if not self._traces[row].is_still]
        if not still or not moving:
            return set()
        inner = overlaps(self._boxes[still], self._boxes[moving])
        covers = np.any(inner > COVER * areas_of(self._boxes[still])[:, None], axis=1).tolist()
        return {row for row, is_covered in zip(still, covers, strict=True) if is_covered}
