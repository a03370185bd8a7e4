"""Bays for electric vehicles with a vehicle that is none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated

from pydantic import Field

from edge_agent import config
from edge_agent.analyzers.bays.sessions import (
    BaySessions,
    Confirm,
    Session,
    bay_settings,
    bays_missing,
    track_of,
)
from edge_agent.analyzers.view import Happening, View, rule_name
from edge_agent.config import Camera, SiteInfo
from edge_agent.recollection import Moved
from edge_agent.types import JSON, Event, Phase, Scene

_HEAD = "[\u4e00-\u9fff][A-HJ-NP-Z]"
NEW_ENERGY = re.compile(rf"{_HEAD}([A-HJK][A-HJ-NP-Z0-9]\d{{4}}|\d{{5}}[A-HJK])")
"""GA 36-2018: eight characters; the kind of drive is the third one, on heavy vehicles the last."""
ORDINARY = re.compile(rf"{_HEAD}[A-HJ-NP-Z0-9]{{5}}")
"""GA 36-2018: seven characters."""


class EvBay:
    """`parking.ev_bay`: begin after `dwell_s`, end when the bay is free again.

    A vehicle is known by its plate alone: one with an ordinary Chinese plate is none, one that is
    on a list of `lists` is one. Where neither is so it stays unknown, and nobody is accused.
    """

    kind = "parking.ev_bay"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        dwell_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0
        confirm_s: Confirm = None
        lists: tuple[str, ...] = ()
        """Plate lists of vehicles that may stand there."""
        are_lists_complete: bool = False
        """True: whoever is on none of the lists may not stand there, whatever the plate."""

        def problems(self, camera: Camera, site: SiteInfo) -> Iterable[tuple[str, str]]:
            yield from bays_missing(camera)
            if camera.bays is not None and not camera.bays.ev:
                yield "kind", "no bay is kept for electric vehicles; add e.g. `ev: [a1]` to `bays`"
            if camera.plates is None:
                yield "kind", "no plates are read here; add to the camera `plates: {regions: [cn]}`"

    def __init__(self, settings: Settings, view: View) -> None:
        self._settings = settings
        self._view = view
        self._ev = frozenset(bay_settings(view).ev)
        self._name = rule_name(self.kind, view.camera, settings)
        self._sessions = BaySessions(view, settings.confirm_s)
        self._accused: dict[str, str] = {}
        """Bay -> why the vehicle in it is none."""

    def update(self, scene: Scene) -> Iterable[Event]:
        for change, session in self._sessions.update(scene):
            if change == "ended":
                yield from self._end(scene, session)
        if scene.bays is None:
            return
        for bay, session in self._sessions.open.items():
            is_due = bay in self._ev and session.dwell_s >= self._settings.dwell_s
            if is_due and bay not in self._accused:
                reason = self._why_not(session, scene.frame.wall)
                if reason is not None:
                    self._accused[bay] = reason
                    yield self._event(scene, session, "begin")

    def finish(self, scene: Scene) -> Iterable[Event]:
        for _, session in list(self._sessions.finish()):
            yield from self._end(scene, session)

    def remember(self) -> JSON:
        return {"sessions": self._sessions.remember(), "accused": self._accused}

    def recall(self, state: JSON, moved: Moved) -> None:
        self._sessions.recall(state["sessions"], moved)
        self._accused = {str(bay): str(why) for bay, why in state["accused"].items()}

    def _end(self, scene: Scene, session: Session) -> Iterator[Event]:
        if session.bay in self._accused:
            yield self._event(scene, session, "end")
            del self._accused[session.bay]

    def _why_not(self, session: Session, wall: datetime) -> str | None:
        """Why the vehicle may not stand there; None while it may, or while that is unknown."""
        text = session.plate().text
        if text is None:
            return None
        local = wall.astimezone(self._view.timezone)
        if self._settings.lists and self._view.book.find(text, local, self._settings.lists):
            return None
        if is_electric(text) is False:
            return "ordinary plate"
        is_listed_only = self._settings.lists and self._settings.are_lists_complete
        return "on no list" if is_listed_only else None

    def _event(self, scene: Scene, session: Session, phase: Phase) -> Event:
        subject = f"{self._name}/{session.subject}"
        happening = Happening(self.kind, subject, session.begin_s, session.bay)
        facts = {"dwell_s": round(session.dwell_s, 3), "basis": self._accused[session.bay]}
        if session.end_reason is not None:
            facts["end_reason"] = session.end_reason
        event = happening.event(scene, phase, track_of(session.box, scene), facts)
        return replace(event, plate=self._sessions.plate(session))


def is_electric(text: str) -> bool | None:
    """What a plate says about the drive; None for plates that do not tell."""
    if NEW_ENERGY.fullmatch(text):
        return True
    return False if ORDINARY.fullmatch(text) else None
