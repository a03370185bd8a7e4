"""A call over random histories of traffic, faults, signals and stalls."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

from gpiozero.pins.mock import MockFactory
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.config.signal_io import Call
from edge_agent.gpio.factory import line_errors
from edge_agent.gpio.guard import SILENCE_S, Keeper
from edge_agent.signals.call import HEALTHY_S, REST_S, CallLogic

TICK_S = 0.02
EPS = 1e-6
PHASES = (None, "red", "amber", "green", "conflict")
LINE = 5


@dataclass(frozen=True)
class Span:
    """A stretch of time in which everything stays as it is."""

    lasts_s: float
    inside: frozenset[int]
    trouble: bool
    """The camera says that something is wrong, or is suspected."""
    sees: bool
    """Frames arrive and are judged."""
    ticks: bool
    """The main thread drives the lines; without that and frames the whole process is frozen."""
    phase: str | None


SPANS = st.builds(
    Span,
    lasts_s=st.sampled_from([0.04, 0.1, 0.3, 0.7, 2.0, 5.0, 31.0]),
    inside=st.frozensets(st.integers(1, 4), max_size=3),
    trouble=st.sampled_from([False, False, False, True]),
    sees=st.sampled_from([True, True, True, False]),
    ticks=st.sampled_from([True, True, True, True, False]),
    phase=st.sampled_from(PHASES),
)
CALLS = st.builds(
    Call,
    line=st.just(LINE),
    camera=st.just("street"),
    zone=st.just("stop"),
    phase=st.just("ns"),
    delay_s=st.sampled_from([0.0, 0.5, 3.0, 255.0]),
    extend_s=st.sampled_from([0.0, 0.1, 2.0, 25.5]),
    delay_on_red=st.booleans(),
    extend_on_green=st.booleans(),
)
PAUSES_S = st.sampled_from([0.04, 0.1, 0.2, 1.0, 2.0])
"""Between two pictures of a camera, give or take a quarter."""
HISTORIES = st.lists(SPANS, min_size=1, max_size=8)


@dataclass
class Moment:
    now_s: float
    is_on: bool
    """The contact, whatever the daemon believes."""
    occupied_s: float | None
    """Since when somebody has stood there, as far as pictures have shown."""
    wrong_s: float | None
    """Since when something has been wrong that a call has to tell; None while nothing is."""
    is_late: bool
    """The next picture is so late that a call may tell of it."""
    ticks: bool


@dataclass
class World:
    """A camera, the daemon's logic and what holds the line; times of its own."""

    call: Call
    pause_s: float
    now_s: float = 0.0
    seen_s: float = 0.0
    ticked_s: float = 0.0
    beaten_s: float = 0.0
    occupied_s: float | None = None
    trouble_s: float | None = None

    def __post_init__(self) -> None:
        self.logic = CallLogic(self.call)
        factory = MockFactory()
        self.keeper, self.pin = Keeper(factory, line_errors("mock")), factory.pin(LINE)
        self.keeper.answer({"do": "take", "line": LINE, "level": False, "is_held": False})
        self._lapses, self._level, self._due_s = 0, False, 0.0
        self._jitter = random.Random(7)

    def step(self, span: Span) -> Moment:
        """So much as a tick."""
        self.now_s += TICK_S
        if span.sees and self.now_s >= self._due_s - EPS:
            self.seen_s = self.now_s
            self._due_s = self.now_s + self.pause_s * self._jitter.uniform(0.75, 1.25)
            self.logic.see(span.inside, self.now_s)
            self.occupied_s = (self.occupied_s or self.now_s) if span.inside else None
        if span.trouble:
            self.trouble_s = self.now_s if self.trouble_s is None else self.trouble_s
        else:
            self.trouble_s = None
        if span.ticks:
            self._tick(span)
        elif self.now_s - self.beaten_s >= SILENCE_S:
            self.keeper.lapse()
            self.beaten_s = self.now_s
        is_on = not self.pin.state
        is_late = self.now_s - self.seen_s > 1.25 * self.pause_s + 0.6
        return Moment(self.now_s, is_on, self.occupied_s, self._wrong_s(), is_late, span.ticks)

    def _tick(self, span: Span) -> None:
        """What the cabinet does with its lines."""
        lapses = self.keeper.answer({"do": "beat"})["lapses"]
        trouble = "lost" if span.trouble else "hung" if lapses != self._lapses else None
        self._lapses, self.ticked_s, self.beaten_s = lapses, self.now_s, self.now_s
        level = not self.logic.advance(self.now_s, trouble, span.phase)
        if level != self._level:
            self._level = level
            self.keeper.answer({"do": "set", "line": LINE, "level": level})

    def _wrong_s(self) -> float | None:
        """What must be told within a second, or two pictures of a slow camera."""
        slow_s = max(0.0, 2 * 1.25 * self.pause_s - 1.0)
        overdue_s = self.seen_s + 1.25 * self.pause_s + slow_s
        since = [self.trouble_s, overdue_s if self.now_s > overdue_s else None]
        since.append(self.ticked_s if self.now_s > self.ticked_s else None)
        return min((each for each in since if each is not None), default=None)


def run(call: Call, history: list[Span], pause_s: float = 0.1) -> list[Moment]:
    """Drive the whole; what is expected is kept apart from what the logic says."""
    world = World(call, pause_s)
    found = []
    for span in [Span(35.0, frozenset(), False, True, True, "red"), *history]:
        end_s = world.now_s + span.lasts_s
        while world.now_s < end_s:
            found.append(world.step(span))
    return found


@given(CALLS, HISTORIES, PAUSES_S)
@settings(max_examples=120, deadline=None)
def test_nobody_waits_without_a_call(call: Call, history: list[Span], pause_s: float) -> None:
    off_s = -1.0
    for moment in run(call, history, pause_s):
        if moment.is_on:
            off_s = -1.0
            continue
        off_s = moment.now_s if off_s < 0 else off_s
        has_waited = (
            moment.occupied_s is not None and moment.now_s - moment.occupied_s >= call.delay_s
        )
        is_hung = not moment.ticks and moment.wrong_s is not None
        since_s = moment.wrong_s if is_hung and moment.wrong_s is not None else off_s
        in_time_s = 1.0 if is_hung else REST_S
        assert not has_waited or moment.now_s - since_s <= in_time_s + EPS


@given(CALLS, HISTORIES, PAUSES_S)
@settings(max_examples=150, deadline=None)
def test_a_fault_calls_within_a_second_and_until_thirty_seconds_of_health(
    call: Call, history: list[Span], pause_s: float
) -> None:
    faulty_s, was_on = -HEALTHY_S, True
    for moment in run(call, history, pause_s):
        if moment.wrong_s is not None and moment.now_s - moment.wrong_s >= 1.0:
            faulty_s = moment.now_s
            assert moment.is_on
        if was_on and not moment.is_on:
            assert moment.now_s - faulty_s >= HEALTHY_S - EPS or faulty_s < 0
        was_on = moment.is_on


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


@given(CALLS, HISTORIES, PAUSES_S)
@settings(max_examples=100, deadline=None)
def test_an_empty_zone_is_not_called_for(call: Call, history: list[Span], pause_s: float) -> None:
    quiet_s: float | None = None
    for moment in run(call, history, pause_s):
        if moment.occupied_s is not None or moment.wrong_s is not None or moment.is_late:
            quiet_s = None
            continue
        quiet_s = quiet_s or moment.now_s
        settled_s = max(HEALTHY_S, call.extend_s) + 2 * REST_S + 3 * pause_s
        assert not moment.is_on or moment.now_s - quiet_s <= settled_s
