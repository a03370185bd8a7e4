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
    start_from: str
    """How that is known: a key of `START_FROM`."""
    duration_s: float | None
    scene_jpeg: bytes | None = None
    """One picture with the zones and lines drawn on it."""
    is_coarse: bool = False
    """Whether that picture was pixelated, so that nobody in it can be recognised."""


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
    redacted: frozenset[str] = frozenset()
    """Roles of which `photos` holds the redacted copy, not the original."""


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that a report shows."""

    site: str
    software: str
    recordings: Sequence[Recording]
    root: str
    """The box's own certificate, as a shell takes its path."""
    envelopes: Sequence[Mapping[str, JSON]]
    """Events in their order, cases among them."""
    cases: Sequence[CaseReport] = ()
    warnings: Sequence[str] = field(default_factory=tuple)
