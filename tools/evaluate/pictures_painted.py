"""What is done to real pictures to see whether it is noticed: seeded, a function of the time.

No footage of real debris, smoke or fire is at hand; these are drawn from noise and plain shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Array = NDArray[Any]
Paint = Callable[[Picture, float], Picture]
"""(picture, seconds since it began) -> another picture of the same size."""

SEED = 20260513


def _bytes(values: Array) -> Picture:
    return np.asarray(np.clip(values, 0, 255), np.uint8)


def _noise(picture: Picture, spread: float, t_s: float) -> Array:
    rng = np.random.default_rng([SEED, round(t_s * 1000)])
    return rng.normal(0.0, spread, picture.shape[:2])[:, :, None]


def warped(shift: tuple[float, float] = (0, 0), turn_deg: float = 0, zoom: float = 1) -> Paint:
    """The camera looks elsewhere; shift in shares of width and height."""

    def paint(picture: Picture, t_s: float) -> Picture:
        height, width = picture.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn_deg, zoom)
        matrix[:, 2] += np.array(shift) * (width, height)
        moved = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
        return np.asarray(moved, np.uint8)

    return paint


def blurred(share: float) -> Paint:
    """Out of focus by a Gaussian of that share of the width."""
    return lambda picture, _: np.asarray(
        cv2.GaussianBlur(picture, (0, 0), share * picture.shape[1]), np.uint8
    )


def swaying(picture: Picture, t_s: float) -> Picture:
    """A mast in the wind."""
    x = 0.012 * np.sin(2 * np.pi * 0.37 * t_s)
    return warped((x, x / 2))(picture, t_s)


def covered(level: float, seconds: float) -> Paint:
    """Something without structure is drawn before the lens within so many seconds."""

    def paint(picture: Picture, t_s: float) -> Picture:
        height, width = picture.shape[:2]
        mask = np.zeros((height, width), np.float32)
        mask[:, : round(width * min(1.0, (t_s + 0.01) / max(seconds, 0.01)))] = 1
        soft = cv2.GaussianBlur(mask, (0, 0), width / 50)[:, :, None]
        return _bytes(picture * (1 - soft) + soft * (level + _noise(picture, 2, t_s)))

    return paint


def sprayed(level: float) -> Paint:
    """Paint in blots that grow together within three seconds."""

    def paint(picture: Picture, t_s: float) -> Picture:
        blots = _fractal(picture.shape[:2], 3)
        mask = (blots < 0.15 + 0.3 * t_s).astype(np.float32)
        soft = cv2.GaussianBlur(mask, (0, 0), picture.shape[1] / 100)[:, :, None]
        return _bytes(picture * (1 - soft) + soft * (level + _noise(picture, 2, t_s)))

    return paint


def passing(picture: Picture, t_s: float) -> Picture:
    """A lorry passes very close within four seconds."""
    height, width = picture.shape[:2]
    left = round(width * (1.7 * t_s / 4 - 0.7))
    painted = picture.copy()
    painted[height // 8 :, max(0, left) : max(0, left + round(0.65 * width))] = 200
    return painted


def lit(gain: float, gamma: float = 1.0, seconds: float = 5.0) -> Paint:
    """Another light or exposure, reached within so many seconds."""

    def paint(picture: Picture, t_s: float) -> Picture:
        share = min(1.0, t_s / seconds)
        changed = 255 * (picture / 255.0) ** (1 + share * (gamma - 1))
        return _bytes(changed * (1 + share * (gain - 1)) + _noise(picture, 1, t_s))

    return paint


def foggy(picture: Picture, t_s: float) -> Picture:
    """Fog that takes three quarters of the contrast within six seconds."""
    share = min(0.75, t_s / 8)
    return _bytes(picture * (1 - share) + share * 190 + _noise(picture, 1, t_s))


class Frozen:
    """Always the first picture that it was given."""

    def __init__(self) -> None:
        self._first: Picture | None = None

    def __call__(self, picture: Picture, t_s: float) -> Picture:
        self._first = picture if self._first is None or t_s <= 0 else self._first
        return self._first


def _fractal(shape: tuple[int, ...], seed: int) -> Array:
    """Smooth noise of four octaves, 0..1."""
    rng = np.random.default_rng([SEED, seed])
    total = np.zeros(shape, np.float32)
    for octave in range(2, 6):
        grid = rng.random((2**octave * 2, 2**octave)).astype(np.float32)
        size = (shape[1], shape[0])
        total += 0.55**octave * cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)
    return np.asarray((total - total.min()) / (total.max() - total.min()))


_CLOUDS = _fractal((1200, 300), 1), _fractal((1200, 300), 2)


def smoke(place: tuple[float, float], level: float, opacity: float) -> Paint:
    """A plume that rises from a place and grows for twelve seconds."""

    def paint(picture: Picture, t_s: float) -> Picture:
        height, width = picture.shape[:2]
        grown, drift = min(1.0, t_s / 12), int(t_s * 40) % 600
        size = (round((0.08 + 0.22 * grown) * width), round((0.12 + 0.5 * grown) * height))
        first, second = (
            cv2.resize(cloud[at : at + 300], size)
            for cloud, at in zip(_CLOUDS, (drift, int(drift * 1.4) % 800), strict=True)
        )
        y, x = np.mgrid[0 : 1 : size[1] * 1j, 0 : 1 : size[0] * 1j]
        spread = 0.12 + 0.38 * (1 - y)
        shape = np.exp(-((x - 0.5 - 0.1 * (second - 0.5)) ** 2) / (0.8 * spread**2))
        shape *= np.clip(6 * y, 0, 1) * np.clip(8 * (1 - y), 0, 1)
        cover = np.clip(opacity * shape * (0.45 + 1.44 * first * second), 0, 0.97)
        colour = np.repeat((level + 30 * (second - 0.5))[:, :, None], 3, axis=2)
        return _laid(picture, (cover, colour), place)

    return paint


def fire(place: tuple[float, float], share: float) -> Paint:
    """Flames, at last of that share of the width, leaping anew in every picture."""

    def paint(picture: Picture, t_s: float) -> Picture:
        rng = np.random.default_rng([SEED, round(t_s * 1000)])
        width = max(4, round(share * picture.shape[1] * min(1.0, 0.4 + t_s / 10)))
        size = (width, round(1.3 * width * (0.85 + 0.3 * rng.random())))
        drift = int(t_s * 370) % 800
        cloud = cv2.resize(_CLOUDS[0][drift : drift + 200], size)
        y, x = np.mgrid[0 : 1 : size[1] * 1j, 0 : 1 : size[0] * 1j]
        tongue = np.exp(-((x - 0.5 + 0.15 * np.sin(6 * y + 9 * t_s)) ** 2) / 0.06)
        heat = np.clip(2.4 * (0.35 + cloud) * y**0.7 * tongue - 0.25, 0, 1.4)
        colour = np.stack([480 * (heat - 0.75), 70 + 190 * heat, 180 + 120 * heat], axis=2)
        return _laid(picture, (np.clip(2.2 * heat, 0, 1), np.clip(colour, 0, 250)), place)

    return paint


def _laid(picture: Picture, sprite: tuple[Array, Array], place: tuple[float, float]) -> Picture:
    """A sprite (cover, colour) over the picture; `place` is its foot, normalised."""
    cover, colour = sprite
    height, width = picture.shape[:2]
    left = round(place[0] * width - cover.shape[1] / 2)
    top = round(place[1] * height - cover.shape[0])
    x1, x2 = max(0, left), min(width, left + cover.shape[1])
    y1, y2 = max(0, top), min(height, top + cover.shape[0])
    cut = np.s_[y1 - top : y2 - top, x1 - left : x2 - left]
    painted = picture.astype(np.float32)
    share = cover[cut][:, :, None]
    painted[y1:y2, x1:x2] = painted[y1:y2, x1:x2] * (1 - share) + share * colour[cut]
    return _bytes(painted)


def thing(kind: str, place: tuple[float, float], share: float) -> Paint:
    """Something that lies on the road, `share` of the width wide, with shade and contact shadow."""

    def paint(picture: Picture, t_s: float) -> Picture:
        height, width = picture.shape[:2]
        cover, colour = _sprite(kind, max(3, round(share * width)))
        colour = colour + _noise(cover, 2, t_s)
        x, y = place[0] * width, place[1] * height
        shadow = np.zeros((height, width), np.float32)
        w, h = cover.shape[1], cover.shape[0]
        foot, axes = (round(x + w / 6), round(y)), (w // 2 + 1, max(1, h // 6))
        cv2.ellipse(shadow, foot, axes, 0, 0, 360, 0.45, -1)
        soft = cv2.GaussianBlur(shadow, (0, 0), max(0.6, w / 14))[:, :, None]
        return _laid(_bytes(picture * (1 - soft)), (cover, colour), place)

    return paint


FACES: Mapping[str, tuple[tuple[tuple[int, int, int], tuple[tuple[float, float], ...]], ...]] = {
    "box": (
        ((70, 105, 140), ((0.05, 0.35), (0.6, 0.45), (0.6, 0.95), (0.05, 0.85))),
        ((45, 70, 95), ((0.6, 0.45), (0.95, 0.3), (0.95, 0.8), (0.6, 0.95))),
        ((110, 150, 190), ((0.05, 0.35), (0.45, 0.2), (0.95, 0.3), (0.6, 0.45))),
    ),
    "plank": (
        ((60, 120, 190), ((0.02, 0.62), (0.9, 0.42), (0.98, 0.55), (0.1, 0.88))),
        ((30, 60, 95), ((0.1, 0.88), (0.98, 0.55), (0.98, 0.62), (0.1, 0.95))),
    ),
    "cone": (
        ((20, 80, 230), ((0.5, 0.02), (0.8, 0.85), (0.2, 0.85))),
        ((235, 235, 235), ((0.37, 0.4), (0.63, 0.4), (0.7, 0.6), (0.3, 0.6))),
        ((25, 60, 170), ((0.05, 0.83), (0.95, 0.83), (0.95, 0.98), (0.05, 0.98))),
    ),
}
"""Colour (BGR) and corners of the visible faces."""


def _sprite(kind: str, width: int) -> tuple[Array, Array]:
    """(cover (w, w), colour (w, w, 3)), drawn large and averaged down."""
    side = 8 * width
    drawn = np.zeros((side, side, 4), np.float32)
    for colour, corners in FACES.get(kind, ()):
        points = (np.array(corners) * side).astype(np.int32)
        cv2.fillPoly(drawn, [points], (*colour, 1))
    if kind == "tyre":
        for size, colour in (((0.48, 0.36), (28, 28, 30)), ((0.25, 0.14), (75, 75, 78))):
            axes = (int(size[0] * side), int(size[1] * side))
            cv2.ellipse(drawn, (side // 2, side // 2), axes, 0, 0, 360, (*colour, 1), -1)
    drawn[:, :, :3] += np.random.default_rng(SEED).normal(0, 6, (side, side, 1))
    small = cv2.resize(drawn, (width, width), interpolation=cv2.INTER_AREA)
    cover = small[:, :, 3]
    return cover, np.asarray(small[:, :, :3])
