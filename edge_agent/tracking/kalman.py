"""Constant-velocity Kalman filter of a box, in plain floats.

The four edges are filtered alike: their noise is proportional to the size of the box, so that one
2x2 covariance and one gain serve all of them and a step costs about two microseconds.
"""

from __future__ import annotations

import math

from edge_agent.geometry import Edges

MEASURE = 0.05
"""Standard deviation of a detector's edge, in sizes of the object."""
ACCELERATE = 1.5
"""Standard deviation that the speed gains in one second, in sizes per second."""
UNKNOWN_SPEED = 2.0
"""The same of the speed of an object that was seen once."""


def size_of(edges: Edges) -> float:
    """Side of the square with the area of the box, in px, at least 1."""
    width, height = edges[2] - edges[0], edges[3] - edges[1]
    return math.sqrt(max(width, 1.0) * max(height, 1.0))


class Motion:
    """Where a box is and how fast its edges move, in px and px/s."""

    __slots__ = ("_pp", "_pv", "_vv", "edges", "speeds")

    def __init__(self, edges: Edges) -> None:
        self.pin(edges)

    def pin(self, edges: Edges) -> None:
        """Forget the past: the box stands here, though it may start at any time."""
        size = size_of(edges)
        self.edges = edges
        self.speeds: Edges = (0.0, 0.0, 0.0, 0.0)
        self._pp, self._pv = (MEASURE * size) ** 2, 0.0
        self._vv = (UNKNOWN_SPEED * size) ** 2

    def predict(self, dt_s: float) -> None:
        """Move on by `dt_s`; white-noise acceleration, so that n small steps equal a large one."""
        noise = (ACCELERATE * size_of(self.edges)) ** 2
        x1, y1, x2, y2 = self.edges
        a, b, c, d = self.speeds
        self.edges = (x1 + a * dt_s, y1 + b * dt_s, x2 + c * dt_s, y2 + d * dt_s)
        self._pp += dt_s * (2 * self._pv + dt_s * self._vv) + noise * dt_s**3 / 3
        self._pv += dt_s * self._vv + noise * dt_s**2 / 2
        self._vv += noise * dt_s

    def correct(self, edges: Edges) -> None:
        """Take a measured box into account."""
        spread = self._pp + (MEASURE * size_of(edges)) ** 2
        k, kv = self._pp / spread, self._pv / spread
        x1, y1, x2, y2 = self.edges
        left, top, right, bottom = edges[0] - x1, edges[1] - y1, edges[2] - x2, edges[3] - y2
        self.edges = (x1 + k * left, y1 + k * top, x2 + k * right, y2 + k * bottom)
        a, b, c, d = self.speeds
        self.speeds = (a + kv * left, b + kv * top, c + kv * right, d + kv * bottom)
        self._vv -= kv * self._pv
        self._pv *= 1 - k
        self._pp *= 1 - k

    def coast(self) -> None:
        """Unseen from now on: keep the course, but neither grow nor shrink."""
        vx, vy = self.velocity
        self.speeds = (vx, vy, vx, vy)

    @property
    def velocity(self) -> tuple[float, float]:
        """px/s of the centre."""
        a, b, c, d = self.speeds
        return (a + c) / 2, (b + d) / 2

    @property
    def doubt(self) -> float:
        """Standard deviation of the position in px."""
        return math.sqrt(self._pp)

    def scale(self, x: float, y: float) -> None:
        """The picture has another size now."""
        self.edges = scaled(self.edges, x, y)
        self.speeds = scaled(self.speeds, x, y)
        area = x * y
        self._pp, self._pv, self._vv = self._pp * area, self._pv * area, self._vv * area


def scaled(edges: Edges, x: float, y: float) -> Edges:
    """The box in a picture that is `x` times as wide and `y` times as high."""
    return edges[0] * x, edges[1] * y, edges[2] * x, edges[3] * y
