"""Text on pictures, in any script: the fonts that OpenCV carries since its version 5.

Rubik for Latin letters, WenQuanYi Micro Hei for Chinese ones, e.g. on plates: neither depends on
what is installed on the box. A letter that neither has is drawn as `?`.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import cv2

from edge_agent.types import Image

_ANY = (1, 1)
"""Text may be measured on a picture of any size."""

Colour = tuple[int, int, int]
"""BGR."""


class Ink(NamedTuple):
    """How text looks."""

    size_px: int
    """Height of the em square."""
    colour: Colour = (0, 0, 0)
    weight: int = 400
    """100..900, 400 is regular."""


def width_px(text: str, ink: Ink) -> int:
    """How wide the text will be."""
    found = cv2.getTextSize(_ANY, text, (0, 0), _face(), ink.size_px, ink.weight)
    return int(found[0] + found[2])


def fit(text: str, ink: Ink, limit_px: int, smallest_px: int = 6) -> tuple[str, Ink]:
    """The text and its ink, smaller and at last cut where it would be wider than `limit_px`."""
    while (over := width_px(text, ink) / max(limit_px, 1)) > 1 and ink.size_px > smallest_px:
        size_px = min(ink.size_px - 1, int(ink.size_px / over))
        ink = ink._replace(size_px=max(size_px, smallest_px))
    while text and width_px(text, ink) > limit_px:
        text = text[:-2].rstrip() + "…" if len(text) > 2 else ""
    return text, ink


def write(image: Image, text: str, at: tuple[int, int], ink: Ink) -> int:
    """Draw onto the picture, from the left end of the base line on; returns where it ends in x."""
    end = cv2.putText(image, text, at, ink.colour, _face(), ink.size_px, ink.weight)[0]
    return int(end[0])


@cache
def _face() -> cv2.FontFace:
    return cv2.FontFace("sans")
