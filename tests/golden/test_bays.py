"""Real weights on real car parks: which bays are taken, still by still and frame by frame."""

from pathlib import Path

import pytest

from evaluate.bays import evaluate

pytestmark = pytest.mark.slow


def test_bays_of_pklot_and_of_the_time_lapse(shared: Path) -> None:
    found = evaluate(shared)
    stills, lapse = found["pklot-ufpr05"], found["parking-timelapse"]
    assert stills["flags"] == 800
    assert stills["right"] >= 0.99, stills["wrong"]
    assert lapse["frames"] == 24
    assert lapse["exact"] >= 0.9, lapse["wrong"]
    assert lapse["bays_off"] <= 3, lapse["wrong"]
