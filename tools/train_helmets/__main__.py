"""The command: photos in, `helmets.onnx` and its figures on held-out photos out."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import cv2
import numpy as np
import torch

from edge_agent.types import ArrayPicture, Box
from edge_agent.vision.cards import Card, Input, file_sha256
from edge_agent.vision.detector import OnnxDetector
from edge_agent.vision.heads import MosaicHeadFinder
from evaluate.helmets import Looked, Scene, count, verdicts
from train_helmets.fit import Plan, export, fit, halfway
from train_helmets.network import YoloxNano, load_published, start_head
from train_helmets.photos import CLASSES, HARDHAT, HELMET_K3, Photo, read_photos, without_copies
from train_helmets.relabel import find, forgive, pixels, redraw, upright

HASH_BITS = 80
"""Of 255: photos nearer than that to one that is tested on are left out."""
THRESHOLDS = np.arange(0.15, 0.7, 0.01)
FIRST = Plan(epochs=24)
SECOND = Plan(epochs=22, size=352, rate=6e-4, seed=1)
THIRD = Plan(epochs=10, rate=5e-4, tiles=0.67, seed=2)
SIZE = 416
"""px, input of the exported network."""
FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)
LOG = logging.getLogger("train_helmets")


@click.command()
@click.argument("hardhat", type=FOLDER)
@click.argument("helmet_k3", type=FOLDER)
@click.argument("tested", type=FOLDER)
@click.argument("start", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--resume", is_flag=True, help="OUT/first.onnx and OUT/second.pt are there already.")
def main(  # noqa: PLR0913  (click hands over one per argument)
    hardhat: Path, helmet_k3: Path, tested: Path, start: Path, out: Path, *, resume: bool
) -> None:
    """Train on HARDHAT and HELMET_K3 from START (yolox_nano.onnx); write OUT/helmets.onnx.

    The photo folders hold `images/*.jpg` and `boxes/*.txt`. Photos that look like one in TESTED
    are left out. The first round trains on HARDHAT alone; its network turns and redraws the
    labels of HELMET_K3 for the second round, which trains on both. The third goes on with upper
    bodies side by side, as the product looks at persons, and every third picture a whole photo;
    what ships is halfway between the second and the third, which sees whole photos less well.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)  # the same sums in the same order, whatever the machine
    cv2.setNumThreads(1)
    out.mkdir(parents=True, exist_ok=True)
    test = [photo.image for photo in read_photos(tested, HARDHAT)]
    ours = without_copies(read_photos(hardhat, HARDHAT), test, HASH_BITS)
    others = without_copies(read_photos(helmet_k3, HELMET_K3), test, HASH_BITS)
    held = [photo for photo in ours if _is_held(photo)]
    ours = [photo for photo in ours if not _is_held(photo)]
    LOG.info("%d + %d photos to train on, %d held out", len(ours), len(others), len(held))
    torch.manual_seed(FIRST.seed)
    net = YoloxNano(len(CLASSES))
    if not resume:
        load_published(net, start)
        start_head(net)
        net = _train(net, ours, FIRST, held, out / "first.onnx")
    detector = open_trained(out / "first.onnx", SIZE)
    others = [redraw(detector, upright(detector, photo)) for photo in others]
    both = [forgive(detector, photo) for photo in [*ours, *balance(others)]]
    if resume:
        net.load_state_dict(torch.load(out / "second.pt"))
    else:
        net = _train(net, both, SECOND, held, out / "second.onnx")
    third = _train(copy.deepcopy(net), both, THIRD, held, out / "third.onnx")
    _keep(halfway(net, third), held, out / "helmets.onnx")


def _is_held(photo: Photo) -> bool:
    """Every seventh ten in a row: neighbours in a set are often of one place."""
    return int(photo.path.stem) // 10 % 7 == 3


def balance(photos: Sequence[Photo]) -> list[Photo]:
    """All photos with bare heads and every third without: there are far more helmets."""
    bare = [photo for photo in photos if CLASSES.index("head") in photo.classes]
    return bare + [photo for photo in photos if CLASSES.index("head") not in photo.classes][::3]


def _train(
    net: YoloxNano, photos: Sequence[Photo], plan: Plan, held: Sequence[Photo], path: Path
) -> YoloxNano:
    """One round; after every third epoch the figures on the held-out photos are logged."""

    def note(epoch: int, loss: float, average: YoloxNano) -> None:
        LOG.info("epoch %d of %d: loss %.3f", epoch + 1, plan.epochs, loss)
        if epoch % 3 == 2 or epoch + 1 == plan.epochs:
            _keep(average, held, path)

    return fit(net, photos, plan, note)


def _keep(net: YoloxNano, held: Sequence[Photo], path: Path) -> None:
    """Write the network, and log its figures on the held-out photos."""
    export(net, SIZE, path)
    torch.save(net.state_dict(), path.with_suffix(".pt"))
    detector = open_trained(path, SIZE)
    for line in (*describe(look(detector, held)), *describe_persons(detector, held)):
        LOG.info("  %s", line)


def open_trained(path: Path, size: int) -> OnnxDetector:
    """The product's own detector for an exported file."""
    card = Card(
        name="helmets",
        file=path.name,
        licence="Apache-2.0",
        source_note="trained here",
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        input=Input(width=size, height=size, colour="bgr", resize="letterbox_topleft"),
        decoder="yolox",
        min_score=0.4,
        classes=dict(enumerate(CLASSES)),
    )
    return OnnxDetector(card, path)


def look(detector: OnnxDetector, photos: Iterable[Photo]) -> list[Looked]:
    """What is in photos and what is found in them, as it is counted on the test photos."""
    return [
        Looked(pixels(p), tuple(CLASSES[c] for c in p.classes), find(detector, p.image))
        for p in photos
    ]


def describe(seen: Sequence[Looked]) -> Iterable[str]:
    """The best threshold per class, and of one for both, with the figures there."""
    for iou in (0.5, 0.3):
        together = max(
            THRESHOLDS, key=lambda least: sum(count(seen, n, least, iou).f1 for n in CLASSES)
        )
        for name in CLASSES:
            alone = max(THRESHOLDS, key=lambda least: count(seen, name, least, iou).f1)
            for least in (alone, together):
                figures = count(seen, name, float(least), iou)
                yield (
                    f"{name} at IoU {iou} from score {least:.2f}: F1 {figures.f1:.3f}, "
                    f"precision {figures.precision:.3f}, recall {figures.recall:.3f}"
                )


def describe_persons(detector: OnnxDetector, photos: Sequence[Photo]) -> Iterable[str]:
    """The figures per person, one look at each."""
    finder = MosaicHeadFinder(detector, detector.size, max_fps=60)
    for name, figures in verdicts(finder, map(_scene, photos)).items():
        yield f"{name} per person: {figures}"


def _scene(photo: Photo) -> Scene:
    persons = [Box(*map(float, box)) for box in pixels(photo, photo.persons)]
    heads = [Box(*map(float, box)) for box in pixels(photo)]
    named = [(box, CLASSES[c]) for box, c in zip(heads, photo.classes, strict=True) if c >= 0]
    return Scene(ArrayPicture(photo.image), tuple(persons), tuple(named))


if __name__ == "__main__":
    main()
