"""How single defects in a file's presentation times are repaired."""

from fractions import Fraction

import pytest

from edge_agent.sources.timeline import Timeline


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([5, 6, 7], [0, 1, 2]),
        ([None, None, None], [0, 1, 2]),
        ([None, 9, 10], [0, 1, 2]),
        ([0, 1, 1, 2, 4], [0, 1, 2, 3, 4]),  # repeated: catches up at the next gap
        ([0, 2, None, 4], [0, 2, 3, 4]),
        ([10, 11, 0, 1, 3], [0, 1, 2, 3, 5]),  # started again: goes on from there
        ([0, 5, 2, 7, 8], [0, 5, 6, 7, 8]),  # one out of its turn, after damage: no new count
        ([0, 1, 10**9, 10**9 + 1], [0, 1, 2, 3]),  # thirty years ahead: a damaged field
    ],
)
def test_repair(stamps: list[int | None], expected: list[float]) -> None:
    timeline = Timeline(1.0)
    times = [timeline.at(None if stamp is None else Fraction(stamp)) for stamp in stamps]
    assert times == expected


def test_a_repeated_time_in_a_slow_stream_is_no_jump() -> None:
    timeline = Timeline(60.0)
    assert [timeline.at(Fraction(stamp)) for stamp in (0, 60, 60, 180)] == [0, 60, 120, 180]
    assert timeline.broken_s is None


def test_a_bridged_jump_is_remembered() -> None:
    timeline = Timeline(0.04)
    for stamp in (100, 101):
        timeline.at(Fraction(stamp))
    assert timeline.zero == Fraction(100)
    assert timeline.broken_s is None
    timeline.at(Fraction(0))
    assert timeline.broken_s == 1.04
