"""The demo: the product's own street, its own broker, and a case that verifies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_agent.app import Observer, ReplayRequest, cores, load, run_replay
from edge_agent.config import Mqtt
from edge_agent.demo.footage import CLIP, SITE
from edge_agent.errors import EvidenceError
from edge_agent.results import CaseVerdict, ReplayResult, conclude
from edge_agent.uplink import EmbeddedBroker, Listener

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
"""When the rendered morning is said to begin."""
ARRIVAL_S = 10.0
"""Everything has been acknowledged by then; the subscriber is at most a step behind."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the demo has to show."""

    broker: str
    """`host:port`"""
    messages: Sequence[tuple[str, Mapping[str, Any]]]
    """Topic and payload, as a subscriber received them."""
    result: ReplayResult
    cases: Sequence[CaseVerdict]


def run_demo(out: Path, mqtt: Mqtt | None, observer: Observer) -> Shown:
    """Replay the shipped street and deliver it to `mqtt`, or to an embedded broker without one.

    Raises EvidenceError when that does not end with a valid, complete case.
    """
    with ExitStack() as stack:
        if mqtt is None:
            mqtt = stack.enter_context(EmbeddedBroker()).mqtt
        site = load(SITE).model_copy(update={"mqtt": mqtt})
        topics = f"edge/v1/{site.site.name}/{site.device}/replay/#"
        listener = stack.enter_context(Listener(mqtt, topics))
        request = ReplayRequest(
            SITE, out, [(None, CLIP)], START, workers=cores(), publish=True, overwrite=True
        )
        result = run_replay(request, observer, site=site)
        listener.wait(len(result.envelopes), ARRIVAL_S)
        messages = listener.messages
    cases = conclude(result)
    if not any(case.is_valid and case.is_complete for case in cases):
        raise EvidenceError("the demo ends without a valid four-photo case: please report this")
    return Shown(f"{mqtt.host}:{mqtt.port}", messages, result, cases)
