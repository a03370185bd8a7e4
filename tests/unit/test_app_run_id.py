"""The id of a replay: it follows from what is played and how, every weight included."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge_agent.app import load, make_origin
from edge_agent.runner import Lane
from edge_agent.types import Media, ModelInfo

SITE = """\
site: {name: lot}
device: box
cameras:
  gate:
    detector: {model: yolox_nano}
"""


@dataclass
class Look:
    """A closer look of any kind: only its weights matter here."""

    models: tuple[ModelInfo, ...]


class Source:
    camera = "gate"
    media = Media("x.mp4", "replay", "0" * 64, datetime(2026, 5, 13, tzinfo=UTC), "given")


class Detector:
    model = ModelInfo("finder", "1" * 64)


@dataclass
class Looks:
    """As much of a pipeline as the id depends on."""

    plates: Look | None = None
    heads: Look | None = None
    bays: Look | None = None
    detector: Any = Detector


def run_id(folder: Path, **looks: Look) -> str:
    config = folder / "site.yaml"
    config.write_text(SITE)
    lane: Any = Lane(Source(), Looks(**looks))  # type: ignore[arg-type]
    return make_origin(load(config), config, [lane], None).boot_id


@pytest.mark.parametrize("kind", ["plates", "heads", "bays"])
def test_other_weights_of_a_closer_look_make_another_run(tmp_path: Path, kind: str) -> None:
    one, other = (Look((ModelInfo("net", digit * 64),)) for digit in "ab")
    assert run_id(tmp_path, **{kind: one}) == run_id(tmp_path, **{kind: one})
    assert run_id(tmp_path, **{kind: one}) != run_id(tmp_path, **{kind: other})
