"""Crashes: a contact or a dead stop, told at once; what follows makes it more certain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from edge_agent import config
from edge_agent.analyzers.crash.collision import Collision, Collisions
from edge_agent.analyzers.crash.impact import LEAST_S, motion
from edge_agent.analyzers.crash.trails import Trail
from edge_agent.analyzers.view import Happening, View, expand_classes, rule_name
from edge_agent.geometry import grow, iou, overlap
from edge_agent.types import Box, Event, Phase, Scene, Track

RESTS = 0.15
"""Own sizes/s; a wreck moves no faster."""
STILL_S = 3.0
"""Standing where it happened for so long is a cue of its own."""
PATIENCE_S = 1.0
"""Not seen standing for longer, it no longer stands there."""
NEAR = 0.5
"""Sizes of the place by which what belongs to a crash may lie around it."""
COVERS = 0.5
"""A vehicle stands at the place if so much of its outline lies there."""
SAME_TRACK = 0.3
"""Least IoU of a track with the outline that collided."""


@dataclass(slots=True)
class _Crash:
    """One place at which vehicles collided."""

    happening: Happening
    place: Box
    """Around the vehicles, px; grows with every further collision."""
    cues: dict[str, dict[str, float]]
    track: Track | None
    bystanders: frozenset[int]
    """Persons who were near when it happened."""
    rest_since_s: float | None = None
    occupied_s: float = 0.0
    """Media time at which a vehicle was last seen standing there."""
    came: set[int] = field(default_factory=set)
    """Persons who came near since."""


class Crash:
    """`incident.crash`: begin at the impact, update with every new cue, end when cleared.

    A vehicle's velocity changes faster than tyres can bring about, where it meets another one, or
    where it stops dead and its outline turns or touches another one. Which cues fired, with their
    figures, is in `cues`; speeds are in sizes of the vehicle per second.
    """

    kind = "incident.crash"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        zone: str | None = None
        """Where vehicles drive, before they crash; default: the whole picture."""
        classes: tuple[str, ...] = ("vehicle",)
        clear_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
        """It is over when no vehicle has stood at the place for so long."""

    def __init__(self, settings: Settings, view: View) -> None:
        self._settings = settings
        self._zone = view.zones[settings.zone] if settings.zone is not None else None
        self._name = rule_name(self.kind, settings.zone or "picture", settings)
        self._collisions = Collisions(expand_classes(settings.classes))
        self._open: list[_Crash] = []

    def update(self, scene: Scene) -> Iterable[Event]:
        for collision in self._collisions.update(scene):
            if self._holds(collision, scene):
                yield from self._take(collision, scene)
        for crash in list(self._open):
            yield from self._follow(crash, scene)

    def finish(self, scene: Scene) -> Iterable[Event]:
        for crash in self._open:
            yield self._event(crash, scene, "end", "recording_ended")
        self._open.clear()

    def _holds(self, collision: Collision, scene: Scene) -> bool:
        """True when it drove or stood in the zone of late: a crash may end beside the road."""
        size = (scene.frame.width, scene.frame.height)
        feet = (Box(*sight.box).foot for sight in collision.trail.sights)
        return self._zone is None or any(self._zone.contains(foot, *size) for foot in feet)

    def _take(self, collision: Collision, scene: Scene) -> Iterator[Event]:
        """A further collision at the place of a crash is part of it."""
        place = _around(_box(collision.trail), collision.other)
        cues = {name: dict(figures) for name, figures in collision.cues.items()}
        for crash in self._open:
            if overlap(grow(crash.place, NEAR), place) > 0:
                crash.place = _around(crash.place, collision.trail)
                yield from self._learn(crash, scene, cues)
                return
        subject = f"{self._name}/{collision.trail.id}@{collision.t_s:.3f}"
        happening = Happening(self.kind, subject, collision.t_s, self._settings.zone)
        near = frozenset(track.id for track in _persons(scene, place))
        track = _track(scene, _box(collision.trail))
        crash = _Crash(happening, place, cues, track, near, occupied_s=scene.frame.t_s)
        self._open.append(crash)
        yield self._event(crash, scene, "begin")

    def _learn(
        self, crash: _Crash, scene: Scene, cues: dict[str, dict[str, float]]
    ) -> Iterator[Event]:
        fresh = {name: figures for name, figures in cues.items() if name not in crash.cues}
        if fresh:
            crash.cues |= fresh
            yield self._event(crash, scene, "update")

    def _follow(self, crash: _Crash, scene: Scene) -> Iterator[Event]:
        t_s = scene.frame.t_s
        if self._is_occupied(crash, scene):
            if crash.rest_since_s is None or t_s - crash.occupied_s > PATIENCE_S:
                crash.rest_since_s = t_s
            crash.occupied_s = t_s
            crash.came |= {track.id for track in _persons(scene, crash.place)} - crash.bystanders
            yield from self._learn(crash, scene, _aftermath(crash))
        elif t_s - crash.occupied_s >= self._settings.clear_s:
            self._open.remove(crash)
            yield self._event(crash, scene, "end", "cleared")

    def _is_occupied(self, crash: _Crash, scene: Scene) -> bool:
        """A vehicle stands there; what passes does not count."""
        picture = (scene.frame.width, scene.frame.height)
        for trail in self._collisions.trails.all:
            box = _box(trail)
            is_seen = scene.frame.t_s - trail.last_s <= PATIENCE_S
            if not is_seen or overlap(box, crash.place) < COVERS * box.area:
                continue
            recent = [sight for sight in trail.sights if trail.last_s - sight.t_s <= PATIENCE_S]
            moved = motion(recent, LEAST_S, picture)
            if moved is not None and moved.speed <= RESTS:
                return True
        return False

    def _event(
        self, crash: _Crash, scene: Scene, phase: Phase, end_reason: str | None = None
    ) -> Event:
        place = crash.place
        facts: dict[str, Any] = {
            "cues": [{"cue": name, **figures} for name, figures in crash.cues.items()],
            "place_px": [round(edge, 1) for edge in (place.x1, place.y1, place.x2, place.y2)],
        }
        if end_reason is not None:
            facts |= {"end_s": round(crash.occupied_s, 3), "end_reason": end_reason}
        return crash.happening.event(scene, phase, crash.track, facts)


def _aftermath(crash: _Crash) -> dict[str, dict[str, float]]:
    """What only shows some time after the impact."""
    cues: dict[str, dict[str, float]] = {}
    still_s = crash.occupied_s - (crash.rest_since_s or crash.occupied_s)
    if still_s >= STILL_S:
        cues["stillness"] = {"still_s": round(still_s, 2)}
    if crash.came:
        cues["persons"] = {"persons": len(crash.came)}
    return cues


def _box(trail: Trail) -> Box:
    return Box(*trail.box)


def _around(place: Box, trail: Trail | None) -> Box:
    if trail is None:
        return place
    box = _box(trail)
    return Box(
        min(place.x1, box.x1), min(place.y1, box.y1), max(place.x2, box.x2), max(place.y2, box.y2)
    )


def _persons(scene: Scene, place: Box) -> list[Track]:
    """Persons who stand beside what collided."""
    around = grow(place, NEAR)
    return [
        track
        for track in scene.tracks
        if track.cls == "person"
        and around.x1 <= track.box.foot[0] <= around.x2
        and around.y1 <= track.box.foot[1] <= around.y2
    ]


def _track(scene: Scene, box: Box) -> Track | None:
    """The track of what collided, if the tracker still has it."""
    vehicles = [track for track in scene.tracks if track.cls != "person"]
    best = max(vehicles, key=lambda track: iou(track.box, box), default=None)
    return best if best is not None and iou(best.box, box) >= SAME_TRACK else None
