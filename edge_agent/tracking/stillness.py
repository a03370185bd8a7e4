"""Since when has an object not moved: judged by the edges of its box, robust to what hides it.

A thing that passes in front pushes one edge of the box inwards, at a corner two; an object that
moves takes opposite edges with it, or, coming straight at the camera, at least three. What counts
is therefore the *common* way of opposite edges, in sizes of the object, from an anchor that is
frozen once it is well known: a detector's jitter stays near it, a creeping queue leaves it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median

from edge_agent.tracking.kalman import Edges, scaled

LEAVES = 0.2
"""An object has moved when it is farther than this from its anchor, in its own sizes ..."""
LEAVES_S = 0.4
"""... for this long; one odd box is none."""
SETTLES = 0.1
"""An object has stopped when it stays this near to where it is now ..."""
SETTLES_S = 0.6
"""... for this long."""
NEWEST_S = 0.3
"""Where it is now is the median of this time."""
HISTORY_S = 2.0
SPACING_S = 0.03
"""Observations closer together than this tell nothing new."""
ANCHOR_S = 3.0
ANCHOR_SPACING_S = 0.2
"""The anchor is the median of boxes taken this far apart during the first `ANCHOR_S`."""
COARSE_PX = 2.0
"""Edges are not known better than this in a small object."""
LONG_SIDE = 1.5
"""A bus has moved long before it has moved by a fifth of its length."""


def way(a: Edges, b: Edges) -> float:
    """How far the object went from box `a` to box `b`, in sizes of `a`; 0 for a mere occlusion."""
    width, height = max(a[2] - a[0], 1.0), max(a[3] - a[1], 1.0)
    x_unit = max(min(width, LONG_SIDE * height), COARSE_PX / LEAVES)
    y_unit = max(min(height, LONG_SIDE * width), COARSE_PX / LEAVES)
    left, right = (b[0] - a[0]) / x_unit, (b[2] - a[2]) / x_unit
    top, bottom = (b[1] - a[1]) / y_unit, (b[3] - a[3]) / y_unit
    across = min(abs(left), abs(right)) if left * right > 0 else 0.0
    down = min(abs(top), abs(bottom)) if top * bottom > 0 else 0.0
    three_edges = sorted((abs(left), abs(right), abs(top), abs(bottom)))[1]
    return max(across, down, three_edges)


def middle(boxes: Sequence[Edges]) -> Edges:
    """Median of every edge."""
    x1, y1, x2, y2 = (median(edge) for edge in zip(*boxes, strict=True))
    return x1, y1, x2, y2


class Stillness:
    """Judges one object; `observe` it whenever it is seen."""

    __slots__ = ("_anchors", "_leaving_n", "_leaving_s", "_seen", "anchor", "since_s")

    def __init__(self) -> None:
        self.since_s: float | None = None
        """Media time since which it has stood, or None while it moves."""
        self.anchor: Edges | None = None
        """Where it stands, or None while it moves."""
        self._seen: deque[tuple[float, Edges]] = deque()
        self._anchors: list[tuple[float, Edges]] = []
        self._leaving_s: float | None = None
        self._leaving_n = 0

    @property
    def is_leaving(self) -> bool:
        """It stood, and the latest boxes are somewhere else: soon to be called moving."""
        return self._leaving_n > 1

    def observe(self, t_s: float, edges: Edges) -> None:
        """Take a measured box into account; times must rise."""
        self._remember(t_s, edges)
        if self.anchor is not None and way(self.anchor, edges) > LEAVES:
            self._leave(t_s)
        else:
            self._leaving_s, self._leaving_n = None, 0
            if self.anchor is not None:
                self._refine(t_s, edges)
        if self.anchor is None:
            self._settle(t_s)

    def scale(self, x: float, y: float) -> None:
        """The picture has another size now."""
        self._seen = deque((t, scaled(edges, x, y)) for t, edges in self._seen)
        self._anchors = [(t, scaled(edges, x, y)) for t, edges in self._anchors]
        self.anchor = scaled(self.anchor, x, y) if self.anchor else None

    def _remember(self, t_s: float, edges: Edges) -> None:
        if self._seen and t_s - self._seen[-1][0] < SPACING_S:
            return
        self._seen.append((t_s, edges))
        while len(self._seen) > 4 and t_s - self._seen[0][0] > HISTORY_S:
            self._seen.popleft()

    def _leave(self, t_s: float) -> None:
        if self._leaving_s is None:
            self._leaving_s = t_s
        self._leaving_n += 1
        if self._leaving_n > 1 and t_s - self._leaving_s >= LEAVES_S:
            self.since_s = self.anchor = self._leaving_s = None
            self._leaving_n = 0

    def _refine(self, t_s: float, edges: Edges) -> None:
        first_s, last_s = self._anchors[0][0], self._anchors[-1][0]
        if t_s - last_s >= ANCHOR_SPACING_S and t_s - first_s <= ANCHOR_S:
            self._anchors.append((t_s, edges))
            self.anchor = middle([box for _, box in self._anchors])

    def _settle(self, t_s: float) -> None:
        """Walk back through the history for as long as the object was where it is now."""
        newest = [box for t, box in self._seen if t_s - t <= NEWEST_S]
        here = middle(newest if len(newest) > 1 else [box for _, box in list(self._seen)[-2:]])
        stay: list[tuple[float, Edges]] = []
        odd = 0
        for t, box in reversed(self._seen):
            odd = 0 if way(here, box) <= SETTLES else odd + 1
            if odd > 1:
                break
            if not odd:
                stay.append((t, box))
        if len(stay) > 1 and t_s - stay[-1][0] >= SETTLES_S:
            self.since_s = stay[-1][0]
            self._anchors = [(t, box) for t, box in reversed(stay)]
            self.anchor = middle([box for _, box in self._anchors])
