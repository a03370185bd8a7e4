"""Bare heads and hard hats: how many the shipped detector finds, how many it makes up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.config import HeadSettings
from edge_agent.errors import SourceError
from edge_agent.geometry import iou_matrix
from edge_agent.ports import Detector, HeadFinder
from edge_agent.types import ArrayPicture, Box, Detections, Frame, HeadSighting, Track
from edge_agent.vision.cards import search_path
from edge_agent.vision.detector import open_onnx
from edge_agent.vision.heads import MIN_PERSON_PX, belongs, open_head_finder

NAMES: Mapping[int, str] = {0: "helmet", 1: "head", 2: "head"}
"""hard_hat, no_hard_hat (a cap, a hat) and no_head_wear; 3, person, is not looked for."""
MATCH_IOUS = (0.5, 0.3)
EVERY_LOOK = HeadSettings(max_fps=60)
STAMP = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Looked:
    """What is in one photo, and what was found in it."""

    boxes: NDArray[np.float32]
    """(M, 4) xyxy px, the labels."""
    names: tuple[str, ...]
    """(M,) head or helmet."""
    found: Detections


@dataclass(frozen=True)
class Scene:
    """Who is in one photo, and what they have on their heads; boxes in px."""

    picture: ArrayPicture
    persons: tuple[Box, ...]
    heads: tuple[tuple[Box, str], ...]
    """Each with head or helmet."""


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
    paths = search_path(None, {"EDGE_AGENT_MODELS": str(shared / "models")})
    folder = shared / "helmets" / "hardhat" / "valid"
    detector = open_onnx("helmets", paths)
    seen = list(look(detector.detect, folder))
    results: dict[str, Any] = {"photos": len(seen), "min_score": detector.min_score}
    results |= _per_overlap(seen, detector.min_score)
    scenes = list(read_scenes(folder))
    results["per person, one look"] = verdicts(open_head_finder(EVERY_LOOK, paths), scenes)
    finder = open_head_finder(EVERY_LOOK, paths)
    seen = two_stages(open_onnx("yolox_nano", paths), finder, scenes)
    results["heads of the persons found"] = _per_overlap(seen, 0.0)
    return results


def _per_overlap(seen: Sequence[Looked], min_score: float) -> dict[str, Any]:
    return {
        f"{name} at IoU {iou}": {"labels": figures.labels, **_rounded(figures)}
        for iou in MATCH_IOUS
        for name in ("head", "helmet")
        for figures in [count(seen, name, min_score, iou)]
    }


def _rounded(figures: Figures) -> dict[str, float]:
    return {name: round(getattr(figures, name), 3) for name in ("precision", "recall", "f1")}


def look(detect: Callable[[Frame], Detections], folder: Path) -> Iterator[Looked]:
    """Run the detector over `images/*.jpg`, whose labels are YOLO rows in `boxes/*.txt`."""
    for path in sorted((folder / "images").glob("*.jpg")):
        image = cv2.imread(str(path))
        if image is None:
            raise SourceError(f"{path}: not a picture")
        frame = Frame("photo", 0, 0.0, STAMP, ArrayPicture(np.asarray(image)))
        boxes, names = _labels(folder / "boxes" / f"{path.stem}.txt", image.shape[1::-1])
        yield Looked(boxes, names, detect(frame))


def _labels(
    path: Path, size: tuple[int, ...], names: Mapping[int, str] = NAMES
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    rows = [row.split() for row in path.read_text(encoding="utf-8").splitlines() if row.strip()]
    known = [row for row in rows if int(row[0]) in names]
    centre = np.array([row[1:5] for row in known], np.float32).reshape(-1, 4) * (*size, *size)
    half = centre[:, 2:] / 2
    boxes = np.concatenate([centre[:, :2] - half, centre[:, :2] + half], 1)
    return boxes.astype(np.float32), tuple(names[int(row[0])] for row in known)


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


def read_scenes(folder: Path) -> Iterator[Scene]:
    """Every `images/*.jpg` of a folder, by name."""
    for path in sorted((folder / "images").glob("*.jpg")):
        picture = ArrayPicture(np.asarray(cv2.imread(str(path))))
        size = (picture.width, picture.height)
        boxes, names = _labels(folder / "boxes" / f"{path.stem}.txt", size, {**NAMES, 3: "person"})
        labels = [(Box(*map(float, box)), name) for box, name in zip(boxes, names, strict=True)]
        persons = tuple(box for box, name in labels if name == "person")
        yield Scene(picture, persons, tuple(label for label in labels if label[1] != "person"))


def verdicts(finder: HeadFinder, scenes: Iterable[Scene]) -> dict[str, Any]:
    """One look at every labelled person whose own head is labelled, as the rule looks at people.

    Persons below `MIN_PERSON_PX` are not looked at; a head that is not made out counts as missed.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for number, scene in enumerate(scenes):
        truth = {i: _own(person, scene.heads) for i, person in enumerate(scene.persons, 1)}
        seen = _looks(finder, number, scene.picture, scene.persons)
        told = {each.track_id: _name(each) for each in seen}
        counts.update((n, told.get(i, "unseen")) for i, n in truth.items() if n is not None)
    return {name: _verdict(name, counts) for name in ("head", "helmet")}


def _verdict(name: str, counts: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    """Figures of one class from (true, told) -> how often."""
    true = sum(n for (what, _), n in counts.items() if what == name)
    told = sum(n for (_, said), n in counts.items() if said == name)
    figures = Figures(true, told, counts.get((name, name), 0))
    unseen = counts.get((name, "unseen"), 0)
    return {"persons": true, **_rounded(figures), "not made out": unseen}


def _name(sighting: HeadSighting) -> str:
    return "helmet" if sighting.has_helmet else "head"


def _own(person: Box, heads: Sequence[tuple[Box, str]]) -> str | None:
    """What this person has on the head; None for a small person or without one head of its own."""
    if person.height < MIN_PERSON_PX:
        return None
    found = [name for box, name in heads if belongs(box, person) >= 0.5]
    return found[0] if len(found) == 1 else None


def _looks(
    finder: HeadFinder, number: int, picture: ArrayPicture, people: Sequence[Box]
) -> Iterator[HeadSighting]:
    """What one look at each person, numbered from 1, shows; a few, as each serves four of them."""
    for turn in range(len(people) // 4 + 1):
        t_s = number * 100.0 + turn
        frame = Frame("photo", 0, t_s, STAMP, picture)
        tracks = [
            Track(i, "person", 0.9, box, (0.0, 0.0), 0.0, t_s, None)
            for i, box in enumerate(people, 1)
        ]
        yield from finder.find(frame, tracks)


def two_stages(persons: Detector, finder: HeadFinder, scenes: Iterable[Scene]) -> list[Looked]:
    """The heads of the persons that a detector finds, one look at each."""
    return [_two_stages(persons, finder, number, scene) for number, scene in enumerate(scenes)]


def _two_stages(persons: Detector, finder: HeadFinder, number: int, scene: Scene) -> Looked:
    seen = persons.detect(Frame("photo", 0, 0.0, STAMP, scene.picture))
    people = [
        Box(*map(float, edges))
        for edges, score, index in zip(seen.boxes, seen.scores, seen.classes, strict=True)
        if seen.names[int(index)] == "person" and score >= persons.min_score
    ]
    looks = sorted(_looks(finder, number, scene.picture, people), key=lambda each: -each.score)
    boxes = np.array([_edges(each.box) for each in looks], np.float32).reshape(-1, 4)
    scores = np.array([each.score for each in looks], np.float32)
    classes = np.array([each.has_helmet for each in looks], np.int64)
    labels = np.array([_edges(box) for box, _ in scene.heads], np.float32).reshape(-1, 4)
    names = tuple(name for _, name in scene.heads)
    return Looked(labels, names, Detections(boxes, scores, classes, ("head", "helmet")))


def _edges(box: Box) -> tuple[float, float, float, float]:
    return box.x1, box.y1, box.x2, box.y2
