"""Which number plate a vehicle has, agreed on over its whole visit, or why it is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from edge_agent import config
from edge_agent.analyzers.plates.watch import PlateWatch, Visit
from edge_agent.analyzers.view import Happening, View, expand_classes, rule_name
from edge_agent.config import Camera, SiteInfo
from edge_agent.plates.vote import MIN_CONFIDENCE
from edge_agent.types import Event, Scene

PLATE_SHARE = 0.3
"""A plate takes at most this share of a vehicle's width (0.52 m of 1.75 m), seen from its end."""


class PlateReading:
    """`plate.read`: one event per vehicle and visit, phase `end`.

    `plate.text` is what at least `min_reads` sound reads agree on, between which the vehicle had
    moved. It is null, with a `reason`, for a vehicle that was near enough to be read and was not;
    one on which no plate was ever found is only told of where a zone says that there must be one.
    """

    kind = "plate.read"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        zone: str | None = None
        """Where vehicles are asked for their plates; everywhere, if absent."""
        min_reads: Annotated[int, Field(ge=2, le=20)] = 2
        min_confidence: Annotated[float, Field(gt=0, le=1)] = MIN_CONFIDENCE
        """Of the weakest character."""
        classes: tuple[str, ...] = ("vehicle",)
        lists: tuple[str, ...] = ()
        """Lists to look plates up in, the first that has it decides; all of them, if empty."""

        def problems(self, camera: Camera, site: SiteInfo) -> Iterable[tuple[str, str]]:
            return plates_missing(camera)

    def __init__(self, settings: Settings, view: View) -> None:
        self._settings = settings
        self._view = view
        self._name = rule_name(self.kind, settings.zone or "everywhere", settings)
        self._lists = settings.lists or tuple(each.name for each in view.book.lists)
        zone = view.zones[settings.zone] if settings.zone else None
        self._watch = PlateWatch(zone, expand_classes(settings.classes))

    def update(self, scene: Scene) -> Iterable[Event]:
        return self._events(scene, self._watch.update(scene))

    def finish(self, scene: Scene) -> Iterable[Event]:
        return self._events(scene, self._watch.finish())

    def _events(self, scene: Scene, visits: Iterable[Visit]) -> Iterator[Event]:
        for visit in visits:
            verdict = visit.verdict(self._settings.min_reads, self._settings.min_confidence)
            if verdict.text is None and not self._is_owed(visit):
                continue
            facts: dict[str, Any] = {}
            if verdict.text is not None:
                local = scene.frame.wall.astimezone(self._view.timezone)
                found = self._view.book.find(verdict.text, local, self._lists)
                facts = {"list": found.name, "list_meaning": found.meaning} if found else {}
            subject = f"{self._name}/{visit.subject}"
            happening = Happening(self.kind, subject, visit.entered_s, self._settings.zone)
            event = happening.event(scene, "end", visit.track, facts)
            yield replace(event, plate=verdict.as_json())

    def _is_owed(self, visit: Visit) -> bool:
        """True when not to have read its plate is worth telling."""
        legible_px = self._view.plates.min_width_px if self._view.plates else 0
        is_asked = self._settings.zone is not None or visit.vote is not None
        return is_asked and visit.width_px * PLATE_SHARE >= legible_px


def plates_missing(camera: Camera) -> Iterator[tuple[str, str]]:
    """What a rule about plates complains of where none are read."""
    if camera.plates is None:
        yield "kind", "no plates are read here; add to the camera, e.g. `plates: {regions: [eu]}`"
