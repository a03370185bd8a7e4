"""When pictures were taken: arrival times made smooth, and a camera's own clock believed or not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.sources.pace import WORDS, Pace


@given(
    st.lists(st.floats(0, 1.5), min_size=60, max_size=60),
    st.floats(-1e6, 1e6),
    st.floats(0, 1e6),
)
def test_delays_are_taken_out_once_one_packet_came_through_fast(
    delays_s: list[float], zero_s: float, began_s: float
) -> None:
    pace = Pace()
    delays_s[10] = 0.0
    taken = [n / 25 for n in range(60)]
    arrived = np.maximum.accumulate([began_s + t + d for t, d in zip(taken, delays_s, strict=True)])
    arrived[10] = began_s + taken[10]
    seen = [pace.at(zero_s + t, at) for t, at in zip(taken, arrived, strict=True)]
    assert np.diff(seen[10:]) == pytest.approx(1 / 25, abs=1e-6)
    assert all(t <= at + 1e-6 for t, at in zip(seen, arrived, strict=True))


def test_a_clock_that_runs_slow_is_followed() -> None:
    pace = Pace()
    seen = [pace.at(n / 25 * 0.999, n / 25) for n in range(25 * 600)]
    assert seen[-1] == pytest.approx(599.96, abs=0.1)


def test_a_new_count_of_time_is_followed_at_once() -> None:
    pace = Pace()
    for n in range(100):
        pace.at(1000 + n / 25, n / 25)
    assert pace.at(0.0, 100 / 25) == 4.0
    assert pace.at(1e6, 101 / 25) == pytest.approx(101 / 25)


@pytest.mark.parametrize(
    ("off_s", "transit_s"), [(0.0, 0.12), (0.3, 0.42), (1.0, 0.0), (-3600.0, 0.0), (3600.0, 0.0)]
)
def test_a_camera_s_clock_is_believed_when_it_can_be_right(off_s: float, transit_s: float) -> None:
    """Its pictures are 0.12 s under way; its clock is `off_s` behind ours."""
    pace = Pace()
    for n in range(WORDS):
        arrived_s = 50 + n / 25
        t_s = pace.at(n / 25, arrived_s)
        pace.hear(1e9 + arrived_s - 0.12 - off_s, t_s, 1e9 + arrived_s, arrived_s)
    assert pace.transit_s == pytest.approx(transit_s)
    assert pace.at(WORDS / 25, 50 + WORDS / 25) == pytest.approx(50 + WORDS / 25 - transit_s)
