"""Crashes on real footage by the default network: how many in time, and no false ones."""

from pathlib import Path

import pytest

from evaluate.crashes import evaluate

pytestmark = pytest.mark.slow

FOUND = 9
"""Of eleven, within three seconds after the labelled start: it must not get worse."""


def test_crashes_are_found_in_time_and_traffic_is_none(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_AGENT_MODELS", str(shared / "models"))
    folders = ("crashes", "crosswalk", "tfl-jamcam")
    results = evaluate(shared, ["yolox_nano"], folders)["yolox_nano"]
    assert results["false"] == []
    assert results["found_in_time"] >= FOUND, results["per_crash"]
    assert all(
        {"contact", "dead_stop"} & set(each["cues"])
        for each in results["per_crash"].values()
        if "cues" in each
    )
