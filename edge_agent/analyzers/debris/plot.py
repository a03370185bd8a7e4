"""The part of the picture that a zone takes up, cut out at a working size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.geometry import Polygon
from edge_agent.types import Box, Frame

WIDTH = 640
"""px of the whole picture, or the camera's own if that is less."""


@dataclass(frozen=True, slots=True, eq=False)
class Plot:
    """Where the cut-out lies; boxes are converted from and to px of the native picture."""

    size: tuple[int, int]
    """(width, height) of the whole picture at working size."""
    corner: tuple[int, int]
    """x, y of the cut-out in it."""
    is_zone: NDArray[np.uint8]
    """(h, w) of the cut-out, 255 inside."""
    scale: float
    """Working px per native px."""

    @classmethod
    def of(cls, zone: Polygon, frame: Frame) -> Plot:
        """The cut-out around the zone in pictures of that size."""
        width = min(WIDTH, frame.width)
        size = (width, max(1, round(frame.height * width / frame.width)))
        mask = np.zeros(size[::-1], np.uint8)
        cv2.fillPoly(mask, [zone.in_px(*size)], 255)
        x, y, w, h = cv2.boundingRect(mask)
        return cls(size, (x, y), mask[y : y + h, x : x + w], width / frame.width)

    def cut(self, frame: Frame) -> NDArray[np.uint8]:
        """(h, w, 3) BGR."""
        x, y = self.corner
        height, width = self.is_zone.shape
        return frame.picture.small(*self.size, (x, y, x + width, y + height))

    def free(self, boxes: Iterable[Box]) -> NDArray[np.uint8]:
        """(h, w), 255 in the zone where none of the boxes is."""
        mask = self.is_zone.copy()
        x, y = self.corner
        for box in boxes:
            corners = np.array([box.x1, box.y1, box.x2, box.y2]) * self.scale - (x, y, x, y)
            x1, y1, x2, y2 = (int(v) for v in np.rint(corners))
            cv2.rectangle(mask, (x1, y1), (x2, y2), 0, -1)
        return mask

    def native(self, box: tuple[int, int, int, int]) -> Box:
        """A box of the cut-out in px of the native picture."""
        x, y = self.corner
        x1, y1, x2, y2 = box
        return Box(
            *((v + o) / self.scale for v, o in zip((x1, y1, x2, y2), (x, y, x, y), strict=True))
        )
