"""What the camera adds: exposure control, sensor noise and H.264."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from .camera import FPS, HEIGHT, WIDTH

RATE = Fraction(FPS).limit_denominator(10)
X264 = {
    "crf": "28", "preset": "slow", "g": "25", "keyint_min": "25", "sc_threshold": "0",
    "bf": "0", "threads": "1", "aq-mode": "2", "x264-params": "deterministic=1",
}  # fmt: skip


def exposure(t_s: float) -> float:
    """The slow, tiny hunting of an automatic exposure."""
    return float(0.82 * (1 + 0.006 * np.sin(t_s * 0.9) + 0.004 * np.sin(t_s * 2.3 + 1)))


class Sensor:
    """Seeded noise: mostly in brightness, stronger in the dark."""

    def __init__(self, seed: int) -> None:
        self._dice = np.random.default_rng(seed)
        self._grain = self._dice.normal(size=(HEIGHT + 64, WIDTH + 64, 3)).astype(np.float32)
        self._grain = 0.8 * self._grain[..., :1] + 0.45 * self._grain

    def expose(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture (H, W, 3) with this frame's noise."""
        down, right = self._dice.integers(0, 64, 2)
        grain = self._grain[down : down + HEIGHT, right : right + WIDTH]
        grain = grain[:: self._dice.choice([-1, 1]), :: self._dice.choice([-1, 1])]
        light = picture.astype(np.float32)
        noisy = light + grain * (2.1 - 0.004 * light)
        return np.asarray(np.clip(noisy + 0.5, 0, 255), np.uint8)


def write_video(pictures: Iterable[NDArray[np.uint8]], path: Path) -> None:
    """Encodes RGB pictures; the same pictures give the same bytes."""
    with av.open(path, "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as out:
        stream = out.add_stream("libx264", rate=RATE, options=X264)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        stream.codec_context.time_base = 1 / RATE
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = i, 1 / RATE
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
