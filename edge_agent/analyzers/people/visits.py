"""Visits: who is in a zone, for how long, and is it still the same one?

A visit opens when somebody's foot is in the zone, counts while it stays there, and closes when
it has been away for long enough. It belongs to the person, not to the track: who is lost from
sight and found again near by is on the same visit. Time is media time; nothing counts frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import hypot
from typing import Literal

from edge_agent.geometry import Polygon, iou
from edge_agent.types import Box, Scene, Track

Change = Literal["here", "ended"]
EndReason = Literal["left", "lost", "schedule", "recording_ended", "helmet_on", "signal_changed"]

LOST_S = 3.0
"""Who is not found again for so long is gone."""
TWICE_S = 0.5
"""For so long a detector may see one object twice before the old track ends."""
SLACK = 0.5
"""Body heights by which a box may be off when its object is half hidden ..."""
PACE = 0.8
"""... and body heights per second that a person walks (1.4 m/s at 1.7 m)."""
MOVED_IOU = 1 / 3
"""A person whose box always overlapped more with where it was first seen is a bollard ..."""
EDGE = 0.02
"""... unless it came in over the edge of the picture: within this share of its size."""


@dataclass(slots=True)
class Visit:
    """One object's stay in the zone, under one track after another."""

    track: Track
    """As it was last seen inside."""
    latest: Track
    """As it was last seen, inside or outside."""
    subject: str
    entered_s: float
    """When it was first seen inside."""
    was_outside: bool
    """It was seen outside before; else it may have been inside for long."""
    since_s: float
    """Since when it has been inside without having been seen outside."""
    inside_s: float
    """When it was last seen inside."""
    dwell_s: float = 0.0
    """How long it was there in all, moments out of sight included."""
    has_moved: bool = False
    """It was seen to move, so that it is alive."""
    begin_s: float | None = None
    """When what is reported of it began; None for when it was entered."""
    is_over: bool = False
    """What was reported of it has ended, although the visit goes on."""
    reported_s: float | None = None
    """When it was last reported; None until it has begun."""
    end_reason: EndReason = "left"
    former: set[int] = field(default_factory=set)
    """Ids under which it was known before."""

    @property
    def is_away(self) -> bool:
        """It was seen outside of the zone after it was last seen inside."""
        return self.latest.last_s > self.inside_s

    @property
    def happened_s(self) -> float:
        """When what is reported of it began."""
        return self.entered_s if self.begin_s is None else self.begin_s

    @property
    def stay_s(self) -> float:
        """For how long it has been there without a break."""
        return self.inside_s - self.since_s

    def stay(self, track: Track, t_s: float) -> None:
        """It is inside; what passed since it was last seen there counts unless it was outside."""
        if self.is_away:
            self.since_s = t_s
        else:
            self.dwell_s += t_s - self.inside_s
        if track.id != self.latest.id:
            self.former.add(self.latest.id)
        self.track, self.latest, self.inside_s = track, track, t_s


def everybody(track: Track) -> bool:
    """Any track may open a visit."""
    return True


class PresenceWatch:
    """Follows the visitors of one zone; says who is there and whose visit is over."""

    def __init__(
        self,
        zone: Polygon,
        visit_s: float,
        excepted: Sequence[Polygon] = (),
        admits: Callable[[Track], bool] = everybody,
    ) -> None:
        """`excepted` are parts that do not belong to the zone; `admits` says who opens a visit."""
        self._zone = zone
        self._excepted = excepted
        self._visit_s = visit_s
        self._admits = admits
        self._visits: dict[int, Visit] = {}
        self._outside: set[int] = set()
        self._moved: set[int] = set()

    def update(
        self, scene: Scene, tracks: Iterable[Track], is_active: bool = True
    ) -> Iterator[tuple[Change, Visit]]:
        """Advance to the scene; of `tracks` those count that are seen in it."""
        t_s = scene.frame.t_s
        if not is_active:
            yield from self._close_all("schedule")
            return
        seen = {track.id: track for track in tracks if track.last_s == t_s}
        if not (seen or self._visits or self._moved or self._outside):
            return  # nobody is there, nor was
        inside = {track.id: track for track in seen.values() if self._holds(track, scene)}
        alive = {track.id for track in scene.tracks}
        self._moved |= {key for key, track in seen.items() if _moves(track, scene)}
        self._follow(seen, inside, t_s)
        self._take_over(seen, inside, t_s)
        for key, track in inside.items():
            if key not in self._visits and self._admits(track):
                subject = f"{key}@{t_s:.3f}"
                was_outside = key in self._outside or not self._was_born_inside(track, scene)
                self._visits[key] = Visit(track, track, subject, t_s, was_outside, t_s, t_s)
        self._moved &= alive
        self._outside = (self._outside | (seen.keys() - inside.keys())) & alive
        yield from self._report(scene, alive)

    def finish(self) -> Iterator[tuple[Change, Visit]]:
        """Close every visit because there is nothing more to see."""
        yield from self._close_all("recording_ended")

    def _holds(self, track: Track, scene: Scene) -> bool:
        size = scene.frame.width, scene.frame.height
        foot = track.box.foot
        return self._zone.contains(foot, *size) and not any(
            zone.contains(foot, *size) for zone in self._excepted
        )

    def _was_born_inside(self, track: Track, scene: Scene) -> bool:
        born = track.born or track.box
        return self._zone.contains(born.foot, scene.frame.width, scene.frame.height)

    def _follow(self, seen: dict[int, Track], inside: dict[int, Track], t_s: float) -> None:
        for key, visit in self._visits.items():
            if key in inside:
                visit.stay(inside[key], t_s)
            elif key in seen:
                visit.latest = seen[key]

    def _take_over(self, seen: dict[int, Track], inside: dict[int, Track], t_s: float) -> None:
        """Give the visits of those out of sight to the tracks that they must be, nearest first."""
        pairs = []
        for key, track in inside.items():
            if key in self._visits:
                continue
            for old, visit in self._visits.items():
                if old not in seen and (gap := _gap(visit, track)) is not None:
                    pairs.append((gap, key, old))
        for _, key, old in sorted(pairs):
            if key not in self._visits and old in self._visits:
                visit = self._visits.pop(old)
                visit.stay(inside[key], t_s)
                self._visits[key] = visit

    def _report(self, scene: Scene, alive: set[int]) -> Iterator[tuple[Change, Visit]]:
        t_s = scene.frame.t_s
        for key, visit in list(self._visits.items()):
            visit.has_moved |= key in self._moved
            if visit.inside_s == t_s:
                yield "here", visit
                continue
            # What the tracker still follows may be hidden; nobody else is recognised later.
            is_lost = key not in alive and t_s - visit.latest.last_s >= LOST_S
            if is_lost or (visit.is_away and t_s - visit.inside_s >= self._visit_s):
                visit.end_reason = "left" if visit.is_away else "lost"
                del self._visits[key]
                yield "ended", visit

    def _close_all(self, reason: EndReason) -> Iterator[tuple[Change, Visit]]:
        for visit in self._visits.values():
            visit.end_reason = "left" if visit.is_away else reason
            yield "ended", visit
        self._visits.clear()


def _moves(track: Track, scene: Scene) -> bool:
    """True for a person who is elsewhere than first seen or came in, and for every vehicle."""
    born = track.born or track.box
    dx, dy = EDGE * scene.frame.width, EDGE * scene.frame.height
    is_within = dx < born.x1 and born.x2 < scene.frame.width - dx
    is_within = is_within and dy < born.y1 and born.y2 < scene.frame.height - dy
    return track.cls != "person" or not is_within or iou(track.box, born) < MOVED_IOU


def _gap(visit: Visit, track: Track) -> float | None:
    """How far the track began from where the visitor was lost, in reaches; None if too far."""
    if track.id in visit.former:
        return 0.0
    lost, born = visit.latest, track.born or track.box
    waited_s = track.first_s - lost.last_s
    if not -TWICE_S <= waited_s <= min(LOST_S, max(TWICE_S, visit.dwell_s)):
        return None  # nor is anybody missed for longer than known
    height = max(lost.box.height, born.height)
    reach = height * (SLACK + PACE * max(0.0, waited_s))
    distance = min(_way(lost.box.foot, born.foot), _way(_head(lost.box), _head(born)))
    return distance / reach if distance <= reach else None


def _head(box: Box) -> tuple[float, float]:
    return (box.x1 + box.x2) / 2, box.y1


def _way(a: tuple[float, float], b: tuple[float, float]) -> float:
    return hypot(a[0] - b[0], a[1] - b[1])
