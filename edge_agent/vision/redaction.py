"""Hiding heads, faces and other vehicles' plates in a copy of a photo, for good.

What is hidden becomes a few blocks of one colour each (pixelation, never blur, which can be
undone): a face or head keeps `FACE_BLOCKS` x `FACE_BLOCKS` mean colours, a plate one. In finer
mosaics networks tell faces apart (McPherson et al., arXiv:1609.00408), and text can be read back
from some blocks per character; these few numbers hold neither. Irreversible pixelation counts as
deletion (EDPB guidelines 3/2019).

Without any weights, what the camera's detector saw says where heads and plates must be, and more
is covered than need be. Networks for faces and plates add what it did not see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import cv2
import numpy as np

from edge_agent.errors import ModelError
from edge_agent.geometry import clamp, grow, overlap
from edge_agent.ports import Detector
from edge_agent.privacy import Hidden, Redacted
from edge_agent.types import VEHICLES, ArrayPicture, Box, Frame, Image, ModelInfo, Photo, PlateRead
from edge_agent.vision.detector import open_onnx
from edge_agent.vision.plates.finder import FoundPlate, PlateFinder, open_finder

FACE_BLOCKS, PLATE_BLOCKS = 3, 1
"""Across and down; not relative to the picture's size, so that a close face keeps no more."""
FACE_MARGIN, PLATE_MARGIN = 0.3, 0.5
"""Share added on every side: a face is marked from brow to chin, a plate without its frame."""
OWN_MARGIN = 0.15
"""Added around the plate that was read: its corners are found to within some pixels."""
BOX_MARGIN = 0.1
"""Boxes of a moving person or vehicle lag behind, and end at the bumper."""
HEAD_SHARE = 1 / 3
"""A head is a seventh of a grown-up upright, more of whoever sits or is partly hidden; if less
is in view, the person's box is as wide as its head is high, or wider."""
PLATE_TOP = 0.3
"""Of 134 cars seen from front or rear, only those cut off above had their plates higher."""
TILE_PX, TILE_STEP_PX = 640, 480
"""Far faces and plates show only when a network sees the picture in parts of about this size."""
SAME = 0.9
"""With this share of its area in another of its kind it is hidden already."""
PERSONS = frozenset({"person", "bicycle", "motorcycle", "head", "helmet"})
"""Classes that have a head: riders are often seen together with what they ride."""


class PhotoRedactor:
    """Redacts evidence photos with what is known of them and, where given, two networks."""

    def __init__(self, faces: Detector | None = None, plates: PlateFinder | None = None) -> None:
        self.models: tuple[ModelInfo, ...] = tuple(each.model for each in (faces, plates) if each)
        self._faces = faces
        self._plates = plates

    def redact(self, photo: Photo, plate: PlateRead | None, may_guess: bool = True) -> Redacted:
        """A copy of the photo's whole picture in which only the subject's plate can be read.

        If `plate` does not say which that is, what looks like it, unless it must not be guessed.
        """
        frame = photo.frame
        found = [
            *_heads(photo),
            *self._find_faces(frame),
            *self._find_plates(photo, plate, may_guess),
        ]
        hidden = tuple(_distinct(_inside(found, frame)))
        image = frame.image.copy()
        for each in hidden:
            pixelate(image, each.box, PLATE_BLOCKS if each.trait == "plate" else FACE_BLOCKS)
        return Redacted(image, hidden)

    def _find_faces(self, frame: Frame) -> Iterator[Hidden]:
        if self._faces is None:
            return
        for tile in _tiles(frame):
            x, y = int(tile.x1), int(tile.y1)
            part = np.ascontiguousarray(frame.image[y : int(tile.y2), x : int(tile.x2)])
            seen = self._faces.detect(replace(frame, picture=ArrayPicture(part)))
            for edges in seen.boxes[seen.scores >= self._faces.min_score]:
                x1, y1, x2, y2 = (float(edge) for edge in edges)
                box = grow(Box(x1 + x, y1 + y, x2 + x, y2 + y), FACE_MARGIN)
                yield Hidden("face", box, self._faces.model.name)

    def _find_plates(
        self, photo: Photo, read: PlateRead | None, may_guess: bool
    ) -> Iterator[Hidden]:
        """Plates that were found, and of vehicles with none of those where it must be.

        Where a read says what the subject's plate is, that much of such a place stays.
        """
        vehicles = [box for cls, box in photo.beside if cls in VEHICLES]
        found = list(self._look_for_plates(photo, vehicles))
        own = _known(read) if read else _guessed(photo, found) if may_guess else None
        others = [plate for plate in found if own is None or not own.is_near(plate)]
        for plate in others:
            yield Hidden("plate", _around(plate, PLATE_MARGIN), self.models[-1].name)
        kept = _around(_known(read), OWN_MARGIN) if read else None
        for box in vehicles:
            if not any(_is_in(plate, box) for plate in others):
                for part in without(_plate_part(box), kept):
                    yield Hidden("plate", part, "vehicle box")

    def _look_for_plates(self, photo: Photo, vehicles: Sequence[Box]) -> Iterator[FoundPlate]:
        if self._plates is None:
            return
        for area in (*_tiles(photo.frame), photo.subject, *vehicles):
            yield from self._plates.find(photo.frame.image, grow(area, BOX_MARGIN))


def pixelate(image: Image, box: Box, blocks: int) -> None:
    """Replace a part of (H, W, 3) BGR by `blocks` x `blocks` mean colours, in place."""
    x1, y1, x2, y2 = (round(edge) for edge in box.edges)
    part = image[y1:y2, x1:x2]
    if not part.size:
        return
    rows, columns = part.shape[:2]
    size = min(blocks, columns), min(blocks, rows)
    few = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    part[:] = cv2.resize(few, (columns, rows), interpolation=cv2.INTER_NEAREST)


def _heads(photo: Photo) -> Iterator[Hidden]:
    """The upper part of everybody whom the camera's detector or its tracker knows of."""
    for cls, person in photo.beside:
        if cls in PERSONS:
            box = grow(person, BOX_MARGIN)
            head = min(box.height, max(box.height * HEAD_SHARE, box.width))
            yield Hidden("head", replace(box, y2=box.y1 + head), "person box")


def _guessed(photo: Photo, found: Iterable[FoundPlate]) -> FoundPlate | None:
    """What looks like the subject's plate: the only one on it and on nobody nearer.

    Of several none counts as its own: one may be a vehicle's that only its plate gives away.
    """
    nearer = [b for cls, b in photo.beside if cls in VEHICLES and b.y2 > photo.subject.y2]
    able = [p for p in found if _is_in(p, photo.subject) and not any(_is_in(p, b) for b in nearer)]
    best = max(able, key=lambda plate: plate.score, default=None)
    is_alone = best is not None and all(best.is_near(p) or p.is_near(best) for p in able)
    return best if is_alone else None


def _known(read: PlateRead) -> FoundPlate:
    return FoundPlate(np.array(read.corners, np.float32), read.found_score, is_double=False)


def _is_in(plate: FoundPlate, box: Box) -> bool:
    x, y = plate.corners.mean(axis=0)
    return bool(box.x1 <= x <= box.x2 and box.y1 <= y <= box.y2)


def _around(plate: FoundPlate, margin: float) -> Box:
    (x1, y1), (x2, y2) = plate.corners.min(axis=0), plate.corners.max(axis=0)
    return grow(Box(float(x1), float(y1), float(x2), float(y2)), margin)


def without(box: Box, hole: Box | None) -> Iterator[Box]:
    """What is left of a box: above, below, left and right of the hole."""
    if hole is None or not overlap(box, hole):
        yield box
        return
    x1, y1, x2, y2 = hole.edges
    top, bottom = max(box.y1, y1), min(box.y2, y2)
    for left in (
        Box(box.x1, box.y1, box.x2, top),
        Box(box.x1, bottom, box.x2, box.y2),
        Box(box.x1, top, x1, bottom),
        Box(x2, top, box.x2, bottom),
    ):
        if left.width > 0 and left.height > 0:
            yield left


def _plate_part(vehicle: Box) -> Box:
    """Where a vehicle may have its plate: all of what is cut off at the top of the picture."""
    box = grow(vehicle, BOX_MARGIN)
    top = PLATE_TOP if box.y1 > 0 else 0.0
    return replace(box, y1=vehicle.y1 + top * vehicle.height)


def _tiles(frame: Frame) -> Iterator[Box]:
    """The whole picture and, if it is larger than a tile, overlapping parts of it."""
    width, height = frame.width, frame.height
    yield Box(0, 0, width, height)
    if max(width, height) > TILE_PX:
        for y, x in product(_starts(height), _starts(width)):
            yield Box(x, y, min(x + TILE_PX, width), min(y + TILE_PX, height))


def _starts(length: int) -> list[int]:
    last = max(0, length - TILE_PX)
    return [*range(0, last, TILE_STEP_PX), last]


def _inside(found: Iterable[Hidden], frame: Frame) -> Iterator[Hidden]:
    for each in found:
        box = clamp(each.box, frame.width, frame.height)
        if box.width >= 1 and box.height >= 1:
            yield replace(each, box=box)


def _distinct(found: Iterable[Hidden]) -> Iterator[Hidden]:
    """Largest first; what another one of its kind hides anyway is left out."""
    kept: list[Hidden] = []
    for each in sorted(found, key=lambda hidden: -hidden.box.area):
        alike = (k.box for k in kept if k.trait == each.trait)
        if all(overlap(each.box, box) < SAME * each.box.area for box in alike):
            kept.append(each)
            yield each


def open_redactor(
    face_model: str | None, plate_model: str | None, paths: Sequence[Path]
) -> PhotoRedactor:
    """A redactor for all cameras; ModelError names the command that fixes what is missing."""
    faces = open_onnx(face_model, paths) if face_model else None
    if faces is not None and "face" not in faces.names:
        raise ModelError(
            f"model {face_model!r}: finds no faces; name a model card with the class `face`, "
            "such as yunet, as `privacy.face_model`"
        )
    return PhotoRedactor(faces, open_finder(plate_model, paths) if plate_model else None)
