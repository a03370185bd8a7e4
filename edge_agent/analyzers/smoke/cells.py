"""What flickers like flames and what veils like smoke, cell by cell of a small picture.

Fire: warm, bright pixels whose brightness keeps jumping while the place stays (flames flicker at
2 to 12 Hz, whatever burns: Cetegen and Ahmed, 1993). Smoke: the background's own detail shines
through, but with less contrast than its brightness accounts for (Toreyin et al., 2005); a shadow
takes as much from both, an object hides the detail and brings its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Bytes = NDArray[np.uint8]

CELL = 8
"""px of the small picture."""
FOLLOW_S = 30.0
"""Time constant with which the background is followed; until then it is a plain mean."""
LEARN_S = 6.0
"""How long the background is followed before anything is suspected."""
HELD = 0.1
"""How much slower it is followed where something is suspected."""
VEIL_S = 0.4
"""Pause between two looks for smoke, which drifts where flames leap."""
FLICKER_S = 1.5
"""Time over which jumps of brightness are averaged."""
WARM_RED = 170
"""Grey levels of the red channel from which on a flame is bright."""
WARM = np.array([(0, 0, 1, 0), (0, -1, 1, 1), (-27, 20, 0, 1)], np.float32)
"""From blue, green, red, 1: red, and what is above 0 where red is no less than green and green no
less than 1.35 times blue."""
JUMP = 8.0
"""Mean jump of brightness in grey levels from look to look within flames."""
FLAME_SHARE = 0.15
"""Share of a cell that is flame-coloured."""
HAS_DETAIL = 9.0
"""Mean square of static detail, in grey levels, of cells in which smoke can be told."""
STEADY = 0.5
"""Share of all detail that must be static: leaves in the wind veil themselves."""
VEIL = 0.65
"""Contrast that a veiled cell has left, over what its brightness accounts for."""
SHINES = 0.12
"""Contrast that it must have left to be seen through."""
PURITY = 0.5
"""Share of the detail of a cell that is seen through which is the background's."""
LATELY_S = 2.0
TONE = 6.0
"""Grey levels by which a veiled cell must differ from its background."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """(rows, columns) bool each."""

    is_flame: Array
    is_veil: Array
    """The background's detail has lost contrast."""
    is_haze: Array
    """Without detail to lose, but brighter or darker than it was and still smooth."""
    is_clear: Array
    """What detail a veiled cell has, or had lately, is the background's: it is translucent."""
    share_veiled: float
    """Veiled cells over all cells in which that can be told."""


class Watch:
    """The background of the cells and how restless they are."""

    def __init__(self) -> None:
        self._last: Array | None = None
        self._age_s = self._waited_s = 0.0
        self._cells: Cells
        """What was found lately."""
        self._jump: Array
        self._warm: Array
        self._detail: Array
        """(h, w) mean detail: what moves has averaged out."""
        self._energy: Array
        """Of all detail, static or not."""
        self._tone: Array
        self._cleared_s: Array
        """When something translucent was last before each cell, on the scale of the age."""
        self._products: Array
        """Room to work in: what is made anew each time is never in the processor's cache."""

    def update(self, image: Bytes, step_s: float, is_busy: Array) -> Cells:
        """Look at a small BGR picture; `is_busy` (rows, columns) has traffic before it."""
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
        grey = grey[: len(grey) // CELL * CELL, : grey.shape[1] // CELL * CELL]
        tone = _mean(grey)
        warm = _warm(image, tone.shape)
        if self._last is None or self._last.shape != grey.shape:
            self._begin(grey, tone, warm, step_s)
            return self._cells
        jump = _mean(cv2.absdiff(grey, self._last, self._products))
        self._last = grey
        self._jump += min(1.0, step_s / FLICKER_S) * (jump - self._jump)
        is_flame = (warm > self._warm + FLAME_SHARE) & (self._jump > JUMP) & ~is_busy
        self._waited_s += step_s
        if self._waited_s < VEIL_S - 1e-6:
            self._cells = replace(self._cells, is_flame=is_flame)
            return self._cells
        detail = _detail(grey)
        now = (warm, tone, self._mean_product(detail, detail), detail)
        self._cells = self._veil(now[1:], is_flame, is_busy)
        is_held = is_flame | self._cells.is_veil | self._cells.is_haze | is_busy
        self._follow(now, is_held, self._waited_s)
        self._waited_s = 0.0
        return self._cells

    def _begin(self, grey: Array, tone: Array, warm: Array, step_s: float) -> None:
        """Take the first picture for the background."""
        self._products = np.empty_like(grey)
        self._jump, self._cleared_s = np.zeros_like(tone), np.full_like(tone, -np.inf)
        self._warm, self._detail, self._tone = warm, _detail(grey), tone
        self._energy = self._mean_product(self._detail, self._detail)
        self._last, self._age_s, self._waited_s = grey, step_s, 0.0
        nothing = np.zeros(tone.shape, bool)
        self._cells = Cells(nothing, nothing, nothing, nothing, 0.0)

    def _veil(self, now: tuple[Array, ...], is_flame: Array, is_busy: Array) -> Cells:
        tone, energy, detail = now
        is_free, is_other = ~is_busy, np.abs(tone - self._tone) > TONE
        static = self._mean_product(self._detail, self._detail)
        can_tell = (static > np.maximum(HAS_DETAIL, STEADY * self._energy)) & is_free
        contrast = self._mean_product(detail, self._detail) / np.maximum(static, 1e-3)
        brightness = (tone + 1) / (self._tone + 1)
        usual = _median(contrast[can_tell]) if can_tell.any() else 1.0
        is_veil = can_tell & is_other & (contrast < VEIL * min(usual, 1.0) * brightness)
        is_haze = ~can_tell & is_free & is_other & (energy < HAS_DETAIL)
        is_clear = is_veil & (contrast > SHINES) & (contrast**2 * static > PURITY * energy)
        self._cleared_s[is_clear] = self._age_s
        is_clear = is_veil & (self._age_s - self._cleared_s < LATELY_S)
        share = float(is_veil.sum() / max(can_tell.sum(), 1))
        return Cells(is_flame, is_veil, is_haze, is_clear, share)

    def _follow(self, now: tuple[Array, ...], is_held: Array, step_s: float) -> None:
        self._age_s += step_s
        rate = step_s / min(self._age_s, FOLLOW_S)
        held = HELD if self._age_s > LEARN_S else 1.0
        rates = np.where(is_held, held * rate, rate).astype(np.float32)
        warm, tone, energy, detail = now
        self._warm += rates * (warm - self._warm)
        self._energy += rates * (energy - self._energy)
        self._tone += rates * (tone - self._tone)
        wide = cv2.resize(rates, detail.shape[::-1], interpolation=cv2.INTER_NEAREST)
        change = np.subtract(detail, self._detail, out=self._products)
        self._detail += np.multiply(wide, change, out=change)

    def _mean_product(self, a: Array, b: Array) -> Array:
        return _mean(np.multiply(a, b, out=self._products))


def _detail(grey: Array) -> Array:
    blurred = cv2.GaussianBlur(grey, (0, 0), 2.0)
    return np.subtract(grey, blurred, out=blurred)


def _median(values: Array) -> float:
    """Of a flat array; NumPy's own takes ten times as long for a few hundred."""
    ordered, middle = np.sort(values), len(values) // 2
    return float((ordered[-1 - middle] + ordered[middle]) / 2)


def _warm(image: Bytes, shape: tuple[int, ...]) -> Array:
    """Shares of the cells that have the colour of flames; their core may be clipped to yellow."""
    red, red_over_green, green_over_blue = cv2.split(cv2.transform(image, WARM))
    _, is_bright = cv2.threshold(red, WARM_RED - 1, 1, cv2.THRESH_BINARY)
    is_warm = cv2.min(is_bright, cv2.min(red_over_green, green_over_blue))
    if not cv2.countNonZero(is_warm):
        return np.zeros(shape, np.float32)  # cheaper, and true of most pictures
    return _mean(is_warm.astype(np.float32))


def _mean(values: Array) -> Array:
    """(h // CELL, w // CELL) means of square cells."""
    rows, columns = values.shape[0] // CELL, values.shape[1] // CELL
    cut = np.ascontiguousarray(values[: rows * CELL, : columns * CELL])
    return cv2.resize(cut, (columns, rows), interpolation=cv2.INTER_AREA).reshape(rows, columns)
