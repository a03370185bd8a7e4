"""What the envelopes say happened: everything with one subject is one happening."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edge_agent.score.files import EnvelopeData, checked_envelope
from edge_agent.types import JSON, Box

CASE: Final = "evidence.case"
DOCUMENTED: Final = frozenset({"parking.illegal"})
"""Kinds that must end in an evidence case."""

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
    cls: str | None
    """What kind of object it was when last seen."""
    is_over: bool
    is_verifiable: bool


def happenings(
    events: Iterable[Mapping[str, JSON]], documented: frozenset[str] = DOCUMENTED
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
        cls=last.object.cls,
        is_over=last.phase == "end",
        places={"camera": last.source.camera} | {k: v for k, v in named.items() if v is not None},
        is_verifiable=is_verifiable,
    )


def _is_evidential(data: EnvelopeData) -> bool:
    reasons = set(data.reasons)
    return data.evidential or ("replay" in reasons and reasons <= _REPLAYED)
