"""Parking bays: every stay from its begin to its end, with what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from edge_agent import config
from edge_agent.analyzers.bays.sessions import (
    BaySessions,
    Change,
    Confirm,
    Session,
    bay_settings,
    bays_missing,
    track_of,
)
from edge_agent.analyzers.bays.tariff import Tariff
from edge_agent.analyzers.view import Happening, View, rule_name
from edge_agent.config import BaySettings, Camera, SiteInfo
from edge_agent.recollection import Moved
from edge_agent.types import JSON, Event, Scene


class BayStay:
    """`parking.bay`: begin when a bay has come to be taken, end when it is free again.

    A stay begins with the first look that showed the vehicle and ends with the last one: nobody
    pays for time in which it was not seen. `precision_s` says how much earlier it may have come.
    """

    kind = "parking.bay"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        confirm_s: Confirm = None
        tariff: Tariff | None = None
        """What standing costs; without one there is no charge record."""

        def problems(self, camera: Camera, site: SiteInfo) -> Iterable[tuple[str, str]]:
            return bays_missing(camera)

    def __init__(self, settings: Settings, view: View) -> None:
        self._bays = bay_settings(view)
        self._tariff = settings.tariff
        self._name = rule_name(self.kind, view.camera, settings)
        self._sessions = BaySessions(view, settings.confirm_s)

    def update(self, scene: Scene) -> Iterable[Event]:
        return self._events(scene, self._sessions.update(scene))

    def finish(self, scene: Scene) -> Iterable[Event]:
        return self._events(scene, self._sessions.finish())

    def remember(self) -> JSON:
        return self._sessions.remember()

    def recall(self, state: JSON, moved: Moved) -> None:
        self._sessions.recall(state, moved)

    def _events(self, scene: Scene, changes: Iterable[tuple[Change, Session]]) -> Iterator[Event]:
        for change, session in changes:
            happening = Happening(
                self.kind, f"{self._name}/{session.subject}", session.begin_s, session.bay
            )
            track = track_of(session.box, scene)
            if change == "begun":
                yield happening.event(scene, "begin", track, self._facts(session))
                continue
            event = happening.event(scene, "end", track, self._facts(session) | self._end(session))
            yield replace(event, plate=self._sessions.plate(session))

    def _facts(self, session: Session) -> dict[str, Any]:
        free_s = session.free_s
        return {
            "kept_for": kept_for(session.bay, self._bays),
            "already_standing": free_s is None,
            "precision_s": None if free_s is None else round(session.begin_s - free_s, 3),
        }

    def _end(self, session: Session) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "dwell_s": round(session.dwell_s, 3),
            "end_reason": session.end_reason,
        }
        if self._tariff is not None:
            # What was not seen to begin, or to end, was at least so long.
            is_whole = session.free_s is not None and session.end_reason == "left"
            is_whole = is_whole and not session.unseen_s
            facts["charge"] = {**self._tariff.charge(session.dwell_s), "is_complete": is_whole}
        return facts


def kept_for(bay: str, bays: BaySettings) -> list[str]:
    """For whom the bay is kept, in alphabetical order."""
    groups = [group for group, names in bays.reserved.items() if bay in names]
    return sorted({*groups, *(["ev"] if bay in bays.ev else [])})
