"""Vehicles that cross the stop line while their signal shows red."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import hypot
from typing import Annotated

from pydantic import Field

from edge_agent import config
from edge_agent.analyzers.traffic.crossing import MARGIN, Crossing, Crossings, ends, unnamed
from edge_agent.analyzers.traffic.lamp import Lamp
from edge_agent.analyzers.traffic.lane import Paces, footprint
from edge_agent.analyzers.view import Happening, View, expand_classes, rule_name
from edge_agent.config import Camera, SiteInfo
from edge_agent.config.models import Name
from edge_agent.geometry import side
from edge_agent.types import Box, Event, Scene, Track


class RedLight:
    """`incident.red_light`: begin when a vehicle has crossed on red, end when it is out of sight.

    An accusation takes two sights, as two photos would show it: the whole vehicle before the line
    when red had been lit for `grace_s`, and later its middle beyond the line, red still lit. Who
    was on the line when it turned red is never accused, nor is anyone while the phase is unknown,
    dark or in conflict.
    """

    kind = "incident.red_light"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        line: str
        direction: str
        """As the line names it: `to_right` or `to_left`."""
        phase: Name
        """The signal phase that this traffic obeys."""
        grace_s: Annotated[float, Field(ge=0, le=10)] = 0.5
        """Red must have been lit that long before the line was reached."""
        classes: tuple[str, ...] = ("vehicle",)

        def problems(self, camera: Camera, site: SiteInfo) -> Iterable[tuple[str, str]]:
            return unnamed(self.line, self.direction, camera)

    def __init__(self, settings: Settings, view: View) -> None:
        self._settings = settings
        self._line = view.lines[settings.line]
        self._name = rule_name(self.kind, settings.line, settings)
        self._classes = expand_classes(settings.classes)
        self._crossings = Crossings(self._line, self._classes, "centre")
        self._paces = Paces(view.ground)
        self._lamp = Lamp(settings.phase)
        self._before: dict[int, float] = {}
        """Track -> when, red being lit for long enough, the whole vehicle was before the line."""
        self._open: dict[int, tuple[Happening, Track]] = {}

    def update(self, scene: Scene) -> Iterable[Event]:
        t_s = scene.frame.t_s
        tracks = [track for track in scene.tracks if track.cls in self._classes]
        self._paces.update(scene, tracks)
        self._lamp.show(scene.signals.get(self._settings.phase), t_s)
        is_red = self._lamp.state == "red"
        if not is_red:
            self._before.clear()
        for track in tracks if is_red else ():
            self._watch(track, scene)
        for crossing in self._crossings.update(scene):
            if is_red and crossing.direction == self._settings.direction:
                yield from self._accuse(crossing, scene)
        yield from self._end(scene, [track.id for track in scene.ended], "left")

    def finish(self, scene: Scene) -> Iterable[Event]:
        yield from self._end(scene, list(self._open), "recording_ended")

    def _watch(self, track: Track, scene: Scene) -> None:
        """Note when it was last seen before the line; a new track also where it was born."""
        sights = [(track.last_s, track.box)] if track.last_s == scene.frame.t_s else []
        if track.born is not None and track.id not in self._before:
            sights.insert(0, (track.first_s, track.born))
        for t_s, box in sights:
            is_lit = t_s - self._lamp.since_s >= self._settings.grace_s
            if is_lit and self._is_before(box, scene):
                self._before[track.id] = t_s

    def _is_before(self, box: Box, scene: Scene) -> bool:
        """True when no point of the vehicle's footprint has reached the line."""
        a, b = ends(self._line, scene)
        forward = 1.0 if self._settings.direction == self._line.to_right else -1.0
        length = hypot(b[0] - a[0], b[1] - a[1])
        clear_px = MARGIN * hypot(box.width, box.height)
        return all(forward * side(p, a, b) / length <= -clear_px for p in footprint(box))

    def _accuse(self, crossing: Crossing, scene: Scene) -> Iterator[Event]:
        track, t_s = crossing.track, scene.frame.t_s
        before_s = self._before.pop(track.id, None)
        if before_s is None or track.id in self._open:
            return
        happening = Happening(self.kind, f"{self._name}/{track.id}/{crossing.count}", t_s)
        self._open[track.id] = happening, track
        kmh = self._paces.kmh(track)
        facts = {
            "line": self._settings.line,
            "direction": crossing.direction,
            "phase_name": self._settings.phase,
            "red_since_s": round(self._lamp.since_s, 3),
            "into_red_s": round(crossing.at_s - self._lamp.since_s, 3),
            "before_line_s": round(before_s, 3),
            "speed_kmh": None if kmh is None else round(kmh, 1),
        }
        yield self._signed(happening.event(scene, "begin", track, facts))

    def _end(self, scene: Scene, ids: Iterable[int], reason: str) -> Iterator[Event]:
        for track in scene.tracks:
            if track.id in self._open:
                self._open[track.id] = self._open[track.id][0], track
        for ident in ids:
            if ident not in self._open:
                continue
            happening, track = self._open.pop(ident)
            facts = {"end_s": round(track.last_s, 3), "end_reason": reason}
            yield self._signed(happening.event(scene, "end", track, facts))

    def _signed(self, event: Event) -> Event:
        """The event with the signal that it rests on, and what speaks against that."""
        return replace(event, signal={self._lamp.phase: "red"}, doubts=self._lamp.doubts)
