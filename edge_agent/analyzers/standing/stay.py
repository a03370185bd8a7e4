"""Vehicles that stand in a zone: what illegal parking and stopped vehicles have in common.

A stay opens when a vehicle enters the zone, counts while it stands, and closes when the place
where it stood is free of it. Time is media time; nothing here counts frames.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from edge_agent.geometry import Polygon, iou
from edge_agent.recollection import (
    MAX_GAP_S,
    Moved,
    box_json,
    box_of,
    moment_of,
    track_json,
    track_of,
)
from edge_agent.types import JSON, Box, Scene, Track

Change = Literal["entered", "dismissed", "begun", "standing", "ended"]
EndReason = Literal["left", "lost", "schedule", "recording_ended"]

SAME_PLACE_IOU = 0.5
"""A new track standing this exactly where another one stood is the same vehicle."""
GONE_IOU = 1 / 3
"""Below this overlap with the box in which it stood, a vehicle has left its place."""
AT_REST_IOU = 0.9
"""At rest, a vehicle covers this much of where it was a moment ago."""
MOMENT_S = 3.0
"""It takes a tracker up to this long to be sure that a vehicle has begun to move."""
ARRIVING_S = 1.0
"""Who is seen for longer than this before standing has just come."""
SETTLE_S = 30.0
"""After a restart, what is not seen for so long is gone; a bus may stand in front of it."""


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
    subject: str
    """Names the stay by its first track; a vehicle taken up again under a new track keeps it."""
    begin_s: float | None = None
    """Media time at which it first stood; None until it stands."""
    since_s: float = 0.0
    """Media time from which it has stood this time."""
    stood_s: float = 0.0
    """How long it had stood before it moved off and came back."""
    anchor: Box | None = None
    """Where it stood when its count began; a queue that creeps leaves it behind."""
    place: Box | None = None
    """Where it was last seen standing."""
    recent: deque[tuple[float, Box]] = field(default_factory=deque)
    """Where it was seen standing during the last `MOMENT_S`."""
    already_standing: bool = False
    """It was standing when it was first seen, or when the hours of the rule began."""
    has_begun: bool = False
    reported_s: float = 0.0
    moved_s: float | None = None
    """When it was last at rest before it moved off."""
    departed_s: float | None = None
    """When its place was free of it."""
    end_reason: EndReason = "left"
    counts_from_s: float = -math.inf
    """When it entered, if it was seen outside: what it stood there is not standing in the zone."""
    is_recalled: bool = False
    """It was seen by an earlier process, and not by this one yet."""

    @property
    def dwell_s(self) -> float:
        """How long it was seen to stand; not while it moved, was away or stayed unseen."""
        if self.begin_s is None:
            return 0.0
        return self.stood_s + max(0.0, self.end_s - self.since_s)

    @property
    def end_s(self) -> float:
        """Until when it was seen to stand."""
        ends = (self.moved_s, self.departed_s, self.track.last_s)
        return min(end for end in ends if end is not None)

    @property
    def was_there(self) -> bool:
        """False for a vehicle that was seen to arrive."""
        return self.since_s - self.track.first_s <= ARRIVING_S

    def depart(self, t_s: float, reason: EndReason) -> None:
        """It is gone since then, unless it comes back; only the first departure counts."""
        if self.departed_s is None:
            self.departed_s, self.end_reason = t_s, reason

    def stand(self, track: Track, active_since_s: float) -> None:
        """It stands: count on, or anew at another place; once begun, add to what it stood."""
        assert track.still_since_s is not None
        since_s = max(track.still_since_s, active_since_s)
        is_back = self.departed_s is not None
        if self.begin_s is None or (not self.has_begun and (is_back or self._is_off(track.box))):
            self.begin_s, self.since_s, self.stood_s = since_s, since_s, 0.0
            self.already_standing = since_s <= max(track.first_s, active_since_s)
            self.anchor = track.box
        elif self.departed_s is not None:
            self.stood_s = self.dwell_s
            # One that never moved has stood since before it was away: that has been counted.
            self.since_s = since_s if since_s > self.departed_s else track.last_s
        if is_back or since_s <= self.since_s:  # else it crept: its place stays where it stood
            self.place = track.box
        self.moved_s = self.departed_s = None
        if not self.recent or track.last_s > self.recent[-1][0]:
            self.recent.append((track.last_s, track.seen or track.box))
        while track.last_s - self.recent[0][0] > MOMENT_S:
            self.recent.popleft()

    def _is_off(self, box: Box) -> bool:
        """True when it stands elsewhere than where its count began."""
        return self.anchor is not None and iou(self.anchor, box) < SAME_PLACE_IOU

    def move(self) -> None:
        """It does not stand any more, and began to move a little before that showed."""
        if self.moved_s is None and self.recent:
            _, rest = self.recent[0]
            self.moved_s = max(t_s for t_s, box in self.recent if iou(box, rest) >= AT_REST_IOU)
            self.recent.clear()

    def go_on(self, found: Stay) -> None:
        """It was found again as what seemed another one; the time in between was not seen."""
        if self.is_recalled:
            self.stood_s, self.since_s = self.dwell_s, found.since_s
            self.place, self.recent, self.is_recalled = found.place, found.recent, False
        self.track, self.departed_s, self.moved_s = found.track, None, None

    def remember(self) -> JSON:
        """All of it but where it was a moment ago."""
        return {
            "track": track_json(self.track),
            "entered_s": self.entered_s,
            "subject": self.subject,
            "begin_s": self.begin_s,
            "since_s": self.since_s,
            "stood_s": self.stood_s,
            "anchor": box_json(self.anchor),
            "place": box_json(self.place),
            "already_standing": self.already_standing,
            "has_begun": self.has_begun,
            "reported_s": self.reported_s,
            "moved_s": self.moved_s,
            "departed_s": self.departed_s,
            "end_reason": self.end_reason,
        }

    @classmethod
    def of(cls, state: JSON, moved: Moved) -> Stay:
        """What `remember` gave: lost from sight when it was last seen, unless it had gone."""
        stay = cls(
            track=track_of(state["track"], moved),
            entered_s=moved(state["entered_s"]),
            subject=str(state["subject"]),
            begin_s=moment_of(state["begin_s"], moved),
            since_s=moved(state["since_s"]),
            stood_s=float(state["stood_s"]),
            anchor=box_of(state["anchor"]),
            place=box_of(state["place"]),
            already_standing=bool(state["already_standing"]),
            has_begun=bool(state["has_begun"]),
            reported_s=moved(state["reported_s"]),
            moved_s=moment_of(state["moved_s"], moved),
            departed_s=moment_of(state["departed_s"], moved),
            end_reason=state["end_reason"],
            is_recalled=True,
        )
        stay.depart(stay.track.last_s, "lost")
        return stay

    def covers_place(self, box: Box, share: float) -> bool:
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
        self._outside: set[int] = set()
        """Tracks that were seen outside of the zone."""
        self._resumed_s: float | None = None
        """Media time of the first scene after a restart."""

    def remember(self) -> JSON:
        """Who stands there; who drives through is soon gone."""
        stood = [stay for stay in self._stays.values() if stay.begin_s is not None]
        return {
            "stays": [stay.remember() for stay in stood],
            "active_since_s": self._active_since_s,
        }

    def recall(self, state: JSON, moved: Moved) -> None:
        """Go on with them: who stands where one of them stood is that one."""
        stays = [Stay.of(each, moved) for each in state["stays"]]
        self._stays = {-index: stay for index, stay in enumerate(stays, 1)}  # ids of no tracks
        self._active_since_s = moment_of(state["active_since_s"], moved)

    def update(self, scene: Scene, is_active: bool) -> Iterator[tuple[Change, Stay]]:
        """Advance to the scene; while the rule is not active every stay is closed."""
        t_s = scene.frame.t_s
        if not is_active:
            self._active_since_s = None
            yield from self._close_all("schedule")
            return
        if self._active_since_s is None:
            self._active_since_s = t_s
        self._resumed_s = t_s if self._resumed_s is None else self._resumed_s
        present = {track.id: track for track in scene.tracks if track.cls in self._classes}
        self._outside &= present.keys()
        for track in present.values():
            if not self._holds(track, scene):
                self._outside.add(track.id)
            elif track.id not in self._stays:
                self._stays[track.id] = stay = Stay(track, t_s, self._subject(track, t_s))
                stay.counts_from_s = t_s if track.id in self._outside else -math.inf
                yield "entered", stay
        for key in list(self._stays):
            self._follow(self._stays[key], present.get(key), scene)
        yield from self._reunite(t_s)
        for key, stay in list(self._stays.items()):
            yield from self._judge(key, stay, t_s)

    def finish(self) -> Iterator[tuple[Change, Stay]]:
        """Close every stay because there is nothing more to see."""
        yield from self._close_all("recording_ended")

    def _subject(self, track: Track, t_s: float) -> str:
        """Clocks and ids of tracks begin anew with the box: it must not be one that goes on."""
        subject = f"{track.id}@{t_s:.3f}"
        while any(stay.subject == subject for stay in self._stays.values()):
            subject += "+"
        return subject

    def _holds(self, track: Track, scene: Scene) -> bool:
        return self._zone.contains(track.box.foot, scene.frame.width, scene.frame.height)

    def _follow(self, stay: Stay, track: Track | None, scene: Scene) -> None:
        assert self._active_since_s is not None
        if track is None:
            was_still = stay.track.still_since_s is not None
            stay.depart(stay.track.last_s, "lost" if was_still else "left")
            return
        stay.track = track
        is_still = track.still_since_s is not None
        # What stood inside stays inside until it moves, however its outline flickers.
        is_unmoved = is_still and stay.covers_place(track.box, SAME_PLACE_IOU)
        is_inside = is_unmoved or self._holds(track, scene)
        if is_inside and is_still:
            stay.stand(track, max(self._active_since_s, stay.counts_from_s))
            return
        if not is_still:
            stay.move()
        if not is_inside or (stay.place and not stay.covers_place(track.box, GONE_IOU)):
            stay.depart(scene.frame.t_s, "left")

    def _reunite(self, t_s: float) -> Iterator[tuple[Change, Stay]]:
        """What stands exactly where another one was lost from sight is that vehicle."""
        if all(stay.departed_s is None for stay in self._stays.values()):
            return  # cheaper, and true of most scenes
        for key, stay in list(self._stays.items()):
            if stay.begin_s is None or stay.departed_s is not None or stay.has_begun:
                continue
            for elder_key, elder in list(self._stays.items()):
                is_lost = elder.departed_s is not None and elder.end_reason == "lost"
                if elder.is_recalled and not (self._is_awaited(elder, t_s) and stay.was_there):
                    continue
                if not is_lost or elder.track.last_s >= stay.track.first_s:
                    continue
                if elder.covers_place(stay.track.box, SAME_PLACE_IOU):
                    elder.go_on(stay)
                    self._stays[key] = self._stays.pop(elder_key)
                    yield "dismissed", stay
                    break

    def _judge(self, key: int, stay: Stay, t_s: float) -> Iterator[tuple[Change, Stay]]:
        if stay.departed_s is not None:
            patience_s = self._limits.reentry_s if stay.begin_s is not None else 0.0
            if t_s - stay.departed_s >= patience_s and not self._is_awaited(stay, t_s):
                del self._stays[key]
                yield ("ended" if stay.has_begun else "dismissed"), stay
        elif not stay.has_begun:
            # Nobody is accused unseen: the vehicle must clearly be there beyond the limit.
            is_clear = stay.track.last_s == t_s and stay.track.is_sure
            if is_clear and stay.begin_s is not None and stay.dwell_s >= self._limits.dwell_s:
                stay.has_begun, stay.reported_s = True, t_s
                yield "begun", stay
        elif t_s - stay.reported_s >= self._limits.update_s:
            stay.reported_s = t_s
            yield "standing", stay

    def _is_awaited(self, stay: Stay, t_s: float) -> bool:
        """True while a stay of the time before a restart may still be found again."""
        if not stay.is_recalled or stay.departed_s is None or self._resumed_s is None:
            return False
        is_bounded = self._resumed_s - stay.departed_s <= MAX_GAP_S
        return is_bounded and stay.end_reason == "lost" and t_s - self._resumed_s < SETTLE_S

    def _close_all(self, reason: EndReason) -> Iterator[tuple[Change, Stay]]:
        for stay in self._stays.values():
            stay.depart(stay.track.last_s, reason)
            yield ("ended" if stay.has_begun else "dismissed"), stay
        self._stays.clear()
