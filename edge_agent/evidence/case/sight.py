"""How well one vehicle shows in one picture: what choosing photos goes by."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge_agent.geometry import clamp, iou, overlap
from edge_agent.types import VEHICLES, Box, Image, Scene, Track

GREY_WIDTH = 960
"""Pictures are measured at this width: motion blur of a few native pixels still shows there."""
EDGE_PX = 2.0
"""A box this close to the border of the picture may go on beyond it."""
FRESH_S = 0.5
"""Other objects unseen for longer hide nothing."""
DUPLICATE_IOU = 0.85
"""A box this equal is the same vehicle tracked twice, not something in front of it."""
CLEAR_SHARPNESS = 150.0
"""Variance of the Laplacian (grey levels squared) at which a view counts as half sharp."""
FULL_WIDTH_PX = 400.0
"""A car this wide shows its plate (a quarter of its width) at 100 px; wider is hardly better."""
BLACK, BLOWN = 12, 245
MIN_VISIBLE = 0.3
"""Less of a vehicle than this proves nothing about it."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One vehicle in one picture; shares and qualities are 0..1."""

    box: Box
    is_whole: bool
    visible: float
    """Share of the box that nothing nearer to the camera covers."""
    size: float
    """Grows with the square root of its area, up to where more adds nothing."""
    laplacian: float
    exposure: float
    """Share of pixels that are neither black nor blown out."""
    facing: float

    @property
    def clarity(self) -> float:
        """Sharp, unobstructed and wholly inside the picture."""
        sharp = self.laplacian / (self.laplacian + CLEAR_SHARPNESS)
        return sharp * self.visible**2 * (1.0 if self.is_whole else 0.2)


class Observer:
    """Measures the vehicles of one scene; the grey picture is made once, when first needed."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._grey: Image | None = None

    def sees(self, track: Track) -> bool:
        """True when the track was detected in this very picture, not merely remembered."""
        return track.last_s >= self._scene.frame.t_s - 1e-6

    def look(self, track: Track) -> Sight | None:
        """Measure the vehicle, or None when too little of it shows to be worth a photo."""
        frame = self._scene.frame
        box = clamp(track.box, frame.width, frame.height)
        if not self.sees(track) or box.width < 4 or box.height < 4:
            return None
        visible = self._visible(track, box)
        if visible < MIN_VISIBLE:
            return None
        part = self._grey_part(box)
        return Sight(
            box=box,
            is_whole=_is_whole(track.box, frame.width, frame.height),
            visible=visible,
            size=min(1.0, float(np.sqrt(box.area)) / FULL_WIDTH_PX),
            laplacian=float(cv2.Laplacian(part, cv2.CV_32F).var()),
            exposure=float(np.mean((part > BLACK) & (part < BLOWN))),
            facing=facing(track),
        )

    def beside(self, track: Track) -> tuple[tuple[str, Box], ...]:
        """Class and box of what else is there: every detection, and tracks that it may hide."""
        seen, own = self._scene.detections, (track.box, track.seen or track.box)
        boxes = (Box(*(float(edge) for edge in box)) for box in seen.boxes)
        found = [(seen.names[int(cls)], box) for cls, box in zip(seen.classes, boxes, strict=True)]
        found += [(other.cls, other.box) for other in self._scene.tracks if other.id != track.id]
        return tuple(
            (cls, box)
            for cls, box in found
            if cls not in VEHICLES or all(iou(box, mine) < DUPLICATE_IOU for mine in own)
        )

    def _visible(self, track: Track, box: Box) -> float:
        """Objects whose foot is lower in the picture stand nearer to a camera that looks down."""
        now_s = self._scene.frame.t_s
        covered = sum(
            overlap(box, other.box)
            for other in self._scene.tracks
            if other.id != track.id
            and now_s - other.last_s <= FRESH_S
            and other.box.y2 > track.box.y2
            and iou(other.box, track.box) < DUPLICATE_IOU
        )
        return max(0.0, 1.0 - covered / box.area)

    def _grey_part(self, box: Box) -> Image:
        frame = self._scene.frame
        width = min(GREY_WIDTH, frame.width)
        scale = width / frame.width
        if self._grey is None:
            self._grey = frame.picture.grey(width, max(1, round(frame.height * scale)))
        rows, columns = self._grey.shape
        x1, y1 = min(int(box.x1 * scale), columns - 2), min(int(box.y1 * scale), rows - 2)
        x2, y2 = max(x1 + 2, round(box.x2 * scale)), max(y1 + 2, round(box.y2 * scale))
        return self._grey[max(y1, 0) : y2, max(x1, 0) : x2]


def facing(track: Track) -> float:
    """How likely the camera sees the vehicle's front or rear, where the plate is: 0.6..1.

    Told from the way it moves (along the line of sight is mostly up or down in the picture) and,
    when it stands, from its shape: seen from the front or behind a car is about as wide as high,
    from the side three times as wide. It cannot tell front from rear, and for a camera looking
    straight down, or for buses and motorcycles, shape says little.
    """
    speed_x, speed_y = (abs(part) for part in track.velocity)
    if track.still_since_s is None and speed_y > speed_x:
        return 1.0
    aspect = track.box.width / max(track.box.height, 1.0)
    return 1.0 - 0.4 * min(1.0, max(0.0, (aspect - 1.3) / 1.2))


def _is_whole(box: Box, width: int, height: int) -> bool:
    return (
        box.x1 >= EDGE_PX
        and box.y1 >= EDGE_PX
        and box.x2 <= width - EDGE_PX
        and box.y2 <= height - EDGE_PX
    )
