"""A wall clock that jumps, beside one that is merely slewed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.clock import SLEW, ClockSpan, ClockStep, StepWatch, Sync

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
SECOND_NS = 1_000_000_000

Moves = list[tuple[float, float]]
"""Seconds that pass, and by how many more the wall clock moves."""


def watch(moves: Moves) -> list[ClockStep | None]:
    found, mono_ns, wall = StepWatch(), 7 * SECOND_NS, START
    told = [found.see(mono_ns, wall)]
    for passed_s, gained_s in moves:
        mono_ns += round(passed_s * SECOND_NS)
        wall += timedelta(seconds=passed_s + gained_s)
        told.append(found.see(mono_ns, wall))
    return told


@pytest.mark.parametrize("jump_s", [-3600.0, -1.0, -0.11, 0.11, 1.0, 86_400.0])
def test_a_step_is_told_once_with_before_and_after(jump_s: float) -> None:
    first, still, stepped, after = watch([(0.04, 0.0), (0.04, jump_s), (0.04, 0.0)])
    assert (first, still, after) == (None, None, None)
    due = START + timedelta(seconds=0.08)
    assert stepped is not None
    assert abs(stepped.before - due) < timedelta(microseconds=100)
    assert stepped.after == due + timedelta(seconds=jump_s)


def test_small_jumps_add_up_to_a_step() -> None:
    assert [step is not None for step in watch([(0.04, 0.03)] * 4)] == [False] * 4 + [True]


def test_readings_that_are_a_little_apart_are_no_steps() -> None:
    assert not any(watch([(0.04, 0.02), (0.04, -0.03), (0.04, 0.01)] * 50))


@given(
    st.lists(st.floats(0.001, 3600.0), min_size=1, max_size=50),
    st.floats(-1.0, 1.0),
)
def test_slewing_is_never_a_step_however_long_it_goes_on(passed: list[float], rate: float) -> None:
    assert not any(watch([(passed_s, 0.999 * rate * SLEW * passed_s) for passed_s in passed]))


@given(
    st.lists(st.tuples(st.floats(0.001, 60.0), st.floats(-1.0, 1.0)), max_size=20),
    st.floats(0.3, 1e6) | st.floats(-1e6, -0.3),
)
def test_a_step_is_found_under_any_slewing(
    slewed: list[tuple[float, float]], jump_s: float
) -> None:
    slews = [(passed_s, rate * SLEW * passed_s) for passed_s, rate in slewed]
    assert watch([*slews, (1.0, jump_s)])[-1] is not None


def test_a_span_remembers_the_worst_and_every_step() -> None:
    good, vague, lost = Sync("ntp", True, 3.0), Sync("ntp", True, None), Sync("none", False, None)
    step = ClockStep(START, START + timedelta(seconds=1))
    span = ClockSpan(good).joined(Sync("ntp", True, 5.0), None).joined(good, step)
    assert span == ClockSpan(Sync("ntp", True, 5.0), (step,))
    assert span.joined(vague, None).sync == vague
    assert span.joined(lost, None).joined(good, None).sync == lost
    assert [each.is_trusted for each in (good, vague, lost)] == [True, False, False]
    assert not Sync("ntp", True, 1000.1).is_trusted
    assert not Sync("ntp", False, 1.0).is_trusted
