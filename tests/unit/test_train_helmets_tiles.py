"""What the network learns from: heads are labelled where they are in the tiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_agent.geometry import iou_matrix
from train_helmets.photos import Photo
from train_helmets.tiles import Tiler

SIZE = 416
HEAD = (150, 100, 170, 120)
PERSON = (130, 98, 190, 240)


def photo(persons: bool) -> Photo:
    image = np.zeros((320, 320, 3), np.uint8)
    x1, y1, x2, y2 = HEAD
    image[y1:y2, x1:x2] = 255
    head, person = (np.array([box], np.float32) / np.float32(320) for box in (HEAD, PERSON))
    return Photo(Path("1.jpg"), image, head, np.array([1]), person if persons else person[:0])


@pytest.mark.parametrize("persons", [True, False])
def test_labels_lie_on_the_heads(persons: bool) -> None:
    tiler = Tiler([photo(persons)], SIZE, np.random.default_rng(0))
    for _ in range(20):
        image, boxes, classes = tiler.sample()
        assert len(boxes) == len(classes) in range(1, 5)
        assert set(classes) == {1}
        assert boxes.min() >= 0
        assert boxes.max() <= SIZE
        for box in boxes:
            x, y = (int(v) // (SIZE // 2) * (SIZE // 2) for v in (box[:2] + box[2:]) / 2)
            tile = image[y : y + SIZE // 2, x : x + SIZE // 2].max(2)
            rows, columns = np.nonzero(tile > 0.7 * tile.max())
            seen = [columns.min() + x, rows.min() + y, columns.max() + x + 1, rows.max() + y + 1]
            assert iou_matrix(np.array([seen], np.float32), box[None])[0, 0] > 0.7
