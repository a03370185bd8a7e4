"""Building sites: who works without a helmet, and whom to call about it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from edge_agent.analyzers.people.presence import PresenceRule, PresenceSettings
from edge_agent.analyzers.people.visits import Change, Visit
from edge_agent.analyzers.people.walkers import each_once
from edge_agent.analyzers.traffic.crossing import Crossings
from edge_agent.analyzers.view import View
from edge_agent.config import Camera, HeadSettings, SiteInfo
from edge_agent.types import Event, HeadSighting, Scene, Track

PERSONS = frozenset({"person"})
MEMORY_S = 10.0
"""What was seen longer ago says little about what is on the head now."""

Verdict = Literal["bare", "helmet"]


@dataclass(slots=True)
class Looks:
    """What was lately seen on one visitor's head."""

    recent: deque[tuple[float, HeadSighting]] = field(default_factory=deque)
    facts: dict[str, Any] = field(default_factory=dict)
    """What the latest verdict rested on."""

    def add(self, scene: Scene, track_id: int) -> None:
        """Take in what the scene shows of that track, and forget what is too old."""
        t_s = scene.frame.t_s
        self.recent.extend((t_s, head) for head in scene.heads if head.track_id == track_id)
        while self.recent and t_s - self.recent[0][0] > MEMORY_S:
            self.recent.popleft()

    def verdict(self, sightings: int, watch_s: float, majority: float) -> Verdict | None:
        """What is on the head; None unless it was seen often, for long and mostly alike."""
        if len(self.recent) < sightings or self.recent[-1][0] - self.recent[0][0] < watch_s:
            return None
        total = sum(head.score for _, head in self.recent)
        bare = sum(head.score for _, head in self.recent if not head.has_helmet) / total
        if max(bare, 1 - bare) < majority:
            return None
        self.facts = {"sightings": len(self.recent), "bare_share": round(bare, 3)}
        return "bare" if bare > 0.5 else "helmet"

    @property
    def bare_s(self) -> float:
        """When the head was first seen to be bare."""
        return min(t_s for t_s, head in self.recent if not head.has_helmet)


class Helmet(PresenceRule):
    """`safety.helmet`: begin when somebody is established to wear none, end with it on or gone.

    Once per person and visit. Nothing is said of a head that is not clearly seen. With a `line`
    only who has crossed it is checked, as at an entry.
    """

    kind = "safety.helmet"

    class Settings(PresenceSettings):
        """What the site file says beside `kind`."""

        line: str | None = None
        """Only who has crossed this line is checked; without it everybody in the zone."""
        dwell_s: Annotated[float, Field(ge=0, le=600)] = 2.0
        """A head has to be seen over at least this time."""
        sightings: Annotated[int, Field(ge=2, le=100)] = 5
        """A head has to be seen at least so often."""
        majority: Annotated[float, Field(gt=0.5, le=1)] = 0.8
        """Share of its sights that are alike, weighted by score, within the last ten seconds."""
        visit_s: Annotated[float, Field(ge=0, le=86_400)] = 60.0
        """Who is back later than that is on another visit."""
        responsible: str | None = None
        """Institution and contact; the site's own when absent."""
        safety_manager: str | None = None
        """Name and number; the site's own when absent."""

        def problems(self, camera: Camera, site: SiteInfo) -> Iterable[tuple[str, str]]:
            """An alarm has to say whom to call, and heads have to be looked at often enough."""
            heads = camera.heads or HeadSettings()
            looks_per_s = min(heads.max_fps, camera.detector.max_fps or heads.max_fps)
            if looks_per_s * MEMORY_S < self.sightings:
                yield (
                    "sightings",
                    f"{self.sightings} within {MEMORY_S:g} s are more than {looks_per_s:g} looks "
                    "per second can give; raise `max_fps` of heads and detector",
                )
            named = (self.responsible, self.safety_manager, site.responsible, site.safety_manager)
            if not any(name and name.strip() for name in named):
                yield (
                    "safety_manager",
                    "nobody is named whom an alarm must call; add `safety_manager:` or "
                    "`responsible:` here or under `site:`",
                )

    def __init__(self, settings: Settings, view: View) -> None:
        self._settings = settings
        self._call = _whom_to_call(settings, view.site)
        self._looks: dict[str, Looks] = {}
        """By the visit's subject."""
        self._came: set[int] = set()
        line = view.lines[settings.line] if settings.line is not None else None
        self._crossings = Crossings(line, PERSONS, "foot") if line else None
        super().__init__(settings, view)

    def update(self, scene: Scene) -> Iterator[Event]:
        if self._crossings is not None:
            self._came |= {crossing.track.id for crossing in self._crossings.update(scene)}
            self._came -= {track.id for track in scene.ended}
        yield from super().update(scene)

    def _found(self, scene: Scene) -> Iterable[Track]:
        return each_once(scene, PERSONS)

    def _admits(self, track: Track) -> bool:
        return self._crossings is None or track.id in self._came

    def _judge(self, scene: Scene, change: Change, visit: Visit) -> Iterator[Event]:
        looks = self._looks.setdefault(visit.subject, Looks())
        if change == "here":
            looks.add(scene, visit.track.id)
        else:
            del self._looks[visit.subject]
        if visit.is_over:
            return
        rule = self._settings
        verdict = looks.verdict(rule.sightings, rule.dwell_s, rule.majority)
        is_bare = verdict == "bare"
        if is_bare and visit.reported_s is None:
            visit.begin_s = looks.bare_s
        if verdict == "helmet" and visit.reported_s is not None and change == "here":
            change, visit.end_reason, visit.is_over = "ended", "helmet_on", True
        for event in self._told(scene, change, visit, is_bare):
            yield replace(event, facts={**event.facts, **looks.facts, "call": self._call})


def _whom_to_call(settings: Helmet.Settings, site: SiteInfo | None) -> dict[str, str]:
    """The site's name, the institution and the person, as far as they are named."""
    call = {
        "site": site.name if site else None,
        "responsible": settings.responsible or (site and site.responsible),
        "safety_manager": settings.safety_manager or (site and site.safety_manager),
    }
    return {role: name for role, name in call.items() if name}
