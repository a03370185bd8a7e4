"""A network that looks at one small picture: what its card says about feeding it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge_agent.errors import ModelError
from edge_agent.types import Image, ModelInfo
from edge_agent.vision.cards import Card
from edge_agent.vision.detector import Geometry, fit
from edge_agent.vision.onnx import Array, open_session


class Network:
    """A card and its session; made for pictures that come one at a time, now and then."""

    def __init__(self, card: Card, weights: Path) -> None:
        if card.input.width is None or card.input.height is None:
            raise ModelError(f"model card {card.name}: input.width, input.height: expected numbers")
        self.card = card
        self.model = ModelInfo(card.name, card.sha256, card.is_evidential)
        self.session = open_session(weights, card.sha256)
        self.size = (card.input.width, card.input.height)

    def run(self, image: Image) -> tuple[Array, Geometry]:
        """The first output for (H, W, 3) BGR, without its batch axis, and how it was laid in."""
        spec = self.card.input
        geometry = fit(self.size, (image.shape[1], image.shape[0]), spec.resize)
        shrinks = geometry.inner[0] < image.shape[1] and spec.resize != "stretch"
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        canvas = np.full((self.size[1], self.size[0], 3), spec.pad, np.uint8)
        (x, y), (width, height) = geometry.offset, geometry.inner
        canvas[y : y + height, x : x + width] = cv2.resize(
            image, (width, height), interpolation=how
        )
        picture: Array = canvas[:, :, ::-1] if spec.colour == "rgb" else canvas
        if spec.dtype == "float32":
            picture = (picture - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
        if spec.layout == "nchw":
            picture = picture.transpose(2, 0, 1)
        output: Array = self.session.run(np.ascontiguousarray(picture[None]))[0][0]
        return output, geometry
