"""What models there are, whether they work, and how a new one comes in."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import ValidationError

from edge_agent.clock import Clock
from edge_agent.errors import ModelError
from edge_agent.types import ArrayPicture, Frame
from edge_agent.vision.cards import (
    Card,
    Input,
    card_files,
    file_sha256,
    find_card,
    find_weights,
    read_card,
)
from edge_agent.vision.decoders import DECODERS
from edge_agent.vision.detector import OnnxDetector
from edge_agent.vision.download import pull
from edge_agent.vision.labels import COCO_STREET, our_names
from edge_agent.vision.onnx import Session, metadata_names, metadata_size, open_session

__all__ = ["Added", "ModelStatus", "Trial", "add", "check", "list_models", "pull"]

State = Literal["ok", "missing", "wrong sha256", "broken card"]

_UNIT = (255.0, 255.0, 255.0)
_ULTRALYTICS = Input(colour="rgb", std=_UNIT, resize="letterbox_centre")
FAMILY_INPUTS: Mapping[str, Input] = {
    "yolox": Input(colour="bgr", resize="letterbox_topleft"),
    "nanodet": Input(
        colour="bgr",
        mean=(103.53, 116.28, 123.675),
        std=(57.375, 57.12, 58.395),
        resize="letterbox_centre",
        pad=0,
    ),
    "fastestdet": Input(colour="bgr", std=_UNIT, resize="stretch"),
    "yolov5": _ULTRALYTICS,
    "yolov8": _ULTRALYTICS,
    "end2end": _ULTRALYTICS,
    "ssd_boxes_scores": Input(colour="bgr", resize="stretch"),
    "yunet": Input(colour="bgr", resize="letterbox_topleft", pad=0),
}
"""What the published weights of each family want to see."""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One line of `models list`."""

    name: str
    card: Path
    weights: Path | None
    state: State
    detail: str
    """What is wrong and what to do; empty when nothing is."""
    licence: str
    bytes: int
    can_pull: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """What a model did with one grey picture."""

    name: str
    weights: Path
    sha256: str
    input: tuple[int, int]
    """(width, height) px."""
    classes: tuple[str, ...]
    prepare_ms: float
    infer_ms: float
    decode_ms: float


@dataclass(frozen=True, slots=True)
class Added:
    """What a user says about a weight file of their own; None is found out or refused."""

    name: str | None = None
    decoder: str | None = None
    classes: Mapping[int, str] | None = None
    size: tuple[int, int] | None = None
    """(width, height) px of the input."""
    min_score: float = 0.35
    licence: str | None = None


def list_models(paths: Sequence[Path]) -> list[ModelStatus]:
    """Every card that is found, by name."""
    return [_status(name, path, paths) for name, path in card_files(paths).items()]


def _status(name: str, path: Path, paths: Sequence[Path]) -> ModelStatus:
    try:
        card = read_card(path)
    except ModelError as error:
        return ModelStatus(name, path, None, "broken card", str(error), "", 0, False)
    rest = card.licence, card.bytes, card.source is not None
    try:
        return ModelStatus(name, path, find_weights(card, paths), "ok", "", *rest)
    except ModelError as error:
        is_there = any((folder / card.file).is_file() for folder in paths)
        state: State = "wrong sha256" if is_there else "missing"
        return ModelStatus(name, path, None, state, str(error), *rest)


def check(name: str, paths: Sequence[Path], clock: Clock) -> Trial:
    """Verify the weights, open them and look at one grey picture; ModelError says what fails."""
    card = find_card(name, paths)
    weights = find_weights(card, paths)
    detector = OnnxDetector(card, weights)
    picture = ArrayPicture(np.full((720, 1280, 3), 128, np.uint8))
    frame = Frame("check", 0, 0.0, datetime(2000, 1, 1, tzinfo=UTC), picture)
    start = clock.monotonic()
    blob, geometry = detector.prepare(frame)
    prepared = clock.monotonic()
    outputs = detector.infer(blob)
    inferred = clock.monotonic()
    detector.decode(outputs, geometry)
    done = clock.monotonic()
    return Trial(
        name,
        weights,
        card.sha256,
        detector.size,
        detector.names,
        1e3 * (prepared - start),
        1e3 * (inferred - prepared),
        1e3 * (done - inferred),
    )


def add(file: Path, dest: Path, wanted: Added = Added()) -> Path:
    """Copy a weight file into `dest` and write its card; returns the card's path.

    Ultralytics exports describe themselves. For other files the decoder must be named, and the
    classes unless there are the 80 of COCO. ModelError when the file cannot be decoded as said.
    """
    if not file.is_file():
        raise ModelError(f"model file {file}: no such file; name an existing ONNX file")
    name = wanted.name or re.sub(r"[^a-z0-9_-]+", "-", file.stem.lower()).strip("-_")
    card_path = dest / f"{name}.yaml"
    if card_path.exists():
        raise ModelError(f"model {name!r}: {card_path} exists; choose another name with --name")
    if (dest / file.name).exists() and (dest / file.name).resolve() != file.resolve():
        raise ModelError(f"model file {dest / file.name} exists; rename {file} or remove that one")
    card = _describe(file, name, wanted)
    OnnxDetector(card, file)
    try:
        dest.mkdir(parents=True, exist_ok=True)
        if not (dest / file.name).exists():
            shutil.copyfile(file, dest / file.name)
        text = yaml.safe_dump(card.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        card_path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ModelError(f"model {name!r}: cannot write to {dest}: {error.strerror}") from error
    return card_path


def _describe(file: Path, name: str, wanted: Added) -> Card:
    digest = file_sha256(file)
    session = open_session(file, digest)
    if session.input_dtype not in ("float32", "uint8"):
        raise ModelError(
            f"model file {file}: its input is {session.input_dtype}; expected float32 or uint8: "
            "export it again without half precision"
        )
    decoder = wanted.decoder or _guess_decoder(session, wanted)
    if decoder not in DECODERS:
        raise ModelError(f"decoder {decoder!r}: expected one of {', '.join(DECODERS)}")
    width, height = _size(session, wanted)
    inner = FAMILY_INPUTS[decoder].model_dump() | {
        "width": width,
        "height": height,
        "layout": "nhwc" if session.input_shape[3] == 3 else "nchw",
        "dtype": session.input_dtype,
    }
    values: dict[str, Any] = {
        "name": name,
        "file": file.name,
        "licence": wanted.licence or session.metadata.get("license", "not stated"),
        "source_note": session.metadata.get("description") or "added by hand",
        "sha256": digest,
        "bytes": file.stat().st_size,
        "input": inner,
        "decoder": decoder,
        "min_score": wanted.min_score,
        "classes": dict(_classes(session, decoder, wanted)),
    }
    try:
        return Card.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(f"{e['loc'][-1]}: {e['msg']}" for e in error.errors() if e["loc"])
        raise ModelError(f"model file {file}: no valid card: {problems}") from error


def _size(session: Session, wanted: Added) -> tuple[int, int]:
    size = wanted.size or metadata_size(session)
    if size is None:
        raise ModelError(
            f"model file {session.path}: it takes any size and names none; say which with --size"
        )
    return size


def _classes(session: Session, decoder: str, wanted: Added) -> Mapping[int, str]:
    if wanted.classes is not None:
        return wanted.classes
    if "names" in session.metadata:
        return our_names(metadata_names(session))
    sizes = {size for shape in session.output_shapes for size in shape}
    if decoder != "ssd_boxes_scores" and sizes & {80, 84, 85}:
        return COCO_STREET
    raise ModelError(
        f"model file {session.path}: it does not name its classes; list them with --classes"
    )


def _guess_decoder(session: Session, wanted: Added) -> str:
    """The decoder of an Ultralytics export, from its metadata and its output's real shape."""
    if "names" not in session.metadata:
        raise ModelError(
            f"model file {session.path}: it does not describe itself (no Ultralytics metadata); "
            f"name its decoder with --decoder: {', '.join(DECODERS)}"
        )
    task = session.metadata.get("task", "detect")
    if task != "detect":
        raise ModelError(f"model file {session.path}: task {task!r}; expected a detection model")
    count = len(metadata_names(session))
    width, height = _size(session, wanted)
    outputs = session.run(np.zeros((1, 3, height, width), np.float32))
    shape = outputs[0].shape
    if len(outputs) == 1 and len(shape) == 3:
        if shape[2] == 6 and (shape[1] <= 1000 or session.metadata.get("end2end") == "True"):
            return "end2end"
        if shape[1] == 4 + count:
            return "yolov8"
        if shape[2] == 5 + count:
            return "yolov5"
    shapes = [o.shape for o in outputs]
    raise ModelError(
        f"model file {session.path}: outputs {shapes} for {count} classes fit no known decoder; "
        "expected (1, 4 + classes, N), (1, N, 5 + classes) or (1, N, 6)"
    )
