"""What lies on the ground of a zone that was not there before, pixel by pixel.

Two pictures are kept: the ground as it is known, and what has been seen in its stead most of the
time since (a majority vote per pixel: Boyer and Moore, 1981). Passing traffic wins no majority.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Bytes = NDArray[np.uint8]

CONTRAST = 18
"""Grey levels of any colour channel by which something must differ from the ground."""
SAMENESS = 14
"""Grey levels within which a pixel shows the same thing again."""
FOLLOW_S = 20.0
"""Time constant with which the known ground follows the light."""
SHADE = (0.3, 2.5)
"""A shadow or a patch of sun changes the brightness of the ground by no more than this."""
TINT = 0.10
"""It changes the colour channels alike, up to this share,"""
UNEVENNESS = 0.08
"""and the whole patch alike: spread of the ratio over the ratio."""
KINSHIP = 0.6
"""Correlation of what was seen before and after from which on the ground still shows through."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A connected region that shows something else than the ground."""

    box: tuple[int, int, int, int]
    """x1, y1, x2, y2 in px of the ground's picture."""
    mask: Array
    """(y2 - y1, x2 - x1) bool."""
    seen_s: float
    """For how long most of it has been seen."""

    @property
    def window(self) -> tuple[slice, slice]:
        x1, y1, x2, y2 = self.box
        return slice(y1, y2), slice(x1, x2)


class Ground:
    """The known ground of a picture and what has come upon it."""

    def __init__(self, known: Array, limit_s: float) -> None:
        """`known` is (h, w, 3); no vote counts for more than `limit_s`."""
        self._limit_s = limit_s
        self._known = known.astype(np.float32)
        self._new = self._known.copy()
        self._seen_s = np.zeros(known.shape[:2], np.float32)
        self._now = cv2.convertScaleAbs(self._known)

    def update(self, image: Bytes, is_free: Bytes, step_s: float) -> None:
        """Vote on what each pixel shows.

        is_free: (h, w), 255 where nothing known stands before the ground.
        """
        self._now = now = self._in_known_light(image, is_free)
        is_ground = _within(now, self._known, CONTRAST, is_free)
        is_same = _within(now, self._new, SAMENESS, cv2.subtract(is_free, is_ground))
        is_other = cv2.subtract(is_free, is_same)
        votes = cv2.subtract(is_same, is_other, dtype=cv2.CV_32F)
        self._seen_s += votes * np.float32(step_s / 255)
        is_next = (self._seen_s <= 0) & (cv2.subtract(is_other, is_ground) > 0)
        self._seen_s[is_next] = step_s
        np.clip(self._seen_s, 0, self._limit_s, out=self._seen_s)
        cv2.accumulateWeighted(now, self._new, 0.3, mask=is_same)
        self._new[is_next] = now[is_next]
        rate = min(1.0, step_s / FOLLOW_S)
        cv2.accumulateWeighted(now, self._known, rate, mask=is_ground)

    def patches(self, after_s: float, smallest: float) -> list[Patch]:
        """What has been seen for longer than that and is as wide, from top to bottom.

        smallest: px, of the diagonal.
        """
        is_lasting = (self._seen_s >= after_s).astype(np.uint8)
        if not is_lasting.any():
            return []
        closed = cv2.morphologyEx(is_lasting, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        _, labels, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
        found = []
        for label, (x, y, width, height, _) in enumerate(stats[1:].tolist(), start=1):
            if math.hypot(width, height) < smallest:
                continue
            mask = labels[y : y + height, x : x + width] == label
            votes = self._seen_s[y : y + height, x : x + width][mask]
            found.append(Patch((x, y, x + width, y + height), mask, float(np.median(votes))))
        return found

    def accept(self, patch: Patch) -> None:
        """Take what lies there as the ground."""
        window, mask = patch.window, patch.mask
        self._known[window][mask] = self._new[window][mask]
        self._seen_s[window][mask] = 0

    def is_in_sight(self, patch: Patch) -> bool:
        """True while the latest picture shows it."""
        window, mask = patch.window, patch.mask
        difference = _difference(self._now[window], self._new[window])[mask]
        return float((difference < SAMENESS).mean()) >= 0.7

    def is_cleared(self, patch: Patch) -> bool:
        """True when the ground shows again at most of the place."""
        return float((self._seen_s[patch.window][patch.mask] <= 0).mean()) >= 0.6

    def has_outline(self, patch: Patch) -> bool:
        """True for an object, false for a place that something has left or that has no edge.

        An object's outline is an edge of the new picture; what has driven off leaves one in the
        old.
        """
        outer = _grown(patch, self._known.shape, 3)
        mask = np.pad(patch.mask, _margins(patch, outer)).astype(np.uint8)
        kernel = np.ones((3, 3), np.uint8)
        ring = cv2.dilate(mask, kernel) - cv2.erode(mask, kernel) > 0
        now, before = (_slope(picture[outer])[ring] for picture in (self._now, self._known))
        inside = _difference(self._new[patch.window], self._known[patch.window])[patch.mask]
        contrast = float(np.median(inside))
        sharp = float(np.percentile(now, 75))
        return sharp >= max(0.2 * contrast, 5.0) and sharp >= 1.5 * float(np.percentile(before, 75))

    def is_light(self, patch: Patch) -> bool:
        """True when the ground still shows through, only brighter or darker."""
        mask = cv2.erode(patch.mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        mask = mask if mask.sum() >= 9 else patch.mask
        new, known = (picture[patch.window][mask] for picture in (self._new, self._known))
        ratios = (new + 4) / (known + 4)
        shade = float(np.median(ratios))
        tint = np.abs(np.median(ratios, axis=0) / shade - 1).max()
        if not SHADE[0] < shade < SHADE[1] or tint > TINT:
            return False
        grey_new, grey_known = new.mean(axis=1), known.mean(axis=1)
        grey = (grey_new + 4) / (grey_known + 4)
        if grey_known.std() > 6 and grey_new.std() > 2:
            return float(np.corrcoef(grey_new, grey_known)[0, 1]) > KINSHIP
        return float(grey.std() / grey.mean()) < UNEVENNESS

    def _in_known_light(self, image: Bytes, is_free: Bytes) -> Bytes:
        """The picture as it would be if the camera still exposed as it did."""
        usable = (is_free[4::8, 4::8] > 0) & (self._seen_s[4::8, 4::8] <= 0)
        where = np.flatnonzero(usable)
        if len(where) < 50:
            return image
        now, known = (p[4::8, 4::8].reshape(-1, 3)[where] + 1.0 for p in (image, self._known))
        ordered = np.sort(known / now, axis=0)  # a third of the time of NumPy's median
        middle = (ordered[(len(where) - 1) // 2] + ordered[len(where) // 2]) / 2
        gain = np.clip(middle, 0.3, 3.0)
        if np.abs(gain - 1).max() < 0.01:
            return image
        factors: Any = (*(float(g) for g in gain), 0.0)  # the stubs know no scalars
        return np.asarray(cv2.multiply(image, factors, dtype=cv2.CV_8U), np.uint8)


def _within(now: Bytes, picture: Array, limit: int, where: Array) -> Bytes:
    """255 where the two differ by less than `limit` in every channel, within `where`."""
    parts = cv2.split(cv2.absdiff(now, cv2.convertScaleAbs(picture)))
    largest = cv2.max(cv2.max(parts[0], parts[1]), parts[2])
    return np.asarray((largest < limit) * where, np.uint8)


def _difference(a: Array, b: Array) -> Array:
    return np.asarray(np.abs(a - b.astype(np.float32)).max(axis=2))


def _slope(picture: Array) -> Array:
    """(h, w) steepest slope of any channel, grey levels per px."""
    dx, dy = (
        cv2.Sobel(picture.astype(np.float32), cv2.CV_32F, *order, scale=1 / 8)
        for order in ((1, 0), (0, 1))
    )
    return np.asarray(np.hypot(dx, dy).max(axis=2))


def _grown(patch: Patch, shape: tuple[int, ...], margin: int) -> tuple[slice, slice]:
    x1, y1, x2, y2 = patch.box
    rows = slice(max(0, y1 - margin), min(shape[0], y2 + margin))
    return rows, slice(max(0, x1 - margin), min(shape[1], x2 + margin))


def _margins(patch: Patch, outer: tuple[slice, slice]) -> tuple[tuple[int, int], tuple[int, int]]:
    x1, y1, x2, y2 = patch.box
    rows, columns = outer
    return (y1 - rows.start, rows.stop - y2), (x1 - columns.start, columns.stop - x2)
