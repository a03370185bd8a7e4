"""Whether each bay is taken: looks, steadied over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edge_agent.recollection import Moved, box_json, box_of, moment_of
from edge_agent.types import JSON, BayLook, BayVehicle

PAUSE = 2.0
"""Looks further apart than this many times what confirmation takes decide alone, as stills do."""


@dataclass(slots=True)
class BayState:
    """What is known of one bay; all times are media times."""

    name: str
    is_taken: bool | None = None
    """None until it was looked at."""
    agreed_s: float = 0.0
    """The latest look that showed it as it is held to be."""
    contrary_s: float | None = None
    """The first of the looks since then, all of which show it otherwise."""
    free_s: float | None = None
    """The latest look that showed it free."""
    vehicle: BayVehicle | None = None
    """What stood there in the latest look that showed a vehicle."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A bay has come to be held for taken, or for free."""

    bay: BayState
    at_s: float
    """Taken: the first look that showed the vehicle. Free: the last one that did."""
    is_first: bool
    """How it was is not known: this was the first look."""


class Occupancy:
    """Turns looks into changes; a vehicle or person that passes through a bay changes nothing.

    A bay changes once every look during `confirm_s` has shown it otherwise. Time between looks
    counts, not their number.
    """

    def __init__(self, bays: Iterable[str], confirm_s: float, every_s: float) -> None:
        self.bays = {name: BayState(name) for name in bays}
        self._confirm_s = confirm_s
        self._pause_s = PAUSE * max(confirm_s, every_s)
        self._looked_s: float | None = None

    @property
    def pause_s(self) -> float:
        """Looks may be so far apart; after a longer pause, nobody knows what happened in it."""
        return self._pause_s

    def remember(self) -> JSON:
        """What each bay is held to be; a change that was not sure yet is seen again."""
        bays = {
            bay.name: {
                "is_taken": bay.is_taken,
                "agreed_s": bay.agreed_s,
                "free_s": bay.free_s,
                "box": box_json(bay.vehicle.box if bay.vehicle else None),
            }
            for bay in self.bays.values()
        }
        return {"bays": bays, "looked_s": self._looked_s}

    def recall(self, state: JSON, moved: Moved) -> None:
        """Go on from there."""
        for name, bay in self.bays.items():
            known = state["bays"][name]
            box = box_of(known["box"])
            bay.is_taken, bay.agreed_s = known["is_taken"], moved(known["agreed_s"])
            bay.free_s = moment_of(known["free_s"], moved)
            bay.vehicle = None if box is None else BayVehicle(box, 0.0, name)
        self._looked_s = moment_of(state["looked_s"], moved)

    def update(self, look: BayLook, t_s: float) -> Iterator[Turn]:
        """Take a look into account that was finished at `t_s`."""
        is_alone = self._looked_s is None or t_s - self._looked_s >= self._pause_s
        self._looked_s = t_s
        found = {each.bay: each for each in look.vehicles if each.bay is not None}
        for name, bay in self.bays.items():
            vehicle = found.get(name)
            if turn := self._judge(bay, vehicle, t_s, is_alone):
                yield turn
            if vehicle is None:
                bay.free_s = t_s

    def _judge(
        self, bay: BayState, vehicle: BayVehicle | None, t_s: float, is_alone: bool
    ) -> Turn | None:
        is_seen_taken = vehicle is not None
        if vehicle is not None:
            bay.vehicle = vehicle
        if is_seen_taken == bay.is_taken:
            bay.agreed_s, bay.contrary_s = t_s, None
            return None
        if bay.contrary_s is None:
            bay.contrary_s = t_s
        if not is_alone and t_s - bay.contrary_s < self._confirm_s:
            return None
        turn = Turn(bay, bay.contrary_s if is_seen_taken else bay.agreed_s, bay.is_taken is None)
        bay.is_taken, bay.agreed_s, bay.contrary_s = is_seen_taken, t_s, None
        return turn
