"""What is measured, section by section: how, and which of its numbers must not fall."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate import bays, footage, helmets
from evaluate.figures import Figure


@dataclass(frozen=True, slots=True)
class Section:
    """One measurement."""

    evaluate: Callable[[Path], dict[str, Any]]
    """Shared folder -> JSON values."""
    figures: Callable[[Mapping[str, Any]], list[Figure]]


def _footage(told: Mapping[str, Any]) -> Iterator[Figure]:
    yield Figure("footage.differing", len(told["differ when repeated"]), "lower", told["clips"])
    yield Figure("footage.damaged", len(told["damaged"]), "lower", told["clips"])
    for kind, each in told["types"].items():
        if each["true"]:
            rate = each["detection_rate"]
            yield Figure(f"footage.{kind}.detected", rate, "higher", each["true"])
        false = each["reported"] - each["matched"]
        yield Figure(f"footage.{kind}.false", false, "lower", each["reported"])


def _helmets(told: Mapping[str, Any]) -> Iterator[Figure]:
    for name in ("head", "helmet"):
        each = told[f"{name} at IoU 0.5"]
        yield Figure(f"helmets.{name}.f1", each["f1"], "higher", each["labels"], slack=0.005)


def _bays(told: Mapping[str, Any]) -> Iterator[Figure]:
    stills, lapse = told["pklot-ufpr05"], told["parking-timelapse"]
    yield Figure("bays.pklot.right", stills["right"], "higher", stills["flags"], slack=0.0025)
    yield Figure("bays.timelapse.exact", lapse["exact"], "higher", lapse["frames"], slack=0.05)


SECTIONS: Mapping[str, Section] = {
    "bays": Section(bays.evaluate, lambda told: list(_bays(told))),
    "footage": Section(footage.evaluate, lambda told: list(_footage(told))),
    "helmets": Section(helmets.evaluate, lambda told: list(_helmets(told))),
}
