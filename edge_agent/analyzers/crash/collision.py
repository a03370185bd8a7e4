"""Decides which impulses are collisions, and by which cues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.analyzers.crash.glances import Glances
from edge_agent.analyzers.crash.impact import (
    MEETS_S,
    WINDOW_S,
    Contact,
    Impulse,
    Size,
    contact,
    impulse,
    is_undisturbed,
    touch,
)
from edge_agent.analyzers.crash.trails import Trail, Trails
from edge_agent.types import Scene

STRIDE_S = 0.075
"""Pictures that follow sooner are not looked at: enough for what takes tenths of a second."""
CHANGE = 1.1
"""Own sizes/s within `impact.WINDOW_S`: for a car from the side 5.7 m/s^2, as on a wet road tyres
can at most, and more from any other side."""
SHARE = 0.5
"""It is at least this share of the greater of the speeds before and after."""
CLOSING = 2.0
"""Least closing speed of a contact, mean sizes/s: some 5 m/s."""
PARTED = 0.75
"""After it the relative speed is at most this share: vehicles do not go through each other."""
STANDS = 0.6
"""At a dead stop no edge moves faster, own sizes/s ..."""
STOPS = 0.25
"""... and this share of the speed is left."""
TURNED = 1.2
"""Ratio of the aspects before and after, from which an outline has turned or toppled."""
ALONE = 2.5
"""Own sizes/s lost at a dead stop that needs no other cue: far beyond what brakes can do."""
SMALLEST = 0.05
"""Vehicles smaller than this share of the picture's width are too coarse to be judged."""
EARLIER_S = 0.2
NEW = 0.4
"""A place at which a vehicle arrived has changed at least so much, in its own contrast, since so
long before the impact."""

Cues = Mapping[str, Mapping[str, float]]
"""Name of the cue -> its figures."""


@dataclass(frozen=True, slots=True)
class Collision:
    """One vehicle that was hit or hit something."""

    trail: Trail
    other: Trail | None
    t_s: float
    """Media time of the impact."""
    cues: Cues


class Collisions:
    """Watches the vehicles of one camera."""

    def __init__(self, classes: frozenset[str]) -> None:
        self._glances = Glances()
        self._hits: list[tuple[Impulse, Contact]] = []
        """Of late: an impact may be seen to be a contact before it is seen clearly."""
        self._next_s = 0.0
        self._picture: Size = (0, 0)
        self.trails = Trails(classes)

    def update(self, scene: Scene) -> list[Collision]:
        """The collisions that have become certain in this scene."""
        frame = scene.frame
        if frame.t_s < self._next_s - 1e-6:
            return []
        self._next_s = frame.t_s + STRIDE_S
        picture = (frame.width, frame.height)
        if not self._glances.look(frame) or picture != self._picture:
            self.trails.all.clear()
        self._picture = picture
        self.trails.update(frame.t_s, scene.detections)
        return list(self._judge(scene))

    def _judge(self, scene: Scene) -> Iterator[Collision]:
        frame = scene.frame
        picture = self._picture
        self._hits = [h for h in self._hits if frame.t_s - h[0].t_s <= WINDOW_S + 2 * MEETS_S]
        for trail in self.trails.all:
            if trail.last_s < frame.t_s or trail.size_px < SMALLEST * frame.width / 2:
                continue
            found = impulse(trail, CHANGE, picture)
            if found is None or found.change < CHANGE or not found.before.is_steady:
                continue
            others = [other for other in self.trails.all if other is not trail]
            met = [c for other in others if (c := contact(found, other, picture)) is not None]
            self._hits += [(found, c) for c in met if _is_hit(c)]
            collision = self._explain(found, others) if _is_sound(found, frame.width) else None
            if collision is None or is_undisturbed(found, others, picture):
                continue
            if self._glances.change(frame, trail.box, found.t_s - EARLIER_S) >= NEW:
                yield collision

    def _explain(self, found: Impulse, others: Sequence[Trail]) -> Collision | None:
        """The collision that the cues make of it, if they are enough."""
        hits = [
            met
            for other, met in self._hits
            if other.trail is found.trail and found.t_s - other.t_s <= MEETS_S + 1e-6
        ]
        impact = _impulse_cue(found)
        stop = _stop_cues(found)
        if hits and found.change >= SHARE * max(found.before.speed, found.after.speed):
            hardest = max(hits, key=lambda met: met.closing)
            return Collision(
                found.trail, hardest.other, found.t_s, {**impact, **_contact_cue(hardest), **stop}
            )
        now_s = found.trail.last_s
        near = [o for o in others if now_s - o.last_s <= MEETS_S and touch(found.trail.box, o.box)]
        if near:
            stop["touching"] = {"vehicles": len(near)}
        if "dead_stop" in stop and (len(stop) > 1 or found.change >= ALONE):
            other = near[0] if near else None
            return Collision(found.trail, other, found.t_s, {**impact, **stop})
        return None


def _is_sound(found: Impulse, width: int) -> bool:
    return found.after.is_steady and found.before.size_px >= SMALLEST * width


def _is_hit(met: Contact) -> bool:
    return met.closing >= CLOSING and met.relative_after <= PARTED * met.relative_before


def _impulse_cue(found: Impulse) -> Cues:
    return {
        "impulse": {
            "change_sizes_per_s": round(found.change, 2),
            "speed_before_sizes_per_s": round(found.before.speed, 2),
            "speed_after_sizes_per_s": round(found.after.speed, 2),
        }
    }


def _contact_cue(met: Contact) -> Cues:
    return {
        "contact": {
            "closing_sizes_per_s": round(met.closing, 2),
            "parting_sizes_per_s": round(met.relative_after, 2),
        }
    }


def _stop_cues(found: Impulse) -> dict[str, dict[str, float]]:
    """What a vehicle shows that stops dead, wholly in the picture."""
    before, after = found.before, found.after
    cues: dict[str, dict[str, float]] = {}
    if any(before.cut) or any(after.cut):
        return cues
    is_at_rest = after.stir <= STANDS and after.speed <= STOPS * before.speed
    if is_at_rest and before.speed - after.speed >= CHANGE:
        cues["dead_stop"] = {"stir_sizes_per_s": round(after.stir, 2)}
    turn = max(before.aspect / after.aspect, after.aspect / before.aspect)
    if turn >= TURNED:
        cues["turned"] = {"aspect_ratio": round(turn, 2)}
    return cues
