"""Somebody is where nobody should be, or for too long: what rules about visits have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

from pydantic import Field

from edge_agent import config
from edge_agent.analyzers.people.visits import Change, PresenceWatch, Visit
from edge_agent.analyzers.schedule import Hours, Schedule
from edge_agent.analyzers.view import Happening, View, rule_name
from edge_agent.types import JSON, Event, Phase, Scene, Track


class PresenceSettings(config.RuleSettings):
    """What the site file says beside `kind`."""

    zone: str
    except_zones: tuple[str, ...] = ()
    """Parts of the zone that do not belong to it, e.g. a crossing on a carriageway."""
    dwell_s: Annotated[float, Field(ge=0, le=86_400)] = 1.0
    """Being there for so long is allowed."""
    visit_s: Annotated[float, Field(ge=0, le=86_400)] = 5.0
    """Who is back within this time is reported once."""
    update_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    schedule: tuple[Hours, ...] = ()
    """When the rule holds; always, if empty."""


class PresenceRule:
    """Begin once somebody has been in the zone for `dwell_s`, end on leaving; once per visit."""

    kind: str

    def __init__(self, settings: PresenceSettings, view: View) -> None:
        self._zone = settings.zone
        self._name = rule_name(self.kind, settings.zone, settings)
        self._dwell_s = settings.dwell_s
        self._update_s = settings.update_s
        self._schedule = Schedule(settings.schedule, view.timezone)
        excepted = [view.zones[zone] for zone in settings.except_zones]
        self._watch = PresenceWatch(
            view.zones[settings.zone], settings.visit_s, excepted, self._admits
        )

    def update(self, scene: Scene) -> Iterator[Event]:
        active = self._schedule.is_active(scene.frame.wall)
        for change, visit in self._watch.update(scene, self._found(scene), active):
            yield from self._judge(scene, change, visit)

    def finish(self, scene: Scene) -> Iterator[Event]:
        for change, visit in self._watch.finish():
            yield from self._judge(scene, change, visit)

    def _found(self, scene: Scene) -> Iterable[Track]:
        """The tracks that the rule is about."""
        raise NotImplementedError

    def _admits(self, track: Track) -> bool:
        """True for who may open a visit."""
        return True

    def _judge(self, scene: Scene, change: Change, visit: Visit) -> Iterator[Event]:
        """What is to be told of a visit now."""
        yield from self._told(scene, change, visit, visit.stay_s >= self._dwell_s)

    def _told(self, scene: Scene, change: Change, visit: Visit, is_due: bool) -> Iterator[Event]:
        phase = self._phase(change, visit, is_due)
        if phase is not None:
            yield self._event(scene, phase, visit, {"dwell_s": round(visit.dwell_s, 3)})

    def _phase(self, change: Change, visit: Visit, is_due: bool) -> Phase | None:
        """What is to be reported: at first only once it is due, and on a clear sighting."""
        if change == "ended":
            return None if visit.reported_s is None else "end"
        if visit.reported_s is None:
            if not (is_due and visit.has_moved and visit.track.is_sure):
                return None
            visit.reported_s = visit.inside_s
            return "begin"
        if visit.inside_s - visit.reported_s < self._update_s:
            return None
        visit.reported_s = visit.inside_s
        return "update"

    def _event(self, scene: Scene, phase: Phase, visit: Visit, facts: Mapping[str, JSON]) -> Event:
        subject = f"{self._name}/{visit.subject}"
        happening = Happening(self.kind, subject, visit.happened_s, self._zone)
        ended = {"end_s": round(visit.inside_s, 3), "end_reason": visit.end_reason}
        facts = {**facts, **(ended if phase == "end" else {})}
        return happening.event(scene, phase, visit.track, facts)
