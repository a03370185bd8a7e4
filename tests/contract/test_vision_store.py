"""Listing, adding and checking models, with tiny networks written byte by byte."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml

from edge_agent.clock import ManualClock
from edge_agent.errors import ModelError
from edge_agent.vision.cards import read_card
from edge_agent.vision.detector import open_onnx
from edge_agent.vision.store import Added, add, check, list_models

NAMES = "{0: 'person', 1: 'forklift'}"
ULTRALYTICS = {"task": "detect", "names": NAMES, "imgsz": "[64, 64]", "license": "AGPL-3.0"}


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def _field(number: int, value: int | bytes | str) -> bytes:
    """One protobuf field."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _tensor_type(name: str, shape: Iterable[int | str], kind: int = 1) -> bytes:
    dims = b"".join(_field(1, _field(1, d) if isinstance(d, int) else _field(2, d)) for d in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, dims)))


def write_network(
    path: Path,
    output: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    metadata: Mapping[str, str],
    shape: tuple[int | str, ...] = (1, 3, 64, 64),
    kind: int = 1,
) -> Path:
    """An ONNX file that answers `output` to every picture (onnx.proto3, IR 8, opset 13)."""
    dims = b"".join(_field(1, d) for d in output.shape)
    values = dims + _field(2, 1) + _field(8, "fixed") + _field(9, output.astype("<f4").tobytes())
    node = _field(1, "fixed") + _field(2, "output0") + _field(4, "Identity")
    graph = (
        _field(1, node)
        + _field(2, "g")
        + _field(5, values)
        + _field(11, _tensor_type("images", shape, kind))
        + _field(12, _tensor_type("output0", output.shape))
    )
    model = _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13))
    for key, value in metadata.items():
        model += _field(14, _field(1, key) + _field(2, value))
    path.write_bytes(model)
    return path


def end2end_output() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    output = np.zeros((1, 300, 6), np.float32)
    output[0, 0] = 8, 16, 32, 48, 0.9, 1
    return output


@pytest.mark.parametrize(
    ("output", "decoder"),
    [
        (end2end_output(), "end2end"),
        (np.zeros((1, 6, 84), np.float32), "yolov8"),
        (np.zeros((1, 252, 7), np.float32), "yolov5"),
    ],
)
def test_an_ultralytics_export_describes_itself(
    tmp_path: Path, output: np.ndarray[tuple[int, ...], np.dtype[np.float32]], decoder: str
) -> None:
    file = write_network(tmp_path / "My Model.onnx", output, ULTRALYTICS)
    path = add(file, tmp_path / "store")
    card = read_card(path)
    assert path.name == "my-model.yaml"
    assert (card.decoder, card.input.width, card.input.height) == (decoder, 64, 64)
    assert card.classes == {0: "person", 1: "forklift"}
    assert card.licence == "AGPL-3.0"
    assert card.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    trial = check("my-model", [tmp_path / "store"], ManualClock())
    assert trial.input == (64, 64)
    assert trial.classes == ("person", "forklift")


def test_sizes_come_from_the_metadata_when_the_export_is_dynamic(tmp_path: Path) -> None:
    shape = ("batch", 3, "height", "width")
    meta = ULTRALYTICS | {"imgsz": "[96, 160]"}
    file = write_network(tmp_path / "dynamic.onnx", end2end_output(), meta, shape)
    card = read_card(add(file, tmp_path / "store"))
    assert (card.input.width, card.input.height) == (160, 96)


def test_a_card_may_leave_classes_and_size_to_the_metadata(tmp_path: Path) -> None:
    file = write_network(tmp_path / "net.onnx", end2end_output(), ULTRALYTICS)
    path = add(file, tmp_path / "store", Added(name="net"))
    values = yaml.safe_load(path.read_text())
    values["classes"] = "metadata"
    values["input"]["width"] = values["input"]["height"] = None
    path.write_text(yaml.safe_dump(values))
    detector = open_onnx("net", [path.parent])
    assert detector.names == ("person", "forklift")
    assert detector.size == (64, 64)


@pytest.mark.parametrize(
    ("metadata", "shape", "kind", "said"),
    [
        ({}, (1, 3, 64, 64), 1, "--decoder"),
        (ULTRALYTICS | {"task": "segment"}, (1, 3, 64, 64), 1, "detection model"),
        (ULTRALYTICS, (1, 3, 64, 64), 10, "half precision"),
        ({"names": NAMES}, (1, 3, "h", "w"), 1, "--size"),
        (ULTRALYTICS | {"names": "{0: 'a', 1"}, (1, 3, 64, 64), 1, "names"),
    ],
)
def test_what_cannot_be_decoded_is_refused(
    tmp_path: Path,
    metadata: dict[str, str],
    shape: tuple[int | str, ...],
    kind: int,
    said: str,
) -> None:
    file = write_network(tmp_path / "odd.onnx", end2end_output(), metadata, shape, kind)
    with pytest.raises(ModelError, match=said):
        add(file, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_wrong_decoder_is_refused(tmp_path: Path) -> None:
    file = write_network(tmp_path / "odd.onnx", end2end_output(), {})
    wanted = Added(decoder="yolox", classes={0: "car"})
    with pytest.raises(ModelError, match=r"'yolox' does not fit.*expected \(1, 84"):
        add(file, tmp_path / "store", wanted)


def test_a_model_that_says_nothing_needs_decoder_and_classes(tmp_path: Path) -> None:
    file = write_network(tmp_path / "plain.onnx", end2end_output(), {})
    with pytest.raises(ModelError, match="--classes"):
        add(file, tmp_path / "store", Added(decoder="end2end"))
    path = add(file, tmp_path / "store", Added(decoder="end2end", classes={1: "van"}))
    assert open_onnx("plain", [path.parent]).names == ("van",)


def test_a_name_is_given_only_once(tmp_path: Path) -> None:
    file = write_network(tmp_path / "net.onnx", end2end_output(), ULTRALYTICS)
    add(file, tmp_path / "store")
    with pytest.raises(ModelError, match=r"net\.yaml exists.*--name"):
        add(file, tmp_path / "store")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x08" * 50])
def test_a_file_that_is_no_network_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.onnx"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.onnx"):
        add(file, tmp_path / "store")
    with pytest.raises(ModelError, match="no such file"):
        add(tmp_path / "absent.onnx", tmp_path / "store")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("decoder", "yolo99", "decoder: expected one of yolox"),
        ("input", {"width": 32}, r"the card says \(1, 3, 64, 32\)"),
        ("input", {"dtype": "uint8"}, r"input\.dtype: expected float32"),
        ("input", {"layout": "nhwc"}, "nhwc"),
    ],
)
def test_a_card_that_contradicts_its_file_is_refused(
    tmp_path: Path, key: str, value: object, said: str
) -> None:
    file = write_network(tmp_path / "net.onnx", end2end_output(), ULTRALYTICS)
    path = add(file, tmp_path / "store")
    values = yaml.safe_load(path.read_text())
    values[key] = values[key] | value if isinstance(value, dict) else value
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(ModelError, match=said):
        open_onnx("net", [path.parent])


def test_the_list_shows_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    store = tmp_path / "store"
    for name in ("good", "gone", "wrong", "broken"):
        file = write_network(tmp_path / f"{name}.onnx", end2end_output(), ULTRALYTICS)
        add(file, store)
    (store / "gone.onnx").unlink()
    (store / "wrong.onnx").write_bytes(b"something else")
    (store / "broken.yaml").write_text("name: broken")
    states = {status.name: status for status in list_models([store])}
    assert {name: status.state for name, status in states.items()} == {
        "broken": "broken card",
        "gone": "missing",
        "good": "ok",
        "wrong": "wrong sha256",
    }
    assert states["good"].weights == store / "good.onnx"
    assert "models add" in states["gone"].detail
