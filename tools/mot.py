#!/usr/bin/env python3
"""Scores a tracker against hand-made boxes: MOTA, IDF1, identity switches, misses, false boxes.

  tools/mot.py score TUD-Campus/gt.txt TUD-Campus/test.txt
  tools/mot.py jamcam ../shared/footage/tfl-jamcam --model yolov8n

`score` reads the MOTChallenge text format (frame, id, left, top, width, height, confidence, ...);
`jamcam` runs the product's own detector and tracker over clips annotated with CVAT 1.1.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from xml.etree import ElementTree

import click
import motmetrics
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from edge_agent.config.models import DetectorSettings, TrackerSettings
from edge_agent.errors import EdgeError, UsageError
from edge_agent.geometry import iou_matrix
from edge_agent.ports import Detector, Source
from edge_agent.sources import open_recording
from edge_agent.tracking import Tracker
from edge_agent.types import VEHICLES, Detections, Track
from edge_agent.vision import open_detector, search_path

MATCH_IOU = 0.5
"""MOTChallenge: a tracker's box counts as right from this overlap."""

Boxes = dict[int, dict[int, tuple[float, float, float, float]]]
"""Frame -> object id -> x1, y1, x2, y2 in px."""


@dataclass(frozen=True)
class Score:
    """Figures of one sequence, as py-motmetrics defines them (Bernardin 2008, Ristani 2016)."""

    name: str
    mota: float
    idf1: float
    motp: float
    recall: float
    precision: float
    num_unique_objects: int
    num_switches: int
    num_fragmentations: int
    num_false_positives: int
    num_misses: int


def read_mot(path: Path) -> Boxes:
    """Boxes of a MOTChallenge text file; rows of confidence 0 are marked as not to be counted."""
    boxes: Boxes = {}
    try:
        with path.open(newline="") as file:
            for row in csv.reader(file):
                frame, key = int(row[0]), int(row[1])
                x, y, width, height, confidence = (float(value) for value in row[2:7])
                if confidence != 0:
                    boxes.setdefault(frame, {})[key] = (x, y, x + width, y + height)
    except (OSError, ValueError, IndexError) as error:
        raise UsageError(
            f"{path}: not a MOTChallenge file (frame,id,left,top,width,height,confidence): {error}"
        ) from error
    return boxes


def read_cvat(path: Path) -> Boxes:
    """Boxes of a CVAT 1.1 video annotation, frames from 0; those outside of the view left out."""
    boxes: Boxes = {}
    try:
        for track in ElementTree.parse(path).getroot().iter("track"):
            for box in track.iter("box"):
                if box.get("outside") != "1":
                    x1, y1, x2, y2 = (float(box.attrib[k]) for k in ("xtl", "ytl", "xbr", "ybr"))
                    frame = boxes.setdefault(int(box.attrib["frame"]), {})
                    frame[int(track.attrib["id"])] = (x1, y1, x2, y2)
    except (OSError, ElementTree.ParseError, KeyError, ValueError) as error:
        raise UsageError(f"{path}: not a CVAT 1.1 annotation: {error}") from error
    return boxes


def accumulate(truth: Boxes, found: Boxes) -> motmetrics.MOTAccumulator:
    """Pair the boxes frame by frame.

    The distances are our own: py-motmetrics 1.4 computes them with functions that numpy 2 and
    pandas 3 no longer have.
    """
    accumulator = motmetrics.MOTAccumulator()
    for frame in sorted(truth.keys() | found.keys()):
        true, seen = truth.get(frame, {}), found.get(frame, {})
        overlap = iou_matrix(_array(true), _array(seen)).astype(float)
        overlap[overlap < MATCH_IOU] = np.nan
        accumulator.update(list(true), list(seen), 1.0 - overlap, frameid=frame)
    return accumulator


def score(pairs: Mapping[str, tuple[Boxes, Boxes]]) -> list[Score]:
    """Figures of every sequence (name -> truth and the tracker's boxes), and of all together."""
    names = [field.name for field in fields(Score)][1:]
    table = motmetrics.metrics.create().compute_many(
        [accumulate(truth, found) for truth, found in pairs.values()],
        names=list(pairs),
        metrics=names,
        generate_overall=len(pairs) > 1,
    )
    return [
        Score(str(name), *(int(row[key]) if key.startswith("num_") else row[key] for key in names))
        for name, row in table.iterrows()
    ]


def _array(boxes: Mapping[int, tuple[float, float, float, float]]) -> NDArray[np.float32]:
    return np.array(list(boxes.values()), np.float32).reshape(-1, 4)


def only_vehicles(found: Detections) -> Detections:
    """The detections that vehicle annotations can judge."""
    keep = np.array([name in VEHICLES for name in found.names], bool)[found.classes]
    return Detections(found.boxes[keep], found.scores[keep], found.classes[keep], found.names)


def follow(source: Source, detector: Detector, tracker: Tracker) -> Boxes:
    """What the product's tracker sees in a recording, frame by frame, hidden objects left out."""
    boxes: Boxes = {}
    for frame in source.frames():
        tracks = tracker.update(only_vehicles(detector.detect(frame)), frame)
        boxes[frame.seq] = {t.id: _edges(t) for t in tracks if t.last_s == frame.t_s}
    return boxes


def _edges(track: Track) -> tuple[float, float, float, float]:
    return track.box.x1, track.box.y1, track.box.x2, track.box.y2


def annotated_clips(folder: Path) -> list[tuple[Path, Path]]:
    """Every video of a folder with its annotation, whose name ends in the video's name."""
    pairs = []
    for video in sorted(folder.glob("*.mp4")):
        annotations = sorted(folder.glob(f"*{video.stem}.xml"))
        if annotations:
            pairs.append((video, annotations[0]))
    if not pairs:
        raise UsageError(f"{folder}: no VIDEO.mp4 with a CVAT annotation *VIDEO.xml beside it")
    return pairs


def score_clips(folder: Path, model: str, paths: list[Path]) -> list[Score]:
    """Figures of the product on every annotated clip of a folder, and of all together."""
    detector = open_detector(DetectorSettings(model=model), paths)
    high = detector.min_score
    pairs: dict[str, tuple[Boxes, Boxes]] = {}
    for video, annotation in annotated_clips(folder):
        source = open_recording(video, "clip")
        try:
            found = follow(source, detector, Tracker(TrackerSettings(), high))
        finally:
            source.close()
        pairs[video.stem.rsplit(".", 1)[-1]] = (read_cvat(annotation), found)
    return score(pairs)


def show(scores: list[Score]) -> None:
    """Print the figures as a table."""
    table = Table("sequence", "MOTA", "IDF1", "recall", "precision", "ID switches", "FP", "FN")
    for row in scores:
        shares = (f"{x:.1%}" for x in (row.mota, row.idf1, row.recall, row.precision))
        counts = (row.num_switches, row.num_false_positives, row.num_misses)
        table.add_row(row.name, *shares, *(str(count) for count in counts))
    Console().print(table)


@click.group()
def main() -> None:
    """Score a tracker against hand-made boxes."""


@main.command("score")
@click.argument("truth", type=click.Path(path_type=Path))
@click.argument("found", type=click.Path(path_type=Path))
def score_files(truth: Path, found: Path) -> None:
    """Score the MOTChallenge file FOUND against TRUTH."""
    show(score({found.parent.name or found.stem: (read_mot(truth), read_mot(found))}))


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--model", required=True, help="Name of a model card.")
@click.option("--models-dir", type=click.Path(path_type=Path), help="Where the weights lie.")
def jamcam(folder: Path, model: str, models_dir: Path | None) -> None:
    """Run detector and tracker over the annotated clips of FOLDER and score them."""
    show(score_clips(folder, model, search_path(models_dir, os.environ)))


if __name__ == "__main__":
    try:
        main()
    except EdgeError as error:
        raise SystemExit(f"mot: {error}") from error
