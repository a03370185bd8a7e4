"""Stopped vehicle on a carriageway, until the place is cleared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import Field

from edge_agent import config
from edge_agent.analyzers.standing.stay import Change, Limits, Stay, StayWatch
from edge_agent.analyzers.view import Happening, View, expand_classes, rule_name
from edge_agent.recollection import Moved
from edge_agent.types import JSON, Event, Phase, Scene

PHASES: dict[Change, Phase] = {"begun": "begin", "standing": "update", "ended": "end"}


class StoppedVehicle:
    """`incident.stopped_vehicle`: begin at the limit, end when the place is cleared.

    The event says how long it took to clear (`clearance_s`), as incident statistics do.
    """

    kind = "incident.stopped_vehicle"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        zone: str
        dwell_s: Annotated[float, Field(gt=0, le=86_400)] = 10.0
        update_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0
        classes: tuple[str, ...] = ("vehicle",)

    def __init__(self, settings: Settings, view: View) -> None:
        self._zone = settings.zone
        self._name = rule_name(self.kind, settings.zone, settings)
        limits = Limits(settings.dwell_s, reentry_s=0.0, update_s=settings.update_s)
        classes = expand_classes(settings.classes)
        self._watch = StayWatch(view.zones[settings.zone], classes, limits)

    def update(self, scene: Scene) -> Iterable[Event]:
        return self._events(scene, self._watch.update(scene, is_active=True))

    def finish(self, scene: Scene) -> Iterable[Event]:
        return self._events(scene, self._watch.finish())

    def remember(self) -> JSON:
        return self._watch.remember()

    def recall(self, state: JSON, moved: Moved) -> None:
        self._watch.recall(state, moved)

    def _events(self, scene: Scene, changes: Iterable[tuple[Change, Stay]]) -> Iterator[Event]:
        for change, stay in changes:
            if change not in PHASES or stay.begin_s is None:
                continue
            facts: dict[str, Any] = {"dwell_s": round(stay.dwell_s, 3)}
            if change == "ended" and stay.departed_s is not None:
                clearance_s = round(stay.departed_s - stay.begin_s, 3)
                facts |= {"clearance_s": clearance_s, "end_reason": stay.end_reason}
            subject = f"{self._name}/{stay.subject}"
            happening = Happening(self.kind, subject, stay.begin_s, self._zone)
            yield happening.event(scene, PHASES[change], stay.track, facts)
