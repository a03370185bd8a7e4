"""Zones and lines drawn onto a picture, so that a person can judge whether they lie right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.config.models import Arrow, GroundPoint, Line
from edge_agent.geometry import Point, Polygon, overlap
from edge_agent.types import Box, Image

Colour = tuple[int, int, int]
"""Blue, green, red."""

ZONE_COLOURS: Final[tuple[Colour, ...]] = (
    (48, 120, 255),
    (230, 160, 40),
    (80, 190, 90),
    (200, 90, 190),
    (40, 200, 230),
    (190, 200, 60),
    (150, 90, 255),
)
LINE_COLOUR: Final[Colour] = (60, 230, 250)
NO_DIRECTIONS: Final[Mapping[str, Arrow]] = MappingProxyType({})
_DARK: Final[Colour] = (30, 26, 24)
_WHITE: Final[Colour] = (255, 255, 255)
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_FILL: Final = 0.28
_PLATE: Final = 0.82


def draw_zones(
    image: Image,
    zones: Mapping[str, Sequence[Point]],
    lines: Mapping[str, Line],
    directions: Mapping[str, Arrow] = NO_DIRECTIONS,
    ground: Sequence[GroundPoint] = (),
) -> Image:
    """A BGR copy of the picture with every zone filled and every line with its two directions.

    A zone whose traffic has a direction shows it by an arrow, a point of the ground its metres.
    Zones and lines are normalised. Text and strokes grow with the picture; labels stand on dark
    plates, inside the picture and beside each other where there is room.
    """
    canvas = _Canvas.of(image)
    colours = {name: ZONE_COLOURS[i % len(ZONE_COLOURS)] for i, name in enumerate(zones)}
    for name, corners in zones.items():
        canvas.fill(Polygon(corners), colours[name])
    for name, arrow in directions.items():
        canvas.heading(Polygon(zones[name]), arrow, colours[name])
    for line in lines.values():
        canvas.line(line)
    for point in ground:
        canvas.ground_point(point)
    for name, corners in zones.items():
        canvas.zone_label(name, Polygon(corners), colours[name])
    for name, line in lines.items():
        canvas.line_labels(name, line)
    return canvas.image


@dataclass(slots=True)
class _Canvas:
    image: Image
    unit: float
    """Stroke width in px that suits the picture; 1 on a picture 360 px high."""
    plates: list[Box] = field(default_factory=list)
    """Where labels and arrows already stand."""

    @classmethod
    def of(cls, image: Image) -> _Canvas:
        colour = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy()
        height, width = colour.shape[:2]
        return cls(np.asarray(colour, np.uint8), max(0.8, min(height, width) / 360))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px."""
        return self.image.shape[1], self.image.shape[0]

    def fill(self, zone: Polygon, colour: Colour) -> None:
        corners = zone.in_px(*self.size).reshape(-1, 1, 2)
        tinted = self.image.copy()
        cv2.fillPoly(tinted, [corners], colour, cv2.LINE_AA)
        cv2.addWeighted(tinted, _FILL, self.image, 1 - _FILL, 0, dst=self.image)
        for width, shade in ((3.0, _DARK), (1.6, colour)):
            cv2.polylines(self.image, [corners], True, shade, self._width(width), cv2.LINE_AA)

    def heading(self, zone: Polygon, arrow: Arrow, colour: Colour) -> None:
        middle = zone.in_px(*self.size).mean(axis=0)
        half = _unit(np.array(self._px(arrow[1])) - np.array(self._px(arrow[0]))) * 40 * self.unit
        tail, tip = middle - half, middle + half
        for width, shade in ((7.0, _DARK), (4.0, colour)):
            self._arrow((tail[0], tail[1]), (tip[0], tip[1]), shade, self._width(width))
        head = 9 * self.unit
        (x1, y1), (x2, y2) = np.minimum(tail, tip) - head, np.maximum(tail, tip) + head
        self.plates.append(Box(x1, y1, x2, y2))

    def line(self, line: Line) -> None:
        a, b = self._px(line.a), self._px(line.b)
        arrows = [(tail, tip) for tail, tip, _ in self._arrows(line)]
        for width, shade in ((4.0, _DARK), (2.0, LINE_COLOUR)):
            thickness = self._width(width)
            cv2.line(self.image, _whole(a), _whole(b), shade, thickness, cv2.LINE_AA)
            for tail, tip in arrows:
                self._arrow(tail, tip, shade, thickness)

    def ground_point(self, point: GroundPoint) -> None:
        x, y = self._px(point.picture)
        reach = 7 * self.unit
        for width, shade in ((4.0, _DARK), (1.6, _WHITE)):
            at, size, thickness = _whole((x, y)), round(2 * reach), self._width(width)
            cv2.drawMarker(self.image, at, shade, cv2.MARKER_CROSS, size, thickness, cv2.LINE_AA)
        self.plates.append(Box(x - reach, y - reach, x + reach, y + reach))
        text = "{:g}, {:g} m".format(*point.metres)
        wide, high = self._plate_size(text)
        aside, above = 1.4 * reach + wide / 2, 1.4 * reach + high / 2
        spots = [(x + aside, y), (x - aside, y), (x, y - above), (x, y + above)]
        self._label(text, spots, _WHITE)

    def zone_label(self, name: str, zone: Polygon, colour: Colour) -> None:
        corners = zone.in_px(*self.size).astype(np.float64)
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        middle = corners.mean(axis=0)
        width, height = self._plate_size(name)
        spots = [
            (left + width / 2, top - height * 0.7),
            (middle[0], bottom + height * 0.7),
            (right - width / 2, top - height * 0.7),
        ]
        if right - left > 1.3 * width and bottom - top > 3.5 * height:
            # Where zones overlap, a corner is often one's own when the middle is not.
            inside = (middle, *((middle + corner) / 2 for corner in corners))
            spots[:0] = [(spot[0], spot[1]) for spot in inside]
        self._label(name, spots, colour)

    def line_labels(self, name: str, line: Line) -> None:
        width, height = self._plate_size(name)
        a, b = (np.array(self._px(point)) for point in (line.a, line.b))
        for tail, tip, direction in self._arrows(line):
            wide, high = self._plate_size(direction)
            ahead = _unit(np.array(tip) - np.array(tail))
            beyond = np.array(tip) + ahead * (abs(ahead[0]) * wide / 2 + abs(ahead[1]) * high)
            beside = np.array(tip) + (b - a) / max(np.hypot(*(b - a)), 1e-6) * wide * 0.7
            self._label(direction, [tuple(beyond), tuple(beside)], LINE_COLOUR)
        outwards = _unit(a - b)
        at_a = a + outwards * (abs(outwards[0]) * width / 2 + abs(outwards[1]) * height)
        at_b = b - outwards * (abs(outwards[0]) * width / 2 + abs(outwards[1]) * height)
        inside = (a + outwards * -width * 0.7, b + outwards * width * 0.7, (a + b) / 2)
        self._label(name, [tuple(spot) for spot in (at_a, at_b, *inside)], LINE_COLOUR)

    def _arrows(self, line: Line) -> Iterator[tuple[Point, Point, str]]:
        """(tail, tip, name) of both directions; `geometry.side` is positive on the right."""
        a, b = (np.array(self._px(point)) for point in (line.a, line.b))
        along = b - a
        to_right = _unit(np.array((-along[1], along[0])))
        reach = 26 * self.unit
        for share, normal, name in ((0.4, to_right, line.to_right), (0.6, -to_right, line.to_left)):
            tail = a + along * share
            tip = tail + normal * reach
            yield (tail[0], tail[1]), (tip[0], tip[1]), name

    def _arrow(self, tail: Point, tip: Point, colour: Colour, thickness: int) -> None:
        length = max(1.0, float(np.hypot(tip[0] - tail[0], tip[1] - tail[1])))
        head = 9 * self.unit / length
        cv2.arrowedLine(
            self.image, _whole(tail), _whole(tip), colour, thickness, cv2.LINE_AA, tipLength=head
        )

    def _label(self, text: str, spots: Sequence[Point], colour: Colour) -> None:
        """Put the text on a plate centred at the first spot that is free."""
        boxes = [self._plate(text, spot) for spot in spots]
        free = (box for box in boxes if not any(overlap(box, other) for other in self.plates))
        box = next(free, boxes[0])
        self.plates.append(box)
        x1, y1, x2, y2 = (round(v) for v in (box.x1, box.y1, box.x2, box.y2))
        area = self.image[y1:y2, x1:x2]
        plate = np.full_like(area, _DARK)
        area[:] = cv2.addWeighted(plate, _PLATE, area, 1 - _PLATE, 0)
        cv2.rectangle(self.image, (x1, y1), (x1 + self._width(2.5), y2 - 1), colour, cv2.FILLED)
        _, high = self._text_size(text)
        at = (x1 + round(self._pad() * 1.6), round((y1 + y2 + high) / 2))
        cv2.putText(self.image, text, at, _FONT, self._scale(), _WHITE, 1, cv2.LINE_AA)

    def _plate(self, text: str, centre: Point) -> Box:
        """The plate around that centre, moved into the picture."""
        width, height = (min(a, b) for a, b in zip(self._plate_size(text), self.size, strict=True))
        x1 = min(max(centre[0] - width / 2, 0), self.size[0] - width)
        y1 = min(max(centre[1] - height / 2, 0), self.size[1] - height)
        return Box(x1, y1, x1 + width, y1 + height)

    def _plate_size(self, text: str) -> tuple[float, float]:
        width, height = self._text_size(text)
        return width + 3 * self._pad(), height + 2 * self._pad()

    def _text_size(self, text: str) -> tuple[int, int]:
        (width, _), _ = cv2.getTextSize(text, _FONT, self._scale(), 1)
        (_, height), _ = cv2.getTextSize("H", _FONT, self._scale(), 1)
        return width, height

    def _scale(self) -> float:
        return 0.45 * self.unit

    def _pad(self) -> float:
        return 4 * self.unit

    def _width(self, strokes: float) -> int:
        return max(1, round(strokes * self.unit))

    def _px(self, point: Point) -> Point:
        return point[0] * (self.size[0] - 1), point[1] * (self.size[1] - 1)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / max(float(np.hypot(vector[0], vector[1])), 1e-6)


def _whole(point: Point) -> tuple[int, int]:
    return round(point[0]), round(point[1])
