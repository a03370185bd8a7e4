"""The figures of tools/mot.py: proven on a published result, then floors for our own tracker."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from edge_agent.errors import UsageError


@pytest.fixture(scope="module")
def mot() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "tools" / "mot.py"
    spec = importlib.util.spec_from_file_location("tools_mot", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["TUD-Campus", "TUD-Stadtmitte"])
def test_published_figures_are_reproduced(mot: ModuleType, shared: Path, name: str) -> None:
    folder = shared / "metrics" / "tud-motmetrics"
    truth = json.loads((folder / "truth.json").read_text())[name]
    files = (mot.read_mot(folder / name / "gt.txt"), mot.read_mot(folder / name / "test.txt"))
    (row,) = mot.score({name: files})
    assert {
        "IDF1": round(row.idf1, 3),
        "Rcll": round(row.recall, 3),
        "Prcn": round(row.precision, 3),
        "GT": row.num_unique_objects,
        "FP": row.num_false_positives,
        "FN": row.num_misses,
        "IDs": row.num_switches,
        "FM": row.num_fragmentations,
        "MOTA": round(row.mota, 3),
        "MOTP": round(row.motp, 3),
    } == pytest.approx(truth, abs=0.001)


def test_the_table_is_printed(mot: ModuleType, shared: Path) -> None:
    folder = shared / "metrics" / "tud-motmetrics" / "TUD-Campus"
    files = [str(folder / "gt.txt"), str(folder / "test.txt")]
    result = CliRunner().invoke(mot.main, ["score", *files])
    assert result.exit_code == 0 and "52.6%" in result.output and "TUD-Campus" in result.output


def test_a_file_of_another_kind_is_named(mot: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "boxes.txt"
    path.write_text("1,2,three\n")
    with pytest.raises(UsageError, match=r"boxes\.txt: not a MOTChallenge file"):
        mot.read_mot(path)
    with pytest.raises(UsageError, match=r"boxes\.txt: not a CVAT 1\.1 annotation"):
        mot.read_cvat(path)


@pytest.mark.slow
def test_hand_labelled_street_clips(mot: ModuleType, shared: Path) -> None:
    models = [Path(__file__).resolve().parents[2] / "models", shared / "models"]
    *_, overall = mot.score_clips(shared / "footage" / "tfl-jamcam", "yolox_nano", models)
    assert overall.mota >= 0.29
    assert overall.idf1 >= 0.56
    assert overall.num_switches <= 18
