"""A case as its bundle tells it: for saying that a bundle exists when its case is gone.

A power cut may come between a bundle's getting its name and the event that speaks of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import cast

from edge_agent.clock import ClockReading, Reference, Sync
from edge_agent.evidence.bundle.manifest import ClockFacts, Manifest
from edge_agent.types import Case, Event


def case_of(facts: Manifest) -> Case:
    """Everything that the case's event is made of, but for the signals and the vehicle's box."""
    told, moment, plate = facts.case, facts.case.latest, facts.plate
    latest = Event(
        camera=facts.source.camera,
        kind=told.kind,
        subject=told.subject,
        phase=told.phase,
        begin_s=told.since_s,
        t_s=moment.pts_s,
        wall=datetime.fromisoformat(moment.utc),
        frame=moment.frame,
        zone=told.zone,
        facts=told.facts,
        clock=_reading(facts.source.clock, moment.pts_s),
    )
    return Case(
        subject=told.subject,
        begin=latest,
        latest=latest,
        photos=(),
        clip_s=None,
        is_complete=told.is_complete,
        reasons=tuple(told.reasons),
        revision=told.revision,
        plate=None
        if plate is None
        else plate.model_dump(exclude={"models"}, exclude_none=plate.text is not None),
    )


def _reading(clock: ClockFacts | None, t_s: float) -> ClockReading | None:
    """The monotonic clock of then is not known: the media time stands for it."""
    if clock is None:
        return None
    sync = Sync(cast(Reference, clock.ref), clock.synced, clock.max_error_ms)
    return ClockReading(round(t_s * 1e9), sync)
