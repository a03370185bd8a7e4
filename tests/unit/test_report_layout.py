"""Coordinates of timelines and charts, and the words beside them."""

from __future__ import annotations

import pytest

from edge_agent.report.counts import CHART_HEIGHT, chart, count_table
from edge_agent.report.timeline import MARGIN, WIDTH, nice_step_s, timeline
from edge_agent.report.wording import clock, kind_name, lasting
from edge_agent.score import Reported


def happening(begin_s: float, end_s: float, told_s: float, subject: str = "s") -> Reported:
    return Reported(
        type="parking.illegal",
        subject=subject,
        begin_s=begin_s,
        end_s=end_s,
        told_s=told_s,
        boxes=(),
        places={"camera": "north", "line": "entry", "direction": "in"},
        cls="car",
        is_over=True,
        is_verifiable=True,
    )


def test_bars_lie_where_things_happened() -> None:
    lane = timeline([happening(50, 100, 60)], 100, {}).lanes[0]
    bar = lane.bars[0]
    inner = WIDTH - 2 * MARGIN
    assert bar.x == pytest.approx(MARGIN + inner / 2)
    assert bar.x + bar.width == pytest.approx(WIDTH - MARGIN)
    assert bar.told_x == pytest.approx(MARGIN + inner * 0.6)


def test_what_overlaps_gets_its_own_row() -> None:
    told = [happening(0, 50, 10, "a"), happening(20, 60, 30, "b"), happening(55, 70, 60, "c")]
    rows = [bar.y for bar in timeline(told, 100, {}).lanes[0].bars]
    assert rows[0] == rows[2] < rows[1]


def test_moments_are_ticks() -> None:
    lane = timeline([happening(5, 5, 5)], 10, {}).lanes[0]
    assert (len(lane.bars), len(lane.ticks)) == (0, 1)
    assert lane.ticks[0].x == pytest.approx(WIDTH / 2)


def test_footage_of_unknown_length_ends_with_the_last_happening() -> None:
    line = timeline([happening(0, 40, 10)], 0.0, {})
    bar = line.lanes[0].bars[0]
    assert bar.x + bar.width == pytest.approx(WIDTH - MARGIN)
    assert line.marks[-1][1] == "0:40"


@pytest.mark.parametrize("end_s", [30.0, 99.0])
def test_labels_stay_inside(end_s: float) -> None:
    told = [happening(0, end_s, 10, "a")]
    bar = timeline(told, 100, {"a": ("Case 1", "#case-1")}).lanes[0].bars[0]
    assert 0 <= bar.label_x < WIDTH - 50


def test_charts_add_up() -> None:
    told = [happening(t, t, t, str(t)) for t in (0, 1, 2, 61, 3599)]
    bars = chart(told, 3600)
    assert max(column.height for column in bars.columns) == pytest.approx(CHART_HEIGHT - 10)
    assert bars.top == 4
    assert bars.step == "5 min"
    assert all(c.x >= 0 and c.x + c.width <= WIDTH for c in bars.columns)
    assert count_table(told).rows == (("entry", "in", (5,), 5),)


@pytest.mark.parametrize(
    ("length_s", "most", "step"), [(10, 10, 1), (37.7, 10, 5), (3600, 24, 300), (10**7, 10, 86_400)]
)
def test_round_steps(length_s: float, most: int, step: int) -> None:
    assert nice_step_s(length_s, most) == step


def test_words() -> None:
    assert [clock(7.2), clock(750), clock(3723), clock(59.96, True)] == [
        "0:07",
        "12:30",
        "1:02:03",
        "1:00.0",
    ]
    assert [lasting(8.46), lasting(80), lasting(7500), lasting(3600)] == [
        "8.5 s",
        "1 min 20 s",
        "2 h 5 min",
        "1 h",
    ]
    assert kind_name("incident.stopped_vehicle") == "Stopped vehicle"
