"""Which report means which true event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import lap
import numpy as np
from numpy.typing import NDArray

from edge_agent.geometry import iou
from edge_agent.score.files import TrueEvent, Truth
from edge_agent.score.happenings import Reported
from edge_agent.types import Box

TOLERANCE_S: Final = 2.0
MIN_IOU: Final = 0.3


def counts(reported: Reported, truth: Truth) -> bool:
    """False for a report that the truth does not speak about, or wholly inside an ignored span."""
    if truth.types is not None and reported.type not in truth.types:
        return False
    return not any(
        span.begin_s <= reported.begin_s
        and reported.end_s <= span.end_s
        and span.type in (None, reported.type)
        and span.camera in (None, reported.places["camera"])
        for span in truth.ignore
    )


def match(reported: Sequence[Reported], true: Sequence[TrueEvent]) -> list[tuple[int, int]]:
    """(reported, true) index pairs, one to one: as many as possible, then the closest beginnings.

    The two match when the type is the same, their times overlap within the tolerance, their boxes
    do (the best of the report's), and camera, zone, line and direction are the same; boxes and
    places only where both have them.
    """
    if not reported or not true:
        return []
    distances = [
        [abs(r.begin_s - t.begin_s) if _may_match(r, t) else np.inf for t in true] for r in reported
    ]
    costs: NDArray[np.float64] = np.array(distances, np.float64)
    possible = np.isfinite(costs)
    # One pair more must always be worth it: leaving a pair costs more than all matches together.
    limit = 2.0 * (float(costs[possible].max(initial=0.0)) + 1.0) * min(costs.shape)
    costs[~possible] = 4.0 * limit
    _, columns, _ = lap.lapjv(costs, extend_cost=True, cost_limit=limit)
    return [(i, int(j)) for i, j in enumerate(columns) if j >= 0]


def _may_match(reported: Reported, true: TrueEvent) -> bool:
    if reported.type != true.type:
        return False
    if reported.begin_s > true.end_s + TOLERANCE_S or reported.end_s < true.begin_s - TOLERANCE_S:
        return False
    if any(getattr(true, key) not in (None, said) for key, said in reported.places.items()):
        return False
    if true.box is None or not reported.boxes:
        return True
    actual = Box(*true.box)
    return max(iou(actual, box) for box in reported.boxes) >= MIN_IOU
