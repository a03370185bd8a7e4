"""Labelled photos, and how they are varied for training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Boxes = NDArray[np.float32]

CLASSES = ("head", "helmet")
HARDHAT: Mapping[int, int] = {0: 1, 1: 0, 2: 0}
"""hard_hat is a helmet, no_hard_hat (caps, hats) and no_head_wear are bare heads."""
PERSON = 3
"""Among the classes of HARDHAT; the other set has no boxes of persons."""
HELMET_K3: Mapping[int, int] = {0: 0, 1: 1}
PAD = 114


@dataclass(frozen=True)
class Photo:
    """A picture and the heads in it."""

    path: Path
    image: Image
    boxes: Boxes
    """(M, 4) xyxy, 0..1."""
    classes: NDArray[np.int64]
    """(M,) indices into CLASSES; -1: to be ignored."""
    persons: Boxes
    """(K, 4) xyxy, 0..1; not all who are to be seen."""


def read_photos(folder: Path, classes: Mapping[int, int]) -> list[Photo]:
    """Every `images/*.jpg` of a folder with its `boxes/*.txt` (YOLO rows), by name."""
    return [_read(path, classes) for path in sorted((folder / "images").glob("*.jpg"))]


def _read(path: Path, names: Mapping[int, int]) -> Photo:
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f"{path}: not a picture")
    text = (path.parent.parent / "boxes" / f"{path.stem}.txt").read_text(encoding="utf-8")
    rows = [row.split() for row in text.splitlines() if row.strip()]
    known = [row for row in rows if int(row[0]) in names]
    classes = np.array([names[int(row[0])] for row in known], np.int64)
    persons = _boxes([row for row in rows if int(row[0]) == PERSON])
    return Photo(path, np.asarray(image, np.uint8), _boxes(known), classes, persons)


def _boxes(rows: Sequence[Sequence[str]]) -> Boxes:
    """(M, 4) xyxy of rows of class, centre and extent."""
    centre = np.array([row[1:5] for row in rows], np.float32).reshape(-1, 4)
    half = centre[:, 2:] / 2
    edges = np.concatenate([centre[:, :2] - half, centre[:, :2] + half], 1)
    return edges.clip(0, 1).astype(np.float32)


def turn_over(photo: Photo) -> Photo:
    """The same photo upside down."""
    boxes, persons = photo.boxes.copy(), photo.persons.copy()
    for each in (boxes, persons):
        each[:, [1, 3]] = 1 - each[:, [3, 1]]
    image = np.ascontiguousarray(photo.image[::-1])
    return Photo(photo.path, image, boxes, photo.classes, persons)


def fingerprint(image: Image) -> NDArray[np.bool_]:
    """(255,) perceptual hash: signs of the low frequencies of the grey picture."""
    grey = cv2.resize(
        cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (32, 32), interpolation=cv2.INTER_AREA
    )
    waves = cv2.dct(grey.astype(np.float32))[:16, :16].ravel()[1:]
    return np.asarray(waves > np.median(waves))


def without_copies(photos: Sequence[Photo], held: Sequence[Image], distance: int) -> list[Photo]:
    """The photos whose hash differs from every held-out picture, mirrored too, by `distance`."""
    views = [fingerprint(v) for image in held for v in _views(image)]
    table = np.stack(views)
    return [
        photo for photo in photos if (table != fingerprint(photo.image)).sum(1).min() >= distance
    ]


def _views(image: Image) -> list[Image]:
    return [np.ascontiguousarray(image[::y, ::x]) for y in (1, -1) for x in (1, -1)]


Placed = tuple[NDArray[Any], NDArray[np.bool_]]
"""Visible boxes, and (M,) which of the photo's they are."""


class Mixer:
    """Makes training pictures of `size` px: single photos or four in a mosaic, varied."""

    def __init__(self, photos: Sequence[Photo], size: int, rng: np.random.Generator) -> None:
        self.photos, self.size, self.rng = photos, size, rng

    def sample(self, photo: Photo, mosaic: float) -> tuple[Image, Boxes, NDArray[np.int64]]:
        """A picture (size, size, 3), boxes xyxy px and classes; a mosaic with that probability."""
        size, rng = self.size, self.rng
        canvas = np.full((size, size, 3), PAD, np.uint8)
        if rng.random() >= mosaic:
            cells = [(photo, (0, 0, size, size))]
        else:
            x, y = (int(v) for v in rng.uniform(0.3, 0.7, 2) * size)
            parts = [(0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size)]
            others = [self.photos[i] for i in rng.integers(len(self.photos), size=3)]
            cells = list(zip([photo, *others], parts, strict=True))
        boxes, classes = [], []
        for source, cell in cells:
            placed, kept = self._place(source, cell, canvas)
            boxes.append(placed)
            classes.append(source.classes[kept])
        image = recolour(canvas, rng)
        return image, np.concatenate(boxes).astype(np.float32), np.concatenate(classes)

    def _place(self, photo: Photo, cell: tuple[int, int, int, int], canvas: Image) -> Placed:
        """Draw a photo into a cell; its visible boxes and which they are."""
        rng = self.rng
        x1, y1, x2, y2 = cell
        is_whole = x2 - x1 == self.size
        zoom = np.exp(rng.uniform(np.log(0.6), np.log(1.7))) * (1.0 if is_whole else 0.7)
        aspect = np.exp(rng.uniform(-0.35, 0.35))
        extent = np.array([zoom * aspect, zoom / aspect]) * self.size
        room = np.array([x2 - x1, y2 - y1]) - extent
        shift = np.array([x1, y1]) + room * rng.uniform(0, 1, 2)
        height, width = photo.image.shape[:2]
        scale = extent / (width, height)
        matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
        boxes = photo.boxes * np.tile(extent, 2) + np.tile(shift, 2)
        if rng.random() < 0.5:
            matrix[0] = -scale[0], 0, shift[0] + extent[0]
            boxes[:, [0, 2]] = 2 * shift[0] + extent[0] - boxes[:, [2, 0]]
        how = cv2.INTER_AREA if zoom * self.size < width else cv2.INTER_LINEAR
        window = matrix - [[0, 0, x1], [0, 0, y1]]
        drawn = cv2.warpAffine(
            photo.image, window, (x2 - x1, y2 - y1), flags=how, borderValue=(PAD, PAD, PAD)
        )
        canvas[y1:y2, x1:x2] = drawn
        clipped = np.clip(boxes, [x1, y1, x1, y1], [x2, y2, x2, y2])
        seen = _area(clipped) / np.maximum(_area(boxes), 1e-6)
        kept = (seen > 0.4) & ((clipped[:, 2:] - clipped[:, :2]).min(1, initial=99) >= 3)
        return clipped[kept], kept


def _area(boxes: NDArray[Any]) -> NDArray[Any]:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(1))


def recolour(image: Image, rng: np.random.Generator) -> Image:
    """Other light, other colours, sometimes none, sometimes out of focus or badly compressed."""
    levels = np.arange(256, dtype=np.float32)
    hue = (levels + rng.uniform(-8, 8)) % 180
    other = np.outer(rng.uniform(0.5, 1.5, 2), levels).clip(0, 255)
    table = np.stack([hue, *other], axis=-1).astype(np.uint8)[None]
    hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), table)
    varied = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    if rng.random() < 0.08:
        varied = cv2.cvtColor(cv2.cvtColor(varied, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if rng.random() < 0.15:
        varied = cv2.GaussianBlur(varied, (0, 0), rng.uniform(0.5, 1.5))
    if rng.random() < 0.15:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))]
        packed = cv2.imencode(".jpg", varied, quality)[1]
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(varied, np.uint8)
