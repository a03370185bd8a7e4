"""Through which parts of the picture a network looks at the bays of a car park."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.types import Box

MARGIN = 0.5
"""Of a bay's longer side: vehicles are higher than the ground they stand on, and seldom centred."""
STEPS = 9
"""Positions per axis that are tried for a window."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large bays are shown to the network."""

    zoom: float
    """A window is this many times as long as the longer side of the bay it was made for."""
    least_px: float
    """No window is shorter: enlarged any further, a small picture shows nothing more."""

    def side(self, bay: Box) -> float:
        return max(self.zoom * _longer(bay), self.least_px)


@dataclass(frozen=True, slots=True)
class Window:
    """A square part of the picture, in whole px."""

    left: int
    top: int
    side: int

    def cuts(self, box: Box, width: int, height: int) -> bool:
        """True when the box (px of the window) touches an edge inside a picture of that size."""
        return bool(
            (box.x1 < 1 and self.left > 0)
            or (box.y1 < 1 and self.top > 0)
            or (box.x2 > self.side - 1 and self.left + self.side < width)
            or (box.y2 > self.side - 1 and self.top + self.side < height)
        )


def cover(bays: Mapping[str, Box], size: tuple[int, int], scale: Scale) -> list[Window]:
    """Few windows that together show every bay (px) with what surrounds it.

    `size` is the picture's (width, height).
    """
    left = dict(sorted(bays.items(), key=lambda item: (item[1].centre[1], item[1].centre[0])))
    windows = []
    while left:
        first = next(iter(left.values()))
        side = int(min(scale.side(first), *size))
        options = [(w, _shown(w, left, size, scale)) for w in _positions(first, side, size)]
        window, shown = max(options, key=lambda option: len(option[1]))
        windows.append(window)
        for name in shown or [next(iter(left))]:
            del left[name]
    return windows


def _longer(box: Box) -> float:
    return max(box.width, box.height)


def _surrounded(bay: Box, size: tuple[int, int]) -> Box:
    margin = MARGIN * _longer(bay)
    return Box(
        max(bay.x1 - margin, 0),
        max(bay.y1 - margin, 0),
        min(bay.x2 + margin, size[0]),
        min(bay.y2 + margin, size[1]),
    )


def _positions(bay: Box, side: int, size: tuple[int, int]) -> Iterator[Window]:
    """Windows that show this bay."""
    around = _surrounded(bay, size)
    for left in _steps(around.x2 - side, around.x1, size[0] - side):
        for top in _steps(around.y2 - side, around.y1, size[1] - side):
            yield Window(left, top, side)


def _steps(low: float, high: float, most: int) -> Sequence[int]:
    """Places from low to high, those outside of the picture moved to its edge."""
    if high < low:
        low = high = (low + high) / 2
    places = (low + (high - low) * i / (STEPS - 1) for i in range(STEPS))
    return sorted({int(min(max(place, 0), most)) for place in places})


def _shown(
    window: Window, bays: Mapping[str, Box], size: tuple[int, int], scale: Scale
) -> list[str]:
    """The bays that the window shows large enough and with what surrounds them."""
    right, bottom = window.left + window.side, window.top + window.side
    shown = []
    for name, bay in bays.items():
        around = _surrounded(bay, size)
        is_inside = (
            around.x1 >= window.left - 1
            and around.y1 >= window.top - 1
            and around.x2 <= right + 1
            and around.y2 <= bottom + 1
        )
        if is_inside and window.side <= 2 * scale.side(bay):
            shown.append(name)
    return shown
