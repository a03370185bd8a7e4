"""Vehicles that stand in the lot, but in no bay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from pydantic import Field

from edge_agent import config
from edge_agent.analyzers.bays.occupancy import PAUSE
from edge_agent.analyzers.bays.sessions import bay_settings, bays_missing, track_of
from edge_agent.analyzers.view import Happening, View, rule_name
from edge_agent.config import Camera, SiteInfo
from edge_agent.geometry import Polygon, iou
from edge_agent.recollection import MAX_GAP_S, Moved, box_json, moment_of
from edge_agent.types import JSON, BayLook, Box, Event, Phase, Scene

MIN_SCORE = 0.35
"""Nobody is accused on a weak sighting."""
GROUND = 0.5
"""Share of a box, from below, that stands for the ground under the vehicle."""
MOSTLY = 0.5
"""A vehicle with at least this share of its ground in bays stands in a bay."""
SAME_PLACE_IOU = 0.5


@dataclass(slots=True)
class _Standing:
    """One vehicle outside of the bays; media times."""

    box: Box
    begin_s: float
    seen_s: float
    already_standing: bool
    has_begun: bool = False
    end_reason: Literal["left", "lost", "recording_ended"] | None = None
    unseen_s: float = 0.0
    """How long nobody looked, during restarts."""
    told_as: str = ""
    """What its begin was told of."""
    is_recalled: bool = False
    """It was seen before a restart and not since."""

    @property
    def dwell_s(self) -> float:
        return self.seen_s - self.begin_s - self.unseen_s

    def see(self, t_s: float, pause_s: float) -> None:
        """It is still there; a pause that is longer than between looks does not count."""
        gap_s = t_s - self.seen_s
        self.unseen_s += gap_s if self.is_recalled and gap_s > pause_s else 0.0
        self.seen_s, self.is_recalled = t_s, False


class OutsideBay:
    """`parking.outside_bay`: begin after `dwell_s` at one place, end when it is gone.

    It goes by the looks at the bays: a vehicle stands as long as look after look shows it at the
    same place; one look that misses it is forgiven.
    """

    kind = "parking.outside_bay"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        dwell_s: Annotated[float, Field(ge=0, le=86_400)] = 60.0

        def problems(self, camera: Camera, site: SiteInfo) -> Iterable[tuple[str, str]]:
            yield from bays_missing(camera)
            if camera.bays is not None and camera.bays.lot is None:
                yield "kind", "where may vehicles stand in bays only? Add `lot: ZONE` to `bays`"

    def __init__(self, settings: Settings, view: View) -> None:
        bays = bay_settings(view)
        if bays.lot is None:
            raise ValueError(f"camera {view.camera}: its bays have no lot")
        self._dwell_s, self._pause_s = settings.dwell_s, PAUSE * bays.every_s
        self._lot_name, self._lot = bays.lot, view.zones[bays.lot]
        self._bays = [view.zones[name] for name in bays.zones]
        self._name = rule_name(self.kind, bays.lot, settings)
        self._standing: list[_Standing] = []
        self._looked_s: float | None = None
        """When the look before this one was finished."""

    def update(self, scene: Scene) -> Iterable[Event]:
        if scene.bays is None:
            return
        t_s = scene.frame.t_s
        yield from self._give_up(scene)
        self._follow(list(self._outside(scene.bays, scene)), t_s)
        for each in list(self._standing):
            if self._looked_s is not None and each.seen_s < self._looked_s:
                self._standing.remove(each)
                each.end_reason = "lost" if each.is_recalled else "left"
                yield from self._end(scene, each)
            elif not each.has_begun and each.seen_s == t_s:
                each.begin_s = _stands_since(each, scene)
                if each.dwell_s >= self._dwell_s:
                    each.has_begun = True
                    yield self._event(scene, each, "begin")
        self._looked_s = t_s

    def finish(self, scene: Scene) -> Iterable[Event]:
        for each in self._standing:
            each.end_reason = "recording_ended"
            yield from self._end(scene, each)
        self._standing.clear()

    def remember(self) -> JSON:
        standing = [
            {
                "box": box_json(each.box),
                "begin_s": each.begin_s,
                "seen_s": each.seen_s,
                "already_standing": each.already_standing,
                "has_begun": each.has_begun,
                "unseen_s": each.unseen_s,
                "subject": each.told_as,
            }
            for each in self._standing
        ]
        return {"standing": standing, "looked_s": self._looked_s}

    def recall(self, state: JSON, moved: Moved) -> None:
        self._standing = [
            _Standing(
                Box(*each["box"]),
                moved(each["begin_s"]),
                moved(each["seen_s"]),
                bool(each["already_standing"]),
                bool(each["has_begun"]),
                unseen_s=float(each["unseen_s"]),
                told_as=str(each["subject"]),
                is_recalled=True,
            )
            for each in state["standing"]
        ]
        self._looked_s = moment_of(state["looked_s"], moved)

    def _give_up(self, scene: Scene) -> Iterator[Event]:
        """After a long restart nobody can say that it is the same vehicle."""
        for each in list(self._standing):
            if each.is_recalled and scene.frame.t_s - each.seen_s > MAX_GAP_S:
                self._standing.remove(each)
                each.end_reason = "lost"
                yield from self._end(scene, each)

    def _outside(self, look: BayLook, scene: Scene) -> Iterator[Box]:
        size = (scene.frame.width, scene.frame.height)
        for vehicle in look.vehicles:
            box = vehicle.box
            is_candidate = vehicle.bay is None and vehicle.score >= MIN_SCORE
            if is_candidate and self._lot.contains(box.foot, *size):
                ground = Box(box.x1, box.y2 - GROUND * box.height, box.x2, box.y2)
                if covered_share(ground, self._bays, size) < MOSTLY:
                    yield box

    def _follow(self, boxes: Sequence[Box], t_s: float) -> None:
        """Take up the vehicles that stand where one stood before; the others are new."""
        pairs = [
            (iou(each.box, box), i, j)
            for i, each in enumerate(self._standing)
            for j, box in enumerate(boxes)
        ]
        old: set[int] = set()
        known: set[int] = set()
        for fit, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
            if fit >= SAME_PLACE_IOU and i not in old and j not in known:
                old.add(i)
                known.add(j)
                # Its place stays where it first stood, so that nothing creeps along with traffic.
                self._standing[i].see(t_s, self._pause_s)
        is_first = self._looked_s is None
        self._standing += [
            _Standing(box, t_s, t_s, is_first) for j, box in enumerate(boxes) if j not in known
        ]

    def _end(self, scene: Scene, each: _Standing) -> Iterator[Event]:
        if each.has_begun:
            yield self._event(scene, each, "end")

    def _event(self, scene: Scene, each: _Standing, phase: Phase) -> Event:
        where = "-".join(str(round(edge)) for edge in each.box.centre)
        each.told_as = each.told_as or f"{self._name}/{where}@{each.begin_s:.3f}"
        happening = Happening(self.kind, each.told_as, each.begin_s, self._lot_name)
        facts: dict[str, Any] = {
            "dwell_s": round(each.dwell_s, 3),
            "already_standing": each.already_standing,
            "place": _normalised(each.box, scene),
        }
        if each.end_reason is not None:
            facts["end_reason"] = each.end_reason
        return happening.event(scene, phase, track_of(each.box, scene), facts)


def _stands_since(each: _Standing, scene: Scene) -> float:
    """In a queue one vehicle takes another one's place: where there is a track, it decides."""
    track = track_of(each.box, scene)
    if track is None:
        return each.begin_s
    since_s = scene.frame.t_s if track.still_since_s is None else track.still_since_s
    return max(each.begin_s, since_s)


def covered_share(ground: Box, zones: Sequence[Polygon], size: tuple[int, int]) -> float:
    """Share of a box (px) that lies in any of the zones, 0..1."""
    width, height = max(1, round(ground.width)), max(1, round(ground.height))
    mask = np.zeros((height, width), np.uint8)
    for zone in zones:
        cv2.fillPoly(mask, [zone.in_px(*size) - (round(ground.x1), round(ground.y1))], 1)
    return float(mask.mean())


def _normalised(box: Box, scene: Scene) -> list[float]:
    width, height = scene.frame.width, scene.frame.height
    edges = (box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height)
    return [round(edge, 5) for edge in edges]
