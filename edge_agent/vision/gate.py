"""Sparing inferences on a scene in which nothing happens."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.types import Frame

Bytes = NDArray[np.uint8]


class MotionGate:
    """Opens when the picture has changed anywhere since it last opened.

    The comparison is with the frame of the last open decision, so that slow changes add up. A
    change is a small patch (0.05 % of the picture within one 16 x 16 block) that differs by more
    than the camera's noise; a light change opens it as well, because missing a vehicle is worse
    than one inference too many. It opens at least every `max_quiet_s`.
    """

    BLOCK = 16

    def __init__(self, max_quiet_s: float = 1.0, min_area: float = 0.0005) -> None:
        self._max_quiet_s = max_quiet_s
        self._min_area = min_area
        self.changed_s = 0.0
        self._opened: Bytes | None = None
        self._opened_s = 0.0
        self._previous: Bytes | None = None

    def is_open(self, frame: Frame) -> bool:
        """Decide for one frame; sees every frame of one camera in order."""
        grey = np.asarray(cv2.blur(frame.small_grey, (3, 3)), np.uint8)
        previous, self._previous = self._previous, grey
        opened = self._opened
        if (
            opened is None
            or previous is None
            or not previous.shape == grey.shape == opened.shape
            or self._has_changed(grey, opened, _noise(grey, previous))
        ):
            self.changed_s = frame.t_s
        elif frame.t_s - self._opened_s < self._max_quiet_s:
            return False
        self._opened, self._opened_s = grey, frame.t_s
        return True

    def _has_changed(self, grey: Bytes, opened: Bytes, noise: float) -> bool:
        threshold = min(8.0 + 3.0 * noise, 20.0)
        _, differs = cv2.threshold(cv2.absdiff(grey, opened), threshold, 1, cv2.THRESH_BINARY)
        most = _block_sums(np.asarray(differs, np.uint8), self.BLOCK).max()
        return float(most) >= self._min_area * grey.size


def _block_sums(image: Bytes, side: int) -> NDArray[np.int32]:
    """Sums over square blocks, cut off at the border of the picture.

    They overlap by half, or a patch on a seam would be cut into quarters.
    """
    rows, columns = (np.minimum(np.arange(0, n + side // 2, side // 2), n) for n in image.shape)
    sums = np.asarray(cv2.integral(image))[np.ix_(rows, columns)]
    return np.asarray(sums[2:, 2:] - sums[:-2, 2:] - sums[2:, :-2] + sums[:-2, :-2], np.int32)


def _noise(grey: Bytes, previous: Bytes) -> float:
    """Typical change of a pixel from one frame to the next, in grey levels."""
    return float(np.median(cv2.absdiff(grey[::4, ::4], previous[::4, ::4])))
