"""The peers, each as its own guide shows it, with its own defaults; runs in their environment.

    python peers.py NAME VIDEO WEIGHTS FRAMES

Loads and warms up, says "ready", and for every line on standard input plays the first FRAMES
frames of VIDEO once and answers with one line of JSON: seconds of wall and of CPU time.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

Image = np.ndarray[Any, Any]
Play = Callable[[], int]
"""Plays the clip once; returns how many frames were tracked."""


def pictures(video: Path, count: int) -> Iterator[Image]:
    """As every guide reads them."""
    capture = cv2.VideoCapture(str(video))
    for _ in range(count):
        is_read, image = capture.read()
        if not is_read:
            break
        yield image
    capture.release()


def ultralytics_with(tracker: str) -> Callable[[Path, Path, int], Play]:
    """docs: modes/track, `model.track(source, stream=True)`."""

    def make(video: Path, weights: Path, count: int) -> Play:
        from ultralytics import YOLO

        model = YOLO(weights, task="detect")

        def play() -> int:
            results = model.track(str(video), stream=True, verbose=False, tracker=tracker)
            return sum(1 for _ in islice(results, count))

        return play

    return make


def supervision_bytetrack(video: Path, weights: Path, count: int) -> Play:
    """docs: how-to/track-objects, Ultralytics for detection and `sv.ByteTrack`."""
    import supervision as sv
    from ultralytics import YOLO

    model = YOLO(weights, task="detect")

    def play() -> int:
        tracker, frames = sv.ByteTrack(), 0
        for image in pictures(video, count):
            result = model(image, verbose=False)[0]
            tracker.update_with_detections(sv.Detections.from_ultralytics(result))
            frames += 1
        return frames

    return play


def norfair_tracker(video: Path, weights: Path, count: int) -> Play:
    """docs: getting started; boxes as two points, IoU distance."""
    from norfair import Detection, Tracker
    from ultralytics import YOLO

    model = YOLO(weights, task="detect")

    def play() -> int:
        tracker, frames = Tracker(distance_function="iou", distance_threshold=0.7), 0
        for image in pictures(video, count):
            boxes = model(image, verbose=False)[0].boxes
            found = zip(boxes.xyxy.numpy(), boxes.conf.numpy(), boxes.cls.numpy(), strict=True)
            tracker.update(
                [
                    Detection(box.reshape(2, 2), np.array([score, score]), label=int(kind))
                    for box, score, kind in found
                ]
            )
            frames += 1
        return frames

    return play


def by_hand(video: Path, weights: Path, count: int) -> Play:
    """VideoCapture, blobFromImage, a default onnxruntime session, cv2's NMS, tracks by IoU."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(weights), providers=["CPUExecutionProvider"])
    feed = session.get_inputs()[0]
    height, width = (d if isinstance(d, int) else 640 for d in feed.shape[2:])

    def detect(image: Image) -> Image:
        ratio = min(width / image.shape[1], height / image.shape[0])
        small = cv2.resize(image, None, fx=ratio, fy=ratio)
        canvas = np.full((height, width, 3), 114, np.uint8)
        canvas[: small.shape[0], : small.shape[1]] = small
        blob = cv2.dnn.blobFromImage(canvas, 1 / 255, swapRB=True)
        rows = session.run(None, {feed.name: blob})[0][0].T
        scores = rows[:, 4:].max(1)
        rows, scores = rows[scores > 0.25], scores[scores > 0.25]
        boxes = rows[:, :4].copy()
        boxes[:, :2] -= boxes[:, 2:] / 2
        keep = cv2.dnn.NMSBoxesBatched(boxes, scores, rows[:, 4:].argmax(1), 0.25, 0.5)
        found: Image = boxes[np.asarray(keep, int).ravel()] / ratio
        return found

    def play() -> int:
        tracks: dict[int, Image] = {}
        ids = frames = 0
        for image in pictures(video, count):
            free, seen = dict(tracks), {}
            for box in detect(image):
                best = max(free, key=lambda i: _iou(free[i], box), default=None)
                if best is None or _iou(free[best], box) < 0.3:
                    ids += 1
                    best = ids
                free.pop(best, None)
                seen[best] = box
            tracks = seen
            frames += 1
        return frames

    return play


def _iou(a: Image, b: Image) -> float:
    """Of two boxes x, y, width, height."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return float(shared / (a[2] * a[3] + b[2] * b[3] - shared))


PEERS: dict[str, Callable[[Path, Path, int], Play]] = {
    "ultralytics track (botsort, default)": ultralytics_with("botsort.yaml"),
    "ultralytics track (bytetrack)": ultralytics_with("bytetrack.yaml"),
    "supervision with ByteTrack": supervision_bytetrack,
    "norfair": norfair_tracker,
    "cv2 and onnxruntime by hand": by_hand,
}


def main() -> None:
    name, video, weights, count = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the libraries print is not an answer
    play = PEERS[name](Path(video), Path(weights), int(count))
    play()
    answers.write("ready\n")
    for _ in sys.stdin:
        begin, busy = time.perf_counter(), time.process_time()
        frames = play()
        wall_s, busy_s = time.perf_counter() - begin, time.process_time() - busy
        figures = {"wall_s": wall_s / frames, "busy_s": busy_s / frames, "frames": frames}
        answers.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
