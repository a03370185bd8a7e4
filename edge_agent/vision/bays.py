"""Looks at parking bays: a car park is seen from afar, so the network is shown it part by part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import hypot, inf
from pathlib import Path

import numpy as np

from edge_agent.config.models import BaySettings
from edge_agent.errors import ModelError
from edge_agent.geometry import Polygon, overlap
from edge_agent.ports import Detector
from edge_agent.types import VEHICLES, ArrayPicture, BayLook, BayVehicle, Box, Frame, ModelInfo
from edge_agent.vision.bay_places import Sighting, assign, distinct
from edge_agent.vision.bay_windows import Scale, Window, cover
from edge_agent.vision.detector import Size, open_onnx

MIN_SCORE = 0.15
"""Where a bay is, a vehicle is expected: weaker sightings count there than on the open road."""
CAR_PARKED = VEHICLES - {"motorcycle"}
LEAST_LENGTH = 0.5
"""Of the nearest bay's longer side: what is shorter is a part of a vehicle, or something else."""
SCALES = ((3.0, 1.6), (5.0, 1.2))
"""(zoom, most enlargement): what a network misses at one scale it often sees at another one."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """How the bays of one camera are looked at; px of a picture of that size."""

    size: Size
    bays: Mapping[str, Box]
    windows: Sequence[tuple[Window, float]]
    """With the weakest score that counts in each."""


@dataclass
class _Pass:
    """One look over all windows, which may take until the next one is due."""

    began_s: float
    done: int = 0
    found: list[Sighting] = field(default_factory=list)


class WindowedBayWatcher:
    """Shows a network the bays and their surroundings, enlarged, window by window.

    The windows of one look are spread over the time until the next look, so that no frame waits
    long; after a pause as long as that, as between stills, one frame is looked at as a whole.
    """

    def __init__(
        self,
        detector: Detector,
        input_size: Size,
        zones: Mapping[str, Polygon],
        settings: BaySettings,
    ) -> None:
        """`zones` are the camera's; the settings name those that are bays."""
        self.models: tuple[ModelInfo, ...] = (detector.model,)
        self._detector = detector
        self._input_px = min(input_size)
        self._bays = {name: zones[name] for name in settings.zones}
        self._lot = zones[settings.lot] if settings.lot else None
        self._every_s = settings.every_s
        self._plan: _Plan | None = None
        self._pass: _Pass | None = None
        self._last_s = -inf

    def look(self, frame: Frame) -> BayLook | None:
        size = (frame.width, frame.height)
        if self._plan is None or self._plan.size != size:
            self._plan, self._pass = self._make_plan(size), None
        plan = self._plan
        is_alone = frame.t_s - self._last_s >= self._every_s
        self._last_s = frame.t_s
        current = self._pass
        if is_alone or current is None or frame.t_s - current.began_s >= self._every_s:
            current = self._pass = _Pass(frame.t_s)
        total = len(plan.windows)
        if current.done == total:
            return None
        share = 1.0 if is_alone else (frame.t_s - current.began_s) / self._every_s
        due = min(total, 1 + int(share * total))
        for window, min_score in plan.windows[current.done : due]:
            current.found += self._sightings(frame, window, min_score)
        current.done = max(current.done, due)
        if current.done < total:
            return None
        return BayLook(current.began_s, tuple(_placed(current.found, plan.bays)))

    def _sightings(self, frame: Frame, window: Window, min_score: float) -> Iterator[Sighting]:
        """Vehicles in a window, in px of the frame; those that its edges cut are another's."""
        rows = slice(window.top, window.top + window.side)
        part = frame.image[rows, window.left : window.left + window.side]
        picture = ArrayPicture(np.ascontiguousarray(part))
        seen = self._detector.detect(replace(frame, picture=picture))
        for edges, score, index in zip(seen.boxes, seen.scores, seen.classes, strict=True):
            box = Box(*(float(edge) for edge in edges))
            is_vehicle = seen.names[int(index)] in CAR_PARKED and score >= min_score
            if is_vehicle and not window.cuts(box, frame.width, frame.height):
                x, y = window.left, window.top
                moved = Box(box.x1 + x, box.y1 + y, box.x2 + x, box.y2 + y)
                yield Sighting(moved, float(score))

    def _make_plan(self, size: Size) -> _Plan:
        bays = {name: _bounds(zone, size) for name, zone in self._bays.items()}
        scales = [Scale(zoom, self._input_px / most) for zoom, most in SCALES]
        windows = [window for scale in scales for window in cover(bays, size, scale)]
        rest = cover(self._rest_of_lot(bays, size), size, scales[-1])
        # Where the picture is small both scales may come to the same windows.
        least = dict.fromkeys(windows, MIN_SCORE)
        for window in rest:
            least.setdefault(window, self._detector.min_score)
        return _Plan(size, bays, tuple(least.items()))

    def _rest_of_lot(self, bays: Mapping[str, Box], size: Size) -> dict[str, Box]:
        """The lot as squares of a typical bay's size, but for those that touch a bay."""
        if self._lot is None:
            return {}
        side = float(np.median([max(box.width, box.height) for box in bays.values()]))
        lot = _bounds(self._lot, size)
        places = {}
        for i in range(int(lot.height / side) + 1):
            for j in range(int(lot.width / side) + 1):
                x, y = lot.x1 + j * side, lot.y1 + i * side
                place = Box(x, y, x + side, y + side)
                touches = any(overlap(place, bay) > 0 for bay in bays.values())
                if not touches and self._lot.contains(place.centre, *size):
                    places[f"{i}/{j}"] = place
        return places


def _bounds(zone: Polygon, size: Size) -> Box:
    """The upright box around a zone, in px of a picture of that size."""
    corners = np.array(zone.points) * size
    (x1, y1), (x2, y2) = corners.min(axis=0), corners.max(axis=0)
    return Box(float(x1), float(y1), float(x2), float(y2))


def _placed(found: Sequence[Sighting], bays: Mapping[str, Box]) -> Iterator[BayVehicle]:
    """Every vehicle once, with the bay that it stands in."""
    sightings = distinct(each for each in found if _is_whole(each.box, bays))
    stands = {each: bay for bay, each in assign(sightings, bays).items()}
    for each in sightings:
        yield BayVehicle(each.box, each.score, stands.get(each))


def _is_whole(box: Box, bays: Mapping[str, Box]) -> bool:
    """False for what is too short to be a vehicle, as the nearest bay tells."""
    x, y = box.centre
    nearest = min(bays.values(), key=lambda bay: hypot(bay.centre[0] - x, bay.centre[1] - y))
    longer = max(nearest.width, nearest.height)
    return max(box.width, box.height) >= LEAST_LENGTH * longer


def open_bay_watcher(
    settings: BaySettings, model: str, zones: Mapping[str, Polygon], paths: Sequence[Path]
) -> WindowedBayWatcher:
    """A fresh watcher for one camera; ModelError names the command that fixes a problem.

    `model` is looked with unless the settings name another one.
    """
    detector = open_onnx(settings.model or model, paths)
    if CAR_PARKED.isdisjoint(detector.names):
        raise ModelError(
            f"model {detector.model.name!r}: finds no vehicles, only {', '.join(detector.names)}; "
            "name another model card as `model:` under `bays`"
        )
    return WindowedBayWatcher(detector, detector.size, zones, settings)
