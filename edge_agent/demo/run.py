"""The demo: the product's own street, its own broker, and a case that verifies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
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

Message = tuple[str, dict[str, Any]]


def run_demo(out: Path, mqtt: Mqtt | None, observer: Observer, say: Callable[[str], None]) -> None:
    """Replay the shipped street, deliver it, and say what a subscriber and a court would see.

    `mqtt` names a broker; without one an embedded broker is started.
    Raises EvidenceError when the demo does not end with one valid, complete case.
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
        _tell_messages(listener.messages, mqtt, say)
    cases = conclude(result)
    _tell_evidence(result, cases, say)
    if not any(case.is_valid and case.is_complete for case in cases):
        raise EvidenceError("the demo ends without a valid four-photo case: please report this")


def _tell_messages(messages: Sequence[Message], mqtt: Mqtt, say: Callable[[str], None]) -> None:
    say(f"A subscriber at {mqtt.host}:{mqtt.port} received:")
    for topic, count in sorted(Counter(topic for topic, _ in messages).items()):
        say(f"  {count:3d}  {topic}")


def _tell_evidence(
    result: ReplayResult, cases: Sequence[CaseVerdict], say: Callable[[str], None]
) -> None:
    for case in cases:
        say(f"\nEvidence {case.path}")
        say(f"  {case.text}")
        say(f"  check it yourself:  edge-agent evidence verify {case.path}")
        say(f"  what is in it:      edge-agent evidence show {case.path}")
    say(f"\nLook at it: {result.folder.report}")
