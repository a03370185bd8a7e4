"""Turning the raw outputs of network families into boxes.

Every decoder takes `(outputs, (width, height), floor)`: the network's outputs for one picture, the
size of its input and the score below which nothing is wanted. Candidates are filtered by score
before any box is computed. ValueError says which output does not look as expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float32]
Size = tuple[int, int]

MAX_CANDIDATES = 600
"""More boxes above the floor than any street holds: the best are kept, the time stays bounded."""


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """Candidates before non-maximum suppression."""

    boxes: Floats
    """(N, 4) xyxy in px of the network's input."""
    scores: Floats
    """(N,)"""
    classes: NDArray[np.int64]
    """(N,) the network's own class index."""

    def subset(self, keep: Array) -> Raw:
        return Raw(self.boxes[keep], self.scores[keep], self.classes[keep])


Decoder = Callable[[Sequence[Array], Size, float], Raw]


def yolox(outputs: Sequence[Array], size: Size, floor: float) -> Raw:
    """YOLOX without its decoding layer: (1, N, 5 + C), strides 8, 16, 32 (arXiv:2107.08430)."""
    rows = _single(outputs, 3)[0]
    grid, stride = _anchors(size, (8, 16, 32), 0.0)
    _expect_rows(rows, len(grid), 6)
    keep, scores, classes = _best_of_product(rows, floor)
    found, step = rows[keep], stride[keep, None]
    centre = (found[:, :2] + grid[keep]) * step
    return Raw(_from_centre(centre, np.exp(found[:, 2:4]) * step), scores, classes)


def yolov5(outputs: Sequence[Array], size: Size, floor: float) -> Raw:
    """YOLOv5 export: (1, N, 5 + C), centre form in px, objectness x class."""
    rows = _single(outputs, 3)[0]
    _expect_rows(rows, len(rows), 6)
    keep, scores, classes = _best_of_product(rows, floor)
    return Raw(_from_centre(rows[keep, :2], rows[keep, 2:4]), scores, classes)


def yolov8(outputs: Sequence[Array], size: Size, floor: float) -> Raw:
    """YOLOv8 and 11 export: (1, 4 + C, N), centre form in px, class scores only."""
    columns = _single(outputs, 3)[0]
    if columns.shape[0] < 5 or columns.shape[1] < columns.shape[0]:
        raise ValueError(f"expected (1, 4 + classes, boxes), got {(1, *columns.shape)}")
    keep = np.flatnonzero(columns[4:].max(axis=0) >= floor)
    found = columns[:, keep]
    classes = found[4:].argmax(axis=0)
    boxes = _from_centre(found[:2].T, found[2:4].T)
    return Raw(boxes, found[4:].max(axis=0), classes)


def end2end(outputs: Sequence[Array], size: Size, floor: float) -> Raw:
    """Ultralytics 26 and 10 export: (1, N, 6) rows x1, y1, x2, y2, score, class; already sparse."""
    rows = _single(outputs, 3)[0]
    if rows.shape[1] != 6:
        raise ValueError(f"expected (1, boxes, 6), got {(1, *rows.shape)}")
    found = rows[rows[:, 4] >= floor]
    return Raw(found[:, :4].astype(np.float32), found[:, 4], found[:, 5].astype(np.int64))


def nanodet(outputs: Sequence[Array], size: Size, floor: float) -> Raw:
    """NanoDet-m: class scores then box distributions, each for strides 8, 16, 32.

    A side's distance is the expectation over 8 bins (generalised focal loss, arXiv:2006.04388).
    """
    grid, stride = _anchors(size, (8, 16, 32), 0.5)
    if len(outputs) != 6:
        raise ValueError(f"expected 6 outputs, got {len(outputs)}")
    scores_all = np.concatenate([o.reshape(-1, o.shape[-1]) for o in outputs[:3]])
    bins = np.concatenate([o.reshape(-1, o.shape[-1]) for o in outputs[3:]])
    if len(scores_all) != len(grid) or bins.shape != (len(grid), 32):
        raise ValueError(f"expected {len(grid)} anchors, got {scores_all.shape} and {bins.shape}")
    best = scores_all.max(axis=1)
    keep = np.flatnonzero(best >= floor)
    weights = np.exp(bins[keep].reshape(-1, 4, 8))
    reach = weights @ np.arange(8, dtype=np.float32) / weights.sum(axis=2)
    centre, reach = grid[keep] * stride[keep, None], reach * stride[keep, None]
    boxes = np.concatenate([centre - reach[:, :2], centre + reach[:, 2:]], axis=1)
    return Raw(boxes, best[keep], scores_all[keep].argmax(axis=1))


def fastestdet(outputs: Sequence[Array], size: Size, floor: float) -> Raw:
    """FastestDet: (1, 5 + C, H, W); score = objectness^0.6 x class^0.4."""
    planes = _single(outputs, 4)[0]
    channels, height, width = planes.shape
    if channels < 6:
        raise ValueError(f"expected (1, 5 + classes, rows, columns), got {(1, *planes.shape)}")
    cells = planes.reshape(channels, -1)
    keep = np.flatnonzero(cells[0] >= floor ** (1 / 0.6))
    found = cells[:, keep]
    scores = found[0] ** 0.6 * found[5:].max(axis=0) ** 0.4
    cell = np.stack([keep % width, keep // width]) + np.tanh(found[1:3])
    centre = cell.T / (width, height) * size
    extent = (1 / (1 + np.exp(-found[3:5]))).T * size
    raw = Raw(_from_centre(centre, extent), scores, found[5:].argmax(axis=0))
    return raw.subset(raw.scores >= floor)


def ssd_boxes_scores(outputs: Sequence[Array], size: Size, floor: float) -> Raw:
    """SSD with folded priors: boxes (1, N, 4) normalised xyxy, scores (1, N, C), 0 = background."""
    if len(outputs) != 2 or outputs[0].shape[2:] != (4,) or outputs[1].ndim != 3:
        raise ValueError(f"expected boxes and scores, got {[o.shape for o in outputs]}")
    boxes, scores = outputs[0][0], outputs[1][0]
    keep = np.flatnonzero(scores[:, 0] <= 1 - floor)
    found = scores[keep, 1:]
    raw = Raw(
        np.asarray(boxes[keep] * (*size, *size), np.float32),
        found.max(axis=1),
        found.argmax(axis=1) + 1,
    )
    return raw.subset(raw.scores >= floor)


def yunet(outputs: Sequence[Array], size: Size, floor: float) -> Raw:
    """YuNet: cls, obj, bbox and kps, each for strides 8, 16, 32; score = sqrt(cls x obj).

    Source: opencv_zoo, models/face_detection_yunet; the landmarks (kps) are not used.
    """
    if len(outputs) != 12:
        raise ValueError(f"expected 12 outputs, got {len(outputs)}")
    cls, obj, boxes = (
        np.concatenate([o.reshape(-1, o.shape[-1]) for o in outputs[i : i + 3]]) for i in (0, 3, 6)
    )
    grid, stride = _anchors(size, (8, 16, 32), 0.0)
    _expect_rows(boxes, len(grid), 4)
    scores = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
    keep = np.flatnonzero(scores >= floor)
    found, step = boxes[keep], stride[keep, None]
    centre = (found[:, :2] + grid[keep]) * step
    faces = np.zeros(len(keep), np.int64)
    return Raw(_from_centre(centre, np.exp(found[:, 2:4]) * step), scores[keep], faces)


DECODERS: Mapping[str, Decoder] = {
    "yolox": yolox,
    "nanodet": nanodet,
    "fastestdet": fastestdet,
    "yolov5": yolov5,
    "yolov8": yolov8,
    "end2end": end2end,
    "ssd_boxes_scores": ssd_boxes_scores,
    "yunet": yunet,
}


def suppress(raw: Raw, groups: NDArray[np.int64], max_iou: float) -> NDArray[np.int64]:
    """Indices of the boxes that survive non-maximum suppression within their group, best first."""
    if not len(raw.scores):
        return np.zeros(0, np.int64)
    order = np.argsort(-raw.scores, kind="stable")[:MAX_CANDIDATES]
    boxes = raw.boxes[order].astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    scores, ids = raw.scores[order].astype(np.float32), groups[order].astype(np.int32)
    kept = cv2.dnn.NMSBoxesBatched(boxes.tolist(), scores, ids, 0.0, max_iou)  # type: ignore[arg-type]
    return np.asarray(order[np.sort(np.asarray(kept, np.int64).ravel())], np.int64)


def _best_of_product(rows: Array, floor: float) -> tuple[Array, Floats, NDArray[np.int64]]:
    """Rows whose objectness x best class reaches the floor: indices, scores, classes."""
    likely = np.flatnonzero(rows[:, 4] >= floor)
    found = rows[likely]
    classes = found[:, 5:].argmax(axis=1)
    scores = found[:, 4] * found[np.arange(len(found)), 5 + classes]
    good = np.flatnonzero(scores >= floor)
    return likely[good], scores[good], classes[good]


@lru_cache(maxsize=8)
def _anchors(size: Size, strides: tuple[int, ...], offset: float) -> tuple[Floats, Floats]:
    """((N, 2) grid points in cells, (N,) strides), row by row, fine to coarse."""
    points, steps = [], []
    for stride in strides:
        width, height = size[0] // stride, size[1] // stride
        y, x = np.mgrid[:height, :width].astype(np.float32)
        points.append(np.stack([x.ravel(), y.ravel()], axis=1) + np.float32(offset))
        steps.append(np.full(width * height, stride, np.float32))
    return np.concatenate(points), np.concatenate(steps)


def _from_centre(centre: Array, extent: Array) -> Floats:
    half = extent / 2
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def _single(outputs: Sequence[Array], ndim: int) -> Array:
    if len(outputs) != 1 or outputs[0].ndim != ndim or outputs[0].shape[0] != 1:
        shapes = [o.shape for o in outputs]
        raise ValueError(f"expected one output of {ndim} dimensions and batch 1, got {shapes}")
    return outputs[0]


def _expect_rows(rows: Array, count: int, width: int) -> None:
    if len(rows) != count or rows.shape[1] < width:
        raise ValueError(f"expected (1, {count}, 5 + classes), got {(1, *rows.shape)}")
