"""Opening a gate to whoever stands in a list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from edge_agent import config
from edge_agent.analyzers.plates.reading import plates_missing
from edge_agent.analyzers.plates.watch import PlateWatch
from edge_agent.analyzers.view import Happening, View, expand_classes, rule_name
from edge_agent.config import Camera, SiteInfo
from edge_agent.types import Event, Scene


class AccessGranted:
    """`access.granted`: once per vehicle and visit, as soon as its plate is agreed on and listed.

    It names the `output` to be closed and the `list` that grants it; it moves nothing itself.
    Whatever any list of the site denies is never let in, and only an exact match counts.
    """

    kind = "access.granted"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        zone: str
        """Where a vehicle must be to be let in."""
        lists: Annotated[tuple[str, ...], Field(min_length=1)]
        """Lists of those who may enter, as long as their row holds."""
        output: str
        """Name of the contact under `outputs` that is closed."""
        min_reads: Annotated[int, Field(ge=2, le=20)] = 2
        min_confidence: Annotated[float, Field(gt=0, le=1)] = 0.8
        """Of the weakest character; a misread plate must not let a stranger in."""
        classes: tuple[str, ...] = ("vehicle",)

        def problems(self, camera: Camera, site: SiteInfo) -> Iterable[tuple[str, str]]:
            return plates_missing(camera)

    def __init__(self, settings: Settings, view: View) -> None:
        self._settings = settings
        self._view = view
        self._name = rule_name(self.kind, settings.zone, settings)
        classes = expand_classes(settings.classes)
        self._watch = PlateWatch(view.zones[settings.zone], classes)
        self._let_in: set[str] = set()

    def update(self, scene: Scene) -> Iterable[Event]:
        for visit in self._watch.update(scene):
            self._let_in.discard(visit.subject)
        return list(self._grants(scene))

    def finish(self, scene: Scene) -> Iterable[Event]:
        self._let_in.clear()
        return ()

    def _grants(self, scene: Scene) -> Iterator[Event]:
        settings, t_s = self._settings, scene.frame.t_s
        local = scene.frame.wall.astimezone(self._view.timezone)
        for visit in self._watch.visits.values():
            is_due = visit.is_new and visit.inside_s == t_s and visit.subject not in self._let_in
            if not is_due:
                continue
            verdict = visit.verdict(settings.min_reads, settings.min_confidence)
            if verdict.text is None:
                continue
            found = self._view.book.find(verdict.text, local, settings.lists)
            if found is None or found.meaning == "deny":
                continue
            self._let_in.add(visit.subject)
            subject = f"{self._name}/{visit.subject}"
            facts = {"output": settings.output, "list": found.name, "list_meaning": found.meaning}
            event = Happening(self.kind, subject, t_s, settings.zone).event(
                scene, "end", visit.track, facts
            )
            yield replace(event, plate=verdict.as_json())
