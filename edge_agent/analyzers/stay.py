"""Vehicles that stand in a zone: what illegal parking and stopped vehicles have in common.

A stay opens when a vehicle enters the zone, counts while it stands, and closes when the place
where it stood is free of it. Time is media time; nothing here counts frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edge_agent.geometry import Polygon, iou
from edge_agent.types import Box, Scene, Track

Change = Literal["entered", "dismissed", "begun", "standing", "ended"]
EndReason = Literal["left", "lost", "schedule", "recording_ended"]

SAME_PLACE_IOU = 0.5
"""A new track standing this exactly where another one stood is the same vehicle."""
GONE_IOU = 0.2
"""Below this overlap with the box in which it stood, a vehicle has left its place."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a stay counts, in seconds."""

    dwell_s: float
    """Standing longer than this begins the offence or incident."""
    reentry_s: float
    """Back in the zone and standing again within this time, it is still the same stay."""
    update_s: float
    """Pause between two reports on a stay that goes on."""


@dataclass(slots=True)
class Stay:
    """One vehicle in the zone."""

    track: Track
    entered_s: float
    since_s: float | None = None
    """Media time from which its standing counts; None until it stands."""
    anchor: Box | None = None
    """Where it stood when its count began; a queue that creeps leaves it behind."""
    place: Box | None = None
    """Where it was last seen standing."""
    already_standing: bool = False
    """It was standing when it was first seen, or when the hours of the rule began."""
    has_begun: bool = False
    reported_s: float = 0.0
    moved_s: float | None = None
    """When it began to move away from where it stood."""
    departed_s: float | None = None
    """When its place was free of it."""
    end_reason: EndReason = "left"

    subject: str = ""
    """Names the stay by its first track; a vehicle taken up again under a new track keeps it."""

    def dwell_s(self, t_s: float) -> float:
        """How long it has been standing, or stood until it moved; never more than it stood."""
        ends = [end for end in (self.moved_s, self.departed_s) if end is not None]
        return max(0.0, min([*ends, t_s]) - self.since_s) if self.since_s is not None else 0.0

    def depart(self, t_s: float, reason: EndReason) -> None:
        """It is gone since then, unless it comes back; only the first departure counts."""
        if self.departed_s is None:
            self.departed_s, self.end_reason = t_s, reason

    def is_at_place(self, box: Box, share: float) -> bool:
        """True when the box covers at least that share (IoU) of where the vehicle stood."""
        return self.place is not None and iou(self.place, box) >= share


class StayWatch:
    """Follows the vehicles of one zone; says what changed for which stay."""

    def __init__(self, zone: Polygon, classes: frozenset[str], limits: Limits) -> None:
        self._zone = zone
        self._classes = classes
        self._limits = limits
        self._stays: dict[int, Stay] = {}
        self._active_since_s: float | None = None

    def update(self, scene: Scene, is_active: bool) -> Iterator[tuple[Change, Stay]]:
        """Advance to the scene; while the rule is not active every stay is closed."""
        t_s = scene.frame.t_s
        if not is_active:
            self._active_since_s = None
            yield from self._close_all(t_s, "schedule")
            return
        if self._active_since_s is None:
            self._active_since_s = t_s
        present = {track.id: track for track in scene.tracks if track.cls in self._classes}
        for track in present.values():
            if track.id not in self._stays and self._holds(track, scene):
                yield from self._admit(track, t_s)
        for key, stay in list(self._stays.items()):
            self._follow(stay, present.get(key), scene)
            yield from self._judge(key, stay, t_s)

    def finish(self, t_s: float) -> Iterator[tuple[Change, Stay]]:
        """Close every stay because there is nothing more to see."""
        yield from self._close_all(t_s, "recording_ended")

    def _holds(self, track: Track, scene: Scene) -> bool:
        return self._zone.contains(track.box.foot, scene.frame.width, scene.frame.height)

    def _admit(self, track: Track, t_s: float) -> Iterator[tuple[Change, Stay]]:
        for key, stay in self._stays.items():
            is_free = stay.departed_s is not None or stay.track.last_s < track.first_s
            if is_free and stay.is_at_place(track.box, SAME_PLACE_IOU):
                self._stays[track.id] = self._stays.pop(key)
                return
        self._stays[track.id] = stay = Stay(track, entered_s=t_s, subject=f"{track.id}@{t_s:.3f}")
        yield "entered", stay

    def _follow(self, stay: Stay, track: Track | None, scene: Scene) -> None:
        if track is None:
            was_still = stay.track.still_since_s is not None
            stay.depart(stay.track.last_s, "lost" if was_still else "left")
            return
        stay.track = track
        is_inside = self._holds(track, scene)
        if stay.moved_s is None and track.still_since_s is None:
            stay.moved_s = scene.frame.t_s
        if is_inside and track.still_since_s is not None:
            self._count(stay, track)
        elif not is_inside or (stay.place and not stay.is_at_place(track.box, GONE_IOU)):
            stay.depart(scene.frame.t_s, "left")

    def _count(self, stay: Stay, track: Track) -> None:
        """It stands in the zone; before the limit a new place starts a new count (queues creep)."""
        assert self._active_since_s is not None and track.still_since_s is not None
        is_elsewhere = stay.anchor is not None and iou(stay.anchor, track.box) < SAME_PLACE_IOU
        if stay.since_s is None or (is_elsewhere and not stay.has_begun):
            stay.since_s = max(track.still_since_s, self._active_since_s)
            stay.already_standing = stay.since_s <= max(track.first_s, self._active_since_s)
            stay.anchor = track.box
        stay.place = track.box
        stay.moved_s = stay.departed_s = None

    def _judge(self, key: int, stay: Stay, t_s: float) -> Iterator[tuple[Change, Stay]]:
        if stay.departed_s is not None:
            patience_s = self._limits.reentry_s if stay.since_s is not None else 0.0
            if t_s - stay.departed_s >= patience_s:
                del self._stays[key]
                yield ("ended" if stay.has_begun else "dismissed"), stay
        elif not stay.has_begun:
            # Nobody is accused unseen: the vehicle must clearly be there beyond the limit.
            is_clear = stay.track.last_s == t_s and stay.track.is_sure
            if is_clear and stay.since_s is not None and stay.dwell_s(t_s) >= self._limits.dwell_s:
                stay.has_begun, stay.reported_s = True, t_s
                yield "begun", stay
        elif t_s - stay.reported_s >= self._limits.update_s:
            stay.reported_s = t_s
            yield "standing", stay

    def _close_all(self, t_s: float, reason: EndReason) -> Iterator[tuple[Change, Stay]]:
        for stay in self._stays.values():
            stay.depart(t_s, reason)
            yield ("ended" if stay.has_begun else "dismissed"), stay
        self._stays.clear()
