"""Which report means which true event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import lap
import numpy as np
from numpy.typing import NDArray

from edge_agent.geometry import iou
from edge_agent.score.files import EnvelopeData, TrueEvent, Truth, checked_envelope
from edge_agent.types import JSON, Box

TOLERANCE_S: Final = 2.0
MIN_IOU: Final = 0.3
CASE: Final = "evidence.case"

_REPLAYED: Final = frozenset({"replay", "clock not synchronised"})
"""Reasons that a replay has by its nature."""


@dataclass(frozen=True, slots=True)
class Reported:
    """One happening as its envelopes tell it; times are video seconds."""

    type: str
    subject: str
    begin_s: float
    end_s: float
    told_s: float
    """When its first envelope was sent."""
    boxes: tuple[Box, ...]
    """Normalised."""
    places: Mapping[str, str]
    """`camera`, `zone`, `line`, `direction`, as far as the envelopes name them."""
    is_verifiable: bool


def happenings(
    events: Iterable[Mapping[str, JSON]], documented: frozenset[str]
) -> Iterator[Reported]:
    """Join the envelopes of each subject, in the order in which the subjects first appear."""
    told: dict[tuple[str, str], list[EnvelopeData]] = {}
    cases: dict[str, EnvelopeData] = {}
    for number, event in enumerate(events, 1):
        envelope = checked_envelope(event, f"event {number}")
        if envelope.kind == CASE:
            cases[envelope.subject] = envelope.data
        else:
            told.setdefault((envelope.kind, envelope.subject), []).append(envelope.data)
    for (kind, subject), parts in told.items():
        case = cases.get(subject)
        has_papers = case is not None or kind not in documented
        is_verifiable = has_papers and _is_evidential(case or parts[-1])
        yield _happening(kind, subject, parts, is_verifiable)


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


def _happening(
    kind: str, subject: str, parts: Sequence[EnvelopeData], is_verifiable: bool
) -> Reported:
    first, last = parts[0], parts[-1]
    begins = (part.time.pts_s if part.begin_s is None else part.begin_s for part in parts)
    begin_s = min(begins)
    end_s = last.time.pts_s if last.end_s is None else last.end_s
    named = {"zone": last.zone, "line": last.line, "direction": last.direction}
    return Reported(
        type=kind,
        subject=subject,
        begin_s=begin_s,
        end_s=max(begin_s, end_s),
        told_s=first.time.pts_s,
        boxes=tuple(Box(*part.object.box) for part in parts if part.object.box is not None),
        places={"camera": last.source.camera} | {k: v for k, v in named.items() if v is not None},
        is_verifiable=is_verifiable,
    )


def _is_evidential(data: EnvelopeData) -> bool:
    reasons = set(data.reasons)
    return data.evidential or ("replay" in reasons and reasons <= _REPLAYED)


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
