"""Bare heads and hard hats: how many the shipped detector finds, how many it makes up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import SourceError
from edge_agent.geometry import iou_matrix
from edge_agent.types import ArrayPicture, Detections, Frame
from edge_agent.vision.cards import search_path
from edge_agent.vision.detector import open_onnx

NAMES: Mapping[int, str] = {0: "helmet", 1: "head", 2: "head"}
"""hard_hat, no_hard_hat (a cap, a hat) and no_head_wear; 3, person, is not looked for."""
MATCH_IOUS = (0.5, 0.3)


@dataclass(frozen=True)
class Looked:
    """What is in one photo, and what was found in it."""

    boxes: NDArray[np.float32]
    """(M, 4) xyxy px, the labels."""
    names: tuple[str, ...]
    """(M,) head or helmet."""
    found: Detections


@dataclass(frozen=True)
class Figures:
    """Precision, recall and their harmonic mean for one class."""

    labels: int
    found: int
    right: int

    @property
    def precision(self) -> float:
        return self.right / max(self.found, 1)

    @property
    def recall(self) -> float:
        return self.right / max(self.labels, 1)

    @property
    def f1(self) -> float:
        return 2 * self.right / max(self.labels + self.found, 1)


def evaluate(shared: Path) -> dict[str, Any]:
    """Figures per class and overlap of the model `helmets` on the held-out photos."""
    detector = open_onnx("helmets", search_path(None, {}))
    seen = list(look(detector.detect, shared / "helmets" / "hardhat" / "valid"))
    results: dict[str, Any] = {"photos": len(seen), "min_score": detector.min_score}
    for iou in MATCH_IOUS:
        for name in ("head", "helmet"):
            figures = count(seen, name, detector.min_score, iou)
            results[f"{name} at IoU {iou}"] = {
                "labels": figures.labels,
                "precision": round(figures.precision, 3),
                "recall": round(figures.recall, 3),
                "f1": round(figures.f1, 3),
            }
    return results


def look(detect: Callable[[Frame], Detections], folder: Path) -> Iterator[Looked]:
    """Run the detector over `images/*.jpg`, whose labels are YOLO rows in `boxes/*.txt`."""
    for path in sorted((folder / "images").glob("*.jpg")):
        image = cv2.imread(str(path))
        if image is None:
            raise SourceError(f"{path}: not a picture")
        frame = Frame(
            "photo", 0, 0.0, datetime(2000, 1, 1, tzinfo=UTC), ArrayPicture(np.asarray(image))
        )
        boxes, names = _labels(folder / "boxes" / f"{path.stem}.txt", image.shape[1::-1])
        yield Looked(boxes, names, detect(frame))


def _labels(path: Path, size: tuple[int, ...]) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    rows = [row.split() for row in path.read_text(encoding="utf-8").splitlines() if row.strip()]
    known = [row for row in rows if int(row[0]) in NAMES]
    centre = np.array([row[1:5] for row in known], np.float32).reshape(-1, 4) * (*size, *size)
    half = centre[:, 2:] / 2
    boxes = np.concatenate([centre[:, :2] - half, centre[:, :2] + half], 1)
    return boxes.astype(np.float32), tuple(NAMES[int(row[0])] for row in known)


def count(seen: Sequence[Looked], name: str, min_score: float, min_iou: float) -> Figures:
    """Match the found boxes of one class, best first, each to the free label it overlaps most."""
    labels = found = right = 0
    for photo in seen:
        wanted = photo.boxes[[label == name for label in photo.names]]
        is_ours = [photo.found.names[index] == name for index in photo.found.classes]
        boxes = photo.found.boxes[np.array(is_ours, bool) & (photo.found.scores >= min_score)]
        labels, found = labels + len(wanted), found + len(boxes)
        right += _matches(iou_matrix(boxes, wanted), min_iou)
    return Figures(labels, found, right)


def _matches(overlaps: NDArray[Any], min_iou: float) -> int:
    """How many rows, first come first served, find a column of their own."""
    free = np.array(overlaps, np.float64)
    matched = 0
    for row in free:
        if row.size and row.max() >= min_iou:
            free[:, row.argmax()] = -1
            matched += 1
    return matched
