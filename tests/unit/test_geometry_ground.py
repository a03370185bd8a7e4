"""From the picture to metres on the road."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config import Camera
from edge_agent.geometry import Ground

PICTURE = [(0.2, 1.0), (0.8, 1.0), (0.6, 0.4), (0.4, 0.4)]
METRES = [(0.0, 0.0), (7.0, 0.0), (7.0, 30.0), (0.0, 30.0)]


def test_measured_points_are_where_they_were_measured() -> None:
    ground = Ground(PICTURE, METRES)
    for (x, y), expected in zip(PICTURE, METRES, strict=True):
        found = ground.metres((x * 640, y * 360), 640, 360)
        assert found == pytest.approx(expected, abs=1e-6)


@given(st.integers(64, 4096), st.floats(0.41, 1.0), st.floats(0.0, 1.0))
def test_the_size_of_the_picture_does_not_matter(width: int, y: float, x: float) -> None:
    ground = Ground(PICTURE, METRES)
    small, large = (ground.metres((x * w, y * 2 * w), w, 2 * w) for w in (64, width))
    assert small == pytest.approx(large, rel=1e-6, abs=1e-6)


def test_farther_up_the_picture_is_farther_away() -> None:
    ground = Ground(PICTURE, METRES)
    ways = [ground.metres((320, y), 640, 360)[1] for y in (340, 300, 250, 200, 160)]
    assert ways == sorted(ways)


def test_points_on_one_line_are_refused() -> None:
    with pytest.raises(ValueError, match="4 points"):
        Ground(PICTURE[:3], METRES[:3])
    line = [{"picture": [x, 0.5], "metres": [x, 0]} for x in (0.1, 0.3, 0.5, 0.9)]
    with pytest.raises(ValueError, match="one line in the picture"):
        Camera.model_validate({"ground": line})


def test_a_site_file_may_name_four_points() -> None:
    points = [{"picture": list(p), "metres": list(m)} for p, m in zip(PICTURE, METRES, strict=True)]
    camera = Camera.model_validate({"ground": points})
    assert camera.ground is not None
    assert camera.ground[2].metres == (7.0, 30.0)
