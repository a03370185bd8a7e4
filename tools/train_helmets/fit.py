"""The training run: batches, optimiser, averaging, export."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from train_helmets.loss import Loss, Truth
from train_helmets.network import YoloxNano
from train_helmets.photos import Mixer, Photo
from train_helmets.tiles import Tiler

Note = Callable[[int, float, YoloxNano], None]
"""Told of epoch, mean loss and averaged network."""


@dataclass(frozen=True)
class Plan:
    """How long and how hard to train."""

    epochs: int
    size: int = 416
    """px, side of the square input."""
    batch: int = 16
    rate: float = 1e-3
    """Highest learning rate; it rises for one epoch and then falls along a cosine."""
    mosaic: float = 0.6
    """Share of mosaics; none in the last fifth of the epochs."""
    tiles: float = 0.0
    """Share of pictures of upper bodies side by side, as the product looks at them."""
    seed: int = 0


class Average:
    """Exponential moving average of the weights: what is evaluated and exported."""

    def __init__(self, net: YoloxNano, decay: float = 0.998) -> None:
        self.net, self.decay, self.steps = copy.deepcopy(net).eval(), decay, 0

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        self.steps += 1
        keep = self.decay * (1 - math.exp(-self.steps / 300))
        for mine, theirs in zip(self.net.parameters(), net.parameters(), strict=True):
            mine.lerp_(theirs, 1 - keep)


def fit(net: YoloxNano, photos: Sequence[Photo], plan: Plan, note: Note) -> YoloxNano:
    """Train; `note` is called after every epoch; returns the averaged network."""
    torch.manual_seed(plan.seed)
    rng = np.random.default_rng(plan.seed)
    for frozen in (net.stem, net.dark2):
        frozen.requires_grad_(False)
    net = net.train().to(memory_format=torch.channels_last)
    average, loss_of = Average(net), Loss(plan.size)
    optimiser = torch.optim.AdamW(_groups(net), lr=plan.rate)
    steps = math.ceil(len(photos) / plan.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: _rate(step, steps, plan.epochs)
    )
    mixer, tiler = Mixer(photos, plan.size, rng), Tiler(photos, plan.size, rng)
    for epoch in range(plan.epochs):
        losses = []
        mosaic = plan.mosaic if epoch < 0.8 * plan.epochs else 0.0
        for images, truths in _batches(mixer, tiler, replace(plan, mosaic=mosaic)):
            with torch.autocast("cpu", torch.bfloat16):
                logits = net(images)
            loss = loss_of(logits.float(), truths)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 10.0)
            optimiser.step()
            schedule.step()
            average.update(net)
            losses.append(loss.item())
        note(epoch, sum(losses) / len(losses), average.net)
    return average.net


def _batches(mixer: Mixer, tiler: Tiler, plan: Plan) -> Iterator[tuple[Tensor, list[Truth]]]:
    order = mixer.rng.permutation(len(mixer.photos))
    for start in range(0, len(order), plan.batch):
        samples = [
            tiler.sample()
            if plan.tiles and mixer.rng.random() < plan.tiles
            else mixer.sample(mixer.photos[i], plan.mosaic)
            for i in order[start : start + plan.batch]
        ]
        images = torch.from_numpy(np.stack([image for image, _, _ in samples]))
        yield (
            images.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last),
            [Truth(torch.from_numpy(b), torch.from_numpy(c)) for _, b, c in samples],
        )


def _groups(net: nn.Module) -> list[dict[str, object]]:
    """Weights decay, biases do not."""
    weights = [p for p in net.parameters() if p.ndim > 1]
    biases = [p for p in net.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": 0.02}, {"params": biases, "weight_decay": 0.0}]


def _rate(step: int, steps: int, epochs: int) -> float:
    if step < steps:
        return (step + 1) / steps
    return 0.02 + 0.98 * (1 + math.cos(math.pi * step / (steps * epochs))) / 2


@torch.no_grad()
def halfway(one: YoloxNano, other: YoloxNano) -> YoloxNano:
    """The network with the mean of both weights, for what both are good at (arXiv:2109.01903)."""
    net = copy.deepcopy(one)
    for mine, theirs in zip(net.parameters(), other.parameters(), strict=True):
        mine.lerp_(theirs, 0.5)
    return net


def export(net: YoloxNano, size: int, path: Path) -> None:
    """Write the network as ONNX with a fixed square input of `size` px, batch 1."""
    torch.onnx.export(
        copy.deepcopy(net).eval().to(memory_format=torch.contiguous_format),
        (torch.zeros(1, 3, size, size),),
        str(path),
        input_names=["images"],
        output_names=["output"],
        opset_version=13,
        dynamo=False,
    )
