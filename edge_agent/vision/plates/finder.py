"""Finding number plates and their four corners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ModelError
from edge_agent.types import Image, ModelInfo
from edge_agent.vision.cards import Card, find_card, find_weights
from edge_agent.vision.decoders import Raw, suppress
from edge_agent.vision.detector import fit
from edge_agent.vision.onnx import open_session

Floats = NDArray[np.float32]

DECODER = "yolov5_corners"
"""What a card of a plate finder says: rows of cx, cy, w, h, objectness, 4 corners, classes."""
DOUBLE_ROW = "double_row"
"""The class of plates whose text stands in two rows."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundPlate:
    """One number plate in a picture."""

    corners: Floats
    """(4, 2) px of the searched picture: top left, top right, bottom right, bottom left."""
    score: float
    is_double: bool
    """Its text stands in two rows."""

    @property
    def width_px(self) -> float:
        """The mean length of its upper and its lower edge."""
        top, bottom = self.corners[1] - self.corners[0], self.corners[2] - self.corners[3]
        return float(np.hypot(*top) + np.hypot(*bottom)) / 2


class PlateFinder:
    """Finds plates with a network that also marks their corners."""

    def __init__(self, card: Card, weights: Path) -> None:
        if card.decoder != DECODER or not isinstance(card.classes, dict):
            raise ModelError(
                f"model card {card.name}: it finds no number plates: expected decoder {DECODER!r} "
                "and listed classes; name another model under `plates.finder`"
            )
        self.card = card
        self.model = ModelInfo(card.name, card.sha256, card.is_evidential)
        self._session = open_session(weights, card.sha256)
        height, width = self._session.input_shape[2:]
        self._size = (width or card.input.width or 320, height or card.input.height or 320)
        self._doubles = [i for i, name in card.classes.items() if name == DOUBLE_ROW]

    def find(self, image: Image) -> list[FoundPlate]:
        """The plates in (H, W, 3) BGR, best first."""
        height, width = image.shape[:2]
        geometry = fit(self._size, (width, height), self.card.input.resize)
        canvas = np.full((self._size[1], self._size[0], 3), self.card.input.pad, np.uint8)
        (x, y), (inner_w, inner_h) = geometry.offset, geometry.inner
        how = cv2.INTER_AREA if inner_w < width else cv2.INTER_LINEAR
        canvas[y : y + inner_h, x : x + inner_w] = cv2.resize(
            image, geometry.inner, interpolation=how
        )
        swap = self.card.input.colour == "rgb"
        blob = cv2.dnn.blobFromImage(canvas, 1 / self.card.input.std[0], swapRB=swap)
        rows = self._best(self._session.run(blob))
        scale = np.array([width / inner_w, height / inner_h], np.float32)
        corners = (rows[:, 5:13].reshape(-1, 4, 2) - np.array((x, y), np.float32)) * scale
        return [
            FoundPlate(quad, float(row[4]), int(row[13:].argmax()) in self._doubles)
            for quad, row in zip(corners, rows, strict=True)
        ]

    def _best(self, outputs: Sequence[NDArray[Any]]) -> Floats:
        """Rows above the card's score that survive suppression; column 4 is their full score."""
        rows: Floats = outputs[0][0]
        scores = rows[:, 4] * rows[:, 13:].max(axis=1)
        rows = rows[scores >= self.card.min_score].copy()
        rows[:, 4] *= rows[:, 13:].max(axis=1)
        half = rows[:, 2:4] / 2
        boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], 1)
        groups = np.zeros(len(rows), np.int64)
        return rows[suppress(Raw(boxes, rows[:, 4], groups), groups, self.card.nms_iou)]


def open_finder(name: str, paths: Sequence[Path]) -> PlateFinder:
    """The plate finder of a model card; ModelError names the command that fixes what is missing."""
    card = find_card(name, paths)
    return PlateFinder(card, find_weights(card, paths))
