"""Zones where nobody should stay, and zones where nobody should be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from edge_agent.analyzers.people.presence import PresenceRule, PresenceSettings
from edge_agent.analyzers.people.visits import Change, Visit
from edge_agent.analyzers.people.walkers import each_once
from edge_agent.analyzers.view import View, expand_classes
from edge_agent.types import Event, Scene, Track


class Loitering(PresenceRule):
    """`zone.loitering`: somebody stays in the zone, moving or not, for longer than `dwell_s`.

    Who leaves and is back within `visit_s` counts on.
    """

    kind = "zone.loitering"

    class Settings(PresenceSettings):
        """What the site file says beside `kind`."""

        dwell_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0
        visit_s: Annotated[float, Field(ge=0, le=86_400)] = 10.0
        classes: tuple[str, ...] = ("person",)

    def __init__(self, settings: Settings, view: View) -> None:
        super().__init__(settings, view)
        self._classes = expand_classes(settings.classes)

    def _found(self, scene: Scene) -> Iterable[Track]:
        return each_once(scene, self._classes)

    def _judge(self, scene: Scene, change: Change, visit: Visit) -> Iterator[Event]:
        yield from self._told(scene, change, visit, visit.dwell_s >= self._dwell_s)


class Trespass(PresenceRule):
    """`zone.trespass`: somebody is in a closed zone."""

    kind = "zone.trespass"

    class Settings(PresenceSettings):
        """What the site file says beside `kind`."""

        visit_s: Annotated[float, Field(ge=0, le=86_400)] = 10.0
        classes: tuple[str, ...] = ("person", "bicycle", "vehicle")

    def __init__(self, settings: Settings, view: View) -> None:
        super().__init__(settings, view)
        self._classes = expand_classes(settings.classes)

    def _found(self, scene: Scene) -> Iterator[Track]:
        yield from each_once(scene, self._classes)  # not asked for while the zone is open
