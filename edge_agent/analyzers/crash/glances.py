"""Small pictures of the last second: was this place like this before?"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from edge_agent.types import SMALL_WIDTH, Frame, Image

MEMORY_S = 1.8
PAUSE_S = 0.095
"""Between two glances; the detector's pictures may come more often."""
CELL = 10
"""px of a glance that make one of what tells whether the picture as a whole has changed: whole
pixels are averaged six times as fast as parts of them."""
JUMP = 8.0
"""Grey levels by which most of the picture changes at a cut, a flash or a jump in time."""
NOISE = 8.0
"""Grey levels; a place without any texture is compared against this."""


class Glances:
    """Remembers how the scene of one camera looked."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, Image]] = deque()
        self._overview: Image | None = None

    def look(self, frame: Frame) -> bool:
        """Remember the frame, now and then; False when the picture has jumped since the last."""
        if self._kept and frame.t_s - self._kept[-1][0] < PAUSE_S:
            return True
        grey = frame.small_grey
        overview = _overview(grey)
        last, self._overview = self._overview, overview
        is_jump = last is not None and _has_jumped(last, overview)
        if is_jump or (self._kept and self._kept[0][1].shape != grey.shape):
            self._kept.clear()
        self._kept.append((frame.t_s, grey))
        while frame.t_s - self._kept[0][0] > MEMORY_S:
            self._kept.popleft()
        return not is_jump

    def change(self, frame: Frame, edges: tuple[float, float, float, float], t_s: float) -> float:
        """How much this place (px) has changed since then, in its own contrast; 0 is not at all.

        Infinite where no picture is as old or the place is too small to tell.
        """
        older = [grey for at_s, grey in self._kept if at_s <= t_s + 1e-6]
        if not older:
            return float("inf")
        scale = min(SMALL_WIDTH, frame.width) / frame.width
        x1, y1, x2, y2 = (max(0, round(edge * scale)) for edge in edges)
        now, then = (
            cv2.blur(grey[y1:y2, x1:x2].astype(np.float32), (3, 3)) if x2 > x1 and y2 > y1 else None
            for grey in (frame.small_grey, older[-1])
        )
        if now is None or then is None or now.shape != then.shape or now.size < 16:
            return float("inf")
        return float(np.abs(now - then).mean() / ((now.std() + then.std() + NOISE) / 2))


def _overview(grey: Image) -> Image:
    rows, columns = (max(1, side // CELL) for side in grey.shape)
    part = grey[: rows * CELL, : columns * CELL]
    return np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _has_jumped(before: Image, now: Image) -> bool:
    changed = cv2.countNonZero(np.asarray(cv2.absdiff(before, now) > JUMP, np.uint8))
    return 2 * changed > now.size
