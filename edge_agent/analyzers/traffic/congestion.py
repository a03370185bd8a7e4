"""Congestion of a lane: most of its vehicles stand or crawl, and that lasts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from edge_agent import config
from edge_agent.analyzers.traffic.lane import Lane, Paces, Queue, distinct, queue_of, undirected
from edge_agent.analyzers.view import Happening, View, expand_classes, rule_name
from edge_agent.config import Camera, SiteInfo
from edge_agent.types import Event, Scene, Track

MOST = 2 / 3
"""Share of the vehicles in the zone that must be slow for it to begin."""
FEW = 1 / 3
"""With a smaller share, or less than half of the number that it takes to begin, it dissolves."""
LAPSE_S = 2.0
"""Until it begins it may seem to be gone for so long: a vehicle passes, another one is lost."""


@dataclass(frozen=True, slots=True)
class _State:
    """The lane at one moment."""

    vehicles: Sequence[Track]
    slow: Sequence[Track]


class Congestion:
    """`incident.congestion`: begin when it has lasted, update, end when it has dissolved.

    With measured ground points a vehicle is slow below `slow_kmh`; without them below half of its
    own size per second in the picture.
    """

    kind = "incident.congestion"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        zone: str
        vehicles: Annotated[int, Field(ge=1, le=1000)] = 3
        """So many slow ones at least."""
        slow_kmh: Annotated[float, Field(gt=0, le=100)] = 10.0
        """Below that a vehicle is slow, where `ground` is measured."""
        hold_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
        """It must last that long; longer than a red light where one stops the lane."""
        clear_s: Annotated[float, Field(ge=0, le=3600)] = 5.0
        """It has ended when it is gone for that long."""
        update_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0
        classes: tuple[str, ...] = ("vehicle",)

        def problems(self, camera: Camera, site: SiteInfo) -> Iterable[tuple[str, str]]:
            return undirected(self.zone, camera)

    def __init__(self, settings: Settings, view: View) -> None:
        self._settings = settings
        self._name = rule_name(self.kind, settings.zone, settings)
        self._lane = Lane(view.zones[settings.zone], view.directions[settings.zone])
        self._classes = expand_classes(settings.classes)
        self._ground = view.ground
        self._paces = Paces(view.ground)
        self._since_s: float | None = None
        """Since when it has been congested."""
        self._held_s = 0.0
        """When it was last seen to be."""
        self._clear_since_s: float | None = None
        self._happening: Happening | None = None
        self._reported_s = 0.0
        self._longest = Queue()

    def update(self, scene: Scene) -> Iterable[Event]:
        state = self._look(scene)
        t_s = scene.frame.t_s
        if self._happening is None:
            yield from self._wait(state, scene)
            return
        queue = self._queue(state, scene)
        self._longest = max(self._longest, queue, key=lambda each: each.share)
        slow, vehicles = len(state.slow), len(state.vehicles)
        if slow < self._settings.vehicles / 2 or slow < FEW * vehicles:
            self._clear_since_s = t_s if self._clear_since_s is None else self._clear_since_s
            if t_s - self._clear_since_s >= self._settings.clear_s:
                yield self._end(scene, self._clear_since_s, "dissolved")
                return
        else:
            self._clear_since_s = None
        if t_s - self._reported_s >= self._settings.update_s:
            self._reported_s = t_s
            yield self._happening.event(scene, "update", None, self._facts(state, queue, scene))

    def finish(self, scene: Scene) -> Iterable[Event]:
        if self._happening is not None:
            yield self._end(scene, scene.frame.t_s, "recording_ended")

    def _wait(self, state: _State, scene: Scene) -> Iterator[Event]:
        t_s = scene.frame.t_s
        slow, vehicles = len(state.slow), len(state.vehicles)
        if slow < self._settings.vehicles or slow < MOST * vehicles:
            return
        if self._since_s is None or t_s - self._held_s > LAPSE_S:
            self._since_s = t_s
        self._held_s = t_s
        if t_s - self._since_s >= self._settings.hold_s:
            subject = f"{self._name}/{self._since_s:.3f}"
            self._happening = Happening(self.kind, subject, self._since_s, self._settings.zone)
            queue = self._queue(state, scene)
            self._reported_s, self._longest, self._clear_since_s = t_s, queue, None
            yield self._happening.event(scene, "begin", None, self._facts(state, queue, scene))

    def _end(self, scene: Scene, end_s: float, reason: str) -> Event:
        assert self._happening is not None
        happening, self._happening, self._since_s = self._happening, None, None
        longest = {f"{name}_max": value for name, value in self._longest.facts().items()}
        facts = {"end_s": round(end_s, 3), "end_reason": reason, **longest}
        return happening.event(scene, "end", None, facts)

    def _look(self, scene: Scene) -> _State:
        tracks = [track for track in scene.tracks if track.cls in self._classes]
        self._paces.update(scene, tracks)
        inside = [track for track in tracks if self._lane.holds(track.box, scene)]
        if self._happening is None and len(inside) < self._settings.vehicles:
            return _State((), ())  # cheaper, and true of most lanes
        vehicles = distinct(inside, scene)
        slow_kmh = self._settings.slow_kmh
        return _State(vehicles, [each for each in vehicles if self._paces.is_slow(each, slow_kmh)])

    def _queue(self, state: _State, scene: Scene) -> Queue:
        return queue_of(state.slow, self._lane, scene, self._ground)

    def _facts(self, state: _State, queue: Queue, scene: Scene) -> dict[str, Any]:
        speeds = [kmh for track in state.vehicles if (kmh := self._paces.kmh(track)) is not None]
        mean_kmh = sum(speeds) / len(speeds) if speeds else None
        return {
            "vehicles": len(state.vehicles),
            "slow": len(state.slow),
            **queue.facts(),
            "occupancy": round(self._lane.covered(state.vehicles, scene), 3),
            "mean_speed_kmh": None if mean_kmh is None else round(mean_kmh, 1),
        }
