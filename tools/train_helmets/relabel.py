"""A first network corrects what the labels of the second round say.

The two sets of photos draw their boxes differently (around the hat or hair; around the whole head
down to the chin), one holds photos upside down, and both leave heads unlabelled.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from edge_agent.geometry import iou_matrix
from edge_agent.types import ArrayPicture, Detections, Frame
from edge_agent.vision.detector import OnnxDetector
from train_helmets.photos import Boxes, Image, Photo, turn_over

SAME_IOU = 0.3
SURE = 0.5
"""A head found with that score where no label is was forgotten, so it is not punished."""


def find(detector: OnnxDetector, image: Image) -> Detections:
    """What is found in one picture."""
    stamp = datetime(2000, 1, 1, tzinfo=UTC)
    return detector.detect(Frame("photo", 0, 0.0, stamp, ArrayPicture(image)))


def upright(detector: OnnxDetector, photo: Photo) -> Photo:
    """The photo, or the photo turned over when its labelled heads are then found more surely."""
    turned = turn_over(photo)
    return max(photo, turned, key=lambda view: _agreement(detector, view))


def _agreement(detector: OnnxDetector, photo: Photo) -> float:
    found = find(detector, photo.image)
    overlaps = iou_matrix(found.boxes, pixels(photo))
    return float((overlaps * found.scores[:, None]).max(0, initial=0).sum())


def redraw(detector: OnnxDetector, photo: Photo) -> Photo:
    """The photo with the detector's boxes in place of the labels that they overlap."""
    found = find(detector, photo.image)
    overlaps = iou_matrix(found.boxes, pixels(photo))
    boxes = photo.boxes.copy()
    for label in range(len(boxes)):
        best = int(overlaps[:, label].argmax()) if len(found) else -1
        if best >= 0 and overlaps[best, label] >= SAME_IOU:
            boxes[label] = found.boxes[best] / _extent(photo)
    return replace(photo, boxes=boxes)


def forgive(detector: OnnxDetector, photo: Photo) -> Photo:
    """The photo with what is surely a head but not labelled marked as to be ignored."""
    found = find(detector, photo.image)
    free = iou_matrix(found.boxes, pixels(photo)).max(1, initial=0) < 0.1
    extra = found.boxes[free & (found.scores >= SURE)] / _extent(photo)
    classes = np.concatenate([photo.classes, np.full(len(extra), -1, np.int64)])
    return replace(
        photo, boxes=np.concatenate([photo.boxes, extra.astype(np.float32)]), classes=classes
    )


def pixels(photo: Photo, boxes: Boxes | None = None) -> Boxes:
    """(M, 4) the labels, or other boxes, in px of the photo."""
    return ((photo.boxes if boxes is None else boxes) * _extent(photo)).astype(np.float32)


def _extent(photo: Photo) -> NDArray[np.float32]:
    height, width = photo.image.shape[:2]
    return np.array([width, height, width, height], np.float32)
