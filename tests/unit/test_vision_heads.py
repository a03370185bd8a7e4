"""Who is looked at, and whose a head is: a detector that finds colours in the mosaic."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from edge_agent.config import HeadSettings
from edge_agent.errors import ModelError
from edge_agent.geometry import iou
from edge_agent.types import ArrayPicture, Box, Detections, Frame, HeadSighting, ModelInfo, Track
from edge_agent.vision.heads import MosaicHeadFinder, open_head_finder

COLOURS = {"head": (0, 0, 255), "helmet": (0, 255, 255)}  # BGR
MODELS = Path(__file__).resolve().parents[2] / "models"


class ColourDetector:
    """Finds one bare head per red and one helmet per yellow spot and tile."""

    model, is_ordered, min_score = ModelInfo("colours", None), False, 0.5
    names: tuple[str, ...] = tuple(COLOURS)

    def __init__(self) -> None:
        self.looks = 0

    def detect(self, frame: Frame) -> Detections:
        self.looks += 1
        half = np.array([frame.height // 2, frame.width // 2])
        boxes: list[list[float]] = []
        classes: list[int] = []
        for index, colour in enumerate(COLOURS.values()):
            mask = np.all(np.abs(frame.image.astype(int) - colour) < 40, axis=2)
            for i in range(4):
                at = half * (i // 2, i % 2)
                ys, xs = np.nonzero(mask[at[0] : at[0] + half[0], at[1] : at[1] + half[1]])
                if len(ys) > 20:
                    x, y = at[1], at[0]
                    box = [xs.min() + x, ys.min() + y, xs.max() + 1 + x, ys.max() + 1 + y]
                    boxes.append([float(v) for v in box])
                    classes.append(index)
        scores = np.full(len(boxes), 0.9, np.float32)
        array = np.array(boxes, np.float32).reshape(-1, 4)
        return Detections(array, scores, np.array(classes, np.int64), tuple(COLOURS))


def standing(ident: int, x: float, height: float = 150) -> Track:
    box = Box(x - height / 6, 50, x + height / 6, 50 + height)
    return Track(ident, "person", 0.9, box, (0, 0), 0.0, 0.0, None, seen=box)


def head_of(track: Track) -> Box:
    size, (x, _) = track.box.height / 7, track.box.centre
    return Box(x - size / 2, track.box.y1, x + size / 2, track.box.y1 + size)


def frame(t_s: float, heads: Sequence[tuple[Box, str]]) -> Frame:
    image = np.full((300, 800, 3), 60, np.uint8)
    for box, name in heads:
        image[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)] = COLOURS[name]
    return Frame("c1", 0, t_s, datetime(2026, 1, 1, tzinfo=UTC), ArrayPicture(image))


def finder(max_fps: float = 2.0) -> MosaicHeadFinder:
    return MosaicHeadFinder(ColourDetector(), (416, 416), max_fps)


def seen_at(track: Track, t_s: float) -> Track:
    return Track(track.id, "person", 0.9, track.box, (0, 0), 0.0, t_s, None, seen=track.box)


def by_track(heads: Sequence[HeadSighting]) -> dict[int, bool]:
    return {head.track_id: head.has_helmet for head in heads}


def test_heads_are_found_where_they_are_in_the_picture() -> None:
    tracks = [standing(1, 40), standing(2, 300), standing(3, 700, height=240)]
    kinds = ["helmet", "head", "helmet"]
    picture = frame(0.0, [(head_of(t), kind) for t, kind in zip(tracks, kinds, strict=True)])
    found = finder().find(picture, tracks)
    assert by_track(found) == {1: True, 2: False, 3: True}
    for head, track in zip(found, tracks, strict=True):
        assert iou(head.box, head_of(track)) > 0.75


def test_turns_are_taken_in_media_time() -> None:
    tracks = [standing(i, 60 + 130 * i) for i in range(1, 6)]  # five persons, four at a time
    heads = [(head_of(t), "head") for t in tracks]
    eye = finder(max_fps=2)
    looks = [
        (t_s, sorted(by_track(eye.find(frame(t_s, heads), [seen_at(t, t_s) for t in tracks]))))
        for t_s in (0.0, 0.2, 0.4, 0.5, 0.6, 1.0)
    ]
    told = [(t_s, ids) for t_s, ids in looks if ids]
    assert told == [(0.0, [1, 2, 3, 4]), (0.5, [1, 2, 3, 5]), (1.0, [1, 2, 3, 4])]


def test_nobody_there_costs_nothing() -> None:
    detector = ColourDetector()
    eye = MosaicHeadFinder(detector, (416, 416), 2.0)
    far, hidden = standing(1, 300, height=40), standing(2, 500)
    car = Track(3, "car", 0.9, Box(0, 0, 200, 200), (0, 0), 0.0, 5.0, None)
    assert eye.find(frame(5.0, []), [seen_at(far, 5.0), hidden, car]) == ()
    assert detector.looks == 0


def test_a_head_that_may_be_two_persons_is_nobodys() -> None:
    one, other = standing(1, 300), standing(2, 306)
    assert finder().find(frame(0.0, [(head_of(one), "head")]), [one, other]) == ()


def test_a_head_goes_to_whom_it_is_clearly_nearer() -> None:
    one, other = standing(1, 300), standing(2, 318)  # almost a head apart
    picture = frame(0.0, [(head_of(one), "helmet")])
    assert by_track(finder().find(picture, [one, other])) == {1: True}


def test_a_helmet_in_the_hand_is_not_on_the_head() -> None:
    track = standing(1, 300)
    in_hand = Box(290, 130, 312, 152)
    assert finder().find(frame(0.0, [(in_hand, "helmet")]), [track]) == ()
    found = finder().find(frame(0.0, [(in_hand, "helmet"), (head_of(track), "head")]), [track])
    assert by_track(found) == {1: False}


def test_bare_and_helmet_on_one_head_is_neither() -> None:
    track = standing(1, 300)
    top = head_of(track)
    halves = [
        (Box(top.x1, top.y1, top.x2, top.y1 + 11), "helmet"),
        (Box(top.x1, top.y1 + 11, top.x2, top.y2 + 2), "head"),
    ]
    assert finder().find(frame(0.0, halves), [track]) == ()


def test_persons_at_the_edge_of_the_picture() -> None:
    box = Box(-20, -60, 40, 120)  # the head is above the picture
    track = Track(1, "person", 0.9, box, (0, 0), 0.0, 0.0, None, seen=box)
    assert finder().find(frame(0.0, []), [track]) == ()


def test_a_model_that_knows_no_helmets_is_refused(shared: Path) -> None:
    with pytest.raises(ModelError, match="finds no head and no helmet"):
        open_head_finder(HeadSettings(model="yolox_nano"), [MODELS, shared / "models"])
