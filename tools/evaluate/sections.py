"""What is measured, section by section: how, and which of its numbers must not fall."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate import bays, crashes, footage, helmets, pictures, plates
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
        each = told["per person, one look"][name]
        yield Figure(
            f"helmets.{name}.person_f1", each["f1"], "higher", each["persons"], slack=0.005
        )


def _plates(told: Mapping[str, Any]) -> Iterator[Figure]:
    for name, each in told["sets"].items():
        for width in ("wide", "narrow"):
            if width in each:
                count = each[width]["photos"]
                share = each[width]["ours"] / count
                yield Figure(f"plates.{name}.{width}", share, "higher", count)
    total = told["total of wide plates"]
    for figure, key in (("wide", "ours"), ("wide_as_printed", "ours as printed")):
        share = total[key] / max(total["photos"], 1)
        yield Figure(f"plates.all.{figure}", share, "higher", total["photos"])
    wrong = total["ours sound and wrong"]
    yield Figure("plates.all.wide_sound_and_wrong", wrong, "lower", total["photos"])


def _crashes(told: Mapping[str, Any]) -> Iterator[Figure]:
    for model, each in told.items():
        yield Figure(f"crashes.{model}.in_time", each["rate"], "higher", each["crashes"])
        yield Figure(f"crashes.{model}.false", len(each["false"]), "lower", each["clips"])


def _bays(told: Mapping[str, Any]) -> Iterator[Figure]:
    lot, lapse = told["pklot-ufpr05"], told["parking-timelapse"]
    yield Figure("bays.pklot-ufpr05.right", lot["right"], "higher", lot["flags"])
    share = 1 - lapse["bays_off"] / lapse["bays_seen"]
    yield Figure("bays.parking-timelapse.right", share, "higher", lapse["bays_seen"])


def _pictures(told: Mapping[str, Any]) -> Iterator[Figure]:
    harmless = {name for name, (expected, _) in pictures.CHANGES.items() if expected is None}
    for kind in ("camera.health", "incident.debris", "incident.smoke_fire"):
        tallies = [each for name, each in told[kind].items() if name not in harmless]
        tried = sum(each["of"] for each in tallies)
        found = sum(each["found"] for each in tallies)
        yield Figure(f"pictures.{kind}.found", found / max(tried, 1), "higher", tried, slack=0.02)
    calm = [each for name, each in told["camera.health"].items() if name in harmless]
    false = sum(each["found"] + len(each["other"]) for each in calm)
    yield Figure("pictures.camera.health.false", false, "lower", sum(e["of"] for e in calm))
    false = len(told["false alarms on undisturbed clips"])
    yield Figure("pictures.undisturbed.false", false, "lower", told["clips"])


def _crash_clips(shared: Path) -> dict[str, Any]:
    """Both networks; that no other clip alarms is shown by `footage`."""
    return crashes.evaluate(shared, folders=("crashes",))


SECTIONS: Mapping[str, Section] = {
    "footage": Section(footage.evaluate, lambda told: list(_footage(told))),
    "plates": Section(plates.evaluate, lambda told: list(_plates(told))),
    "helmets": Section(helmets.evaluate, lambda told: list(_helmets(told))),
    "crashes": Section(_crash_clips, lambda told: list(_crashes(told))),
    "pictures": Section(pictures.evaluate, lambda told: list(_pictures(told))),
    "bays": Section(bays.evaluate, lambda told: list(_bays(told))),
}
