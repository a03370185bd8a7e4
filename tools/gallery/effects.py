"""What happens in front of the camera, or to it: smoke, fire, lamps, a hand, a push."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from street.camera import Camera

Image = NDArray[np.uint8]
Effect = Callable[[Image, float], Image]
"""(H, W, 3) RGB and the time in s -> the same with something done to it."""

CAMERA = Camera()


def none(picture: Image, t_s: float) -> Image:
    """Nothing happens."""
    return picture


def _spot(at: tuple[float, float, float]) -> tuple[float, float]:
    """Where a point of the world lies in the picture, px."""
    x, y = CAMERA.project(np.array([at]))[0]
    return float(x), float(y)


def _clouds(shape: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """Soft noise, 0..1."""
    dice = np.random.default_rng(seed)
    layers = [
        weight
        * cv2.resize(
            dice.random((cells, cells)).astype(np.float32),
            shape[::-1],
            interpolation=cv2.INTER_CUBIC,
        )
        for cells, weight in ((6, 0.55), (14, 0.3), (34, 0.15))
    ]
    return np.asarray(np.clip(sum(layers), 0, 1), np.float32)


def smoke(at: tuple[float, float, float], since_s: float, with_fire: bool = False) -> Effect:
    """A plume that rises and widens from a point of the world, with flames at its foot."""
    noise = _clouds((1440, 640), 3)

    def apply(picture: Image, t_s: float) -> Image:
        age = t_s - since_s
        if age <= 0:
            return picture
        height, width = picture.shape[:2]
        x, y = _spot(at)
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        up = (y - rows) / 60.0
        reach = 14 + 20 * np.clip(up, 0, None) ** 0.8
        beside = (columns - x - 10 * up * np.sin(0.6 * up - 0.7 * t_s) * 0.3) / reach
        shift = int(t_s * 55) % 700
        patch = noise[shift : shift + height, : min(width, 640)]
        grain = np.asarray(cv2.resize(patch, (width, height)), np.float32)
        dense = np.exp(-(beside**2)) * np.clip(up + 0.3, 0, 1) * np.exp(-np.clip(up, 0, None) / 5)
        dense *= np.clip(age / 4, 0, 1) * (up < age * 1.6) * np.clip(grain * 2.1 - 0.35, 0, 1)
        cover = np.clip(dense * 1.25, 0, 0.92)[..., None]
        mixed = picture * (1 - cover) + np.array([120, 121, 124]) * cover
        return _flames(np.clip(mixed, 0, 255), (x, y), t_s, age) if with_fire else _bytes(mixed)

    return apply


def _flames(
    picture: NDArray[np.float64], spot: tuple[float, float], t_s: float, age: float
) -> Image:
    dice = np.random.default_rng(round(t_s * 1000))
    glow = np.zeros(picture.shape[:2], np.float32)
    size = min(1.0, age / 3)
    for _ in range(60):
        x = spot[0] + dice.normal(0, 20 * size)
        tall = abs(dice.normal(0, 50 * size)) + 3
        centre = (round(x), round(spot[1] - tall / 2))
        axes = (max(2, round(9 * size * dice.random() + 4)), max(2, round(tall / 2)))
        cv2.ellipse(glow, centre, axes, 0, 0, 360, float(0.5 + 0.5 * dice.random()), -1)
    glow = np.clip(cv2.GaussianBlur(glow, (0, 0), 2.2), 0, 1)
    colour = np.stack([np.full_like(glow, 255), 110 + 130 * glow, 20 + 90 * glow**3], axis=2)
    return _bytes(picture * (1 - glow[..., None]) + colour * glow[..., None])


def beacon(where: Callable[[float], tuple[float, float, float] | None], hertz: float) -> Effect:
    """A blue lamp on a roof that flashes."""

    def apply(picture: Image, t_s: float) -> Image:
        at = where(t_s)
        if at is None or (t_s * hertz) % 1 > 0.5:
            return picture
        x, y = _spot(at)
        glow = np.zeros(picture.shape[:2], np.float32)
        cv2.ellipse(glow, (round(x), round(y)), (13, 6), 0, 0, 360, 1.0, -1)
        glow = np.clip(1.6 * cv2.GaussianBlur(glow, (0, 0), 4), 0, 1)[..., None]
        return _bytes(picture * (1 - glow) + np.array([70, 120, 255]) * glow)

    return apply


def pushed(since_s: float, shift_px: tuple[int, int], turn_deg: float) -> Effect:
    """Somebody turns the camera."""

    def apply(picture: Image, t_s: float) -> Image:
        if t_s < since_s:
            return picture
        height, width = picture.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn_deg, 1.06)
        matrix[:, 2] += shift_px
        turned = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
        return np.asarray(turned, np.uint8)

    return apply


def covered(since_s: float) -> Effect:
    """A hand in front of the lens."""

    def apply(picture: Image, t_s: float) -> Image:
        share = np.clip((t_s - since_s) / 0.8, 0, 1)
        if share <= 0:
            return picture
        height, width = picture.shape[:2]
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        edge = width * (1.05 * share) - columns + 40 * np.sin(rows / 90)
        cover = np.clip(edge / 60 + 0.5, 0, 1)[..., None]
        skin = np.array([88, 58, 46]) * (0.8 + 0.25 * rows / height)[..., None]
        return _bytes(picture * (1 - cover) + skin * cover)

    return apply


def blurred(since_s: float) -> Effect:
    """Water on the lens, or a focus that has slipped."""

    def apply(picture: Image, t_s: float) -> Image:
        sigma = 7 * float(np.clip((t_s - since_s) / 1.5, 0, 1))
        if sigma < 0.3:
            return picture
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)

    return apply


def frozen(since_s: float) -> Effect:
    """The camera sends its last picture again and again."""
    last: list[Image] = []

    def apply(picture: Image, t_s: float) -> Image:
        if t_s < since_s:
            last[:] = [picture]
        return last[0]

    return apply


def lit(since_s: float, factor: float) -> Effect:
    """The exposure goes wrong: `factor` below 1 darkens, above 1 blows the picture out."""

    def apply(picture: Image, t_s: float) -> Image:
        share = float(np.clip((t_s - since_s) / 1.0, 0, 1))
        return _bytes(picture * float(factor**share))

    return apply


def _bytes(picture: NDArray[np.floating]) -> Image:
    return np.asarray(np.clip(picture + 0.5, 0, 255), np.uint8)
