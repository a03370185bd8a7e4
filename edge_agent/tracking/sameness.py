"""When two boxes are two views of one object.

Detectors report a vehicle twice: as a car and as a truck, or whole and in the parts that a pole
leaves of it. Real neighbours overlap as well, but on the picture of a camera above the road what
stands before or behind another vehicle has its foot lower or higher.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_agent.geometry import Edges, area_of, edges_iou, shared
from edge_agent.types import VEHICLES

if TYPE_CHECKING:
    from edge_agent.tracking.trace import Trace

Floats = NDArray[np.float32]

SAME = 0.7
"""Two boxes of one kind that overlap more than this are one object ..."""
INSIDE = 0.85
"""... and so is a new one with this share of its area inside another of like area."""
LIKE_AREA = 0.5
"""Boxes whose areas differ more are not of one object."""
PART_AREA = 0.2
"""A smaller share of a vehicle is not taken for a part of it."""
PART_EDGE = 0.15
LEVEL = 0.15
"""Edges nearer than this share of the size are the same edge."""


def group(name: str) -> str:
    """Classes that a detector may take for each other share a group: all vehicles, else none."""
    return "vehicle" if name in VEHICLES else name


def areas_of(boxes: Floats) -> Floats:
    """(N, 4) xyxy -> (N,)."""
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), np.float32)


def overlaps(a: Floats, b: Floats) -> Floats:
    """Area that every pair shares: (N, 4) and (M, 4) xyxy -> (N, M)."""
    width = np.minimum(a[:, None, 2], b[:, 2]) - np.maximum(a[:, None, 0], b[:, 0])
    height = np.minimum(a[:, None, 3], b[:, 3]) - np.maximum(a[:, None, 1], b[:, 1])
    return np.asarray(np.maximum(width, 0) * np.maximum(height, 0), np.float32)


def twins(traces: Sequence[Trace]) -> list[tuple[Trace, Trace]]:
    """Pairs of standing tracks that share one place, the elder first."""
    still = [trace for trace in traces if trace.is_still]
    if len(still) < 2:
        return []
    places = np.array([trace.place for trace in still], np.float32)
    areas = areas_of(places)
    nested = np.triu(overlaps(places, places) > SAME * np.minimum(areas[:, None], areas), 1)
    pairs = [(still[i], still[j]) for i, j in np.argwhere(nested)]
    return [
        (a, b)
        for a, b in pairs
        if group(a.cls) == group(b.cls)
        and (
            is_same(a.place, b.place)
            or is_same(b.place, a.place)
            or edges_iou(a.place, b.place) > SAME
        )
    ]


def is_part(part: Edges, whole: Edges) -> bool:
    """True for a box inside another, on at least two of its edges."""
    width, height = whole[2] - whole[0], whole[3] - whole[1]
    area = area_of(part)
    if shared(part, whole) < INSIDE * area or area < PART_AREA * width * height:
        return False
    units = (width, height, width, height)
    near = sum(
        abs(a - b) <= PART_EDGE * unit for a, b, unit in zip(part, whole, units, strict=True)
    )
    return near > 1


def is_same(inner: Edges, outer: Edges) -> bool:
    """True for a box inside another that is of like size or stands on the same ground.

    What stands inside the outline of a vehicle and is another one stands behind it or before it,
    so that its foot is higher or lower.
    """
    both = shared(inner, outer)
    small = area_of(inner)
    if both < INSIDE * small:
        return False
    is_level = abs(inner[3] - outer[3]) <= LEVEL * (outer[3] - outer[1])
    return small >= (PART_AREA if is_level else LIKE_AREA) * area_of(outer)
