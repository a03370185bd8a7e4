"""People where only vehicles belong: pedestrians and cyclists on a carriageway."""

from __future__ import annotations

from collections.abc import Iterable

from edge_agent.analyzers.people.presence import PresenceRule, PresenceSettings
from edge_agent.analyzers.people.walkers import Riders, afoot, cyclists, is_at_standing, vehicles
from edge_agent.analyzers.view import View
from edge_agent.types import Scene, Track


class Pedestrian(PresenceRule):
    """`incident.pedestrian`: somebody on foot, not who rides a bike or sits in a vehicle."""

    kind = "incident.pedestrian"

    class Settings(PresenceSettings):
        """What the site file says beside `kind`."""

        at_vehicles: bool = True
        """Who stands at a standing vehicle counts, too; not so where people park and load."""

    def __init__(self, settings: Settings, view: View) -> None:
        super().__init__(settings, view)
        self._at_vehicles = settings.at_vehicles
        self._riders = Riders()

    def _found(self, scene: Scene) -> Iterable[Track]:
        self._riders.update(scene)
        walkers = afoot(scene, self._riders)
        if self._at_vehicles:
            return walkers
        parked = vehicles(scene)
        return [t for t in walkers if not any(is_at_standing(t.box, v) for v in parked)]


class Cyclist(PresenceRule):
    """`incident.cyclist`: who rides a bicycle where none belongs."""

    kind = "incident.cyclist"
    Settings = PresenceSettings

    def __init__(self, settings: PresenceSettings, view: View) -> None:
        super().__init__(settings, view)
        self._riders = Riders()

    def _found(self, scene: Scene) -> Iterable[Track]:
        self._riders.update(scene)
        return cyclists(scene, self._riders)
