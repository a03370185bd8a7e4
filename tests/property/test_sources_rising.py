"""Media times strictly rise from 0 for any presentation times that a file may hold."""

from fractions import Fraction
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from edge_agent.sources.timeline import Timeline

ticks = st.none() | st.integers(-(2**62), 2**62) | st.integers(-10, 50)
rates = st.sampled_from([Fraction(1, 25), Fraction(1, 90_000), Fraction(1, 1_000_000_000)])


@given(st.lists(ticks), rates, st.floats(1e-6, 60.0))
@example([None, None, 3], Fraction(1, 25), 0.04)
@example([2**62, -(2**62), 2**62], Fraction(1), 1e-6)
def test_strictly_rising_from_zero(
    stamps: list[int | None], tick: Fraction, nominal_s: float
) -> None:
    timeline = Timeline(nominal_s)
    times = [timeline.at(None if stamp is None else stamp * tick) for stamp in stamps]
    assert times[:1] in ([], [0.0])
    assert all(earlier < later for earlier, later in pairwise(times))


@given(st.lists(st.integers(1, 80_000_000), min_size=1), st.integers(-(2**40), 2**40))
def test_good_times_pass_exactly(steps: list[int], offset: int) -> None:
    ticks = [0]
    for step in steps:
        ticks.append(ticks[-1] + step)
    timeline = Timeline(0.04)
    times = [timeline.at(Fraction(offset + tick, 90_000)) for tick in ticks]
    assert times == [tick / 90_000 for tick in ticks]
    assert timeline.broken_s is None
