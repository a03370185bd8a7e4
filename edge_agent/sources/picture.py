"""A decoded video picture that is converted only when, and at the size, somebody asks."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from edge_agent.types import Image, Window


@dataclass(frozen=True, slots=True)
class Turn:
    """How a stored picture becomes upright: transpose first, then flip."""

    is_transposed: bool = False
    flips_x: bool = False
    flips_y: bool = False


UPRIGHT = Turn()

HALF_CHROMA = {"yuv420p": ColorRange.UNSPECIFIED, "yuvj420p": ColorRange.JPEG}
"""Layouts with one chroma sample for two by two pixels, as cameras have them, and what they say of
their range."""

STRETCHED = np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)
"""Luma of a limited range, 16 to 235, on the full one."""


class _Scalers(threading.local):
    """One scaler per thread and use: they cache their tables for one geometry each."""

    def __init__(self) -> None:
        self.native = VideoReformatter()
        self.scaled = VideoReformatter()
        self.grey = VideoReformatter()


_scalers = _Scalers()


class VideoPicture:
    """Wraps the decoder's own (reference-counted, mostly YUV) picture; safe to share by threads.

    Area averaging was measured both faster and closer to a full conversion than bilinear; it
    turns into bilinear where the picture grows.
    """

    def __init__(self, frame: VideoFrame, turn: Turn = UPRIGHT) -> None:
        self._frame = frame
        self._turn = turn
        width, height = self._stored(frame.width, frame.height)
        self.width, self.height = width, height
        self._native: weakref.ref[Image] | None = None
        self._small_luma: Image | None = None
        """As it was first asked for: brightness and colours of one size are wanted in turn."""

    def bgr(self) -> Image:
        """(height, width, 3) uint8 BGR, read-only; the same array for as long as one is in use.

        It is not kept alive: at 1080p it is twice the size of the picture itself.
        """
        known = self._native() if self._native else None
        if known is not None:
            return known
        native = self._convert(_scalers.native, "bgr24", self.width, self.height)
        native.flags.writeable = False
        self._native = weakref.ref(native)
        return native

    def scaled(self, width: int, height: int) -> Image:
        return self._convert(_scalers.scaled, "bgr24", width, height)

    def grey(self, width: int, height: int) -> Image:
        return self._convert(_scalers.grey, "gray", width, height)

    def small(self, width: int, height: int, part: Window | None = None) -> Image:
        x1, y1, x2, y2 = part or (0, 0, width, height)
        if not self._is_plain:
            return self.scaled(width, height)[y1:y2, x1:x2]
        chroma = (_shrunk(plane, (width, height)) for plane in self._planes[1:])
        return self._mixed([p[y1:y2, x1:x2] for p in (self._luma(width, height), *chroma)])

    def small_grey(self, width: int, height: int) -> Image:
        if not self._is_plain:
            return self.grey(width, height)
        luma = self._luma(width, height)
        return luma if self._is_full else np.asarray(cv2.LUT(luma, STRETCHED), np.uint8)

    def sample(self, window: Window, step: int) -> Image:
        x1, y1, x2, y2 = window
        if not self._is_plain:
            return self.bgr()[y1:y2:step, x1:x2:step]
        luma, blue, red = self._planes
        part = np.ascontiguousarray(luma[y1:y2:step, x1:x2:step])
        size = part.shape[::-1]
        coarse = slice(y1 // 2, (y2 + 1) // 2), slice(x1 // 2, (x2 + 1) // 2)
        chroma = [cv2.resize(p[coarse], size, interpolation=cv2.INTER_NEAREST) for p in (blue, red)]
        return self._mixed([part, *chroma])

    @property
    def _is_plain(self) -> bool:
        """True when its planes can be used as they lie."""
        return self._frame.format.name in HALF_CHROMA and self._turn == UPRIGHT

    @property
    def _is_full(self) -> bool:
        frame = self._frame
        return ColorRange.JPEG in (HALF_CHROMA[frame.format.name], frame.color_range)

    @cached_property
    def _planes(self) -> list[Image]:
        """Y, and at half its size Cb and Cr."""
        return [_pixels(plane) for plane in self._frame.planes]

    def _luma(self, width: int, height: int) -> Image:
        known = self._small_luma
        if known is not None and known.shape == (height, width):
            return known
        luma = _shrunk(self._planes[0], (width, height))
        self._small_luma = luma if known is None else known
        return luma

    def _mixed(self, planes: list[Any]) -> Image:
        """BGR from planes of one size."""
        matrix = _to_bgr(self._frame.colorspace == Colorspace.ITU709, self._is_full)
        return np.asarray(cv2.transform(cv2.merge(planes), matrix), np.uint8)

    def _convert(self, scaler: VideoReformatter, layout: str, width: int, height: int) -> Image:
        stored = self._stored(width, height)
        converted = scaler.reformat(
            self._frame,
            *stored,
            layout,
            interpolation=Interpolation.AREA,
            dst_color_range=ColorRange.JPEG,
            threads=1,  # the caller is one of several workers
        )
        return self._upright(np.ascontiguousarray(converted.to_ndarray(), np.uint8))

    def _stored(self, width: int, height: int) -> tuple[int, int]:
        return (height, width) if self._turn.is_transposed else (width, height)

    def _upright(self, image: Image) -> Image:
        turn = self._turn
        if turn == UPRIGHT:
            return image
        if turn.is_transposed:
            image = np.asarray(cv2.transpose(image), np.uint8)
        step_y, step_x = -1 if turn.flips_y else 1, -1 if turn.flips_x else 1
        return np.ascontiguousarray(image[::step_y, ::step_x])


def _pixels(plane: VideoPlane) -> Image:
    """(h, w) view of the decoder's own bytes."""
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)  # type: ignore[call-overload]
    return np.asarray(rows[:, : plane.width])


def _shrunk(plane: Image, size: tuple[int, int]) -> Image:
    """The plane at that size (width, height): halved, which is fast, as often as it can be."""
    while plane.shape[1] >= 2 * size[0] and plane.shape[0] >= 2 * size[1]:
        half = plane.shape[1] // 2, plane.shape[0] // 2
        plane = np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), np.uint8)


@cache
def _to_bgr(is_bt709: bool, is_full: bool) -> NDArray[np.float64]:
    """(3, 4) from Y, Cb, Cr in bytes to B, G, R (ITU-R BT.601, BT.709)."""
    kr, kb = (0.2126, 0.0722) if is_bt709 else (0.299, 0.114)
    kg = 1 - kr - kb
    luma, chroma, black = (1.0, 1.0, 0.0) if is_full else (255 / 219, 255 / 224, 16.0)
    red, blue = 2 * (1 - kr) * chroma, 2 * (1 - kb) * chroma
    mix = np.array([(luma, blue, 0), (luma, -blue * kb / kg, -red * kr / kg), (luma, 0, red)])
    return np.hstack([mix, -mix @ [[black], [128], [128]]])


def turn_by(degrees: int) -> Turn:
    """Quarter turns, as `VideoFrame.rotation` counts them: without mirrors, and without a cycle."""
    quarters = round(degrees / 90) % 4
    return Turn(quarters % 2 == 1, quarters in (2, 3), quarters in (1, 2))


def turn_of(frame: VideoFrame) -> Turn:
    """Read the display matrix (ISO/IEC 14496-12, 6.2.2), rounded to quarter turns.

    For the first frame of a stream only: the access ties frame and side data into a cycle, which
    would keep every picture alive until the garbage collector runs.
    """
    try:
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # beside it is something that PyAV has no name for, e.g. a photo's EXIF
        return turn_by(frame.rotation)
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    if abs(a) >= abs(b):
        return Turn(False, a < 0, d < 0)
    return Turn(True, c < 0, b < 0)
