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
        self._opened: Bytes | None = None
        self._opened_s = 0.0
        self._previous: Bytes | None = None

    def is_open(self, frame: Frame) -> bool:
        """Decide for one frame; sees every frame of one camera in order."""
        grey = np.asarray(cv2.blur(frame.small_grey, (3, 3)), np.uint8)
        previous, self._previous = self._previous, grey
        if (
            self._opened is not None
            and previous is not None
            and previous.shape == grey.shape == self._opened.shape
            and frame.t_s - self._opened_s < self._max_quiet_s
            and not self._has_changed(grey, self._opened, _noise(grey, previous))
        ):
            return False
        self._opened, self._opened_s = grey, frame.t_s
        return True

    def _has_changed(self, grey: Bytes, opened: Bytes, noise: float) -> bool:
        threshold = min(8.0 + 3.0 * noise, 20.0)
        differs = (cv2.absdiff(grey, opened) > threshold).view(np.uint8)
        # half a block of overlap, or a patch on a seam would be cut into quarters
        size = (self.BLOCK, self.BLOCK)
        count = cv2.boxFilter(
            differs, cv2.CV_32F, size, normalize=False, borderType=cv2.BORDER_CONSTANT
        )
        half = self.BLOCK // 2
        return float(count[half::half, half::half].max()) >= self._min_area * grey.size


def _noise(grey: Bytes, previous: Bytes) -> float:
    """Typical change of a pixel from one frame to the next, in grey levels."""
    return float(np.median(cv2.absdiff(grey[::4, ::4], previous[::4, ::4])))
