"""Zones and lines on pictures: where the colour goes, and where labels may not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.config.models import GroundPoint, Line
from edge_agent.drawing import LINE_COLOUR, ZONE_COLOURS, draw_zones
from edge_agent.types import Image

SQUARE = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]


def grey(width: int = 640, height: int = 360) -> Image:
    return np.full((height, width, 3), 90, np.uint8)


def is_like(image: Image, colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(image.astype(int) - colour).max(axis=2) < 12)


def test_zone_is_tinted_inside_and_nowhere_else() -> None:
    image = grey()
    drawn = draw_zones(image, {"kerb": SQUARE}, {})
    assert (image == 90).all()
    assert tuple(drawn[300, 320]) == (90, 90, 90)
    blue, green, red = (int(v) for v in drawn[120, 200])
    assert red > green > blue
    assert is_like(drawn, ZONE_COLOURS[0])[88:93, 200:440].any(axis=0).all()


def test_arrows_point_to_the_named_sides() -> None:
    """a->b runs to the right, so its right side is below: y points down."""
    line = Line(a=(0.1, 0.5), b=(0.9, 0.5), to_right="down", to_left="up")
    strokes = is_like(draw_zones(grey(), {}, {"y": line}), LINE_COLOUR)
    below, above = strokes[185:204], strokes[156:175]
    x_right, x_left = round(639 * 0.42), round(639 * 0.58)
    assert below[:, x_right - 10 : x_right + 10].any()
    assert above[:, x_left - 10 : x_left + 10].any()
    assert not above[:, x_right - 10 : x_right + 10].any()
    assert not below[:, x_left - 10 : x_left + 10].any()


@pytest.mark.parametrize(("x1", "x2"), [(0.2, 0.8), (0.8, 0.2)])
def test_a_zone_shows_which_way_its_traffic_goes(x1: float, x2: float) -> None:
    """The arrow lies across the middle; its head is the higher end."""
    drawn = draw_zones(grey(), {"": SQUARE}, {}, {"": ((x1, 0.5), (x2, 0.5))})
    strokes = is_like(drawn, ZONE_COLOURS[0])[100:260, 200:440]
    left, right = strokes[:, 80:100].any(axis=1).sum(), strokes[:, 140:160].any(axis=1).sum()
    assert (right > left) == (x2 > x1)
    assert left and right


def test_a_point_of_the_ground_is_marked_where_it_was_measured() -> None:
    corners = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
    points = [GroundPoint(picture=corner, metres=(10, 20.5)) for corner in corners]
    drawn = draw_zones(grey(), {}, {}, ground=points)
    for x, y in ((160, 90), (479, 90), (479, 269), (160, 269)):
        assert is_like(drawn, (255, 255, 255))[y - 2 : y + 3, x - 2 : x + 3].any()
        assert (drawn[y - 4 : y + 5, x + 20 : x + 40] < 80).all(axis=2).any(), "its metres"


def test_labels_keep_off_the_arrow_and_off_each_other() -> None:
    """Two zones with one middle: each label stands on pixels of its own."""
    wide = [(0.05, 0.05), (0.95, 0.05), (0.95, 0.95), (0.05, 0.95)]
    arrow = {"lane": ((0.4, 0.5), (0.6, 0.5))}
    bare = draw_zones(grey(), {"": SQUARE, "road": wide}, {}, {"": arrow["lane"]})
    drawn = draw_zones(grey(), {"lane": SQUARE, "road": wide}, {}, arrow)
    stroke = is_like(bare, ZONE_COLOURS[0])[160:200, 270:370]
    assert stroke.any() and (is_like(drawn, ZONE_COLOURS[0])[160:200, 270:370] >= stroke).all()


def test_labels_stay_in_the_picture_and_apart() -> None:
    zones = {f"zone-{i}": [(0.0, 0.0), (0.05, 0.0), (0.05, 0.05)] for i in range(3)}
    corner = Line(a=(1.0, 0.9), b=(1.0, 1.0), to_right="x" * 60, to_left="街道 Süd")
    drawn = draw_zones(grey(320, 240), zones, {"edge": corner})
    assert drawn.shape == (240, 320, 3)


@pytest.mark.parametrize("size", [(48, 32), (352, 288), (3840, 2160)])
def test_any_size(size: tuple[int, int]) -> None:
    width, height = size
    line = Line(a=(0.2, 0.2), b=(0.8, 0.9))
    drawn = draw_zones(grey(width, height), {"kerb": SQUARE}, {"line": line})
    assert drawn.shape == (height, width, 3)
    assert (drawn != 90).any()


def test_grey_pictures_become_colour() -> None:
    assert draw_zones(np.zeros((90, 160), np.uint8), {"kerb": SQUARE}, {}).shape == (90, 160, 3)


def test_same_picture_same_pixels() -> None:
    line = {"y": Line(a=(0.1, 0.5), b=(0.9, 0.5))}
    first, second = (draw_zones(grey(), {"kerb": SQUARE}, line) for _ in range(2))
    assert np.array_equal(first, second)
