"""Decoders on made-up network outputs whose boxes are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.vision.decoders import DECODERS, Raw, suppress
from edge_agent.vision.detector import fit

SIZE = (64, 64)
BOX = [10.0, 20.0, 30.0, 50.0]
"""xyxy in px of the input; every decoder below must give it back with class 1 and score 0.8."""
CX, CY, W, H = 20.0, 35.0, 20.0, 30.0
ANCHORS = 8 * 8 + 4 * 4 + 2 * 2
F = np.float32


def _yolox() -> list[NDArray[F]]:
    out = np.zeros((1, ANCHORS, 5 + 3), F)
    row = out[0, 4 * 8 + 2]  # the cell (2, 4) of stride 8
    row[:4] = CX / 8 - 2, CY / 8 - 4, np.log(W / 8), np.log(H / 8)
    row[4], row[6] = 1.0, 0.8
    return [out]


def _yolov5() -> list[NDArray[F]]:
    out = np.zeros((1, 252, 5 + 3), F)
    out[0, 7, :4] = CX, CY, W, H
    out[0, 7, 4:] = 0.9, 0.1, 0.8 / 0.9, 0.0
    return [out]


def _yolov8() -> list[NDArray[F]]:
    out = np.zeros((1, 4 + 3, ANCHORS), F)
    out[0, :, 5] = CX, CY, W, H, 0.1, 0.8, 0.05
    return [out]


def _end2end() -> list[NDArray[F]]:
    out = np.zeros((1, 300, 6), F)
    out[0, 0] = *BOX, 0.8, 1
    return [out]


def _nanodet() -> list[NDArray[F]]:
    counts = (64, 16, 4)
    scores = [np.zeros((1, n, 3), F) for n in counts]
    bins = [np.zeros((1, n, 32), F) for n in counts]
    scores[0][0, 4 * 8 + 2, 1] = 0.8  # the anchor at (2.5, 4.5) cells = (20, 36) px
    reach = [(20 - BOX[0]) / 8, (36 - BOX[1]) / 8, (BOX[2] - 20) / 8, (BOX[3] - 36) / 8]
    for side, distance in enumerate(reach):  # two neighbouring bins give any distance
        low = int(distance)
        with np.errstate(divide="ignore"):
            share = np.log([1 - (distance - low), distance - low])
        bins[0][0, 34, side * 8 : side * 8 + 8] = -50
        bins[0][0, 34, side * 8 + low : side * 8 + low + 2] = np.maximum(share, -50)
    return [*scores, *bins]


def _fastestdet() -> list[NDArray[F]]:
    out = np.zeros((1, 5 + 3, 8, 8), F)
    cell = out[0, :, 4, 2]
    cell[0], cell[6] = 0.8, 0.8
    cell[1], cell[2] = np.arctanh(CX / 8 - 2), np.arctanh(CY / 8 - 4)
    cell[3], cell[4] = -np.log(64 / W - 1), -np.log(64 / H - 1)
    return [out]


def _ssd() -> list[NDArray[F]]:
    boxes, scores = np.zeros((1, 50, 4), F), np.zeros((1, 50, 3), F)
    scores[0, :, 0] = 1.0
    boxes[0, 9] = np.array(BOX, F) / 64
    scores[0, 9] = 0.2, 0.8, 0.0
    return [boxes, scores]


def _yunet() -> list[NDArray[F]]:
    cls, obj, boxes, kps = (
        [np.zeros((1, n, width), F) for n in (64, 16, 4)] for width in (1, 1, 4, 10)
    )
    at = 4 * 8 + 2
    cls[0][0, at], obj[0][0, at] = 0.8, 0.8
    boxes[0][0, at] = CX / 8 - 2, CY / 8 - 4, np.log(W / 8), np.log(H / 8)
    return [*cls, *obj, *boxes, *kps]


OUTPUTS = {
    "yolox": _yolox,
    "yolov5": _yolov5,
    "yolov8": _yolov8,
    "end2end": _end2end,
    "nanodet": _nanodet,
    "fastestdet": _fastestdet,
    "ssd_boxes_scores": _ssd,
    "yunet": _yunet,
}
ONE_CLASS = {"yunet"}


@pytest.mark.parametrize("name", DECODERS)
def test_a_known_box_comes_back(name: str) -> None:
    raw = DECODERS[name](OUTPUTS[name](), SIZE, 0.3)
    assert raw.boxes.tolist() == [pytest.approx(BOX, abs=0.01)]
    assert raw.scores.tolist() == [pytest.approx(0.8, abs=1e-4)]
    assert raw.classes.tolist() == [0 if name in ONE_CLASS else 1]


@pytest.mark.parametrize("name", DECODERS)
def test_nothing_above_the_floor_is_nothing(name: str) -> None:
    raw = DECODERS[name](OUTPUTS[name](), SIZE, 0.9)
    assert raw.boxes.shape == (0, 4)
    assert len(raw.scores) == len(raw.classes) == 0


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("shape", [(1, 7), (1, 5, 3), (2, 3, 4), (1, 2, 3, 3)])
def test_outputs_of_another_family_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        DECODERS[name]([np.zeros(shape, F)], SIZE, 0.3)


def test_suppression_keeps_the_best_of_each_group_and_the_order() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [40, 40, 50, 50]], F)
    raw = Raw(boxes, np.array([0.5, 0.7, 0.6, 0.9], F), np.zeros(4, int))
    assert suppress(raw, np.array([0, 0, 1, 0]), 0.5).tolist() == [3, 1, 2]


def test_suppression_of_nothing_is_nothing() -> None:
    raw = Raw(np.zeros((0, 4), F), np.zeros(0, F), np.zeros(0, int))
    assert suppress(raw, np.zeros(0, int), 0.5).tolist() == []


@pytest.mark.parametrize(
    ("resize", "inner", "offset"),
    [
        ("letterbox_topleft", (416, 234), (0, 0)),
        ("letterbox_centre", (416, 234), (0, 91)),
        ("stretch", (416, 416), (0, 0)),
    ],
)
def test_the_picture_is_laid_into_the_input(
    resize: str, inner: tuple[int, int], offset: tuple[int, int]
) -> None:
    geometry = fit((416, 416), (1920, 1080), resize)
    assert (geometry.inner, geometry.offset) == (inner, offset)
