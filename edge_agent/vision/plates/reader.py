"""Whose number plate is looked at when, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_agent.config.models import PlateSettings
from edge_agent.types import VEHICLES, Box, Frame, Image, ModelInfo, PlateRead, Track
from edge_agent.vision.plates.finder import Floats, FoundPlate, PlateFinder, open_finder
from edge_agent.vision.plates.recogniser import Reading, Recogniser, open_recogniser

MARGIN = 0.05
"""Share of a vehicle's box added around it: boxes often end at the bumper."""


class OnnxPlateReader:
    """Finds, straightens and reads plates with two networks; one instance per camera."""

    def __init__(
        self, settings: PlateSettings, finder: PlateFinder, recogniser: Recogniser
    ) -> None:
        self.models: tuple[ModelInfo, ...] = (finder.model, recogniser.model)
        self._settings = settings
        self._finder = finder
        self._recogniser = recogniser
        self._next_s = 0.0
        self._looked_s: dict[int, float] = {}

    def read(self, frame: Frame, tracks: Iterable[Track]) -> tuple[PlateRead, ...]:
        """Look at one vehicle at most: the one not looked at for the longest time."""
        if frame.t_s < self._next_s:
            return ()
        able = [t for t in tracks if t.cls in VEHICLES and t.last_s == frame.t_s]
        if not able:
            return ()
        track = min(able, key=lambda t: (self._looked_s.get(t.id, -1.0), -t.box.area, t.id))
        self._looked_s[track.id] = frame.t_s
        self._next_s = frame.t_s + 1 / self._settings.max_reads_per_s
        found = self._look(frame, track.seen or track.box, track.id)
        return () if found is None else (found,)

    def look(self, frame: Frame, vehicle: Box) -> PlateRead | None:
        """Look at one vehicle now, outside the turns; None where no plate is found."""
        return self._look(frame, vehicle, 0)

    def _look(self, frame: Frame, vehicle: Box, track_id: int) -> PlateRead | None:
        image, (left, top) = _cut(frame.image, vehicle)
        found = self._finder.find(image) if image.size else []
        if not found:
            return None
        plate = found[0]
        reading = self._recogniser.read(straighten(image, plate.corners))
        return PlateRead(
            track_id,
            reading.text,
            reading.scores,
            None,
            tuple((float(x + left), float(y + top)) for x, y in plate.corners),
            plate.score,
            self._complaint(plate, reading),
        )

    def _complaint(self, plate: FoundPlate, reading: Reading) -> str | None:
        if plate.width_px < self._settings.min_width_px:
            return "plate too narrow"
        return None if reading.text else "unsure"


def _cut(image: Image, box: Box) -> tuple[Image, tuple[int, int]]:
    """The part of the picture around a vehicle, and its (left, top) in px."""
    height, width = image.shape[:2]
    x, y = box.width * MARGIN, box.height * MARGIN
    left, top = max(0, int(box.x1 - x)), max(0, int(box.y1 - y))
    right, bottom = min(width, round(box.x2 + x)), min(height, round(box.y2 + y))
    return image[top : max(top, bottom), left : max(left, right)], (left, top)


def straighten(image: Image, corners: Floats) -> Image:
    """The plate seen from straight ahead, about as large as it is in the picture."""
    top, side = corners[1] - corners[0], corners[3] - corners[0]
    width, height = max(8, round(float(np.hypot(*top)))), max(8, round(float(np.hypot(*side))))
    target = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    how = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    return np.asarray(cv2.warpPerspective(image, how, (width, height)), np.uint8)


def open_plate_reader(settings: PlateSettings, paths: Sequence[Path]) -> OnnxPlateReader:
    """A fresh reader for one camera; ModelError names the command that fixes a problem."""
    finder = open_finder(settings.finder, paths)
    return OnnxPlateReader(settings, finder, open_recogniser(settings.recogniser, paths))
