"""Too many people in a zone, by number or by density."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from math import inf
from typing import Annotated, Any

from pydantic import Field, model_validator

from edge_agent import config
from edge_agent.analyzers.people.walkers import each_once
from edge_agent.analyzers.view import Happening, View, rule_name
from edge_agent.config import Camera, SiteInfo
from edge_agent.types import Event, Phase, Scene

PERSONS = frozenset({"person"})
HIDDEN_S = 1.0
"""In a crowd people hide each other: who was seen so lately is still counted."""


class Crowd:
    """`flow.crowd`: begin when the mean over `window_s` reaches a limit, end well below all.

    A detector finds fewer people than there are where they stand closely: this counts persons
    that can be told apart, so the limits are lower bounds of what is really there.
    """

    kind = "flow.crowd"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        zone: str
        limit_persons: Annotated[float, Field(gt=0, le=10_000)] | None = None
        """Persons in the zone that are a crowd; this or `limit_per_m2` is needed."""
        limit_per_m2: Annotated[float, Field(gt=0, le=10)] | None = None
        """Persons per square metre of the zone; needs the camera's `ground`."""
        clear_share: Annotated[float, Field(gt=0, le=1)] = 0.8
        """It is over below this share of the limits."""
        window_s: Annotated[float, Field(ge=0, le=600)] = 5.0
        """Counts are averaged over this time."""
        update_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0

        @model_validator(mode="after")
        def _has_limit(self) -> Crowd.Settings:
            if self.limit_persons is None and self.limit_per_m2 is None:
                raise ValueError("a crowd needs a limit: add limit_persons or limit_per_m2")
            return self

        def problems(self, camera: Camera, site: SiteInfo) -> Iterable[tuple[str, str]]:
            """A density needs the zone's area."""
            if self.limit_per_m2 is None or self.zone not in camera.zones:
                return
            if camera.ground is None:
                what = "this camera measures no metres; add four points under `ground`"
                yield "limit_per_m2", f"{what}, or limit the number by `limit_persons`"
            elif _area_m2(View.of("", camera, site), self.zone) is None:
                what = "the zone reaches beyond the horizon and has no area"
                yield "limit_per_m2", f"{what}; draw it on the ground"

    def __init__(self, settings: Settings, view: View) -> None:
        self._settings = settings
        self._name = rule_name(self.kind, settings.zone, settings)
        self._zone = view.zones[settings.zone]
        self._area_m2 = _area_m2(view, settings.zone)
        self._counts: deque[tuple[float, int]] = deque()
        self._full_s = -inf
        """When a count last reached a limit."""
        self._open: Happening | None = None
        self._reported_s = 0.0
        self._peak = 0.0

    def update(self, scene: Scene) -> Iterator[Event]:
        t_s, count = scene.frame.t_s, self._count(scene)
        self._counts.append((t_s, count))
        if self._reaches(count, 1.0):
            self._full_s = t_s
        while len(self._counts) > 2 and self._counts[1][0] <= t_s - self._settings.window_s:
            self._counts.popleft()
        if t_s - self._counts[0][0] < self._settings.window_s:
            return
        if self._open is None and self._full_s < self._counts[0][0]:
            return  # no count reaches a limit, nor does their mean
        persons = self._mean()
        if self._open is None:
            if self._reaches(persons, 1.0):
                self._open = Happening(
                    self.kind, f"{self._name}/{t_s:.3f}", t_s, self._settings.zone
                )
                self._peak = persons
                yield self._event(scene, "begin", persons)
            return
        self._peak = max(self._peak, persons)
        if not self._reaches(persons, self._settings.clear_share):
            yield self._event(scene, "end", persons, end_reason="cleared")
            self._open = None
        elif t_s - self._reported_s >= self._settings.update_s:
            yield self._event(scene, "update", persons)

    def finish(self, scene: Scene) -> Iterator[Event]:
        if self._open is not None:
            yield self._event(scene, "end", self._mean(), end_reason="recording_ended")
            self._open = None

    def _count(self, scene: Scene) -> int:
        t_s, size = scene.frame.t_s, (scene.frame.width, scene.frame.height)
        return sum(
            t_s - track.last_s <= HIDDEN_S and self._zone.contains(track.box.foot, *size)
            for track in each_once(scene, PERSONS)
        )

    def _mean(self) -> float:
        """Persons over the window, each count holding until the next."""
        spans = [
            (later - t_s, count)
            for (t_s, count), (later, _) in zip(self._counts, list(self._counts)[1:], strict=False)
        ]
        total_s = sum(span_s for span_s, _ in spans)
        if not total_s:
            return float(self._counts[-1][1])
        return sum(span_s * count for span_s, count in spans) / total_s

    def _reaches(self, persons: float, share: float) -> bool:
        limits = self._settings
        is_many = limits.limit_persons is not None and persons >= share * limits.limit_persons
        if limits.limit_per_m2 is None or self._area_m2 is None:
            return is_many
        return is_many or persons >= share * limits.limit_per_m2 * self._area_m2

    def _event(self, scene: Scene, phase: Phase, persons: float, **ended: str) -> Event:
        assert self._open is not None
        self._reported_s = scene.frame.t_s
        facts: dict[str, Any] = {"persons": round(persons, 1), "peak_persons": round(self._peak, 1)}
        if self._area_m2 is not None:
            density = round(persons / self._area_m2, 3)
            facts |= {"per_m2": density, "area_m2": round(self._area_m2, 1)}
        if ended:
            facts["end_s"] = round(scene.frame.t_s, 3)
        return self._open.event(scene, phase, None, {**facts, **ended})


def _area_m2(view: View, zone: str) -> float | None:
    """Of the zone on the ground; None without calibration or where it has none."""
    try:
        return view.ground.area_m2(view.zones[zone].points) if view.ground else None
    except ValueError:
        return None
