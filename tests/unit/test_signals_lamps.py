"""Lamps: debounced, stamped as of their edge, in conflict unless exactly one is lit."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.config.signal_io import Phase
from edge_agent.signals.lamps import LiveSignals, PhaseLogic

NS = Phase(red=1, amber=2, green=3)
Edge = tuple[float, str, bool]


def states(edges: list[Edge], until_s: float, phase: Phase = NS) -> list[tuple[float, str]]:
    """What is believed, with ticks every 20 ms."""
    logic, found = PhaseLogic(phase), []
    waiting = sorted(edges)
    for tick in range(round(until_s / 0.02) + 1):
        now_s = tick * 0.02
        while waiting and waiting[0][0] <= now_s:
            t_s, lamp, is_lit = waiting.pop(0)
            found += logic.edge(lamp, is_lit, t_s)
        found += logic.advance(now_s)
    return found


def test_a_change_counts_from_its_edge() -> None:
    edges = [(0.0, "red", True), (1.003, "red", False), (1.007, "green", True)]
    assert states(edges, 2) == [(0.0, "red"), (1.007, "green")]


def test_what_is_shorter_than_the_debounce_is_not_seen() -> None:
    edges = [(0.0, "red", True), (1.0, "green", True), (1.019, "green", False)]
    assert states(edges, 2) == [(0.0, "red")]


def test_not_exactly_one_lamp_is_a_conflict() -> None:
    edges = [(0.0, "red", True), (1.0, "green", True), (2.0, "red", False), (3.0, "green", False)]
    assert states(edges, 4) == [(0.0, "red"), (1.0, "conflict"), (2.0, "green"), (3.0, "conflict")]


def test_red_with_amber_is_red_where_the_controller_does_that() -> None:
    edges = [(0.0, "red", True), (1.0, "amber", True)]
    assert states(edges, 2)[-1] == (1.0, "conflict")
    assert states(edges, 2, NS.model_copy(update={"red_with_amber": True})) == [(0.0, "red")]


def test_a_lamp_that_chatters_is_a_conflict() -> None:
    edges: list[Edge] = [(0.0, "red", True)]
    edges += [(1.0 + i * 0.01, "red", bool(i % 2)) for i in range(300)]
    (_, first), (since_s, second), *rest = states(edges, 5)
    assert (first, second) == ("red", "conflict") and 2.0 <= since_s <= 2.05
    assert rest == [(3.99, "red")]


def test_edges_that_were_read_late_are_told_apart() -> None:
    logic = PhaseLogic(NS)
    assert logic.edge("red", True, 0.0) == []
    assert logic.edge("red", False, 1.0) == [(0.0, "red")]
    assert logic.edge("green", True, 1.001) == []
    assert logic.advance(9.0) == [(1.001, "green")]


@given(st.lists(st.tuples(st.integers(0, 3000), st.sampled_from(["red", "amber", "green"]))))
@settings(deadline=None)
def test_times_rise_and_every_state_has_stood(toggles: list[tuple[int, str]]) -> None:
    lit = dict.fromkeys(("red", "amber", "green"), False)
    edges: list[Edge] = []
    for ms, lamp in sorted(toggles):
        lit[lamp] = not lit[lamp]
        edges.append((ms / 1000, lamp, lit[lamp]))
    logic, found = PhaseLogic(NS), []
    for t_s, lamp, is_lit in edges:
        found += logic.edge(lamp, is_lit, t_s)
    found += logic.advance(4.0)
    times = [t_s for t_s, _ in found]
    assert times == sorted(times)
    assert all(first != second for (_, first), (_, second) in itertools.pairwise(found))
    one = [lamp for lamp, is_lit in lit.items() if is_lit]
    if edges:
        assert logic.state == (one[0] if len(one) == 1 else "conflict")


def test_a_frame_is_told_what_was_shown_when_it_was_taken() -> None:
    signals = LiveSignals()
    assert signals.at(5.0) == {}
    signals.note("ns", "red", 1.0)
    signals.note("ns", "green", 3.0)
    signals.note("ew", "red", 2.0)
    assert [dict(signals.at(t_s)) for t_s in (0.5, 1.0, 2.99, 3.0)] == [
        {},
        {"ns": "red"},
        {"ns": "red", "ew": "red"},
        {"ns": "green", "ew": "red"},
    ]
    assert signals.phases == {"ns": 1.0, "ew": 2.0}
