"""What signals ask for: they may come at any moment, even while the box looks for them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from edge_agent.live.requests import Requests

SOON_S = 5.0
"""Only bounds a failure."""


def interrupted(action: Callable[[], object], handler: Callable[[], object]) -> int:
    """Do something, the handler coming in between every two lines of it; how often it did."""
    calls = 0

    def trace(frame: FrameType, what: str, _: Any) -> Any:
        nonlocal calls
        if what == "line":
            calls += 1
            sys.settrace(None)
            handler()
            sys.settrace(trace)
        return trace

    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(None)
    return calls


def test_signals_may_come_while_the_box_looks_for_them() -> None:
    requests = Requests()

    def signal() -> None:
        requests.stop.set()
        requests.ask_reload()

    def look() -> None:
        requests.stop.wait(0.01)
        requests.next_reloads()
        requests.stop.wait(0.01)

    counts: list[int] = []
    watch = threading.Thread(target=lambda: counts.append(interrupted(look, signal)), daemon=True)
    watch.start()
    watch.join(SOON_S)
    assert not watch.is_alive(), "the handler waits for the one whom it interrupts"
    assert counts[0] > 3 and requests.stop.is_set()


def test_whoever_asks_for_the_same_is_answered_at_once() -> None:
    requests = Requests()
    asked = [requests.ask_reload() for _ in range(50)]
    assert requests.next_reloads() == asked
    assert requests.next_reloads() == []
