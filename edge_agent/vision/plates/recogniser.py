"""Reading the text of a plate that has been found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, product
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ModelError
from edge_agent.types import Image, ModelInfo
from edge_agent.vision.cards import Card, find_card, find_weights
from edge_agent.vision.onnx import Array
from edge_agent.vision.plates.finder import FoundPlate
from edge_agent.vision.plates.network import Network

STROKES, SHARPNESS = 25, 0.8
"""Strokes of a letter in a plate's height; share of the lost edges that sharpening puts back."""
CONTRAST, TILES = 2.0, (4, 4)
"""How much contrast levelling may add, and in how many parts of the plate it is measured."""
METADATA = "metadata"
"""As a card's alphabet: the weight file itself lists the characters, one a line."""
UPPER_ROW, LOWER_ROW = 5 / 12, 1 / 3
"""Of a plate with two rows: where the upper one ends and the lower one begins (GA 36-2018)."""
ASPECT = 440 / 140
"""Width to height of a plate with one row, the new-energy ones being longer (GA 36-2018)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a network made of a plate."""

    text: str
    """Upper case letters, digits and Chinese characters only."""
    scores: tuple[float, ...]
    """0..1, one per character."""

    @property
    def score(self) -> float:
        """The weakest character's."""
        return min(self.scores, default=0.0)


class Recogniser(Protocol):
    """Reads plates of one alphabet."""

    model: ModelInfo

    def knows(self, character: str) -> bool:
        """True if it could ever read that character."""
        ...

    def glance(self, image: Image, plate: FoundPlate) -> Reading:
        """One reading, as cheap as possible."""
        ...

    def read(self, image: Image, outlines: Sequence[FoundPlate]) -> Reading:
        """The best reading: of all outlines of one plate several croppings are looked at."""
        ...


def untouched(plate: Image) -> Image:
    """As it is."""
    return plate


def sharpened(plate: Image) -> Image:
    """With steeper edges (an unsharp mask, as wide as a letter's stroke)."""
    soft = cv2.GaussianBlur(plate, (0, 0), plate.shape[0] / STROKES)
    return np.asarray(cv2.addWeighted(plate, 1 + SHARPNESS, soft, -SHARPNESS, 0), np.uint8)


def levelled(plate: Image) -> Image:
    """With the same contrast all over (CLAHE), whatever headlights and shadows did."""
    lab = cv2.cvtColor(plate, cv2.COLOR_BGR2LAB)
    lab[:, :, 0] = cv2.createCLAHE(CONTRAST, TILES).apply(np.ascontiguousarray(lab[:, :, 0]))
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2BGR), np.uint8)


TREATMENTS = (untouched, levelled, sharpened)
"""Before a cropping is read."""


class SlotRecogniser:
    """A network with one distribution over its alphabet for each of a fixed number of slots.

    The last character of the alphabet stands for an empty slot.
    """

    margins = tuple((x, 2.5 * x) for x in (0.08, 0.0, 0.04, 0.12, 0.16))
    """Shares of width and height around the corners, the middle one first: frames, screws and the
    finder's errors differ, and all croppings together are right more often than any of them."""

    def __init__(self, card: Card, weights: Path) -> None:
        self._network = Network(card, weights)
        self.model = self._network.model
        self._alphabet = card.alphabet or ""

    def knows(self, character: str) -> bool:
        return character in self._alphabet

    def glance(self, image: Image, plate: FoundPlate) -> Reading:
        """What the best cropping shows."""
        return self._spell(self._slots(straighten(image, plate, self.margins[0]))[None])

    def read(self, image: Image, outlines: Sequence[FoundPlate]) -> Reading:
        """What all croppings together show; they are treated in turns, as their errors differ."""
        croppings = product(outlines, self.margins)
        plates = [straighten(image, *cropping) for cropping in croppings]
        treated = [treat(plate) for treat, plate in zip(cycle(TREATMENTS), plates, strict=False)]
        return self._spell(np.stack([self._slots(plate) for plate in treated]))

    def _slots(self, plate: Image) -> Array:
        """(slots, alphabet) probabilities."""
        return self._network.run(plate)[0].reshape(-1, len(self._alphabet))

    def _spell(self, seen: Array) -> Reading:
        """The likeliest text; a character's score is the mean of all croppings."""
        best = likeliest(seen)
        text = "".join(self._alphabet[index] for index in best).rstrip(self._alphabet[-1])
        return _tidy(text, seen.mean(axis=0)[np.arange(len(best)), best])


class LineRecogniser:
    """A network that reads along one line of text (CTC; its first output means nothing new)."""

    margins = ((-0.01, -0.05), (0.02, 0.06))
    """Text lines are read best without what surrounds them; the second is for tight corners."""

    def __init__(self, card: Card, weights: Path) -> None:
        self._network = Network(card, weights)
        self.model = self._network.model
        listed = self._network.session.metadata.get("character", "").split("\n")
        self._alphabet = ["", *(listed if card.alphabet == METADATA else card.alphabet or ""), " "]

    def knows(self, character: str) -> bool:
        return character in self._alphabet

    def glance(self, image: Image, plate: FoundPlate) -> Reading:
        """What the tightest cropping shows."""
        return self._line(image, plate, self.margins[0])

    def read(self, image: Image, outlines: Sequence[FoundPlate]) -> Reading:
        """What the cropping shows of which the network is surest."""
        croppings = product(outlines, self.margins)
        seen = [self._line(image, *cropping) for cropping in croppings]
        return max(seen, key=lambda reading: reading.score)

    def _line(self, image: Image, plate: FoundPlate, margin: tuple[float, float]) -> Reading:
        picture = straighten(image, plate, margin)
        picture = unfold(picture) if plate.is_double else stretched(picture)
        steps = self._network.run(picture)[0]
        best, scores = steps.argmax(axis=1), steps.max(axis=1)
        is_new = (best != 0) & np.insert(best[1:] != best[:-1], 0, True)
        text = "".join(self._alphabet[min(i, len(self._alphabet) - 1)] for i in best[is_new])
        return _tidy(text, scores[is_new])


RECOGNISERS: Mapping[str, Callable[[Card, Path], Recogniser]] = {
    "slots": SlotRecogniser,
    "ctc": LineRecogniser,
}
"""What a card may name as its decoder -> how it is read."""


def likeliest(seen: Array) -> NDArray[np.intp]:
    """(slots,) Of the texts that single croppings show, the one likeliest over all of them.

    `seen` is (croppings, slots, alphabet). A cropping's characters belong together: put together
    slot by slot, croppings that differ in where a character stands would make a text of none.
    """
    texts, slots = seen.argmax(axis=2), np.arange(seen.shape[1])
    chances = seen[:, slots, texts].prod(axis=2).mean(axis=0)
    return np.asarray(texts[chances.argmax()], np.intp)


def straighten(image: Image, plate: FoundPlate, margin: tuple[float, float]) -> Image:
    """The plate seen from straight ahead, as large as it is in the picture, with a margin."""
    width = max(8, round(plate.width_px * (1 + 2 * margin[0])))
    height = max(8, round(plate.height_px * (1 + 2 * margin[1])))
    target = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    plane = cv2.getPerspectiveTransform(plate.grown(*margin), target)
    flat = cv2.warpPerspective(
        image, plane, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(flat, np.uint8)


def stretched(plate: Image) -> Image:
    """As wide as a plate is: seen from the side it looks narrower, and its letters crowded."""
    height, width = plate.shape[:2]
    wanted = max(width, round(ASPECT * height))
    return np.asarray(cv2.resize(plate, (wanted, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def unfold(plate: Image) -> Image:
    """The two rows side by side."""
    height, width = plate.shape[:2]
    lower = plate[round(height * LOWER_ROW) :]
    upper = cv2.resize(plate[: round(height * UPPER_ROW)], (width, len(lower)))
    return np.asarray(np.hstack([upper, lower]), np.uint8)


def _tidy(text: str, scores: Array) -> Reading:
    """Without dots, dashes and blanks."""
    kept = [
        (char.upper()[0], float(score))
        for char, score in zip(text, scores, strict=False)
        if char.isalnum()
    ]
    return Reading("".join(char for char, _ in kept), tuple(score for _, score in kept))


def open_recogniser(name: str, paths: Sequence[Path]) -> Recogniser:
    """The recogniser of a model card; ModelError names the command that fixes what is missing."""
    card = find_card(name, paths)
    if card.alphabet is None or card.decoder not in RECOGNISERS:
        raise ModelError(
            f"model card {card.name}: it reads no text: expected an alphabet and a decoder of "
            f"{', '.join(RECOGNISERS)}; name another model in the `plates` section"
        )
    return RECOGNISERS[card.decoder](card, find_weights(card, paths))
