"""A decoded picture as everybody sees it: converted only when, and as far as, somebody asks."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(H, W, 3) BGR, or (H, W) grey."""

Window = tuple[int, int, int, int]
"""A part of the picture: x1, y1, x2, y2 in px."""


@runtime_checkable
class Picture(Protocol):
    """One decoded picture that is converted only when, and at the size, somebody asks.

    Conversion of a 1080p picture costs as much as a tenth of its inference, and most frames are
    only ever looked at in the detector's input size; so the native image is made on demand.
    """

    width: int
    height: int

    def bgr(self) -> Image:
        """(height, width, 3) uint8 BGR, read-only, native resolution."""
        ...

    def scaled(self, width: int, height: int) -> Image:
        """(height, width, 3) uint8 BGR, freshly made; the aspect ratio is the caller's affair."""
        ...

    def grey(self, width: int, height: int) -> Image:
        """(height, width) uint8 luma."""
        ...

    def small(self, width: int, height: int, part: Window | None = None) -> Image:
        """Like `scaled` in half the time, for sizes below the native: to have an eye on the whole.

        The two differ by some grey levels where colours change. Of a `part` (px of that size) no
        more is converted.
        """
        ...

    def small_grey(self, width: int, height: int) -> Image:
        """Like `grey` in half the time; the two may differ by a grey level."""
        ...

    def sample(self, window: Window, step: int) -> Image:
        """(h, w, 3) uint8 BGR: every `step`-th pixel, both ways, of a part of the native picture.

        Nothing else is converted, so that a few small parts cost next to nothing.
        """
        ...


class ArrayPicture:
    """A picture that is already an array: stills, tests."""

    def __init__(self, image: Image) -> None:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"picture: expected (H, W, 3) uint8, got {image.shape} {image.dtype}")
        view = image.view()
        view.flags.writeable = False
        self._image = view
        self.height, self.width = image.shape[:2]

    def bgr(self) -> Image:
        return self._image

    def scaled(self, width: int, height: int) -> Image:
        shrinks = width < self.width
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(self._image, (width, height), interpolation=how), np.uint8)

    def grey(self, width: int, height: int) -> Image:
        return np.asarray(cv2.cvtColor(self.scaled(width, height), cv2.COLOR_BGR2GRAY), np.uint8)

    def small(self, width: int, height: int, part: Window | None = None) -> Image:
        x1, y1, x2, y2 = part or (0, 0, width, height)
        return self.scaled(width, height)[y1:y2, x1:x2]

    def small_grey(self, width: int, height: int) -> Image:
        return self.grey(width, height)

    def sample(self, window: Window, step: int) -> Image:
        x1, y1, x2, y2 = window
        return self._image[y1:y2:step, x1:x2:step]
