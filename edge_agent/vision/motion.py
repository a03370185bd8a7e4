"""The weight-free detector: whatever differs from the empty scene, classed by size and shape."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.geometry import iou, overlap
from edge_agent.types import Box, Detections, Frame, ModelInfo
from edge_agent.vision.background import Background, BackgroundSettings

Array = NDArray[Any]
Bytes = NDArray[np.uint8]

NAMES = ("person", "vehicle")
PERSON, VEHICLE = 0, 1


@dataclass(frozen=True)
class MotionSettings:
    """Sizes as shares of the picture."""

    width_px: int = 416
    """Width of the picture that is looked at; smaller pictures stay as they are."""
    min_area: float = 0.0006
    """Smallest object, as a share of the picture's area."""
    person_aspect: float = 0.52
    """Narrower than this (width / height) is a person."""
    split_solidity: float = 0.78
    """An object that fills less of its convex hull may be two that touch."""
    ghost_share: float = 1.2
    """How many times more of an outline must be edges lost than edges won to make it a ghost's."""
    ghost_s: float = 0.4
    """How long it must look so."""
    background: BackgroundSettings = field(default_factory=BackgroundSettings)


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """One frame at working size, beside what it would look like without objects."""

    image: Bytes
    reference: Bytes
    difference: Bytes
    edges_now: Bytes
    edges_was: Bytes


@dataclass(frozen=True, slots=True, eq=False)
class _Blob:
    """A connected piece of foreground at working size."""

    contour: Array
    box: Box
    score: float


class MotionDetector:
    """Background subtraction with selective update, shadow and ghost removal.

    Sees the frames of one camera in order. Standing objects stay detected (see `Background`);
    an object that was in the scene from the start is not seen until it has moved, and the hole
    that it leaves is recognised because its outline is in the background but not in the picture.
    """

    is_ordered = True
    names: tuple[str, ...] = NAMES

    def __init__(
        self, settings: MotionSettings | None = None, min_score: float | None = None
    ) -> None:
        self.model = ModelInfo("motion", None, is_evidential=False)
        self.min_score = 0.5 if min_score is None else min_score
        self.settings = settings or MotionSettings()
        self._size = (0, 0)
        self._restart()

    def _restart(self) -> None:
        self._background = Background(self.settings.background)
        self._suspects: list[tuple[Box, float]] = []

    def detect(self, frame: Frame) -> Detections:
        width = min(self.settings.width_px, frame.width)
        size = width, max(1, round(frame.height * width / frame.width))
        if size != self._size:  # the first frame, or the stream has changed
            self._size = size
            self._restart()
        image = np.asarray(cv2.GaussianBlur(frame.picture.scaled(*size), (3, 3), 0), np.uint8)
        if not self._background.is_ready:
            self._background.warm_up(image, frame.t_s)
            return Detections.none(NAMES)
        view = self._view(image)
        # half an edge's height more where the background has one: cameras shake a little
        limit = cv2.addWeighted(self._background.threshold(), 1, view.edges_was, 0.5, 0)
        raw = np.asarray(cv2.compare(view.difference, limit, cv2.CMP_GT), np.uint8)
        blobs = self._blobs(view, _whole(_without_shadow(view, raw), raw))
        ghosts = self._judge_ghosts(view, blobs, frame.t_s)
        real = [blob for blob in blobs if blob not in ghosts]
        objects = np.zeros_like(raw)
        cv2.drawContours(objects, [blob.contour for blob in real], -1, 255, cv2.FILLED)
        self._background.learn(image, view.difference, raw, objects, frame.t_s)
        return self._detections(real, frame)

    def _view(self, image: Bytes) -> _View:
        reference, difference = self._background.differ(image)
        return _View(image, reference, difference, _edges(image), _edges(reference))

    def _blobs(self, view: _View, mask: Bytes) -> list[_Blob]:
        smallest = self.settings.min_area * mask.size
        blobs = []
        for contour in self._contours(mask):
            x, y, w, h = cv2.boundingRect(contour)
            area = cv2.contourArea(contour)
            if w * h >= smallest and area >= 0.6 * smallest:
                contrast = float(view.difference[y : y + h, x : x + w].mean())
                score = min(0.99, 0.5 + 0.25 * area / (w * h) + contrast / 400)
                blobs.append(_Blob(contour, Box(x, y, x + w, y + h), score))
        return blobs

    def _contours(self, mask: Bytes) -> Iterable[Array]:
        """Outlines of the pieces of a mask, after parting those that only touch."""
        for contour in cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]:
            area, hull = cv2.contourArea(contour), cv2.contourArea(cv2.convexHull(contour))
            is_large = area > 8 * self.settings.min_area * mask.size
            if is_large and area < self.settings.split_solidity * hull:
                yield from _parted(contour) or [contour]
            else:
                yield contour

    def _judge_ghosts(self, view: _View, blobs: Iterable[_Blob], t_s: float) -> list[_Blob]:
        """Blobs that are holes; those that stay so for a moment join the background."""
        ghosts, suspects = [], []
        for blob in blobs:
            if not self._is_ghost(view, blob):
                continue
            since = min((s for box, s in self._suspects if iou(box, blob.box) > 0.6), default=t_s)
            if t_s - since >= self.settings.ghost_s:
                mask = np.zeros(view.difference.shape, np.uint8)
                cv2.drawContours(mask, [blob.contour], -1, 255, cv2.FILLED)
                self._background.absorb(view.image, cv2.dilate(mask, _DISC_5) > 0)
                ghosts.append(blob)
            else:
                suspects.append((blob.box, since))
        self._suspects = suspects
        return ghosts

    def _is_ghost(self, view: _View, blob: _Blob) -> bool:
        """True when the outline is an edge of the background but not of the picture."""
        top, left = max(0, int(blob.box.y1) - 2), max(0, int(blob.box.x1) - 2)
        part = np.s_[top : int(blob.box.y2) + 2, left : int(blob.box.x2) + 2]
        line = np.zeros(view.difference[part].shape, np.uint8)
        cv2.drawContours(line, [blob.contour], -1, 255, 3, offset=(-left, -top))
        now = view.edges_now[part][line > 0].astype(np.int16)
        was = view.edges_was[part][line > 0].astype(np.int16)
        gone, new = (was > now + 12).mean(), (now > was + 12).mean()
        return bool(gone > 0.3 and gone > self.settings.ghost_share * new)

    def _detections(self, blobs: list[_Blob], frame: Frame) -> Detections:
        """Boxes in px of the native picture."""
        kept = _joined(blobs)
        if not kept:
            return Detections.none(NAMES)
        scale = np.array([frame.width / self._size[0], frame.height / self._size[1]] * 2)
        boxes = scale * [(b.x1, b.y1, b.x2, b.y2) for b, _ in kept]
        w, h = (boxes[:, 2:] - boxes[:, :2]).T
        narrow = w < self.settings.person_aspect * h
        return Detections(
            boxes.astype(np.float32),
            np.array([score for _, score in kept], np.float32),
            np.where(narrow, PERSON, VEHICLE),
            NAMES,
        )


def _joined(blobs: Iterable[_Blob]) -> list[tuple[Box, float]]:
    """Boxes and scores, largest first; a piece beside or inside a larger box belongs to it."""
    kept: list[tuple[Box, float]] = []
    for blob in sorted(blobs, key=lambda b: -b.box.area):
        for i, (box, score) in enumerate(kept):
            near = Box(box.x1 - 4, box.y1 - 4, box.x2 + 4, box.y2 + 4)
            if overlap(blob.box, near) >= 0.6 * blob.box.area and blob.box.area < 0.4 * box.area:
                kept[i] = union(box, blob.box), score
                break
        else:
            kept.append((blob.box, blob.score))
    return kept


def union(a: Box, b: Box) -> Box:
    """The smallest box around both."""
    return Box(min(a.x1, b.x1), min(a.y1, b.y1), max(a.x2, b.x2), max(a.y2, b.y2))


def _parted(contour: Array) -> list[Array]:
    """Outlines of the two or more bulky parts of an object with a waist, or nothing.

    Erosion cuts the waist; every pixel then goes to the part whose core is nearest.
    """
    x, y, w, h = cv2.boundingRect(contour)
    body = np.zeros((h + 2, w + 2), np.uint8)
    cv2.drawContours(body, [contour], -1, 255, cv2.FILLED, offset=(1 - x, 1 - y))
    depth = cv2.distanceTransform(body, cv2.DIST_L2, 3)
    for level in (0.6, 0.7, 0.8):
        core = np.asarray(depth > level * depth.max(), np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(core)
        areas = stats[1:, cv2.CC_STAT_AREA]
        if count > 2 and np.sort(areas)[-2] > 0.4 * areas.max():
            break
    else:
        return []
    _, nearest = cv2.distanceTransformWithLabels(1 - core, cv2.DIST_L2, 3)
    parts = []
    for label in 1 + np.flatnonzero(areas > 0.4 * areas.max()):
        seeds = np.unique(nearest[labels == label])
        part = np.asarray(np.isin(nearest, seeds) & (body > 0), np.uint8)
        found = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        parts.append(np.add(max(found, key=cv2.contourArea), (x - 1, y - 1)))
    return parts


def _without_shadow(view: _View, raw: Bytes) -> Bytes:
    """The foreground less what is only a darker version of the background.

    A shadow scales all channels alike and brings no edges of its own (Horprasert 1999; the edge
    condition keeps grey cars on grey roads).
    """
    found = np.flatnonzero(raw)
    if not len(found):
        return raw
    now = np.ascontiguousarray(view.image.reshape(-1, 3)[found].T, np.float32)
    was = np.ascontiguousarray(view.reference.reshape(-1, 3)[found].T, np.float32)
    energy = was[0] * was[0] + was[1] * was[1] + was[2] * was[2] + 1.0
    level = (now[0] * was[0] + now[1] * was[1] + now[2] * was[2]) / energy
    tint = np.abs(now - level * was).max(axis=0)
    new_edge = view.edges_now.ravel()[found] > level * view.edges_was.ravel()[found] + 18
    shadow = (level > 0.4) & (level < 0.97) & (tint < 6 + 0.03 * np.sqrt(energy)) & ~new_edge
    solid = raw.copy()
    solid.ravel()[found[shadow]] = 0
    return solid


def _whole(solid: Bytes, raw: Bytes) -> Bytes:
    """Objects without specks and gaps.

    Parts of a dark car look like shadow; they are given back where solid parts lie around them.
    """
    body = cv2.morphologyEx(cv2.medianBlur(raw, 3), cv2.MORPH_CLOSE, _DISC_5)
    mask = cv2.morphologyEx(cv2.medianBlur(solid, 3), cv2.MORPH_CLOSE, _BOX_11)
    mask = np.asarray(cv2.bitwise_and(mask, body), np.uint8)
    outlines = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    cv2.drawContours(mask, outlines, -1, 255, cv2.FILLED)  # windows look like shadow as well
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, _DISC_5), np.uint8)


def _edges(image: Bytes) -> Bytes:
    """Local contrast: brightest minus darkest neighbour, in whichever channel shows most."""
    b, g, r = cv2.split(cv2.morphologyEx(image, cv2.MORPH_GRADIENT, _BOX_3))
    return np.asarray(cv2.max(cv2.max(b, g), r), np.uint8)


_BOX_3 = np.ones((3, 3), np.uint8)
_DISC_5 = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
_BOX_11 = np.ones((11, 11), np.uint8)
