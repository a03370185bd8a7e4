"""A call over random histories of traffic, faults, signals and stalls."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.config.signal_io import Call
from edge_agent.signals.call import HEALTHY_S, REST_S, CallLogic

TICK_S, FRAME_S = 0.02, 0.1
EPS = 1e-6
PHASES = (None, "red", "amber", "green", "conflict")


@dataclass(frozen=True)
class Span:
    """A stretch of time in which everything stays as it is."""

    lasts_s: float
    inside: frozenset[int]
    trouble: bool
    sees: bool
    """Frames arrive."""
    ticks: bool
    """The main thread drives the lines."""
    phase: str | None


SPANS = st.builds(
    Span,
    lasts_s=st.sampled_from([0.04, 0.1, 0.3, 0.7, 2.0, 5.0, 31.0, 45.0]),
    inside=st.frozensets(st.integers(1, 4), max_size=3),
    trouble=st.sampled_from([False, False, False, True]),
    sees=st.sampled_from([True, True, True, False]),
    ticks=st.sampled_from([True, True, True, True, False]),
    phase=st.sampled_from(PHASES),
)
CALLS = st.builds(
    Call,
    line=st.just(5),
    camera=st.just("street"),
    zone=st.just("stop"),
    phase=st.just("ns"),
    delay_s=st.sampled_from([0.0, 0.5, 3.0, 255.0]),
    extend_s=st.sampled_from([0.0, 0.1, 2.0, 25.5]),
    delay_on_red=st.booleans(),
    extend_on_green=st.booleans(),
)
HISTORIES = st.lists(SPANS, min_size=1, max_size=8)


@dataclass
class Moment:
    now_s: float
    is_on: bool
    occupied_s: float | None
    """Since when somebody has stood there, as far as pictures have shown."""
    wrong_s: float | None
    """Since when something has been wrong, as far as anybody can know."""
    right_s: float | None
    phase: str | None


def run(call: Call, history: list[Span]) -> list[Moment]:
    """Drive the logic as the daemon does; what is expected is kept apart from what it says."""
    logic, found = CallLogic(call), []
    now_s = seen_s = ticked_s = 0.0
    occupied_s: float | None = None
    wrong_s: float | None = 0.0
    right_s: float | None = None
    logic.see((), now_s)
    for span in [Span(31.0, frozenset(), False, True, True, "red"), *history]:
        end_s = now_s + span.lasts_s
        while now_s < end_s:
            now_s += TICK_S
            if span.sees and now_s - seen_s >= FRAME_S - EPS:
                seen_s = now_s
                logic.see(span.inside, now_s)
                occupied_s = (occupied_s or now_s) if span.inside else None
            if not span.ticks:
                continue
            is_wrong = (
                span.trouble or now_s - seen_s > call.max_age_s or now_s - ticked_s > 1.0 + EPS
            )
            ticked_s = now_s
            wrong_s = (wrong_s or now_s) if is_wrong else None
            right_s = None if is_wrong else (right_s or now_s)
            is_on = logic.advance(now_s, "lost" if span.trouble else None, span.phase)
            found.append(Moment(now_s, is_on, occupied_s, wrong_s, right_s, span.phase))
    return found


@given(CALLS, HISTORIES)
@settings(max_examples=150, deadline=None)
def test_nobody_waits_without_a_call(call: Call, history: list[Span]) -> None:
    off_s = -1.0
    for moment in run(call, history):
        if moment.is_on:
            off_s = -1.0
            continue
        off_s = moment.now_s if off_s < 0 else off_s
        has_waited = (
            moment.occupied_s is not None and moment.now_s - moment.occupied_s >= call.delay_s
        )
        assert not has_waited or moment.now_s - off_s <= REST_S + EPS


@given(CALLS, HISTORIES)
@settings(max_examples=150, deadline=None)
def test_a_fault_calls_within_a_second_and_for_as_long_as_health_is_young(
    call: Call, history: list[Span]
) -> None:
    for moment in run(call, history):
        if moment.wrong_s is not None and moment.now_s - moment.wrong_s >= 1.0:
            assert moment.is_on
        if moment.right_s is not None and moment.now_s - moment.right_s < HEALTHY_S - EPS:
            in_time = moment.now_s - moment.right_s >= REST_S
            assert moment.is_on or not in_time


@given(CALLS, HISTORIES, st.sampled_from([100, 250, 500]), st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_contact_never_flutters(
    call: Call, history: list[Span], pulse_ms: int, has_pulses: bool
) -> None:
    if has_pulses:
        call = call.model_copy(update={"mode": "pulse", "extend_s": 0.0, "pulse_ms": pulse_ms})
    moments = run(call, history)
    changes = [
        (after.now_s, after.is_on)
        for before, after in itertools.pairwise(moments)
        if before.is_on != after.is_on
    ]
    for (first_s, was_on), (second_s, _) in itertools.pairwise(changes):
        least_s = pulse_ms / 1000 if has_pulses and was_on else REST_S
        assert second_s - first_s >= least_s - EPS


@given(CALLS, HISTORIES)
@settings(max_examples=100, deadline=None)
def test_an_empty_zone_is_not_called_for(call: Call, history: list[Span]) -> None:
    empty_s: float | None = None
    for moment in run(call, history):
        if moment.occupied_s is not None or moment.right_s is None:
            empty_s = None
            continue
        empty_s = empty_s or moment.now_s
        is_settled = moment.now_s - moment.right_s > HEALTHY_S + REST_S + EPS
        if is_settled and moment.now_s - empty_s > call.extend_s + 2 * REST_S:
            assert not moment.is_on
