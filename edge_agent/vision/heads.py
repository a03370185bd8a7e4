"""What persons have on their heads: a closer look at those who are being followed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import hypot, inf
from pathlib import Path

import cv2
import numpy as np

from edge_agent.config.models import HeadSettings
from edge_agent.errors import ModelError
from edge_agent.geometry import overlap
from edge_agent.ports import Detector
from edge_agent.types import ArrayPicture, Box, Frame, HeadSighting, Image, ModelInfo, Track
from edge_agent.vision.detector import Size, open_onnx

KINDS = ("head", "helmet")
"""Classes of the detector: a bare head, and one in a helmet."""
TILES = 2
"""Looked at in one inference: two by two persons; in each tile a head is about 60 px high."""
PAD = 114
MIN_PERSON_PX = 56
"""On a smaller person the head has fewer than 8 px, which shows no helmet."""
HEADS_PER_BODY = 7.5
"""A grown-up's height in heads (drawing canon); with a helmet a little fewer."""
MIN_FIT = 0.5
"""A head lies with at least this share of its box where the person's head belongs."""
WEAK = 1 / 3
"""Of a detector's `min_score`: what suffices where a head must be, because a person has one."""
CLEARLY = 0.8
"""Whatever fits this much of the best as well makes it ambiguous, ..."""
NEARER_HEADS = 0.5
"""... unless the head is nearer to the top of one person than of the other by half of itself."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A square part of the picture and where it lies in the mosaic; all in px."""

    left: int
    top: int
    side: int
    at: Size
    """Top left corner in the mosaic."""
    size: int
    """Side in the mosaic."""

    def native(self, box: Box) -> Box:
        """A box of the mosaic, in the picture."""
        scale, (x, y) = self.side / self.size, self.at
        return Box(
            self.left + (box.x1 - x) * scale,
            self.top + (box.y1 - y) * scale,
            self.left + (box.x2 - x) * scale,
            self.top + (box.y2 - y) * scale,
        )


@dataclass(frozen=True, slots=True)
class _Found:
    box: Box
    """In px of the native picture."""
    has_helmet: bool
    score: float


class MosaicHeadFinder:
    """Looks at the upper bodies of up to four persons at once, whoever waited longest first.

    Cut out and enlarged, because in the whole picture a head is often only a few pixels high.
    One instance per camera; turns are taken in media time.
    """

    def __init__(self, detector: Detector, size: Size, max_fps: float) -> None:
        """`detector` has the classes `head` and `helmet`; `size` is its input in px."""
        self.models: tuple[ModelInfo, ...] = (detector.model,)
        self._detector = detector
        self._size = size
        self._interval_s = 1 / max_fps
        self._next_s = 0.0
        self._looked_s: dict[int, float] = {}

    def find(self, frame: Frame, tracks: Iterable[Track]) -> tuple[HeadSighting, ...]:
        """The heads of those whose turn it is; nothing where a head is hidden or ambiguous."""
        persons = [t for t in tracks if t.cls == "person" and t.last_s == frame.t_s]
        self._looked_s = {t.id: self._looked_s[t.id] for t in persons if t.id in self._looked_s}
        able = [t for t in persons if _body(t).height >= MIN_PERSON_PX]
        if not able or frame.t_s < self._next_s:
            return ()
        self._next_s = max(self._next_s, frame.t_s - self._interval_s) + self._interval_s
        turn = sorted(able, key=lambda t: (self._looked_s.get(t.id, -inf), t.id))[: TILES**2]
        self._looked_s |= {t.id: frame.t_s for t in turn}
        mosaic, tiles = self._mosaic(frame.image, turn)
        found = self._detect(frame, mosaic, tiles)
        bodies = {t.id: _body(t) for t in persons}
        heads = (_choose(t.id, own, bodies) for t, own in zip(turn, found, strict=True))
        return tuple(head for head in heads if head is not None)

    def _mosaic(self, image: Image, turn: Sequence[Track]) -> tuple[Image, list[Tile]]:
        mosaic = np.full((self._size[1], self._size[0], 3), PAD, np.uint8)
        size = min(self._size) // TILES
        tiles = []
        for i, track in enumerate(turn):
            x, y = at = i % TILES * size, i // TILES * size
            tile = upper_body(_body(track), at, size)
            mosaic[y : y + size, x : x + size] = enlarged(image, tile)
            tiles.append(tile)
        return mosaic, tiles

    def _detect(self, frame: Frame, mosaic: Image, tiles: Sequence[Tile]) -> list[list[_Found]]:
        """What was found in each tile."""
        seen = self._detector.detect(replace(frame, picture=ArrayPicture(mosaic)))
        least = WEAK * self._detector.min_score
        found: list[list[_Found]] = [[] for _ in tiles]
        for edges, score, index in zip(seen.boxes, seen.scores, seen.classes, strict=True):
            name, box = seen.names[int(index)], Box(*(float(v) for v in edges))
            if name not in KINDS or score < least:
                continue
            for tile, heads in zip(tiles, found, strict=True):
                (x, y), (cx, cy) = tile.at, box.centre
                if 0 <= cx - x < tile.size and 0 <= cy - y < tile.size:
                    heads.append(_Found(tile.native(box), name == "helmet", float(score)))
        return found


def _body(track: Track) -> Box:
    return track.seen or track.box


def upper_body(person: Box, at: Size, size: int) -> Tile:
    """The upper half of a person with some air around it."""
    side = round(max(0.6 * person.height, 1.2 * person.width))
    left = round(person.centre[0] - side / 2)
    top = round(person.y1 - 0.1 * person.height)
    return Tile(left, top, side, at, size)


def enlarged(image: Image, tile: Tile) -> Image:
    """The tile's part of the picture at its size in the mosaic; grey outside of the picture."""
    height, width = image.shape[:2]
    part = np.full((tile.side, tile.side, 3), PAD, np.uint8)
    x1, y1 = max(0, tile.left), max(0, tile.top)
    x2, y2 = min(width, tile.left + tile.side), min(height, tile.top + tile.side)
    if x1 < x2 and y1 < y2:
        rows, columns = slice(y1 - tile.top, y2 - tile.top), slice(x1 - tile.left, x2 - tile.left)
        part[rows, columns] = image[y1:y2, x1:x2]
    how = cv2.INTER_AREA if tile.side > tile.size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (tile.size, tile.size), interpolation=how), np.uint8)


def belongs(head: Box, person: Box) -> float:
    """Share of a head's box that lies where this person's head belongs, 0..1."""
    if head.height < person.height / HEADS_PER_BODY / 2:
        return 0.0
    air = person.height / HEADS_PER_BODY
    place = Box(
        person.x1 - 0.1 * person.width,
        person.y1 - air,
        person.x2 + 0.1 * person.width,
        person.y1 + person.height / 3,
    )
    return overlap(head, place) / max(head.area, 1e-6)


def _choose(track_id: int, found: Iterable[_Found], bodies: dict[int, Box]) -> HeadSighting | None:
    """The one head that is this person's and nobody else's; None if several may be."""
    person = bodies[track_id]
    others = [body for key, body in bodies.items() if key != track_id]
    own = []
    for each in found:
        fit = belongs(each.box, person)
        if fit >= MIN_FIT and not any(_claims(other, each.box, person) for other in others):
            own.append((fit * each.score, each))
    if not own:
        return None
    weight, best = max(own, key=lambda pair: pair[0])
    if any(w >= CLEARLY * weight and each.has_helmet != best.has_helmet for w, each in own):
        return None
    return HeadSighting(track_id, best.box, best.has_helmet, best.score)


def _claims(other: Box, head: Box, person: Box) -> bool:
    """Whether a head that fits a person may as well be the other's."""
    if belongs(head, other) < CLEARLY * belongs(head, person):
        return False
    return _off(head, other) < _off(head, person) + NEARER_HEADS


def _off(head: Box, person: Box) -> float:
    """How far a head is from where it is when its person stands upright, in heads."""
    x, y = head.centre[0] - person.centre[0], head.y1 - person.y1
    return hypot(x, y) / max(head.height, 1e-6)


def open_head_finder(settings: HeadSettings, paths: Sequence[Path]) -> MosaicHeadFinder:
    """A fresh finder for one camera; ModelError names the command that fixes a problem."""
    detector = open_onnx(settings.model, paths)
    if missing := [kind for kind in KINDS if kind not in detector.names]:
        raise ModelError(
            f"model {settings.model!r}: finds no {' and no '.join(missing)}; name a model "
            "card with the classes `head` (bare) and `helmet` under `heads`"
        )
    return MosaicHeadFinder(detector, detector.size, settings.max_fps)
