"""Which vehicle stands in which bay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.geometry import iou, overlap
from edge_agent.types import Box

MIN_FIT = 0.2
"""IoU of a vehicle's box with its bay's. A vehicle rises above the ground that the bay outlines and
seldom fills it, and outlines are drawn by hand: the right bay can have as little as this."""
SAME_IOU = 0.6
"""Boxes that overlap this much are one vehicle."""
SWALLOWED = 0.55
"""Share of the smaller box: a weaker box that swallows a stronger one, or lies in it, shows the
same vehicle again, with more or less of what surrounds it."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A box that a network took for a vehicle."""

    box: Box
    score: float


def distinct(sightings: Iterable[Sighting]) -> list[Sighting]:
    """One sighting per vehicle, the strongest; the strongest vehicle first."""
    kept: list[Sighting] = []
    for each in sorted(sightings, key=_order):
        if all(_differ(each.box, other.box) for other in kept):
            kept.append(each)
    return kept


def assign(sightings: Sequence[Sighting], bays: Mapping[str, Box]) -> dict[str, Sighting]:
    """Bay -> the vehicle that stands in it: the best fitting pairs first, one vehicle per bay."""
    pairs = [
        (fit, name, i)
        for name, bay in bays.items()
        for i, each in enumerate(sightings)
        if (fit := iou(each.box, bay)) >= MIN_FIT
    ]
    found: dict[str, Sighting] = {}
    taken: set[int] = set()
    for _, name, i in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if name not in found and i not in taken:
            found[name] = sightings[i]
            taken.add(i)
    return found


def _order(sighting: Sighting) -> tuple[float, ...]:
    box = sighting.box
    return -sighting.score, box.x1, box.y1, box.x2, box.y2


def _differ(a: Box, b: Box) -> bool:
    smaller = max(min(a.area, b.area), 1e-9)
    return iou(a, b) < SAME_IOU and overlap(a, b) < SWALLOWED * smaller
