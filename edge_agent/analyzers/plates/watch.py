"""Vehicles whose plates are read: what rules about plates have in common."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from edge_agent.geometry import Polygon
from edge_agent.plates import Look, PlateVote, Verdict
from edge_agent.types import Scene, Track

LEFT_S = 3.0
"""Out of the zone for longer than this, a vehicle's visit is over."""


class PlateVotes:
    """What was read of every vehicle in view, from its first look to `keep_s` after its track."""

    def __init__(self, keep_s: float = 0.0) -> None:
        self._keep_s = keep_s
        self._votes: dict[int, PlateVote] = {}
        self._over: deque[tuple[float, int]] = deque()

    def update(self, scene: Scene) -> None:
        """Take the looks of this scene into account."""
        t_s = scene.frame.t_s
        while self._over and self._over[0][0] + self._keep_s < t_s:
            self._votes.pop(self._over.popleft()[1], None)
        still_since = {track.id: track.still_since_s for track in scene.tracks}
        for read in scene.plates:
            vote = self._votes.setdefault(read.track_id, PlateVote())
            vote.add(Look(t_s, read, still_since.get(read.track_id)))
        self._over += ((t_s, track.id) for track in scene.ended)

    def of(self, track_id: int) -> PlateVote | None:
        """The vote on one vehicle's plate; None where no plate was ever found."""
        return self._votes.get(track_id)


@dataclass(slots=True)
class Visit:
    """One vehicle in the zone, or in view where no zone is given."""

    track: Track
    entered_s: float
    vote: PlateVote | None = None
    inside_s: float = 0.0
    """When it was last inside."""
    width_px: float = 0.0
    """The widest that it was seen inside."""
    is_new: bool = True
    """It has only just come, or its plate has just been looked at."""

    @property
    def subject(self) -> str:
        """Names the visit; a vehicle that comes back under the same track pays another one."""
        return f"{self.track.id}@{self.entered_s:.3f}"

    def verdict(self, min_reads: int, min_confidence: float) -> Verdict:
        """What its plate is, as far as is known by now."""
        return (self.vote or PlateVote()).verdict(min_reads, min_confidence)


@dataclass(slots=True)
class PlateWatch:
    """Follows visits; looks at a vehicle count from before it entered the zone."""

    zone: Polygon | None
    classes: frozenset[str]
    visits: dict[int, Visit] = field(default_factory=dict, init=False)
    """Track -> the visit that is going on."""
    _votes: PlateVotes = field(default_factory=PlateVotes, init=False)

    def update(self, scene: Scene) -> Iterator[Visit]:
        """Advance to the scene; yields the visits that are over."""
        self._votes.update(scene)
        looked_at = {read.track_id for read in scene.plates}
        for track in scene.tracks:
            if track.cls in self.classes and self._is_inside(track, scene):
                self._follow(track, scene)
        over = {track.id for track in scene.ended}
        for key, visit in list(self.visits.items()):
            visit.vote = self._votes.of(key)
            visit.is_new = visit.entered_s == scene.frame.t_s or key in looked_at
            if key in over or scene.frame.t_s - visit.inside_s > LEFT_S:
                yield self.visits.pop(key)

    def finish(self) -> Iterator[Visit]:
        """Every visit is over: there is nothing more to see."""
        yield from self.visits.values()
        self.visits.clear()

    def _is_inside(self, track: Track, scene: Scene) -> bool:
        if self.zone is None:
            return True
        return self.zone.contains(track.box.foot, scene.frame.width, scene.frame.height)

    def _follow(self, track: Track, scene: Scene) -> None:
        visit = self.visits.setdefault(track.id, Visit(track, scene.frame.t_s))
        visit.track, visit.inside_s = track, scene.frame.t_s
        visit.width_px = max(visit.width_px, (track.seen or track.box).width)
