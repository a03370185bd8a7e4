"""What a look over the bays of a car park shows."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.types import Box


@dataclass(frozen=True, slots=True)
class BayVehicle:
    """A vehicle in or near the bays of a car park."""

    box: Box
    score: float
    bay: str | None
    """The bay that it stands in; None for one that stands or drives outside of all."""


@dataclass(frozen=True, slots=True)
class BayLook:
    """What one look over all bays of a camera showed."""

    since_s: float
    """Media time of the oldest picture that it rests on."""
    vehicles: tuple[BayVehicle, ...] = ()
    """At most one per bay; a bay without one was seen free."""
