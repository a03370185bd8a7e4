"""Smoke and fire, told by how they move, veil and flicker: advisory, no trained model behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent import config
from edge_agent.analyzers.smoke.cells import CELL, LEARN_S, Cells, Watch
from edge_agent.analyzers.view import Happening, View, rule_name
from edge_agent.geometry import grow
from edge_agent.types import Box, Event, Phase, Scene, Track

Sign = Literal["fire", "smoke"]
Array = NDArray[Any]

SAMPLE_S = 0.2
MARGIN = 0.25
"""Share of its size by which a road user's lights, shadow and exhaust reach beyond its box."""
SURE = 0.6
"""Share of `after_s` for which each cell of a region must have shown the sign."""
FADE = 0.5
"""Seconds that a cell loses for each second without the sign: flames leap, smoke drifts."""
MIN_CELLS: dict[Sign, int] = {"fire": 2, "smoke": 12}
WEATHER = 0.5
"""More of the picture veiled than this is fog, or the camera's own trouble."""
MIN_VEILED = 6
"""Cells of a region of smoke that must have lost contrast."""
CLEAR = 0.4
"""Share of them through which the background must still shine."""
GROWTH = 1.5
"""How much larger smoke is when it is reported than when it was first seen."""


@dataclass
class _Sign:
    """How long each cell has shown one sign, and the region that was reported."""

    sign: Sign
    level_s: Array
    first_s: float | None = None
    first_cells: int = 0
    begin_s: float | None = None
    region: Array = field(default_factory=lambda: np.zeros((0, 0), bool))


class SmokeFire:
    """`incident.smoke_fire`: one event per sign, from begin until it has gone.

    The facts name the cues that fired. Road users and what is right beside them are left out, so
    that lights and exhaust raise no alarm; a vehicle that burns is noticed when the flames or the
    smoke reach beyond it.
    """

    kind = "incident.smoke_fire"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        after_s: Annotated[float, Field(ge=2, le=600)] = 5.0
        """How long a sign must last to begin, and be gone to end."""

    def __init__(self, settings: Settings, view: View) -> None:
        self._after_s = settings.after_s
        self._name = rule_name(self.kind, "view", settings)
        self._watch = Watch()
        self._signs: tuple[_Sign, ...] = ()
        self._first_s: float | None = None
        self._sampled_s = 0.0

    def update(self, scene: Scene) -> Iterable[Event]:
        t_s = scene.frame.t_s
        if self._first_s is not None and t_s - self._sampled_s < SAMPLE_S:
            return
        step_s = SAMPLE_S if self._first_s is None else min(t_s - self._sampled_s, 5 * SAMPLE_S)
        self._first_s = t_s if self._first_s is None else self._first_s
        self._sampled_s = t_s
        image = scene.frame.small
        shape = image.shape[0] // CELL, image.shape[1] // CELL
        cells = self._watch.update(image, step_s, _busy(scene, shape))
        if not self._signs or self._signs[0].level_s.shape != shape:
            self._signs = tuple(_Sign(sign, np.zeros(shape)) for sign in MIN_CELLS)
        if t_s - self._first_s < LEARN_S:
            return
        for sign, shown in zip(self._signs, _shown(cells), strict=True):
            gained = np.where(shown, step_s, -FADE * step_s)
            sign.level_s = np.clip(sign.level_s + gained, 0.0, self._after_s)
            yield from self._follow(sign, cells, scene)

    def finish(self, scene: Scene) -> Iterable[Event]:
        for sign in self._signs:
            if sign.begin_s is not None:
                yield self._event(sign, scene, "end", {"end_reason": "recording_ended"})

    def _follow(self, sign: _Sign, cells: Cells, scene: Scene) -> Iterator[Event]:
        region = self._region(sign)
        t_s = scene.frame.t_s
        if region is None:
            sign.first_s = None
            if sign.begin_s is not None:
                yield self._event(sign, scene, "end", {"end_reason": "gone"})
                sign.begin_s = None
            return
        if sign.first_s is None:
            sign.first_s, sign.first_cells = t_s, int(region.sum())
            sign.region = region
        if sign.begin_s is not None or sign.level_s[region].max() < self._after_s:
            return
        cues = _cues(sign, region, cells)
        if cues:
            sign.begin_s = t_s - self._after_s
            sign.region = region
            yield self._event(sign, scene, "begin", {"cues": cues})

    def _region(self, sign: _Sign) -> Array | None:
        """The largest connected region in which the sign has lasted."""
        lasting = (sign.level_s >= SURE * self._after_s).astype(np.uint8)
        if np.count_nonzero(lasting) < MIN_CELLS[sign.sign]:
            return None
        _, labels, stats, _ = cv2.connectedComponentsWithStats(lasting, connectivity=8)
        largest = int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) + 1
        if stats[largest, cv2.CC_STAT_AREA] < MIN_CELLS[sign.sign]:
            return None
        return np.asarray(labels == largest)

    def _event(self, sign: _Sign, scene: Scene, phase: Phase, facts: dict[str, Any]) -> Event:
        assert sign.begin_s is not None
        subject = f"{self._name}/{sign.sign}/{sign.begin_s:.3f}"
        happening = Happening(self.kind, subject, sign.begin_s)
        box = _box(sign.region, scene)
        t_s = scene.frame.t_s
        thing = Track(0, sign.sign, 0.5, box, (0.0, 0.0), sign.begin_s, t_s, None)
        share = round(float(sign.region.mean()), 4)
        return happening.event(
            scene, phase, thing, {"sign": sign.sign, "picture_share": share, **facts}
        )


def _shown(cells: Cells) -> tuple[Array, Array]:
    """Cells that show fire, and smoke."""
    return cells.is_flame, cells.is_veil | cells.is_haze


def _busy(scene: Scene, shape: tuple[int, int]) -> Array:
    """Cells with road users before them."""
    mask = np.zeros(shape, np.uint8)
    scale = scene.frame.small.shape[1] / scene.frame.width / CELL
    for track in scene.tracks:
        box = grow(track.box, MARGIN)
        first = (int(box.x1 * scale), int(box.y1 * scale))
        cv2.rectangle(mask, first, (int(box.x2 * scale), int(box.y2 * scale)), 1, -1)
    return mask > 0


def _cues(sign: _Sign, region: Array, cells: Cells) -> list[str]:
    """What speaks for it; empty when it can as well be something else."""
    count = int(region.sum())
    is_growing = count >= GROWTH * sign.first_cells
    if sign.sign == "fire":
        return ["flame_colour", "flicker", *(["growing"] if is_growing else [])]
    if np.count_nonzero(cells.is_veil) < MIN_VEILED or cells.share_veiled > WEATHER:
        return []
    around = cv2.dilate(region.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    veiled, clear = (int(each[around].sum()) for each in (cells.is_veil, cells.is_clear))
    if veiled < MIN_VEILED or clear < CLEAR * veiled:
        return []
    rows, first_rows = np.nonzero(region)[0], np.nonzero(sign.region)[0]
    is_rising = rows.min() < first_rows.min()
    motion = ["growing"] * is_growing + ["rising"] * bool(is_rising)
    return ["veiled_contrast", "translucent", *motion] if motion else []


def _box(region: Array, scene: Scene) -> Box:
    """Of the region, in px of the native picture."""
    scale = CELL * scene.frame.width / scene.frame.small.shape[1]
    rows, columns = np.nonzero(region)
    corners = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    return Box(*(float(corner) * scale for corner in corners))
