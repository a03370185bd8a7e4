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
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from xml.etree import ElementTree

import click
import motmetrics
import numpy as np
from rich.console import Console
from rich.table import Table

from edge_agent.config.models import DetectorSettings, TrackerSettings
from edge_agent.errors import EdgeError, UsageError
from edge_agent.geometry import iou_matrix
from edge_agent.tracking import Tracker
from edge_agent.types import VEHICLES, Detections

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


def _array(boxes: Mapping[int, tuple[float, float, float, float]]) -> np.ndarray:
    return np.array(list(boxes.values()), np.float32).reshape(-1, 4)
