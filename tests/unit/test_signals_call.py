"""Delay, extension, pulses, faults: one call at exact times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edge_agent.config.signal_io import Call
from edge_agent.signals.call import CallLogic, Pace


def call(**more: Any) -> Call:
    return Call(line=5, camera="street", zone="stop", **more)


class Rig:
    """A call that is healthy and off at t = 100 s."""

    def __init__(self, settings: Call) -> None:
        self.logic = CallLogic(settings)
        self.phase: str | None = None
        self.trouble: str | None = None
        self.now_ms = 69_000
        self.until(100.0, lambda t_s: ())
        assert not self.logic.is_on

    def until(self, end_s: float, inside: Callable[[float], tuple[int, ...]]) -> list[float]:
        """Times at which the contact changed; frames every 100 ms, ticks every 20 ms."""
        changes, was_on = [], self.logic.is_on
        while self.now_ms < round(end_s * 1000):
            self.now_ms += 20
            now_s = self.now_ms / 1000
            if self.now_ms % 100 == 0:
                self.logic.see(inside(now_s), now_s)
            if self.logic.advance(now_s, self.trouble, self.phase) != was_on:
                was_on = not was_on
                changes.append(now_s)
        return changes


def between(begin_s: float, end_s: float, track: int = 1) -> Callable[[float], tuple[int, ...]]:
    return lambda t_s: (track,) if begin_s - 1e-6 <= t_s < end_s - 1e-6 else ()


def test_presence_follows_the_zone() -> None:
    assert Rig(call()).until(110, between(101, 104)) == [101.0, 104.0]


def test_who_leaves_before_the_delay_does_not_call() -> None:
    rig = Rig(call(delay_s=5, extend_s=3))
    assert rig.until(110, between(101, 105.9)) == []
    assert rig.until(130, between(111, 118)) == [116.0, 121.0]


def test_delay_on_red_only_counts_on_red() -> None:
    rig = Rig(call(delay_s=5, delay_on_red=True, phase="ns"))
    rig.phase = "red"
    assert rig.until(110, between(101, 107)) == [106.0, 107.0]
    for phase in ("green", "amber", "conflict", None):
        rig.phase, begin_s = phase, rig.now_ms / 1000 + 1
        changes = rig.until(begin_s + 3, between(begin_s, begin_s + 2))
        assert changes == [begin_s, begin_s + 2], "what is not known to be red does not delay"


@pytest.mark.parametrize(
    ("phase", "end_s"), [("green", 106.0), ("red", 103.0), ("conflict", 106.0), (None, 106.0)]
)
def test_extend_on_green(phase: str | None, end_s: float) -> None:
    rig = Rig(call(extend_s=3, extend_on_green=True, phase="ns"))
    rig.phase = phase
    assert rig.until(110, between(101, 103)) == [101.0, end_s]


def test_an_extension_that_red_cuts_does_not_come_back() -> None:
    rig = Rig(call(extend_s=10, extend_on_green=True, phase="ns"))
    rig.phase = "green"
    rig.until(104, between(101, 103))
    rig.phase = "red"
    assert rig.until(104.5, between(0, 0)) == [104.02]
    rig.phase = "green"
    assert rig.until(120, between(0, 0)) == []


def test_a_glimpse_is_long_enough_for_the_controller() -> None:
    assert Rig(call()).until(110, between(101, 101.1)) == [101.0, 101.26]


def test_who_comes_and_goes_between_two_looks_at_the_clock_has_called() -> None:
    logic = Rig(call()).logic
    for inside, t_s in (((1,), 100.04), ((), 100.05)):
        logic.see(inside, t_s)
    assert [logic.advance(t_s, None, None) for t_s in (100.06, 100.2, 100.32)] == [1, 1, 0]


def test_one_pulse_for_everyone_who_comes() -> None:
    rig = Rig(call(mode="pulse", pulse_ms=100))

    def inside(t_s: float) -> tuple[int, ...]:
        return (*between(101, 140)(t_s), *between(101, 103, track=2)(t_s))

    assert rig.until(110, inside) == [101.0, 101.1, 101.36, 101.46]


def test_a_fault_calls_at_once_and_is_over_after_thirty_seconds_of_health() -> None:
    rig = Rig(call())
    rig.trouble = "camera covered"
    assert rig.until(105, between(0, 0)) == [100.02]
    assert rig.logic.fault == "camera covered"
    rig.trouble = None
    assert rig.until(140, between(0, 0)) == [135.02]
    assert rig.logic.fault is None


def test_a_relapse_begins_the_thirty_seconds_anew() -> None:
    rig = Rig(call(mode="pulse"))
    rig.trouble = "no picture"
    rig.until(101, between(0, 0))
    rig.trouble = None
    rig.until(125, between(0, 0))
    rig.trouble = "no picture"
    rig.until(125.02, between(0, 0))
    rig.trouble = None
    assert rig.until(160, between(0, 0)) == [pytest.approx(155.04, abs=0.021)]


def test_old_pictures_and_a_stalled_pipeline_are_faults() -> None:
    rig = Rig(call(max_age_s=2))
    rig.logic.advance(102.01, None, None)
    assert (rig.logic.is_on, rig.logic.fault) == (True, "picture too old")
    rig = Rig(call())
    rig.logic.see((), 101.2)
    rig.logic.advance(101.2, None, None)
    assert (rig.logic.is_on, rig.logic.fault) == (True, "pipeline stalled")


@pytest.mark.parametrize(
    ("pause_s", "limit_s"), [(0.04, 0.94), (0.1, 1.0), (0.2, 1.1), (1.0, 3.0), (2.5, 7.5), (5, 10)]
)
def test_how_old_a_picture_may_be_follows_from_how_often_they_come(
    pause_s: float, limit_s: float
) -> None:
    pace = Pace(None)
    for number in range(20):
        assert pace.see(number * pause_s)
    assert pace.limit_s == pytest.approx(limit_s)
    last_s = 19 * pause_s
    assert not pace.see(last_s)
    pace.see(last_s + 60.0)
    assert pace.limit_s == pytest.approx(limit_s), "a gap is not the usual"
    assert Pace(2.0).limit_s == 2.0


def test_presence_that_lasts_too_long_is_reported_and_still_calls() -> None:
    rig = Rig(call(max_presence_s=60))
    rig.until(160.98, between(101, 1e9))
    assert not rig.logic.is_overdue(rig.now_ms / 1000)
    rig.until(161, between(101, 1e9))
    assert rig.logic.is_overdue(rig.now_ms / 1000) and rig.logic.is_on
    rig.until(162, between(0, 0))
    assert not rig.logic.is_overdue(rig.now_ms / 1000)
