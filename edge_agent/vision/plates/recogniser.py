"""Reading the text of a plate that has been straightened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge_agent.errors import ModelError
from edge_agent.types import Image, ModelInfo
from edge_agent.vision.cards import Card, find_card, find_weights
from edge_agent.vision.onnx import Array, open_session


@dataclass(frozen=True, slots=True)
class Reading:
    """What a network made of one picture of a plate."""

    text: str
    scores: tuple[float, ...]
    """0..1, one per character."""


class Recogniser:
    """Reads plates with a network of fixed slots: one distribution over its alphabet each."""

    def __init__(self, card: Card, weights: Path) -> None:
        if card.alphabet is None or card.input.width is None or card.input.height is None:
            raise ModelError(
                f"model card {card.name}: it reads no text: expected an alphabet and an input "
                "size; name another model under `plates.recogniser`"
            )
        self.card = card
        self.model = ModelInfo(card.name, card.sha256, card.is_evidential)
        self.size = (card.input.width, card.input.height)
        self._alphabet = card.alphabet
        self._session = open_session(weights, card.sha256)

    def read(self, plate: Image) -> Reading:
        """The text on (H, W, 3) BGR that shows the plate and nothing else."""
        resized = cv2.resize(plate, self.size, interpolation=cv2.INTER_LINEAR)
        blob = np.ascontiguousarray(resized[None, :, :, ::-1])
        slots: Array = self._session.run(blob)[0][0]
        best = slots.argmax(axis=1)
        text = "".join(self._alphabet[i] for i in best)
        scores = slots.max(axis=1)
        length = len(text.rstrip("_"))
        return Reading(text[:length], tuple(float(s) for s in scores[:length]))


def open_recogniser(name: str, paths: Sequence[Path]) -> Recogniser:
    """The recogniser of a model card; ModelError names the command that fixes what is missing."""
    card = find_card(name, paths)
    return Recogniser(card, find_weights(card, paths))
