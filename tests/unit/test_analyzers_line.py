"""Line counts on hand-made tracks."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.analyzers.traffic.line_crossing import LineCrossing
from edge_agent.analyzers.view import View
from edge_agent.config.models import Line
from edge_agent.types import ArrayPicture, Box, Detections, Frame, Scene, Track

PICTURE = ArrayPicture(np.zeros((100, 200, 3), np.uint8))
# A line across the lower middle, drawn left to right: its right-hand side is further down.
LINE = Line(a=(0.25, 0.5), b=(0.75, 0.5), to_right="down", to_left="up")
VIEW = View("c1", {}, {"stop": LINE}, ZoneInfo("UTC"))


def count(points: Sequence[tuple[float, float]], cls: str = "car", size: float = 10) -> list[str]:
    """Directions reported for one object going through the points (px), one per second."""
    rule = LineCrossing(LineCrossing.Settings(line="stop"), VIEW)
    directions = []
    for t, (x, y) in enumerate(points):
        box = Box(x - size, y - size, x + size, y + size)
        track = Track(1, cls, 0.9, box, (0, 0), 0.0, float(t), None)
        frame = Frame("c1", t, float(t), datetime(2026, 1, 1, tzinfo=UTC), PICTURE)
        events = rule.update(Scene(frame, Detections.none(), (track,)))
        directions += [event.facts["direction"] for event in events]
    return directions


def test_counts_once_per_direction() -> None:
    assert count([(100, y) for y in range(10, 100, 10)]) == ["down"]
    assert count([(100, y) for y in range(90, 0, -10)]) == ["up"]
    assert count([(100, 20), (100, 80), (100, 20)]) == ["down", "up"]


def test_passing_beside_the_line_does_not_count() -> None:
    assert count([(20, 10), (20, 90)]) == []


def test_jitter_on_the_line_counts_once() -> None:
    assert count([(100, 40), (100, 49.8), (100, 50.2), (100, 49.9), (100, 50.1), (100, 60)]) == [
        "down"
    ]


def test_other_classes_do_not_count() -> None:
    assert count([(100, 10), (100, 90)], cls="dog") == []


@given(st.lists(st.floats(0, 100), min_size=2, max_size=30))
def test_directions_alternate_whatever_the_way(ys: list[float]) -> None:
    directions = count([(100, y) for y in ys])
    assert all(a != b for a, b in pairwise(directions))


def test_the_way_begins_where_the_track_was_born() -> None:
    """A fast object may cross before its track is confirmed."""
    rule = LineCrossing(LineCrossing.Settings(line="stop"), VIEW)
    born, box = Box(90, 20, 110, 40), Box(90, 60, 110, 80)
    track = Track(1, "car", 0.9, box, (0, 0), 0.0, 0.2, None, born=born)
    frame = Frame("c1", 2, 0.2, datetime(2026, 1, 1, tzinfo=UTC), PICTURE)
    (event,) = rule.update(Scene(frame, Detections.none(), (track,)))
    assert event.facts["direction"] == "down"
