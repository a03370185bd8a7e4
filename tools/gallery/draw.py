"""One event drawn into its picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from edge_agent.config import Camera
from edge_agent.drawing import draw_zones
from edge_agent.types import Image

RED, WHITE, DARK = (60, 60, 235), (255, 255, 255), (30, 26, 24)
FONT = cv2.FONT_HERSHEY_SIMPLEX
WIDTH = 960
"""px; wide enough for a page, small enough for a repository."""


def annotated(image: Image, data: Mapping[str, Any], camera: Camera, label: str) -> Image:
    """The picture with the event's zones and line, its object's box and a label, `WIDTH` wide."""
    zones = {name: camera.zones[name] for name in _named(data, "zone") if name in camera.zones}
    lines = {name: camera.lines[name] for name in _named(data, "line") if name in camera.lines}
    canvas = draw_zones(image, zones, lines)
    height, width = canvas.shape[:2]
    box = data.get("object", {}).get("box") or data.get("box")
    if box:
        x1, y1, x2, y2 = np.rint(np.array(box) * (width, height, width, height)).astype(int)
        for thick, colour in ((6, DARK), (3, RED)):
            cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, thick, cv2.LINE_AA)
    small = cv2.resize(canvas, (WIDTH, round(height * WIDTH / width)), interpolation=cv2.INTER_AREA)
    return _labelled(np.asarray(small, np.uint8), label)


def _named(data: Mapping[str, Any], key: str) -> list[str]:
    return [str(data[key])] if data.get(key) else []


def _labelled(image: Image, label: str) -> Image:
    (width, height), _ = cv2.getTextSize(label, FONT, 0.62, 1)
    cv2.rectangle(image, (0, 0), (width + 20, height + 20), DARK, cv2.FILLED)
    cv2.putText(image, label, (10, height + 10), FONT, 0.62, WHITE, 1, cv2.LINE_AA)
    return image
