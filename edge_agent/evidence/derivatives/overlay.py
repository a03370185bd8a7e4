"""The photo for people: zone, vehicle and caption drawn on a copy."""

from __future__ import annotations

import cv2
import numpy as np

from edge_agent.evidence.derivatives.lettering import Ink, fit, write
from edge_agent.geometry import Polygon
from edge_agent.types import Box, Image

_ZONE = (0, 200, 255)
_VEHICLE = (40, 40, 255)
_CAPTION = Ink(28, (255, 255, 255), 500)


def draw_overlay(image: Image, zone: Polygon | None, vehicle: Box, caption: str) -> Image:
    """A copy of the picture with zone and vehicle outlined and the caption on a bar below it.

    The bar is added under the picture, so that it hides nothing.
    """
    height, width = image.shape[:2]
    drawn = image.copy()
    line = max(2, round(width / 500))
    if zone is not None:
        cv2.polylines(drawn, [zone.in_px(width, height)], True, _ZONE, line, cv2.LINE_AA)
    corners = tuple(round(edge) for edge in vehicle.edges)
    cv2.rectangle(drawn, corners[:2], corners[2:], _VEHICLE, line, cv2.LINE_AA)
    return np.vstack((drawn, _bar(width, caption)))


def _bar(width: int, caption: str) -> Image:
    text, ink = fit(caption, _CAPTION, width - 12)
    bar = np.zeros((max(14, round(1.4 * ink.size_px)), width, 3), np.uint8)
    write(bar, text, (6, round(len(bar) * 0.72)), ink)
    return bar
