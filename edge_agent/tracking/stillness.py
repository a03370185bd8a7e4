"""Since when has an object not moved: judged by the edges of its box, robust to what hides it.

A thing that passes in front pushes one edge of the box inwards, at a corner two; an object that
moves takes opposite edges with it, or, coming straight at the camera, at least three. What counts
is therefore the *common* way of opposite edges in sizes of the object.

Boxes are condensed to *beats*, medians over a fifth of a second. An object stands when its beats
agree back to some moment; that moment is when it stopped. Once it stood for two seconds the place
is frozen as its *anchor*: a detector's jitter stays near it, a creeping queue leaves it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edge_agent.tracking.kalman import Edges, scaled

BEAT_S = 0.2
AGREE = 0.03
"""Beats agree when they are nearer than this, in sizes of the object ..."""
AGREE_ONE = 0.08
"""... or than this, by the root of the number of boxes in them: single boxes jitter."""
AGREE_PX = 1.0
SETTLES_S = 0.6
"""An object has stopped when its beats agree for this long ..."""
FROZEN_S = 2.0
"""... and from here on its anchor is fixed."""
LEAVES = 0.2
"""It has moved when it is farther than this from its anchor, in its own sizes ..."""
LEAVES_PX = 2.0
LEAVES_S = 0.4
"""... for this long; one odd box is none."""
LONG_SIDE = 1.5
"""A bus has moved long before it has moved by a fifth of its length."""


def way(a: Edges, b: Edges, coarse_px: float = 1.0) -> float:
    """How far an object went from box `a` to box `b`, in sizes of `a`; 0 for a mere occlusion.

    No size counts as smaller than `coarse_px`.
    """
    width, height = a[2] - a[0], a[3] - a[1]
    x_unit = max(min(width, LONG_SIDE * height), coarse_px)
    y_unit = max(min(height, LONG_SIDE * width), coarse_px)
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


@dataclass(frozen=True, slots=True)
class Beat:
    """What was seen during a moment."""

    begin_s: float
    edges: Edges
    n: int

    def agrees(self, other: Beat) -> bool:
        """True when nothing says that the object moved between the two."""
        least = max(AGREE, AGREE_ONE / math.sqrt(min(self.n, other.n)))
        return way(self.edges, other.edges, AGREE_PX / AGREE) <= least


class Stillness:
    """Judges one object; `observe` it whenever it is seen."""

    __slots__ = ("_beats", "_doubts", "_is_frozen", "_leaving_n", "_leaving_s", "_slot", "_slot_s",
                 "_t_s", "anchor", "since_s")  # fmt: skip

    def __init__(self) -> None:
        self.since_s: float | None = None
        """Media time since which it has stood, or None while it moves."""
        self.anchor: Edges | None = None
        """Where it stands, or None while it moves."""
        self._is_frozen = False
        self._t_s = -math.inf
        self._slot_s = 0.0
        self._slot: list[Edges] = []
        self._beats: deque[Beat] = deque()
        self._doubts = 0
        self._leaving_s = 0.0
        self._leaving_n = 0

    @property
    def is_leaving(self) -> bool:
        """It stood, and the latest boxes are somewhere else: soon to be called moving."""
        return self._leaving_n > 1

    def observe(self, t_s: float, edges: Edges) -> None:
        """Take a measured box into account; times must rise."""
        if self.anchor is not None:
            self._watch(t_s, edges, self.anchor)
        if not self._slot:
            self._slot_s = t_s
        self._slot.append(edges)
        is_beat = t_s - min(self._slot_s, self._t_s) >= BEAT_S
        self._t_s = t_s
        if is_beat:
            self._beats.append(Beat(self._slot_s, middle(self._slot), len(self._slot)))
            self._slot = []
            if not self._is_frozen:
                self._judge(t_s)

    def scale(self, x: float, y: float) -> None:
        """The picture has another size now."""
        self._slot = [scaled(edges, x, y) for edges in self._slot]
        self._beats = deque(Beat(b.begin_s, scaled(b.edges, x, y), b.n) for b in self._beats)
        self.anchor = scaled(self.anchor, x, y) if self.anchor else None

    def _watch(self, t_s: float, edges: Edges, anchor: Edges) -> None:
        """See whether it leaves its anchor."""
        if way(anchor, edges, LEAVES_PX / LEAVES) <= LEAVES:
            self._leaving_n = 0
            return
        self._leaving_s = self._leaving_s if self._leaving_n else t_s
        self._leaving_n += 1
        if self._leaving_n > 1 and t_s - self._leaving_s >= LEAVES_S:
            self._move()

    def _move(self) -> None:
        self.since_s = self.anchor = None
        self._is_frozen = False
        self._leaving_n = self._doubts = 0

    def _judge(self, t_s: float) -> None:
        """Walk back for as long as the beats agree with the newest; one odd beat is none."""
        while len(self._beats) > 3 and self._beats[-3].begin_s < t_s - FROZEN_S - 2 * BEAT_S:
            self._beats.popleft()
        here = self._beats[-1]
        stay: list[Beat] = []
        odd = 0
        for beat in reversed(self._beats):
            odd = 0 if here.agrees(beat) else odd + 1
            if odd > 1:
                break
            if not odd:
                stay.append(beat)
        since_s = stay[-1].begin_s
        if len(stay) > 1 and t_s - since_s >= SETTLES_S:
            self.since_s, self._doubts = since_s, 0
            self.anchor = middle([beat.edges for beat in stay])
            self._is_frozen = t_s - since_s >= FROZEN_S
        elif self.anchor is not None:
            self._doubts += 1
            if self._doubts > 1:
                self._move()
