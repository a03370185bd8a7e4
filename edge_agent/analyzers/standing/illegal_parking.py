"""Illegal parking: a vehicle stands in a zone for longer than it may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from edge_agent import config
from edge_agent.analyzers.plates.watch import PlateVotes
from edge_agent.analyzers.schedule import Hours, Schedule
from edge_agent.analyzers.standing.stay import Change, Limits, Stay, StayWatch
from edge_agent.analyzers.view import Happening, View, expand_classes, rule_name
from edge_agent.recollection import Moved
from edge_agent.types import JSON, Event, Phase, Scene

PHASES: dict[Change, Phase] = {
    "entered": "suspect",
    "dismissed": "dismissed",
    "begun": "begin",
    "standing": "update",
    "ended": "end",
}


class IllegalParking:
    """`parking.illegal`: suspect on entering the zone, begin at the limit, end on leaving.

    A slow queue is not parking: whoever moves up starts to count anew. A vehicle that leaves the
    zone and stands in it again within `reentry_s` continues the same offence. Where plates are
    read, the end says which one it had, as far as looks on its way in and out agree.
    """

    kind = "parking.illegal"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        zone: str
        dwell_s: Annotated[float, Field(gt=0, le=86_400)]
        """Standing is allowed for this long."""
        grace_s: Annotated[float, Field(ge=0, le=3600)] = 0.0
        """Tolerance on top of `dwell_s` before an offence is reported."""
        reentry_s: Annotated[float, Field(ge=0, le=600)] = 3.0
        """Who leaves and stands in the zone again within this time goes on with one offence."""
        update_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0
        classes: tuple[str, ...] = ("vehicle",)
        schedule: tuple[Hours, ...] = ()
        """When the rule holds; always, if empty."""

    def __init__(self, settings: Settings, view: View) -> None:
        self._settings = settings
        self._name = rule_name(self.kind, settings.zone, settings)
        self._schedule = Schedule(settings.schedule, view.timezone)
        limits = Limits(settings.dwell_s + settings.grace_s, settings.reentry_s, settings.update_s)
        classes = expand_classes(settings.classes)
        # A stay is told to be over when its track has been gone for so long.
        self._votes = PlateVotes(keep_s=settings.reentry_s + 1)
        self._watch = StayWatch(view.zones[settings.zone], classes, limits)

    def update(self, scene: Scene) -> Iterable[Event]:
        self._votes.update(scene)
        active = self._schedule.is_active(scene.frame.wall)
        return self._events(scene, self._watch.update(scene, active))

    def finish(self, scene: Scene) -> Iterable[Event]:
        return self._events(scene, self._watch.finish())

    def remember(self) -> JSON:
        return self._watch.remember()

    def recall(self, state: JSON, moved: Moved) -> None:
        self._watch.recall(state, moved)

    def _events(self, scene: Scene, changes: Iterable[tuple[Change, Stay]]) -> Iterator[Event]:
        for change, stay in changes:
            begin_s = stay.entered_s if stay.begin_s is None else stay.begin_s
            subject = f"{self._name}/{stay.subject}"
            happening = Happening(self.kind, subject, begin_s, self._settings.zone)
            event = happening.event(scene, PHASES[change], stay.track, self._facts(change, stay))
            vote = self._votes.of(stay.track.id) if change == "ended" else None
            yield event if vote is None else replace(event, plate=vote.verdict().as_json())

    def _facts(self, change: Change, stay: Stay) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "dwell_s": round(stay.dwell_s, 3),
            "limit_s": self._settings.dwell_s,
            "already_standing": stay.already_standing,
        }
        if not stay.already_standing:
            facts["entered_s"] = round(stay.entered_s, 3)
        if change == "ended":
            facts |= {"end_s": round(stay.end_s, 3), "end_reason": stay.end_reason}
        return facts
