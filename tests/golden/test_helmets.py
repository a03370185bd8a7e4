"""The shipped helmet detector on photos that it was not trained on."""

from pathlib import Path

import pytest

from evaluate.helmets import evaluate

pytestmark = pytest.mark.slow

LEAST_F1 = {
    "head at IoU 0.5": 0.59,
    "helmet at IoU 0.5": 0.73,
}
"""What the model reaches, rounded down: it must not get worse."""


def test_heads_and_hard_hats_are_found(shared: Path) -> None:
    results = evaluate(shared)
    reached = {name: results[name]["f1"] for name in LEAST_F1}
    assert all(reached[name] >= least for name, least in LEAST_F1.items()), reached
