"""Finding number plates and their four corners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ModelError
from edge_agent.types import Box, Image
from edge_agent.vision.cards import Card, find_card, find_weights
from edge_agent.vision.decoders import Raw, suppress
from edge_agent.vision.plates.network import Network

Floats = NDArray[np.float32]

DECODER = "yolov5_corners"
"""Rows of cx, cy, w, h, objectness, four corners, classes; all in px of the input."""
DOUBLE_ROW = "double_row"
"""The class of plates whose text stands in two rows."""
ZOOM = 4.0
"""Widths of a plate that the second look takes in: the corners are then some 80 px apart."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundPlate:
    """One number plate in a picture."""

    corners: Floats
    """(4, 2) px of the whole picture: top left, top right, bottom right, bottom left."""
    score: float
    is_double: bool
    """Its text stands in two rows."""

    @property
    def width_px(self) -> float:
        """The mean length of its upper and its lower edge."""
        top, bottom = self.corners[1] - self.corners[0], self.corners[2] - self.corners[3]
        return float(np.hypot(*top) + np.hypot(*bottom)) / 2

    @property
    def height_px(self) -> float:
        """The mean length of its left and its right edge."""
        left, right = self.corners[3] - self.corners[0], self.corners[2] - self.corners[1]
        return float(np.hypot(*left) + np.hypot(*right)) / 2

    def is_near(self, other: FoundPlate) -> bool:
        """The other one's centre lies on it: both mark the same plate."""
        x, y = other.corners.mean(axis=0)
        outline = self.corners.reshape(-1, 1, 2)
        return cv2.pointPolygonTest(outline, (float(x), float(y)), False) >= 0

    def fills(self, other: FoundPlate) -> bool:
        """It covers the other one's centre and more than half of its width: a closer fit of it."""
        return self.is_near(other) and 2 * self.width_px > other.width_px

    def grown(self, x: float, y: float) -> Floats:
        """(4, 2) the corners moved outwards by shares of its width and of its height."""
        unit = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
        target = np.array([[(-x, -y), (1 + x, -y), (1 + x, 1 + y), (-x, 1 + y)]], np.float32)
        plane = cv2.getPerspectiveTransform(unit, self.corners)
        return np.asarray(cv2.perspectiveTransform(target, plane)[0], np.float32)


class PlateFinder:
    """Finds plates with a network that also marks their corners."""

    def __init__(self, card: Card, weights: Path, min_score: float = 1.0) -> None:
        """A `min_score` below the card's finds faint plates too, and more that is none."""
        if card.decoder != DECODER or not isinstance(card.classes, dict):
            raise ModelError(
                f"model card {card.name}: it finds no number plates: expected decoder {DECODER!r} "
                "and listed classes; name another model under `plates.finder`"
            )
        self._network = Network(card, weights)
        self.model = self._network.model
        self.sure_score = card.min_score
        self._min_score = min(card.min_score, min_score)
        self._doubles = [i for i, name in card.classes.items() if name == DOUBLE_ROW]

    def find(self, image: Image, area: Box) -> list[FoundPlate]:
        """The plates within a part of (H, W, 3) BGR, best first."""
        height, width = image.shape[:2]
        left, top = max(0, int(area.x1)), max(0, int(area.y1))
        part = image[top : min(height, round(area.y2)), left : min(width, round(area.x2))]
        if min(part.shape[:2]) < 2:
            return []
        output, geometry = self._network.run(part)
        rows = self._best(output)
        scale = np.array(geometry.native, np.float32) / np.array(geometry.inner, np.float32)
        inner = rows[:, 5:13].reshape(-1, 4, 2) - np.array(geometry.offset, np.float32)
        corners = np.asarray(inner * scale + (left, top), np.float32)
        return [
            FoundPlate(quad, float(row[4]), int(row[13:].argmax()) in self._doubles)
            for quad, row in zip(corners, rows, strict=True)
        ]

    def zoom(self, image: Image, plate: FoundPlate) -> list[FoundPlate]:
        """What a second look at its surroundings shows: the plate, better, and then any others."""
        (x, y), reach = plate.corners.mean(axis=0), ZOOM * plate.width_px / 2
        seen = self.find(image, Box(x - reach, y - reach, x + reach, y + reach))
        same = [closer for closer in seen if closer.is_near(plate)] or [plate]
        return [same[0], *(closer for closer in seen if not closer.is_near(plate))]

    def _best(self, rows: Floats) -> Floats:
        """Rows above the lowest score that survive suppression; column 4 is their full score."""
        card = self._network.card
        scores = rows[:, 4] * rows[:, 13:].max(axis=1)
        rows, scores = rows[scores >= self._min_score].copy(), scores[scores >= self._min_score]
        rows[:, 4] = scores
        half = rows[:, 2:4] / 2
        boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], 1)
        groups = np.zeros(len(rows), np.int64)
        return rows[suppress(Raw(boxes, scores, groups), groups, card.nms_iou)]


def open_finder(name: str, paths: Sequence[Path], min_score: float = 1.0) -> PlateFinder:
    """The plate finder of a model card; ModelError names the command that fixes what is missing."""
    card = find_card(name, paths)
    return PlateFinder(card, find_weights(card, paths), min_score)
