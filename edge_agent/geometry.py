"""Plane geometry on boxes, polygons and lines; pixels in, pixels out."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.types import Box

Point = tuple[float, float]
Edges = tuple[float, float, float, float]
"""A box as plain numbers, x1, y1, x2, y2 in px: for loops over few boxes."""

EDGE = 1e-6
"""Rounding of a point on the edge of a zone, normalised."""


def iou_matrix(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of every pair: (N, 4) and (M, 4) xyxy -> (N, M)."""
    return ious(a[:, None], b[None])


def ious(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of boxes side by side: (..., 4) xyxy, broadcast -> (...)."""
    # one edge at a time: numpy is slow at reducing pairs
    ax1, ay1, ax2, ay2 = (a[..., i] for i in range(4))
    bx1, by1, bx2, by2 = (b[..., i] for i in range(4))
    width = np.maximum(np.minimum(ax2, bx2) - np.maximum(ax1, bx1), 0)
    height = np.maximum(np.minimum(ay2, by2) - np.maximum(ay1, by1), 0)
    inter = width * height
    area_a = np.maximum(ax2 - ax1, 0) * np.maximum(ay2 - ay1, 0)
    area_b = np.maximum(bx2 - bx1, 0) * np.maximum(by2 - by1, 0)
    return np.asarray(inter / np.maximum(area_a + area_b - inter, 1e-9), np.float32)


def overlap(a: Box, b: Box) -> float:
    """Area shared by both boxes in px^2."""
    if a.x2 <= b.x1 or b.x2 <= a.x1 or a.y2 <= b.y1 or b.y2 <= a.y1:
        return 0.0  # cheaper, and true of most pairs
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    return max(0.0, width) * max(0.0, height)


def iou(a: Box, b: Box) -> float:
    """Intersection over union, 0..1."""
    inter = overlap(a, b)
    return inter / max(a.area + b.area - inter, 1e-9) if inter else 0.0


def area_of(box: Edges) -> float:
    """px^2."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def shared(a: Edges, b: Edges) -> float:
    """Area that both boxes share in px^2."""
    if a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]:
        return 0.0  # cheaper, and true of most pairs
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)


def edges_iou(a: Edges, b: Edges) -> float:
    """Intersection over union, 0..1."""
    both = shared(a, b)
    return both / max(area_of(a) + area_of(b) - both, 1e-9) if both else 0.0


def clamp(box: Box, width: float, height: float) -> Box:
    """The part of the box inside a picture of that size."""
    return Box(
        min(max(box.x1, 0.0), width),
        min(max(box.y1, 0.0), height),
        min(max(box.x2, 0.0), width),
        min(max(box.y2, 0.0), height),
    )


def grow(box: Box, share: float) -> Box:
    """The box with `share` of its size added on every side."""
    dx, dy = box.width * share, box.height * share
    return Box(box.x1 - dx, box.y1 - dy, box.x2 + dx, box.y2 + dy)


class Polygon:
    """A zone, normalised to 0..1, asked about points in px."""

    def __init__(self, points: Sequence[Point]) -> None:
        if len(points) < 3:
            raise ValueError(f"a polygon needs at least 3 points, got {len(points)}")
        self.points = tuple(points)
        self._contour = np.array(points, np.float32).reshape(-1, 1, 2)
        xs, ys = zip(*self.points, strict=True)
        self._left, self._right = min(xs) - EDGE, max(xs) + EDGE
        self._top, self._bottom = min(ys) - EDGE, max(ys) + EDGE

    def contains(self, point: Point, width: int, height: int) -> bool:
        """True for a point (px) inside or on the edge, in a picture of that size."""
        x, y = point[0] / width, point[1] / height
        if not (self._left <= x <= self._right and self._top <= y <= self._bottom):
            return False  # cheaper, and true of most points
        return cv2.pointPolygonTest(self._contour, (x, y), False) >= 0

    def in_px(self, width: int, height: int) -> NDArray[np.int32]:
        """(N, 2) corners in px, for drawing."""
        return np.rint(np.array(self.points) * (width, height)).astype(np.int32)


class Ground:
    """The road as seen by one camera: where a point of the picture lies on the ground, in metres.

    A homography from four or more points that were measured on a flat ground (Hartley and
    Zisserman, "Multiple View Geometry", section 4.1). `picture` normalised, `metres` in any
    right-angled frame. Raises ValueError when the points determine no plane.
    """

    def __init__(self, picture: Sequence[Point], metres: Sequence[Point]) -> None:
        if len(picture) != len(metres) or len(picture) < 4:
            raise ValueError(f"expected 4 points or more, got {len(picture)} and {len(metres)}")
        found, _ = cv2.findHomography(np.array(picture, np.float64), np.array(metres, np.float64))
        if found is None or abs(np.linalg.det(found)) < 1e-12:
            raise ValueError("the points lie on one line")
        self._matrix = np.asarray(found, np.float64)
        self._rows: list[list[float]] = self._matrix.tolist()

    def metres(self, point: Point, width: int, height: int) -> Point:
        """Where a point (px) of a picture of that size lies on the ground."""
        px, py = point[0] / width, point[1] / height
        (a, b, c), (d, e, f), (g, h, i) = self._rows
        w = g * px + h * py + i
        return (a * px + b * py + c) / w, (d * px + e * py + f) / w

    def area_m2(self, corners: Sequence[Point]) -> float:
        """Area of a polygon on the ground; `corners` normalised to the picture.

        Raises ValueError when it reaches beyond the horizon.
        """
        x, y, w = self._matrix @ np.vstack([np.array(corners, np.float64).T, np.ones(len(corners))])
        if w.min() * w.max() <= 0:
            raise ValueError("the polygon reaches beyond the horizon")
        x, y = x / w, y / w
        return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def side(point: Point, a: Point, b: Point) -> float:
    """> 0 when the point lies to the right of the arrow a->b as seen on the screen (y down)."""
    return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])


def segments_cross(p: Point, q: Point, a: Point, b: Point) -> bool:
    """True when the way p->q touches or crosses the line a-b."""
    d1, d2 = side(p, a, b), side(q, a, b)
    d3, d4 = side(a, p, q), side(b, p, q)
    return (d1 > 0) != (d2 > 0) and (d3 > 0) != (d4 > 0)
