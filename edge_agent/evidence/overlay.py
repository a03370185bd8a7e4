"""The photo for people: zone, vehicle and caption drawn on a copy."""

from __future__ import annotations

import cv2
import numpy as np

from edge_agent.geometry import Polygon
from edge_agent.types import Box, Image

_ZONE = (0, 200, 255)
_VEHICLE = (40, 40, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_overlay(image: Image, zone: Polygon | None, vehicle: Box, caption: str) -> Image:
    """A copy of the picture with zone and vehicle outlined and the caption on a bar below it.

    The bar is added under the picture, so that it hides nothing; `caption` is ASCII.
    """
    height, width = image.shape[:2]
    drawn = image.copy()
    line = max(2, round(width / 500))
    if zone is not None:
        cv2.polylines(drawn, [zone.in_px(width, height)], True, _ZONE, line, cv2.LINE_AA)
    corners = tuple(round(edge) for edge in (vehicle.x1, vehicle.y1, vehicle.x2, vehicle.y2))
    cv2.rectangle(drawn, corners[:2], corners[2:], _VEHICLE, line, cv2.LINE_AA)
    return np.vstack((drawn, _bar(width, caption)))


def _bar(width: int, caption: str) -> Image:
    scale, weight = 0.9, 2
    while (over := _width(caption, scale, weight) / max(width - 12, 1)) > 1 and scale > 0.05:
        scale *= min(0.98, 1 / over)  # a word's width does not quite grow with its size
        weight = 2 if scale > 0.7 else 1
    height = max(14, round(36 * scale))
    bar = np.zeros((height, width, 3), np.uint8)
    at = (6, round(height * 0.72))
    cv2.putText(bar, caption, at, _FONT, scale, (255, 255, 255), weight, cv2.LINE_AA)
    return bar


def _width(caption: str, scale: float, weight: int) -> int:
    return int(cv2.getTextSize(caption, _FONT, scale, weight)[0][0])
