"""A background that keeps standing objects in the foreground: the memory of the motion detector."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Bytes = NDArray[np.uint8]
Gain = tuple[float, float, float]


@dataclass(frozen=True)
class BackgroundSettings:
    """Times in seconds, grey levels on 0..255."""

    warm_up_s: float = 1.0
    adapt_s: float = 8.0
    """Time constant with which the empty road follows the light."""
    absorb_s: float = 1800.0
    """An object that stands this long becomes part of the background."""
    flicker_s: float = 6.0
    """Time constant over which restless pixels (leaves, water) are recognised."""
    min_contrast: float = 16.0
    """Smallest difference of any colour channel that counts."""
    noise_factor: float = 4.0
    """How many mean deviations a difference must exceed."""
    restless_per_s: float = 3.0
    """A pixel that appears and vanishes more often than this is no object."""
    reset_share: float = 0.7
    """More foreground than this share of the picture for `reset_s` is a new view."""
    reset_s: float = 2.0


class Background:
    """What the scene looks like without its moving objects.

    A mean picture and its mean deviation per pixel. Pixels under an object are not learnt, only
    carried along with the global light, until the object has been there for `absorb_s`; all rates
    follow from the media clock, so dropped frames do not bend them.
    """

    def __init__(self, settings: BackgroundSettings) -> None:
        self._settings = settings
        self._samples: list[Bytes] = []
        self._started_s = 0.0
        self._t_s = 0.0
        self._mean: Array | None = None
        self._flooded_since: float | None = None

    @property
    def is_ready(self) -> bool:
        return self._mean is not None

    def warm_up(self, image: Bytes, t_s: float) -> None:
        """Collect pictures until their median can serve as the background."""
        if not self._samples:
            self._started_s = t_s
        samples, spacing = self._samples, self._settings.warm_up_s / 10
        if not samples or t_s - self._t_s >= spacing:
            samples.append(image.copy())
            self._t_s = t_s
        if t_s - self._started_s >= self._settings.warm_up_s and len(samples) >= 3:
            stack = np.stack(samples[-11:])
            self._mean = np.median(stack, axis=0).astype(np.float32)
            spread = np.median(np.abs(stack - self._mean).max(axis=3), axis=0)
            self._deviation = np.clip(1.5 * spread, 1.0, 5.0).astype(np.float32)
            shape = image.shape[:2]
            self._since = np.full(shape, np.inf, np.float32)
            self._flicker = np.zeros(shape, np.float32)
            self._previous = np.zeros(shape, np.uint8)
            self._hidden = np.zeros(shape, np.uint8)
            self._step_s = (t_s - self._started_s) / len(samples)
            self._aged_s = self._limit_s = t_s
            self._limit: Bytes | None = None
            self._samples = []

    def differ(self, image: Bytes) -> tuple[Bytes, Bytes]:
        """(reference, difference): the background in today's light, and how far the picture is off.

        The difference is the largest of the three channels.
        """
        assert self._mean is not None
        self._gain = self._measure_gain(image)
        reference = _scaled(self._mean, self._gain)
        if max(abs(g - 1) for g in self._gain) > 0.03:
            self._spare_highlights(image, reference)
        parts = cv2.split(cv2.absdiff(image, reference))
        return reference, np.asarray(cv2.max(cv2.max(parts[0], parts[1]), parts[2]), np.uint8)

    def threshold(self) -> Bytes:
        """(H, W) the difference from which on a pixel is foreground; renewed now and then."""
        if self._limit is None or abs(self._t_s - self._limit_s) > 0.25:
            options = self._settings
            limit = np.maximum(self._deviation * options.noise_factor, options.min_contrast)
            restless = 255 * min(options.restless_per_s * self._step_s, 0.4)
            limit[self._flicker > restless] = 255
            self._limit, self._limit_s = np.asarray(cv2.convertScaleAbs(limit)), self._t_s
        return self._limit

    def learn(
        self, image: Bytes, difference: Bytes, raw: Bytes, objects: Bytes, t_s: float
    ) -> None:
        """Adapt to a picture.

        raw: 255 where the difference exceeds the threshold. objects: 255 where an object is.
        """
        assert self._mean is not None
        step = max(t_s - self._t_s, 1e-3)
        self._t_s = t_s
        options = self._settings
        age = max(t_s - self._started_s, 1.0)  # young backgrounds learn faster
        rate = 1 - math.exp(-step / min(options.adapt_s, age))
        # shadows and loose parts beside an object are no noise
        hidden = cv2.bitwise_and(raw, cv2.dilate(objects, _BOX_25))
        hidden = cv2.bitwise_or(hidden, cv2.dilate(objects, _DISC_9))
        free = cv2.bitwise_not(hidden)
        self._note_flicker(raw, step)
        cv2.accumulateWeighted(image, self._mean, rate, mask=free)
        cv2.accumulateWeighted(np.minimum(difference, 30), self._deviation, rate, mask=free)
        if any(abs(g - 1) > 0.01 for g in self._gain):
            carried = _scaled(self._mean, self._gain)
            cv2.accumulateWeighted(carried, self._mean, rate, mask=hidden)
        self._hidden = np.asarray(hidden, np.uint8)
        self._absorb_old(image, objects, t_s)
        self._watch_flood(objects, t_s)

    def absorb(self, image: Bytes, where: Array) -> None:
        """Take what is seen at these pixels as the background at once."""
        assert self._mean is not None
        self._mean[where] = image[where] / np.array(self._gain, np.float32)
        self._since[where] = np.inf

    def _measure_gain(self, image: Bytes) -> Gain:
        """Per channel, by how much the whole picture is brighter than the background."""
        assert self._mean is not None
        now, was = image[3::6, 3::6].reshape(-1, 3), self._mean[3::6, 3::6].reshape(-1, 3)
        usable = (was[:, 1] > 16) & (was[:, 1] < 235) & (now[:, 1] < 250)
        free = usable & (self._hidden[3::6, 3::6].ravel() == 0)
        usable = free if free.sum() > 0.05 * free.size else usable
        if usable.sum() < 0.02 * usable.size:
            return 1.0, 1.0, 1.0
        ratios = np.median(now[usable] / np.maximum(was[usable], 1.0), axis=0)
        b, g, r = (float(np.clip(ratio, 0.33, 3.0)) for ratio in ratios)
        return b, g, r

    def _spare_highlights(self, image: Bytes, reference: Bytes) -> None:
        """Saturated places do not follow the gain: accept all between the old and the new level."""
        assert self._mean is not None
        bright = np.flatnonzero(self._mean[:, :, 1] > 200)
        old = self._mean.reshape(-1, 3)[bright]
        new = reference.reshape(-1, 3)[bright]
        seen = image.reshape(-1, 3)[bright]
        reference.reshape(-1, 3)[bright] = np.clip(seen, np.minimum(old, new), np.maximum(old, new))

    def _note_flicker(self, raw: Bytes, step: float) -> None:
        """Running mean of the share of frames in which a pixel changes its state (0..255)."""
        changed = cv2.absdiff(raw, self._previous)
        rate = 1 - math.exp(-step / self._settings.flicker_s)
        cv2.accumulateWeighted(changed, self._flicker, rate)
        self._step_s += rate * (step - self._step_s)
        self._previous = raw

    def _absorb_old(self, image: Bytes, objects: Bytes, t_s: float) -> None:
        """Objects that have stood for very long become background; looked at once a second."""
        if t_s - self._aged_s < 1.0:
            return
        self._aged_s = t_s
        self._since[objects == 0] = np.inf
        np.minimum(self._since, np.float32(t_s), out=self._since, where=objects > 0)
        old = t_s - self._since > self._settings.absorb_s
        if old.any():
            self.absorb(image, old)

    def _watch_flood(self, objects: Bytes, t_s: float) -> None:
        """A new view or a light change beyond any gain: start again."""
        if cv2.countNonZero(objects) < self._settings.reset_share * objects.size:
            self._flooded_since = None
        elif self._flooded_since is None:
            self._flooded_since = t_s
        elif t_s - self._flooded_since >= self._settings.reset_s:
            self._mean, self._flooded_since = None, None


def _scaled(mean: Array, gain: Gain) -> Bytes:
    """The mean picture in another light, clipped to 0..255."""
    factors: Any = (*gain, 0.0)  # the stubs know no scalars
    return np.asarray(cv2.multiply(mean, factors, dtype=cv2.CV_8U), np.uint8)


_BOX_25 = np.ones((25, 25), np.uint8)
_DISC_9 = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
