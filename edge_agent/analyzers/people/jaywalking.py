"""Pedestrians who cross while their signal shows red."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from edge_agent.analyzers.people.presence import PresenceRule, PresenceSettings
from edge_agent.analyzers.people.visits import Change, Visit
from edge_agent.analyzers.people.walkers import Riders, afoot
from edge_agent.analyzers.traffic.lamp import Lamp
from edge_agent.analyzers.view import View
from edge_agent.config.models import Name
from edge_agent.types import Event, Scene, Track

REACTION_S = 1.0
"""Who steps onto the road within this time of the change could not stop any more."""


class Jaywalking(PresenceRule):
    """`incident.jaywalking`: begin once it is sure that somebody walks on red, end on leaving.

    Who was seen to step into the zone on red is accused after `dwell_s` in it; anybody else, who
    may have started on green, only when red has been lit for `clearance_s`. Nobody is accused
    while the phase is unknown, dark or in conflict, and nobody twice during one visit.
    """

    kind = "incident.jaywalking"

    class Settings(PresenceSettings):
        """What the site file says beside `kind`."""

        phase: Name
        """The signal phase of these pedestrians."""
        clearance_s: Annotated[float, Field(ge=0, le=120)] = 10.0
        """Time to finish for who started on green: the way across at a slow walk, 1 m/s."""

    def __init__(self, settings: Settings, view: View) -> None:
        super().__init__(settings, view)
        self._lamp = Lamp(settings.phase)
        self._clearance_s = settings.clearance_s
        self._riders = Riders()

    def update(self, scene: Scene) -> Iterator[Event]:
        self._lamp.show(scene.signals.get(self._lamp.phase), scene.frame.t_s)
        yield from super().update(scene)

    def _found(self, scene: Scene) -> Iterable[Track]:
        self._riders.update(scene)
        return afoot(scene, self._riders)

    def _judge(self, scene: Scene, change: Change, visit: Visit) -> Iterator[Event]:
        if visit.is_over:
            return
        is_red, t_s = self._lamp.state == "red", scene.frame.t_s
        if visit.reported_s is None and change == "here" and is_red:
            visit.begin_s = self._begin_s(visit)
        is_due = is_red and min(visit.stay_s, t_s - visit.happened_s) >= self._dwell_s
        if visit.reported_s is not None and change == "here" and not is_red:
            change, visit.end_reason = "ended", "signal_changed"
            visit.is_over = True
        for event in self._told(scene, change, visit, is_due):
            facts = {**event.facts, "entered_s": round(visit.entered_s, 3)}
            if is_red:
                facts["red_since_s"] = round(self._lamp.since_s, 3)
            signal, doubts = {self._lamp.phase: "red"}, self._lamp.doubts
            yield replace(event, facts=facts, signal=signal, doubts=doubts)

    def _begin_s(self, visit: Visit) -> float:
        """From when on walking there is an offence, red having been lit since `since_s`."""
        red_s = self._lamp.since_s
        if visit.was_outside and visit.entered_s >= red_s + REACTION_S:
            return visit.entered_s
        return red_s + self._clearance_s
