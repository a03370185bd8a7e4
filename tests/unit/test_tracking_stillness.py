"""How a movement is told from an occlusion."""

from __future__ import annotations

import pytest

from edge_agent.geometry import Edges
from edge_agent.tracking.kalman import Motion
from edge_agent.tracking.stillness import cut_by, way

CAR: Edges = (100, 100, 180, 150)


@pytest.mark.parametrize(
    "box",
    [
        (140, 100, 180, 150),  # the left half is hidden
        (100, 100, 130, 150),  # the right one
        (100, 100, 180, 120),  # the lower one
        (120, 100, 180, 130),  # a corner
        (100, 100, 240, 150),  # taken together with a neighbour
    ],
)
def test_what_hides_a_part_moves_nothing(box: Edges) -> None:
    assert way(CAR, box) == 0


@pytest.mark.parametrize(
    ("box", "share"),
    [
        ((116, 100, 196, 150), 16 / 75),  # sideways
        ((100, 90, 180, 140), 10 / 50),  # up the picture
        ((84, 90, 196, 160), 10 / 50),  # towards the camera
        ((92, 100, 188, 160), 8 / 75),  # the same, its roof at the height of the camera
        ((110, 106, 172, 140), 6 / 50),  # away
    ],
)
def test_a_movement_takes_opposite_edges_along(box: Edges, share: float) -> None:
    assert way(CAR, box) == pytest.approx(share, abs=0.03)


def test_an_edge_at_the_border_follows_the_opposite_one() -> None:
    enters, further = (100.0, 300.0, 200.0, 360.0), (100.0, 270.0, 200.0, 360.0)
    cut = cut_by(further, (640, 360))
    assert cut == (False, False, False, True)
    assert way(enters, further) == 0
    assert way(enters, further, cut=cut) == pytest.approx(0.5)


def test_small_steps_of_the_filter_equal_a_large_one() -> None:
    one, many = Motion(CAR), Motion(CAR)
    for motion in (one, many):
        motion.predict(0.1)
        motion.correct((110, 100, 190, 150))
    one.predict(1.0)
    for _ in range(10):
        many.predict(0.1)
    assert many.edges == pytest.approx(one.edges)
    assert many.doubt == pytest.approx(one.doubt, rel=0.02)
