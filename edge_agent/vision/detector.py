"""A detector made of a card and its weights."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ModelError
from edge_agent.types import Detections, Frame, Image, ModelInfo
from edge_agent.vision.cards import Card, find_card, find_weights
from edge_agent.vision.decoders import DECODERS, suppress
from edge_agent.vision.labels import ALIKE, our_names
from edge_agent.vision.onnx import Session, metadata_names, metadata_size, open_session

Array = NDArray[Any]
Size = tuple[int, int]

WAITS_BYTES = 4 << 20
"""Outputs up to this size are decoded when asked for; larger ones at once, while caches hold them,
rather than fill caches and memory with those of several frames."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the picture lies in the network's input."""

    inner: Size
    """(width, height) px of the resized picture."""
    offset: Size
    """(x, y) px of its top left corner."""
    native: Size
    """(width, height) px of the picture itself."""


class OnnxDetector:
    """Finds objects with a network: `detect` is `prepare`, `infer` and `decode`.

    Safe to call from several threads at once. Everything from a quarter of `min_score` (but at
    least 0.1) is reported, because a tracker can use weak boxes to keep what it already follows.
    """

    is_ordered = False

    def __init__(
        self, card: Card, weights: Path, min_score: float | None = None, provider: str = "cpu"
    ) -> None:
        self.card = card
        self.min_score = min_score if min_score is not None else card.min_score
        self.floor = max(0.1, 0.25 * self.min_score)
        if card.decoder not in DECODERS:
            known = ", ".join(DECODERS)
            raise ModelError(
                f"model card {card.name}: finds no objects: decoder: expected one of {known}; got "
                f"{card.decoder!r}; correct it, or name another model"
            )
        self._decoder = DECODERS[card.decoder]
        self._session = open_session(weights, card.sha256, provider)
        evidential, runtime = card.is_evidential, self._session.runtime
        self.model = ModelInfo(card.name, card.sha256, evidential, runtime)
        self.size = _input_size(card, self._session)
        self.names, self._lookup, self._groups = _class_tables(_classes(card, self._session))
        self._own = threading.local()
        grey = np.full((self.size[1], self.size[0], 3), 114, np.uint8)
        # a trial run, so that a wrong card is found at start and not at the first frame
        self._decode(self.infer(self.blob(grey, Geometry(self.size, (0, 0), self.size))))

    def detect(self, frame: Frame) -> Detections:
        blob, geometry = self.prepare(frame)
        return self.decode(self.infer(blob), geometry)

    def glance(self, frame: Frame) -> Glance:
        """The same in parts; implements `ports.Glancing`."""
        return Glance(self, *self.scale(frame))

    def prepare(self, frame: Frame) -> tuple[Array, Geometry]:
        """The network's input; it belongs to this thread and is valid until the next call."""
        image, geometry = self.scale(frame)
        return self.blob(image, geometry), geometry

    def scale(self, frame: Frame) -> tuple[Image, Geometry]:
        """The picture as large as it lies in the network's input."""
        geometry = fit(self.size, (frame.width, frame.height), self.card.input.resize)
        return frame.picture.scaled(*geometry.inner), geometry

    def infer(self, blob: Array) -> list[Array]:
        """The network's raw outputs."""
        return self._session.run(blob)

    def decode(self, outputs: Sequence[Array], geometry: Geometry) -> Detections:
        """Boxes in px of the native picture, clipped to it; the strongest first."""
        boxes, scores, classes = self._decode(outputs)
        if not len(boxes):
            return Detections.none(self.names)
        inner = np.array(geometry.inner * 2, np.float32)
        native = np.array(geometry.native * 2, np.float32)
        offset = np.array(geometry.offset * 2, np.float32)
        boxes = np.clip((boxes - offset) * (native / inner), 0, native).astype(np.float32)
        visible = (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
        return Detections(boxes[visible], scores[visible], classes[visible], self.names)

    def _decode(self, outputs: Sequence[Array]) -> tuple[Array, Array, Array]:
        try:
            raw = self._decoder(outputs, self.size, self.floor)
        except ValueError as error:
            raise ModelError(
                f"model card {self.card.name}: decoder {self.card.decoder!r} does not fit the "
                f"outputs of {self.card.file}: {error}; correct `decoder` or `input`"
            ) from error
        if not len(raw.scores):
            return raw.boxes, raw.scores, raw.classes
        ours = self._lookup[np.minimum(raw.classes, len(self._lookup) - 1)]
        wanted = np.flatnonzero(ours >= 0)
        raw, ours = raw.subset(wanted), ours[wanted]
        kept = suppress(raw, self._groups[ours], self.card.nms_iou)
        return raw.boxes[kept], np.clip(raw.scores[kept], 0, 1), ours[kept]

    def blob(self, image: Image, geometry: Geometry) -> Array:
        """Fill this thread's buffer; the margin is painted only when the geometry changes."""
        spec = self.card.input
        planes = self._buffer(geometry)
        (x, y), (width, height) = geometry.offset, geometry.inner
        channels = cv2.split(image)
        for i, channel in enumerate(channels if spec.colour == "bgr" else reversed(channels)):
            target = planes[i, y : y + height, x : x + width]
            if spec.dtype == "uint8" or (spec.mean[i], spec.std[i]) == (0, 1):
                target[...] = channel
                continue
            np.multiply(channel, np.float32(1 / spec.std[i]), out=target)
            if spec.mean[i]:
                target -= np.float32(spec.mean[i] / spec.std[i])
        batch: Array = self._own.blob
        return batch

    def _buffer(self, geometry: Geometry) -> Array:
        """(3, height, width) view of this thread's blob, margin painted."""
        own, spec = self._own, self.card.input
        if getattr(own, "geometry", None) != geometry:
            if not hasattr(own, "blob"):
                own.blob, own.planes = self._allocate()
            for i in range(3):
                raw = spec.dtype == "uint8"
                own.planes[i] = spec.pad if raw else (spec.pad - spec.mean[i]) / spec.std[i]
            own.geometry = geometry
        planes: Array = own.planes
        return planes

    def _allocate(self) -> tuple[Array, Array]:
        """The batch, and the same memory as (3, height, width)."""
        (width, height), spec = self.size, self.card.input
        dtype = np.uint8 if spec.dtype == "uint8" else np.float32
        if spec.layout == "nchw":
            blob: Array = np.empty((1, 3, height, width), dtype)
            return blob, blob[0]
        blob = np.empty((1, height, width, 3), dtype)
        return blob, blob[0].transpose(2, 0, 1)


class Glance:
    """One frame on its way through a network: scaled, then inferred, then decoded."""

    def __init__(self, detector: OnnxDetector, image: Image, geometry: Geometry) -> None:
        self._detector, self._image, self._geometry = detector, image, geometry
        self._outputs: list[Array] = []
        self._found: Detections | None = None

    def infer(self) -> None:
        self._outputs = self._detector.infer(self._detector.blob(self._image, self._geometry))
        if sum(output.nbytes for output in self._outputs) > WAITS_BYTES:
            self._found = self.detections()

    def detections(self) -> Detections:
        if self._found is not None:
            return self._found
        outputs, self._outputs = self._outputs, []
        return self._detector.decode(outputs, self._geometry)


def open_onnx(
    name: str, paths: Sequence[Path], min_score: float | None = None, provider: str = "cpu"
) -> OnnxDetector:
    """The detector of a model card; ModelError names the command that fixes what is missing."""
    card = find_card(name, paths)
    return OnnxDetector(card, find_weights(card, paths), min_score, provider)


def fit(size: Size, native: Size, resize: str) -> Geometry:
    """How a picture of the native size is laid into an input of that size."""
    if resize == "stretch":
        return Geometry(size, (0, 0), native)
    ratio = min(size[0] / native[0], size[1] / native[1])
    inner = (
        min(size[0], max(1, round(native[0] * ratio))),
        min(size[1], max(1, round(native[1] * ratio))),
    )
    if resize == "letterbox_topleft":
        return Geometry(inner, (0, 0), native)
    return Geometry(inner, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2), native)


def _input_size(card: Card, session: Session) -> Size:
    """(width, height) of the input, after checking the card against the file."""
    spec = card.input
    size = (spec.width, spec.height)
    if size == (None, None):
        size = metadata_size(session) or size
    if size[0] is None or size[1] is None:
        raise ModelError(
            f"model card {card.name}: input.width, input.height: expected numbers, because "
            f"{card.file} takes any size and names none"
        )
    channels_last = spec.layout == "nhwc"
    wanted = (1, size[1], size[0], 3) if channels_last else (1, 3, size[1], size[0])
    pairs = zip(session.input_shape, wanted, strict=True)
    if any(has is not None and has != want for has, want in pairs):
        raise ModelError(
            f"model card {card.name}: input: the card says {wanted} ({spec.layout}), but "
            f"{card.file} takes {session.input_shape}; correct `input`"
        )
    if session.input_dtype != spec.dtype:
        raise ModelError(
            f"model card {card.name}: input.dtype: expected {session.input_dtype}, as {card.file} "
            f"declares; got {spec.dtype}"
        )
    return size[0], size[1]


def _classes(card: Card, session: Session) -> Mapping[int, str]:
    if card.classes != "metadata":
        return card.classes
    return our_names(metadata_names(session))


def _class_tables(
    classes: Mapping[int, str],
) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.int64]]:
    """Our class names, the model's index -> ours (-1: dropped), ours -> suppression group."""
    names = tuple(dict.fromkeys(classes[index] for index in sorted(classes)))
    lookup = np.full(max(classes, default=0) + 2, -1, np.int64)  # the last one: all beyond
    for index, name in classes.items():
        lookup[index] = names.index(name)
    kinds = [ALIKE.get(name, name) for name in names]
    return names, lookup, np.array([kinds.index(kind) for kind in kinds], np.int64)
