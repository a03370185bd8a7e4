"""Upper bodies side by side, as the product looks at them, from labelled photos."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.types import Box
from edge_agent.vision.heads import PAD, TILES, Tile, enlarged, upper_body
from train_helmets.photos import Boxes, Image, Photo, recolour
from train_helmets.relabel import pixels

MIN_PX = 40
"""Smaller persons show too little in these photos, which are half as wide as a camera's."""
MIN_HEAD_PX = 6
COUNTS = (0.1, 0.1, 0.15, 0.65)
"""How often one to four persons are looked at; four pay best."""

Tiled = tuple[Image, Boxes, NDArray[np.int64]]


class Tiler:
    """Makes training pictures of up to four persons each, `size` px wide, varied."""

    def __init__(self, photos: Sequence[Photo], size: int, rng: np.random.Generator) -> None:
        self.size, self.rng = size, rng
        self._persons = [(photo, box) for photo in photos for box in _persons(photo)]
        self._order: list[int] = []

    def sample(self) -> Tiled:
        """A picture (size, size, 3), boxes xyxy px and classes."""
        canvas = np.full((self.size, self.size, 3), PAD, np.uint8)
        side = self.size // TILES
        parts = []
        for i in range(1 + int(self.rng.choice(len(COUNTS), p=COUNTS))):
            x, y = i % TILES * side, i // TILES * side
            image, boxes, classes = self._tile(*self._next(), side)
            canvas[y : y + side, x : x + side] = image
            parts.append((boxes + np.array([x, y, x, y], np.float32), classes))
        boxes, classes = (np.concatenate(each) for each in zip(*parts, strict=True))
        return recolour(canvas, self.rng), boxes, classes

    def _next(self) -> tuple[Photo, Box]:
        """Everybody once, then everybody again in another order."""
        if not self._order:
            self._order = [int(i) for i in self.rng.permutation(len(self._persons))]
        photo, person = self._persons[self._order.pop()]
        return photo, _moved(person, self.rng)

    def _tile(self, photo: Photo, person: Box, side: int) -> Tiled:
        tile = upper_body(person, (0, 0), side)
        image = _blurred(enlarged(photo.image, _less(tile, self.rng)), side, self.rng)
        corner = np.array([tile.left, tile.top] * 2, np.float32)
        boxes = ((pixels(photo) - corner) * (side / tile.side)).astype(np.float32)
        if self.rng.random() < 0.5:
            image = np.ascontiguousarray(image[:, ::-1])
            boxes[:, [0, 2]] = side - boxes[:, [2, 0]]
        return image, *_visible(boxes, photo.classes, side)


def _less(tile: Tile, rng: np.random.Generator) -> Tile:
    """The tile with the pixels of a person who is smaller than this one, half of the times."""
    if rng.random() < 0.5 or tile.side <= MIN_PX:
        return Tile(tile.left, tile.top, tile.side, tile.at, min(tile.side, tile.size))
    fewer = np.exp(rng.uniform(np.log(0.7 * MIN_PX), np.log(tile.side)))
    return Tile(tile.left, tile.top, tile.side, tile.at, min(round(fewer), tile.size))


def _blurred(image: Image, side: int, rng: np.random.Generator) -> Image:
    """Enlarged to the size of a tile, sometimes with the noise of a small sensor."""
    if rng.random() < 0.25:
        noise = rng.normal(0, rng.uniform(2, 10), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(image, (side, side)), np.uint8)


def _visible(
    boxes: Boxes, classes: NDArray[np.int64], side: int
) -> tuple[Boxes, NDArray[np.int64]]:
    """What is to be found in a tile; of what is cut in two nothing is asked."""
    clipped = boxes.clip(0, side)
    seen = (clipped[:, 2:] - clipped[:, :2]).prod(1) / np.maximum(
        (boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-6
    )
    kept = seen > 0.1
    return clipped[kept], np.where(seen > 0.5, classes, -1)[kept]


def _persons(photo: Photo) -> list[Box]:
    """The labelled persons, in px; where none is, those whom the heads belong to."""
    persons = [Box(*map(float, box)) for box in pixels(photo, photo.persons)]
    if persons:
        return [person for person in persons if person.height >= MIN_PX]
    heads = [Box(*map(float, box)) for box in pixels(photo)[photo.classes >= 0]]
    return [_below(head) for head in heads if head.height >= MIN_HEAD_PX]


def _below(head: Box) -> Box:
    """The person whom a head belongs to: seven heads high and two and a half wide."""
    half, x = 1.25 * head.height, head.centre[0]
    return Box(x - half, head.y1, x + half, head.y1 + 7 * head.height)


def _moved(person: Box, rng: np.random.Generator) -> Box:
    """As a detector may have drawn it: edges off by some, sometimes only the upper part."""
    x1, y1, x2, y2 = rng.normal(0, 0.04, 4)
    lower = rng.uniform(0.45, 1) if rng.random() < 0.25 else 1.0
    width, height = person.width, person.height
    return Box(
        person.x1 + x1 * width,
        person.y1 + y1 * height,
        person.x2 + x2 * width,
        person.y1 + (lower + y2) * height,
    )
