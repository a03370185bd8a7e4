"""Line counts as a table and as bars over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge_agent.report.timeline import MARGIN, WIDTH, nice_step_s
from edge_agent.report.wording import clock, lasting
from edge_agent.score import Reported

CHART_HEIGHT: Final = 96.0
COLOURS: Final = ("#2f6fb3", "#7fb2a5", "#c98b4a", "#9a86b8")


@dataclass(frozen=True, slots=True)
class CountTable:
    """How many of each class crossed each line, by direction."""

    classes: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[int, ...], int], ...]
    """line, direction, one number per class, total."""


@dataclass(frozen=True, slots=True)
class Column:
    """One direction's share of one span of time."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars over time, directions stacked."""

    step: str
    top: int
    """The number that the highest bar stands for."""
    columns: tuple[Column, ...]
    legend: tuple[tuple[str, str], ...]
    """Colour and direction."""
    marks: tuple[tuple[float, str], ...]


def count_table(crossings: Sequence[Reported]) -> CountTable:
    """Rows in the order in which the lines and directions first appear."""
    classes = tuple(sorted({_cls(each) for each in crossings}))
    numbers = Counter((*_way(each), _cls(each)) for each in crossings)
    rows = []
    for line, direction in dict.fromkeys(_way(each) for each in crossings):
        row = tuple(numbers[line, direction, cls] for cls in classes)
        rows.append((line, direction, row, sum(row)))
    return CountTable(classes, tuple(rows))


def chart(crossings: Sequence[Reported], duration_s: float) -> Chart:
    """Bars per minute, or per a rounder span where the footage is much shorter or longer."""
    length_s = max([duration_s, 1.0, *(each.end_s for each in crossings)])
    step_s = nice_step_s(length_s, 24)
    ways = list(dict.fromkeys(_way(each) for each in crossings))
    numbers = Counter((int(each.begin_s // step_s), _way(each)) for each in crossings)
    slots = int(length_s // step_s) + 1
    top = max(sum(numbers[slot, way] for way in ways) for slot in range(slots))
    slot_width = (WIDTH - 2 * MARGIN) / slots
    columns = []
    for slot in range(slots):
        foot = CHART_HEIGHT
        for i, way in enumerate(ways):
            number = numbers[slot, way]
            height = round((CHART_HEIGHT - 10) * number / top, 2)
            foot -= height
            if number:
                span = f"{clock(slot * step_s)} to {clock((slot + 1) * step_s)}"
                columns.append(
                    Column(
                        x=round(MARGIN + slot * slot_width + 1, 2),
                        y=round(foot, 2),
                        width=round(min(max(slot_width - 2, 1), 44), 2),
                        height=height,
                        colour=COLOURS[i % len(COLOURS)],
                        title=f"{span}: {number} {' '.join(way)}",
                    )
                )
    legend = tuple((COLOURS[i % len(COLOURS)], " ".join(way)) for i, way in enumerate(ways))
    every = max(1, -(-slots // 10))
    marks = tuple(
        (round(MARGIN + slot * slot_width, 2), clock(slot * step_s))
        for slot in range(0, slots, every)
    )
    return Chart(lasting(step_s).replace(".0 ", " "), top, tuple(columns), legend, marks)


def _way(each: Reported) -> tuple[str, str]:
    return each.places["line"], each.places.get("direction", "")


def _cls(each: Reported) -> str:
    return each.cls or "object"
