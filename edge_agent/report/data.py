"""What a report is made of; nothing in it depends on when or how fast the replay ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge_agent.types import JSON


@dataclass(frozen=True, slots=True)
class Recording:
    """One camera's footage."""

    camera: str
    media_name: str
    sha256: str | None
    start: str
    """Wall clock of the first frame, as it is to be read."""
    duration_s: float | None
    scene_jpeg: bytes | None = None
    """One picture with the zones and lines drawn on it."""


@dataclass(frozen=True, slots=True)
class CaseReport:
    """One finished case."""

    case_id: str
    manifest: Mapping[str, JSON]
    photos: Mapping[str, bytes]
    """Role -> JPEG bytes as they lie in the bundle."""
    verdict: str
    """What verification said, in one sentence."""
    is_valid: bool = True


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that a report shows."""

    site: str
    software: str
    recordings: Sequence[Recording]
    envelopes: Sequence[Mapping[str, JSON]]
    """Events in their order, cases among them."""
    cases: Sequence[CaseReport] = ()
    warnings: Sequence[str] = field(default_factory=tuple)
