"""Where things lie on a timeline: seconds in, coordinates of an SVG out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edge_agent.report.wording import clock, kind_name, lasting
from edge_agent.score import Reported

WIDTH: Final = 920.0
MARGIN: Final = 18.0
_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200)
_TITLE_ROW: Final = 22.0
_ROW: Final = 18.0
_GAP: Final = 12.0
_COLOURS: Final = ("#2f6fb3", "#c2571a", "#3f8f5f", "#8a5aa8", "#a3812a", "#5b6675")
_LABEL_WIDTH: Final = 56.0
_MOMENT_S: Final = 0.01
"""Happenings shorter than this are drawn as ticks."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One happening that lasted; `told_x` is where it was first reported."""

    x: float
    y: float
    width: float
    told_x: float
    title: str
    label: str
    label_x: float
    href: str | None
    is_open: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """One happening of a moment."""

    x: float
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """All happenings of one kind."""

    name: str
    colour: str
    y: float
    height: float
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """One camera's happenings over the length of its recording."""

    lanes: tuple[Lane, ...]
    marks: tuple[tuple[float, str], ...]
    """Axis: x and text."""
    height: float
    summary: str


def timeline(
    happenings: Sequence[Reported], duration_s: float, cases: Mapping[str, tuple[str, str]]
) -> Timeline:
    """Lay out one camera's happenings; `cases` maps subjects to (label, link)."""
    length_s = max([duration_s, 1.0, *(each.end_s for each in happenings)])
    kinds = list(dict.fromkeys(each.type for each in happenings))
    lanes: list[Lane] = []
    y = 4.0
    for i, kind in enumerate(kinds):
        ours = [each for each in happenings if each.type == kind]
        lane = _lane(ours, y, length_s, cases, _COLOURS[i % len(_COLOURS)])
        lanes.append(lane)
        y += lane.height + _GAP
    return Timeline(tuple(lanes), _marks(length_s), y + 22.0, _summary(happenings))


def nice_step_s(length_s: float, most: int) -> int:
    """The smallest round step that cuts the length into at most that many pieces."""
    return next((step for step in _STEPS_S if length_s / step <= most), 86_400)


def _lane(
    happenings: Sequence[Reported],
    y: float,
    length_s: float,
    cases: Mapping[str, tuple[str, str]],
    colour: str,
) -> Lane:
    free_from_s: list[float] = []
    bars = []
    spans = [each for each in happenings if each.end_s - each.begin_s >= _MOMENT_S]
    for each in sorted(spans, key=lambda each: (each.begin_s, each.subject)):
        row = next(
            (i for i, end in enumerate(free_from_s) if end <= each.begin_s), len(free_from_s)
        )
        room = 6.0 + (_LABEL_WIDTH if each.subject in cases else 0.0)
        free_from_s[row : row + 1] = [each.end_s + room / WIDTH * length_s]
        bars.append(_bar(each, y + _TITLE_ROW + row * _ROW, length_s, cases))
    moments = [each for each in happenings if each.end_s - each.begin_s < _MOMENT_S]
    ticks = tuple(Tick(_x(each.begin_s, length_s), _tick_title(each)) for each in moments)
    rows = max(1, len(free_from_s))
    name = f"{kind_name(happenings[0].type)} ({len(happenings)})"
    return Lane(name, colour, y, _TITLE_ROW + rows * _ROW, tuple(bars), ticks)


def _bar(each: Reported, y: float, length_s: float, cases: Mapping[str, tuple[str, str]]) -> Bar:
    label, href = cases.get(each.subject, ("", None))
    x, end_x = _x(each.begin_s, length_s), _x(each.end_s, length_s)
    where = each.places.get("zone")
    parts = [
        label,
        each.cls or "",
        f"zone {where}" if where else "",
        f"{clock(each.begin_s)} to {clock(each.end_s)} ({lasting(each.end_s - each.begin_s)})",
        f"reported at {clock(each.told_s)}",
        "" if each.is_over else "not over when the footage ended",
    ]
    title = ", ".join(part for part in parts if part)
    told_x = min(max(_x(each.told_s, length_s), x), end_x)
    is_right_free = end_x + _LABEL_WIDTH < WIDTH
    label_x = end_x + 8 if is_right_free else max(x - _LABEL_WIDTH, x % _LABEL_WIDTH)
    width = max(2.0, round(end_x - x, 2))
    return Bar(x, y, width, told_x, title, label, label_x, href, not each.is_over)


def _tick_title(each: Reported) -> str:
    places = (each.places.get(key) for key in ("line", "direction", "zone"))
    return ", ".join(part for part in (clock(each.begin_s), each.cls, *places) if part)


def _marks(length_s: float) -> tuple[tuple[float, str], ...]:
    step = nice_step_s(length_s, 10)
    return tuple((_x(t, length_s), clock(t)) for t in range(0, int(length_s) + 1, step))


def _x(t_s: float, length_s: float) -> float:
    return round(MARGIN + (WIDTH - 2 * MARGIN) * min(max(t_s / length_s, 0.0), 1.0), 2)


def _summary(happenings: Sequence[Reported]) -> str:
    numbers = Counter(each.type for each in happenings)
    return ", ".join(f"{number} x {kind_name(kind).lower()}" for kind, number in numbers.items())
