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
from dataclasses import dataclass, replace
from statistics import median

from edge_agent.geometry import Edges
from edge_agent.tracking.kalman import scaled

BEAT_S = 0.2
AGREE = 0.03
"""Beats agree when they are nearer than this, in sizes of the object ..."""
AGREE_ONE = 0.08
"""... or than this, by the root of the number of boxes in them: single boxes jitter."""
CENTRE = 2.0
"""Their centres may be so many times farther apart: an edge that is hidden shifts the centre."""
AGREE_PX = 1.0
STOPPED = 0.02
SCATTER = 3.0
"""It had not stopped while it was farther than both from where it stood: sizes, usual scatter."""
ODD = 3
"""So many in a row may disagree if those before them agree again."""
SETTLES_S = 0.6
"""An object has stopped when its beats agree for this long ..."""
FROZEN_S = 2.0
"""... and from here on its anchor is fixed."""
LEAVES = 0.12
"""It has moved when two beats in a row are farther than this from the anchor, in own sizes ..."""
LEAVES_ONE = 0.25
"""... or than this, by the root of the number of boxes in them ..."""
COVERED = 2.0
"""... and so many times farther if something passes before it."""
LEAVES_PX = 2.0
BACK_S = 5.0
"""Back at its place within this time, it never was away: something had passed."""
WIDER_S = 2.0
WIDER_SHARE = 0.6
"""An anchor is widened when that share of the sights of that time shows more of the object."""
BORDER = 0.01
"""Edges nearer than this share of the picture to its border are cut off."""
LONG_SIDE = 1.5
"""A bus has moved long before it has moved by a fifth of its length."""


Cut = tuple[bool, bool, bool, bool]
"""Which edges lie on the border of the picture, where they do not show a movement."""

UNCUT: Cut = (False, False, False, False)


def cut_by(edges: Edges, size: tuple[float, float]) -> Cut:
    """The edges that a picture of that size (width, height) cuts off."""
    x, y = BORDER * size[0], BORDER * size[1]
    return edges[0] < x, edges[1] < y, edges[2] > size[0] - x, edges[3] > size[1] - y


def way(a: Edges, b: Edges, coarse_px: float = 1.0, cut: Cut = UNCUT) -> float:
    """How far an object went from box `a` to box `b`, in sizes of `a`; 0 for a mere occlusion.

    No size counts as smaller than `coarse_px`; an edge that is cut goes with the opposite one.
    """
    width, height = a[2] - a[0], a[3] - a[1]
    x_unit = max(min(width, LONG_SIDE * height), coarse_px)
    y_unit = max(min(height, LONG_SIDE * width), coarse_px)
    left, right = (b[0] - a[0]) / x_unit, (b[2] - a[2]) / x_unit
    top, bottom = (b[1] - a[1]) / y_unit, (b[3] - a[3]) / y_unit
    left, right = right if cut[0] else left, left if cut[2] else right
    top, bottom = bottom if cut[1] else top, top if cut[3] else bottom
    across = min(abs(left), abs(right)) if left * right > 0 else 0.0
    down = min(abs(top), abs(bottom)) if top * bottom > 0 else 0.0
    three_edges = sorted((abs(left), abs(right), abs(top), abs(bottom)))[1]
    return max(across, down, three_edges)


def centred(a: Edges, b: Edges) -> tuple[Edges, Edges]:
    """The first box, and the same box at the centre of the second."""
    x, y = (b[0] + b[2] - a[0] - a[2]) / 2, (b[1] + b[3] - a[1] - a[3]) / 2
    return a, (a[0] + x, a[1] + y, a[2] + x, a[3] + y)


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
    cut: Cut

    def agrees(self, other: Beat) -> bool:
        """True when nothing says that the object moved between the two."""
        least = max(AGREE, AGREE_ONE / math.sqrt(min(self.n, other.n)))
        if way(self.edges, other.edges, AGREE_PX / AGREE, self.cut) > least:
            return False
        return way(*centred(self.edges, other.edges), AGREE_PX / AGREE) <= CENTRE * least

    def scatter(self, place: Edges) -> float:
        """How far from a place a single box of this beat would be expected, in its sizes."""
        return way(place, self.edges, AGREE_PX / AGREE, self.cut) * math.sqrt(self.n)

    def is_at(self, anchor: Edges, slack: float) -> bool:
        """False when the object left that place, with so many times the usual tolerance."""
        least = max(LEAVES, LEAVES_ONE / math.sqrt(self.n)) * slack
        return way(anchor, self.edges, LEAVES_PX / LEAVES, self.cut) <= least


def trim(stay: list[Beat]) -> None:
    """Take the end of the braking from the old end of agreeing beats, the newest of which is first.

    How far the newer half scatters tells what is braking and what is jitter.
    """
    newer = stay[: max(2, len(stay) // 2)]
    here = middle([beat.edges for beat in newer])
    scatter = median(beat.scatter(here) for beat in newer)
    while len(stay) > 2:
        oldest = stay[-1]
        if oldest.scatter(here) <= max(STOPPED * math.sqrt(oldest.n), SCATTER * scatter):
            return
        stay.pop()


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object stood, since when and until when."""

    anchor: Edges
    since_s: float
    left_s: float


class Stillness:
    """Judges one object; `observe` it whenever it is seen."""

    def __init__(self, size: tuple[float, float]) -> None:
        self._size = size
        self.since_s: float | None = None
        """Media time since which it has stood, or None while it moves."""
        self.anchor: Edges | None = None
        """Where it stands, or None while it moves."""
        self.is_leaving = False
        """It stood, and was somewhere else of late: soon to be called moving."""
        self.is_frozen = False
        """It has stood so long that only a real movement counts."""
        self._first_s = math.inf
        self._t_s = -math.inf
        self._slot_s = 0.0
        self._slot: list[Edges] = []
        self._beats: deque[Beat] = deque()
        self._doubts = 0
        self._left: Place | None = None
        self._wider: list[tuple[float, Edges]] = []

    def observe(self, t_s: float, edges: Edges, is_covered: bool = False) -> None:
        """Take a measured box into account; times must rise.

        `is_covered` says that something that moves is in front of, or behind, the object.
        """
        self._first_s = min(self._first_s, t_s)
        if not self._slot:
            self._slot_s = t_s
        self._slot.append(edges)
        is_beat = t_s - min(self._slot_s, self._t_s) >= BEAT_S
        self._t_s = t_s
        if is_beat:
            box = middle(self._slot)
            self._beats.append(Beat(self._slot_s, box, len(self._slot), cut_by(box, self._size)))
            self._slot = []
            if self.is_frozen:
                self._watch(t_s, is_covered)
            if not self.is_frozen:
                self._judge(t_s)

    def widen(self, t_s: float, edges: Edges) -> None:
        """It stands where this box is, which shows more of it than the anchor does."""
        self._wider = [(t, box) for t, box in self._wider if t_s - t <= WIDER_S]
        self._wider.append((t_s, edges))
        sights = sum(beat.n for beat in self._beats if t_s - beat.begin_s <= WIDER_S)
        is_long = t_s - self._wider[0][0] >= WIDER_S / 2
        if is_long and len(self._wider) >= max(3, WIDER_SHARE * sights):
            self.anchor = middle([box for _, box in self._wider])
            self._wider = []

    def backdate(self, since_s: float | None) -> None:
        """It is known to have stood there before it was observed."""
        if since_s is not None and self.since_s is not None:
            self.since_s = min(since_s, self.since_s)

    def scale(self, x: float, y: float) -> None:
        """The picture has another size now."""
        self._slot = [scaled(edges, x, y) for edges in self._slot]
        self._size = (self._size[0] * x, self._size[1] * y)
        self._beats = deque(replace(beat, edges=scaled(beat.edges, x, y)) for beat in self._beats)
        self.anchor = scaled(self.anchor, x, y) if self.anchor else None
        self._wider = []
        if self._left:
            self._left = replace(self._left, anchor=scaled(self._left.anchor, x, y))

    def _watch(self, t_s: float, is_covered: bool) -> None:
        """See whether it leaves its anchor: two beats in a row."""
        slack = COVERED if is_covered else 1.0
        if self.anchor is None or self._beats[-1].is_at(self.anchor, slack):
            self.is_leaving = False
        elif self.is_leaving:
            self._move(t_s)
        else:
            self.is_leaving = True
        self._trim(t_s)

    def _move(self, t_s: float) -> None:
        if self.is_frozen and self.anchor is not None and self.since_s is not None:
            self._left = Place(self.anchor, self.since_s, t_s)
        self.since_s = self.anchor = None
        self.is_frozen = self.is_leaving = False
        self._doubts = 0

    def _trim(self, t_s: float) -> None:
        while len(self._beats) > 3 and self._beats[-3].begin_s < t_s - FROZEN_S - 2 * BEAT_S:
            self._beats.popleft()

    def _judge(self, t_s: float) -> None:
        """Walk back for as long as beats agree with the newest; what passes makes some odd."""
        self._trim(t_s)
        here = self._beats[-1]
        stay: list[Beat] = []
        odd = 0
        for beat in reversed(self._beats):
            odd = 0 if here.agrees(beat) else odd + 1
            if odd > ODD:
                break
            if not odd:
                stay.append(beat)
        if stay[-1].begin_s > self._first_s:
            trim(stay)
        since_s = stay[-1].begin_s
        if len(stay) > 1 and t_s - since_s >= SETTLES_S:
            self._settle(t_s, stay)
        elif self.anchor is not None:
            self._doubts += 1
            if self._doubts > 1:
                self._move(t_s)

    def _settle(self, t_s: float, stay: Sequence[Beat]) -> None:
        self.since_s, self._doubts = stay[-1].begin_s, 0
        self.anchor = middle([beat.edges for beat in stay])
        self.is_frozen = t_s - self.since_s >= FROZEN_S
        left = self._left
        if left and t_s - left.left_s <= BACK_S and stay[0].is_at(left.anchor, 0.5):
            self.since_s, self.anchor, self.is_frozen = left.since_s, left.anchor, True
