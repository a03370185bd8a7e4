"""The shipped helmet detector on photos that it was not trained on."""

from pathlib import Path

import pytest

from evaluate.helmets import evaluate

pytestmark = pytest.mark.slow

WHOLE = "whole photos"
PERSONS = "per person, one look"
FOUND = "heads of the persons found"
LEAST_F1 = {
    WHOLE: {"head at IoU 0.5": 0.60, "helmet at IoU 0.5": 0.73},
    PERSONS: {"head": 0.90, "helmet": 0.92},
    FOUND: {"head at IoU 0.3": 0.68, "helmet at IoU 0.3": 0.66},
}
"""What the model reaches, rounded down: it must not get worse."""


def test_heads_and_hard_hats_are_found(shared: Path) -> None:
    results = evaluate(shared)
    results[WHOLE] = results
    reached = {
        part: {name: results[part][name]["f1"] for name in least}
        for part, least in LEAST_F1.items()
    }
    assert all(
        reached[part][name] >= f1 for part, least in LEAST_F1.items() for name, f1 in least.items()
    ), reached
