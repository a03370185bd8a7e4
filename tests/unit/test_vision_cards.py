"""Model cards: where they are found, what they must say, how mistakes are reported."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_agent.errors import ModelError
from edge_agent.vision.cards import (
    Card,
    card_files,
    find_card,
    find_weights,
    read_card,
    search_path,
)
from edge_agent.vision.decoders import DECODERS
from edge_agent.vision.labels import our_names
from edge_agent.vision.plates import PLATE_DECODERS

SHIPPED = Path(__file__).resolve().parents[2] / "models"
WEIGHTS = b"not really a network"


def card_values(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": "mine",
        "file": "mine.onnx",
        "licence": "MIT",
        "source": "https://example.org/mine.onnx",
        "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "bytes": len(WEIGHTS),
        "input": {"width": 64, "height": 64, "colour": "bgr", "resize": "stretch"},
        "decoder": "yolov8",
        "min_score": 0.4,
        "classes": {0: "car"},
    }
    return values | changes


def write_card(folder: Path, **changes: Any) -> Path:
    values = card_values(**changes)
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_every_shipped_card_is_valid_and_names_a_decoder() -> None:
    names = [path.stem for path in sorted(SHIPPED.glob("*.yaml"))]
    assert {"yolox_nano", "nanodet_m", "fastestdet", "yolov5n_640", "yolov8n"} <= set(names)
    for name in names:
        card = find_card(name, [SHIPPED])
        assert card.decoder in {*DECODERS, *PLATE_DECODERS}
        assert card.source or card.source_note


def test_the_search_path_keeps_its_order_and_drops_what_does_not_exist(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("site", "one", "two")]
    for folder in folders:
        folder.mkdir()
    listed = os.pathsep.join([str(folders[1]), str(tmp_path / "absent"), str(folders[2])])
    path = search_path(folders[0], {"EDGE_AGENT_MODELS": listed})
    assert path[:3] == folders
    assert SHIPPED in path
    assert tmp_path / "absent" not in path


def test_earlier_folders_win(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_card(tmp_path / name, licence=name)
    paths = [tmp_path / "first", tmp_path / "second"]
    assert card_files(paths)["mine"].parent.name == "first"
    assert find_card("mine", paths).licence == "first"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sha256": "abc"}, "sha256"),
        ({"min_score": 1.5}, "min_score"),
        ({"input": {"width": 64, "height": 64, "colour": "grey", "resize": "stretch"}}, "colour"),
        ({"classes": {"x": "car"}}, "classes"),
        ({"souce": "https://example.org"}, "souce"),
        ({"source": None}, "source_note"),
        ({"file": "../mine.onnx"}, "file"),
        ({"name": "other"}, "'mine'"),
    ],
)
def test_a_wrong_card_is_refused_by_file_and_key(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = write_card(tmp_path, **changes)
    with pytest.raises(ModelError) as caught:
        read_card(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["{", "- a list", "", "\x00"])
def test_a_card_that_is_no_yaml_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"mine\.yaml"):
        read_card(path)


def test_an_unknown_model_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"motion, .*yolox_nano.*models add"):
        find_card("yolo99", [SHIPPED])


def test_missing_weights_name_the_command_that_fetches_them(tmp_path: Path) -> None:
    card = Card.model_validate(card_values())
    with pytest.raises(ModelError, match=r"run `edge-agent models pull mine`"):
        find_weights(card, [tmp_path])


def test_missing_weights_without_a_source_say_how_they_were_made(tmp_path: Path) -> None:
    card = Card.model_validate(card_values(source=None, source_note="exported by hand"))
    with pytest.raises(ModelError, match=r"exported by hand.*models add FILE --name mine"):
        find_weights(card, [tmp_path])


def test_wrong_weights_are_named_and_good_ones_further_on_are_taken(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad", tmp_path / "good"
    bad.mkdir()
    good.mkdir()
    (bad / "mine.onnx").write_bytes(b"x" + WEIGHTS[1:])
    card = Card.model_validate(card_values())
    with pytest.raises(ModelError, match=r"bad.mine\.onnx is not the file.*models pull mine"):
        find_weights(card, [bad, good])
    (good / "mine.onnx").write_bytes(WEIGHTS)
    assert find_weights(card, [bad, good]) == good / "mine.onnx"


def test_labels_of_the_street_are_renamed_and_the_household_is_dropped() -> None:
    coco = {0: "person", 3: "motorbike", 9: "traffic light", 78: "hair drier", 79: "toothbrush"}
    assert our_names(coco) == {0: "person", 3: "motorcycle"}
    assert our_names({0: "Hard_Hat", 1: "Pedestrian"}) == {0: "hard hat", 1: "person"}
