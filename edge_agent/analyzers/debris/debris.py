"""Debris: something lies on the carriageway that never was a vehicle or a person."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import hypot
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent import config
from edge_agent.analyzers.debris.ground import Ground, Patch
from edge_agent.analyzers.debris.plot import Plot
from edge_agent.analyzers.view import Happening, View, rule_name
from edge_agent.geometry import grow, iou, overlap
from edge_agent.types import VEHICLES, Box, Event, Scene, Track

SAMPLE_S = 1.0
LEARN_S = 8.0
"""The ground is the median of what is seen for so long."""
MARGIN = 0.12
"""Share of its size by which an object may be larger than its box: shadows, mirrors."""
SURE = 0.9
"""Share of `dwell_s` for which a pixel must have been seen: the edge of an object wavers."""
SETTLED = 1.2
"""Multiple of `dwell_s` after which what is no debris is taken for the ground."""
STEADY = 2
"""Looks in a row at which it must be there."""
MIN_FILL = 0.35
"""Share of its box that an object fills."""
DIAGONAL = 1.2
"""Of an object's box, over its width; at least that of something flat."""
FLOOD = 0.1
"""More of the zone changing at once than this is light or weather."""
SLOW = 0.3
"""Sizes per second below which a track that ends has not driven off."""
HANDOVER_S = 3.0
"""A place is voted on again this soon after its track was given up."""
OFTEN = 0.3
"""Share of the looks at which even an unsure detection must have been at a place."""
ROAD_USERS = VEHICLES | {"person", "bicycle"}


@dataclass(frozen=True, slots=True)
class _Find:
    """A patch that may be debris."""

    patch: Patch
    begin_s: float
    looks: int
    has_begun: bool


class Debris:
    """`incident.debris`: begin when it has lain there for `dwell_s`, end when it is gone.

    It has an outline of its own, and is none of these: a road user, however unsurely seen; the
    place that a road user has left; light or shade; a change of the whole zone.
    """

    kind = "incident.debris"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        zone: str
        dwell_s: Annotated[float, Field(ge=5, le=3600)] = 10.0
        min_width: Annotated[float, Field(ge=0.005, le=0.5)] = 0.01
        """Share of the picture's width; smaller things are noise."""
        max_width: Annotated[float, Field(ge=0.01, le=1.0)] = 0.15
        """Larger things are vehicles that nobody recognised."""

    def __init__(self, settings: Settings, view: View) -> None:
        self._settings = settings
        self._zone = view.zones[settings.zone]
        self._name = rule_name(self.kind, settings.zone, settings)
        self._plot: Plot | None = None
        self._sampled_s: float | None = None
        self._early: list[NDArray[np.uint8]] = []
        self._ground: Ground | None = None
        self._finds: list[_Find] = []
        self._lost: deque[tuple[float, Box]] = deque(maxlen=200)
        """Around where tracks ended that had not driven off."""
        self._seen: deque[tuple[float, tuple[Box, ...]]] = deque(maxlen=64)
        """Around what the detector made out that no track explains, look by look."""

    def update(self, scene: Scene) -> Iterable[Event]:
        t_s = scene.frame.t_s
        for track in scene.ended:
            if _is_slow(track):
                self._lost.append((t_s, grow(track.box, MARGIN)))
        since_s = SAMPLE_S if self._sampled_s is None else t_s - self._sampled_s
        if since_s < SAMPLE_S:
            return
        self._sampled_s = t_s
        if self._plot is None:
            self._plot = Plot.of(self._zone, scene.frame)
        self._seen.append((t_s, tuple(_untracked(scene))))
        image = self._plot.cut(scene.frame)
        if self._ground is None:
            self._learn(image)
            return
        road_users = (grow(track.box, MARGIN) for track in scene.tracks)
        is_free = self._plot.free(road_users)
        self._ground.update(image, is_free, min(since_s, 2 * SAMPLE_S))
        yield from self._follow(scene, self._ground, self._plot)

    def finish(self, scene: Scene) -> Iterable[Event]:
        if self._plot is not None:
            for find in self._finds:
                if find.has_begun:
                    yield self._event(scene, find, self._plot, "recording_ended")
        self._finds = []

    def _learn(self, image: NDArray[np.uint8]) -> None:
        self._early.append(image.copy())
        if len(self._early) * SAMPLE_S >= LEARN_S:
            self._ground = Ground(_median(self._early), limit_s=1.5 * self._settings.dwell_s)
            self._early = []

    def _follow(self, scene: Scene, ground: Ground, plot: Plot) -> Iterator[Event]:
        """Open, carry on and close finds; what proves to be none becomes part of the ground."""
        before, self._finds = self._finds, []
        for find in before:
            if not find.has_begun:
                continue
            reason = self._end_reason(find, scene, ground, plot)
            if reason is None:
                self._finds.append(find)
                continue
            yield self._event(scene, find, plot, reason)
            if reason != "cleared":
                ground.accept(find.patch)
        for patch in self._lasting(ground, plot):
            same = [find for find in before if _do_meet(find.patch, patch)]
            if any(find.has_begun for find in same):
                continue
            if not ground.is_in_sight(patch):
                self._finds += same
            elif self._may_be_debris(patch, scene, ground, plot):
                self._finds.append(self._advanced(patch, same, scene.frame.t_s))
                if self._finds[-1].has_begun:
                    yield self._event(scene, self._finds[-1], plot, None)

    def _advanced(self, patch: Patch, same: list[_Find], t_s: float) -> _Find:
        """The find that the patch carries on, or a new one."""
        seen_s = patch.seen_s - SAMPLE_S  # the first look counted for a whole pause
        begin_s = min([t_s - seen_s, *(find.begin_s for find in same)])
        looks = max((find.looks for find in same), default=0) + 1
        has_lasted = t_s - begin_s >= self._settings.dwell_s
        return _Find(patch, begin_s, looks, looks >= STEADY and has_lasted)

    def _may_be_debris(self, patch: Patch, scene: Scene, ground: Ground, plot: Plot) -> bool:
        """False for what explains itself; light and the like become part of the ground."""
        if self._is_road_user(plot.native(patch.box), patch.seen_s, scene.frame.t_s):
            return False
        is_nothing = self._is_nothing(patch, ground, plot)
        if is_nothing and patch.seen_s >= SETTLED * self._settings.dwell_s:
            ground.accept(patch)
        return not is_nothing

    def _lasting(self, ground: Ground, plot: Plot) -> list[Patch]:
        """Patches that have been there for long enough, unless the whole zone has changed."""
        diagonal = DIAGONAL * self._settings.min_width * plot.size[0]
        patches = ground.patches(SURE * self._settings.dwell_s, diagonal)
        changed = sum(int(patch.mask.sum()) for patch in patches)
        if changed <= FLOOD * np.count_nonzero(plot.is_zone):
            return patches
        for patch in patches:
            ground.accept(patch)
        return []

    def _is_nothing(self, patch: Patch, ground: Ground, plot: Plot) -> bool:
        is_large = max(patch.mask.shape) > self._settings.max_width * plot.size[0]
        is_ragged = patch.mask.mean() < MIN_FILL
        return bool(
            is_large or is_ragged or not ground.has_outline(patch) or ground.is_light(patch)
        )

    def _is_road_user(self, box: Box, seen_s: float, t_s: float) -> bool:
        """True when a track was lost there, or something was made out there again and again."""
        since_s = t_s - seen_s - HANDOVER_S
        if any(lost_s >= since_s and _covers(place, box) for lost_s, place in self._lost):
            return True
        looks = [boxes for at_s, boxes in self._seen if at_s >= t_s - seen_s]
        hits = sum(any(_covers(each, box) for each in boxes) for boxes in looks)
        return hits >= OFTEN * max(len(looks), 1)

    def _end_reason(self, find: _Find, scene: Scene, ground: Ground, plot: Plot) -> str | None:
        if ground.is_cleared(find.patch):
            return "cleared"
        box = plot.native(find.patch.box)
        if any(track.still_since_s and iou(track.box, box) > 0.3 for track in scene.tracks):
            return "road_user"
        return None

    def _event(self, scene: Scene, find: _Find, plot: Plot, end_reason: str | None) -> Event:
        begin_s, t_s = find.begin_s, scene.frame.t_s
        box = plot.native(find.patch.box)
        subject = f"{self._name}/{begin_s:.3f}/{box.x1:.0f}-{box.y1:.0f}"
        facts = {"dwell_s": round(t_s - begin_s, 3)}
        happening = Happening(self.kind, subject, begin_s, self._settings.zone)
        thing = Track(0, "debris", 1.0, box, (0.0, 0.0), begin_s, t_s, begin_s)
        if end_reason is None:
            return happening.event(scene, "begin", thing, facts)
        return happening.event(scene, "end", thing, {**facts, "end_reason": end_reason})


def _median(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Pixel by pixel; sorting whole pictures takes a tenth of the time that NumPy's own does."""
    ordered = list(pictures)
    for end in range(len(ordered) - 1, 0, -1):
        for i in range(end):
            a, b = ordered[i], ordered[i + 1]
            ordered[i : i + 2] = np.minimum(a, b), np.maximum(a, b)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return np.asarray((low.astype(np.float32) + high) / 2, np.float32)


def _is_slow(track: Track) -> bool:
    size = hypot(track.box.width, track.box.height)
    return track.still_since_s is not None or hypot(*track.velocity) < SLOW * size


def _untracked(scene: Scene) -> Iterator[Box]:
    """Around road users that no track follows."""
    seen = scene.detections
    for corners, cls in zip(seen.boxes, seen.classes, strict=True):
        box = Box(*(float(v) for v in corners))
        if seen.names[cls] in ROAD_USERS and all(iou(box, t.box) < 0.5 for t in scene.tracks):
            yield grow(box, MARGIN)


def _covers(place: Box, box: Box) -> bool:
    return overlap(place, box) >= 0.5 * box.area


def _do_meet(a: Patch, b: Patch) -> bool:
    return overlap(Box(*a.box), Box(*b.box)) > 0
