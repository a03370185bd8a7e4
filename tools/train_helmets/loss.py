"""SimOTA assignment and the losses of YOLOX (arXiv:2103.14259, arXiv:2107.08430)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from train_helmets.network import anchors

BOX_WEIGHT = 5.0
CENTRE_STRIDES = 2.5
"""Anchors as near as that to a box's centre may be assigned to it."""
CANDIDATES = 10
"""The overlaps of so many of the best anchors add up to how many a box gets."""


@dataclass(frozen=True)
class Truth:
    """What is in one picture."""

    boxes: Tensor
    """(M, 4) xyxy px."""
    classes: Tensor
    """(M,) int64; -1: something that is neither to be found nor to be punished."""


class Loss:
    """The loss of a batch of logits (batch, N, 5 + C) of square inputs of `size` px."""

    def __init__(self, size: int) -> None:
        self.points, self.steps = anchors(size)

    def __call__(self, logits: Tensor, truths: Sequence[Truth]) -> Tensor:
        total, positives = logits.new_zeros(()), 0
        for rows, truth in zip(logits, truths, strict=True):
            loss, count = self._picture(rows, truth)
            total, positives = total + loss, positives + count
        return total / max(positives, 1)

    def _picture(self, rows: Tensor, truth: Truth) -> tuple[Tensor, int]:
        """The summed loss and the number of positive anchors of one picture."""
        centre = (rows[:, :2] + self.points) * self.steps
        half = rows[:, 2:4].clamp(max=8).exp() * self.steps / 2
        boxes = torch.cat([centre - half, centre + half], 1)
        wanted = truth.classes >= 0
        heads, classes = truth.boxes[wanted], truth.classes[wanted]
        found, given, overlap = self._assign(rows, boxes, heads, classes)
        is_object = torch.zeros(len(rows))
        is_object[found] = 1.0
        objectness = functional.binary_cross_entropy_with_logits(
            rows[:, 4], is_object, reduction="none"
        )
        loss = objectness[self._counts(truth, found)].sum()
        if not len(found):
            return loss, 0
        target = functional.one_hot(classes[given], rows.shape[1] - 5)
        loss = loss + functional.binary_cross_entropy_with_logits(
            rows[found, 5:], target * overlap[:, None], reduction="sum"
        )
        aligned = _aligned_iou(boxes[found], heads[given])
        return loss + BOX_WEIGHT * (1 - aligned**2).sum(), len(found)

    def _counts(self, truth: Truth, found: Tensor) -> Tensor:
        """(N,) anchors whose objectness counts: all but those inside what is to be ignored."""
        ignored = truth.boxes[truth.classes < 0]
        counts = ~self._inside(ignored).any(1)
        counts[found] = True
        return counts

    def _inside(self, boxes: Tensor) -> Tensor:
        """(N, M) whether an anchor's point lies in a box."""
        points = ((self.points + 0.5) * self.steps)[:, None]
        return ((points > boxes[:, :2]) & (points < boxes[:, 2:])).all(2)

    @torch.no_grad()
    def _assign(
        self, rows: Tensor, boxes: Tensor, wanted: Tensor, classes: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Positive anchors, the wanted box of each, and their present overlap with it."""
        points = (self.points + 0.5) * self.steps
        middle = (wanted[:, :2] + wanted[:, 2:]) / 2
        near = ((points[:, None] - middle).abs() < CENTRE_STRIDES * self.steps[:, None]).all(2)
        inside = self._inside(wanted)
        likely = (near | inside).any(1).nonzero()[:, 0]
        if not len(likely):
            return likely, likely, torch.zeros(0)
        iou = _iou(boxes[likely], wanted)
        score = (rows[likely, 4:5].sigmoid() * rows[likely, 5:].sigmoid()).sqrt()
        target = functional.one_hot(classes, rows.shape[1] - 5).float()
        wrong = functional.binary_cross_entropy(
            score[:, None].expand(-1, len(wanted), -1),
            target.expand(len(likely), -1, -1),
            reduction="none",
        ).sum(2)
        cost = wrong - 3 * (iou + 1e-8).log() + 1e5 * ~(near & inside)[likely]
        chosen = torch.zeros_like(cost, dtype=torch.bool)
        top = iou.topk(min(CANDIDATES, len(likely)), 0).values.sum(0).int().clamp(min=1)
        for box, count in enumerate(top.tolist()):
            chosen[cost[:, box].topk(count, largest=False).indices, box] = True
        contested = chosen.sum(1) > 1
        chosen[contested] = functional.one_hot(cost[contested].argmin(1), len(wanted)).bool()
        kept = chosen.any(1)
        given = chosen[kept].float().argmax(1)
        return likely[kept], given, iou[kept, given]


def _iou(a: Tensor, b: Tensor) -> Tensor:
    """(N, M) overlaps of (N, 4) and (M, 4) xyxy."""
    return _aligned_iou(a[:, None], b)


def _aligned_iou(a: Tensor, b: Tensor) -> Tensor:
    extent = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(
        0
    )
    shared = extent.prod(-1)
    areas = [(box[..., 2:] - box[..., :2]).prod(-1) for box in (a, b)]
    return shared / (areas[0] + areas[1] - shared + 1e-9)
