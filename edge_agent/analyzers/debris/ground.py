"""What lies on the ground of a zone that was not there before, pixel by pixel.

Two pictures are kept: the ground as it is known, and what has been seen in its stead most of the
time since (a majority vote per pixel: Boyer and Moore, 1981). Passing traffic wins no majority.

Pictures are kept colour by colour: OpenCV is several times as fast on planes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Bytes = NDArray[np.uint8]
Planes = Sequence[Array]
"""Blue, green and red; (h, w) each."""

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
        self._known = cv2.split(known.astype(np.float32))
        self._new = [plane.copy() for plane in self._known]
        self._seen_s = np.zeros(known.shape[:2], np.float32)
        self._now: Planes = [cv2.convertScaleAbs(plane) for plane in self._known]

    def update(self, image: Bytes, is_free: Bytes, step_s: float) -> None:
        """Vote on what each pixel shows.

        is_free: (h, w), 255 where nothing known stands before the ground.
        """
        self._now = now = self._in_known_light(cv2.split(image), is_free)
        is_ground = _within(now, self._known, CONTRAST, is_free)
        is_open = np.asarray(cv2.subtract(is_free, is_ground), np.uint8)
        is_same = _within(now, self._new, SAMENESS, is_open)
        is_other = cv2.subtract(is_free, is_same)
        votes = cv2.subtract(is_same, is_other, dtype=cv2.CV_32F)
        self._seen_s += votes * np.float32(step_s / 255)
        is_next = (self._seen_s <= 0) & (cv2.subtract(is_other, is_ground) > 0)
        where = np.flatnonzero(is_next)  # few
        self._seen_s.reshape(-1)[where] = step_s
        np.clip(self._seen_s, 0, self._limit_s, out=self._seen_s)
        rate = min(1.0, step_s / FOLLOW_S)
        for seen, new, known in zip(now, self._new, self._known, strict=True):
            cv2.accumulateWeighted(seen, new, 0.3, mask=is_same)
            new.reshape(-1)[where] = seen.reshape(-1)[where]
            cv2.accumulateWeighted(seen, known, rate, mask=is_ground)

    def patches(self, after_s: float, smallest: float) -> list[Patch]:
        """What has been seen for longer than that and is as wide, from top to bottom.

        smallest: px, of the diagonal.
        """
        is_lasting = (self._seen_s >= after_s).astype(np.uint8)
        if not is_lasting.any():
            return []
        closed = cv2.morphologyEx(is_lasting, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        _, labels = cv2.connectedComponents(closed, connectivity=8)
        found = []
        for label, (x1, y1, x2, y2) in _boxes(closed, labels, smallest):
            mask = labels[y1:y2, x1:x2] == label
            votes = self._seen_s[y1:y2, x1:x2][mask]
            found.append(Patch((x1, y1, x2, y2), mask, quantile(votes, 0.5)))
        return found

    def accept(self, patch: Patch) -> None:
        """Take what lies there as the ground."""
        window, mask = patch.window, patch.mask
        for known, new in zip(self._known, self._new, strict=True):
            known[window][mask] = new[window][mask]
        self._seen_s[window][mask] = 0

    def is_in_sight(self, patch: Patch) -> bool:
        """True while the latest picture shows it."""
        window, mask = patch.window, patch.mask
        difference = _difference(_part(self._now, window), _part(self._new, window))[mask]
        return float((difference < SAMENESS).mean()) >= 0.7

    def is_cleared(self, patch: Patch) -> bool:
        """True when the ground shows again at most of the place."""
        return float((self._seen_s[patch.window][patch.mask] <= 0).mean()) >= 0.6

    def has_outline(self, patch: Patch) -> bool:
        """True for an object, false for a place that something has left or that has no edge.

        An object's outline is an edge of the new picture; what has driven off leaves one in the
        old.
        """
        outer = _grown(patch, self._seen_s.shape, 3)
        mask = _padded(patch, outer)
        kernel = np.ones((3, 3), np.uint8)
        ring = cv2.dilate(mask, kernel) - cv2.erode(mask, kernel) > 0
        sharp = quantile(_slope(_part(self._now, outer))[ring], 0.75)
        if sharp < 5.0 or sharp < 1.5 * quantile(_slope(_part(self._known, outer))[ring], 0.75):
            return False
        new, known = _part(self._new, patch.window), _part(self._known, patch.window)
        return sharp >= 0.2 * quantile(_difference(new, known)[patch.mask], 0.5)

    def is_light(self, patch: Patch) -> bool:
        """True when the ground still shows through, only brighter or darker."""
        mask = cv2.erode(patch.mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        mask = mask if mask.sum() >= 9 else patch.mask
        new, known = (_part(picture, patch.window)[mask] for picture in (self._new, self._known))
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

    def _in_known_light(self, image: Planes, is_free: Bytes) -> Planes:
        """The picture as it would be if the camera still exposed as it did."""
        usable = (is_free[4::8, 4::8] > 0) & (self._seen_s[4::8, 4::8] <= 0)
        where = np.flatnonzero(usable)
        if len(where) < 50:
            return image
        gains = []
        for seen, known in zip(image, self._known, strict=True):
            now, before = (plane[4::8, 4::8].reshape(-1)[where] + 1.0 for plane in (seen, known))
            gains.append(min(max(quantile(before / now, 0.5), 0.3), 3.0))
        if all(abs(gain - 1) < 0.01 for gain in gains):
            return image
        return [cv2.convertScaleAbs(p, alpha=gain) for p, gain in zip(image, gains, strict=True)]


def quantile(values: Array, share: float) -> float:
    """Interpolated; NumPy's own takes ten times as long for a few hundred."""
    ordered, at = np.sort(values), share * (len(values) - 1)
    low, high = ordered[int(at)], ordered[math.ceil(at)]
    return float(low + (high - low) * (at - int(at)))


def _boxes(
    closed: Array, labels: Array, smallest: float
) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    """Label and box of every region whose diagonal is no shorter than `smallest`.

    OpenCV's own statistics take ten times as long as its labels.
    """
    x, y = cv2.findNonZero(closed).reshape(-1, 2).T
    label = labels[y, x]
    # Connected pixels are as many as the box's longer side, at least.
    for each in np.flatnonzero(np.bincount(label) >= smallest / math.sqrt(2)).tolist():
        at = label == each
        across, down = x[at], y[at]
        box = (int(across.min()), int(down[0]), int(across.max()) + 1, int(down[-1]) + 1)
        if math.hypot(box[2] - box[0], box[3] - box[1]) >= smallest:
            yield each, box


def _within(now: Planes, picture: Planes, limit: int, where: Bytes) -> Bytes:
    """255 where the two differ by less than `limit` in every colour, within `where`."""
    parts = [cv2.absdiff(a, cv2.convertScaleAbs(b)) for a, b in zip(now, picture, strict=True)]
    largest = cv2.max(cv2.max(parts[0], parts[1]), parts[2])
    _, is_near = cv2.threshold(largest, limit - 1, 255, cv2.THRESH_BINARY_INV)
    return np.asarray(cv2.bitwise_and(is_near, where), np.uint8)


def _part(picture: Planes, window: tuple[slice, slice]) -> Array:
    """(h, w, 3)."""
    return np.asarray(cv2.merge([plane[window] for plane in picture]))


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


def _padded(patch: Patch, outer: tuple[slice, slice]) -> Bytes:
    """The patch's mask in a larger window, 0 or 1."""
    x1, y1, x2, y2 = patch.box
    rows, columns = outer
    mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    mask[y1 - rows.start : y2 - rows.start, x1 - columns.start : x2 - columns.start] = patch.mask
    return mask
