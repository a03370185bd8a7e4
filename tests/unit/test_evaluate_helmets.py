"""How found heads are matched with labelled ones."""

from pathlib import Path

import cv2
import numpy as np

from edge_agent.types import Detections
from evaluate.helmets import Looked, count, look

NAMES = ("head", "helmet")
HERE, THERE = (10, 10, 30, 30), (60, 10, 80, 30)


def _looked(found: list[tuple[tuple[int, ...], str, float]]) -> Looked:
    boxes = np.array([box for box, _, _ in found], np.float32).reshape(-1, 4)
    scores = np.array([score for _, _, score in found], np.float32)
    classes = np.array([NAMES.index(name) for _, name, _ in found], np.int64)
    labels = np.array([HERE, THERE], np.float32)
    return Looked(labels, ("head", "helmet"), Detections(boxes, scores, classes, NAMES))


def test_a_second_box_on_one_head_is_false() -> None:
    figures = count([_looked([(HERE, "head", 0.9), (HERE, "head", 0.8)])], "head", 0.3, 0.5)
    assert (figures.labels, figures.found, figures.right) == (1, 2, 1)
    assert (figures.precision, figures.recall) == (0.5, 1.0)


def test_a_helmet_called_head_is_missed_and_false() -> None:
    seen = [_looked([(THERE, "head", 0.9)])]
    assert count(seen, "helmet", 0.3, 0.5).recall == 0
    assert count(seen, "head", 0.3, 0.5).precision == 0


def test_weak_boxes_do_not_count() -> None:
    seen = [_looked([(HERE, "head", 0.29)])]
    assert count(seen, "head", 0.3, 0.5).found == 0
    assert count(seen, "head", 0.2, 0.5).f1 == 1


def test_labels_are_read_in_pixels_and_persons_left_out(tmp_path: Path) -> None:
    for name in ("images", "boxes"):
        (tmp_path / name).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.jpg"), np.zeros((100, 200, 3), np.uint8))
    rows = "0 0.5 0.5 0.1 0.2\n3 0.5 0.5 1 1\n2 0.1 0.1 0.1 0.1\n"
    (tmp_path / "boxes" / "a.txt").write_text(rows)
    (looked,) = look(lambda _: Detections.none(NAMES), tmp_path)
    assert looked.names == ("helmet", "head")
    np.testing.assert_allclose(looked.boxes[0], (90, 40, 110, 60), atol=0.01)
