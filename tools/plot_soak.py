"""Draws the memory of soaks (`tools/soak.py`) over the frames that they decoded.

python tools/plot_soak.py soak1.json soak4.json --out docs/pictures/soak.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1000, 460, 80, 30, 60, 60
INK, GRID = (60, 60, 60), (225, 225, 225)
COLOURS = ((180, 110, 30), (40, 120, 220), (90, 160, 60))
FONT = cv2.FONT_HERSHEY_SIMPLEX


class Plot:
    """Axes from zero, so that nothing looks steeper than it is."""

    def __init__(self, frames: float, mib: float) -> None:
        self.image: NDArray[np.uint8] = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
        self._x = (WIDTH - LEFT - RIGHT) / frames
        self._y = (HEIGHT - TOP - BOTTOM) / mib
        for step in range(0, int(mib) + 1, 100):
            self._rule((0, step), (frames, step))
            self._write(f"{step}", (LEFT - 45, self._at(0, step)[1] + 5))
        for step in range(0, int(frames) + 1, 20_000):
            self._write(f"{step:,}", (self._at(step, 0)[0] - 25, HEIGHT - BOTTOM + 22))
        self._write("MiB resident", (10, TOP - 25))
        self._write("frames decoded", (WIDTH // 2 - 60, HEIGHT - 12))

    def line(self, soak: dict[str, Any], number: int) -> None:
        """One soak's samples, and what it was."""
        samples, colour = soak["samples"], COLOURS[number % len(COLOURS)]
        pairs = zip(samples["frames"], samples["mib"], strict=True)
        points = np.array([self._at(*pair) for pair in pairs], np.int32)
        cv2.polylines(self.image, [points], False, colour, 2, cv2.LINE_AA)
        word = "camera" if soak["cameras"] == 1 else "cameras"
        text = (
            f"{soak['cameras']} {word}: peak {soak['peak_mib']:.0f} MiB, "
            f"{soak['slope_mib_per_100k']:+.1f} MiB per 100,000 frames"
        )
        place = (LEFT + 180, TOP - 40 + 22 * number)
        cv2.putText(self.image, text, place, FONT, 0.55, colour, 1, cv2.LINE_AA)

    def _at(self, frames: float, mib: float) -> tuple[int, int]:
        return round(LEFT + frames * self._x), round(HEIGHT - BOTTOM - mib * self._y)

    def _rule(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        cv2.line(self.image, self._at(*start), self._at(*end), GRID, 1)

    def _write(self, text: str, place: tuple[int, int]) -> None:
        cv2.putText(self.image, text, place, FONT, 0.45, INK, 1, cv2.LINE_AA)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the memory of soaks.")
    parser.add_argument("soaks", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    soaks = [json.loads(path.read_text()) for path in options.soaks]
    frames = max(soak["samples"]["frames"][-1] for soak in soaks)
    plot = Plot(frames, 1.1 * max(soak["peak_mib"] for soak in soaks))
    for number, soak in enumerate(soaks):
        plot.line(soak, number)
    cv2.imwrite(str(options.out), plot.image)


if __name__ == "__main__":
    main()
