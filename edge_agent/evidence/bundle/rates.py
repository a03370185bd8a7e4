"""How many pictures a clip holds and how fast they follow each other."""

from __future__ import annotations

import io
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
from av.error import FFmpegError


def frame_rates(clip: bytes) -> dict[str, Any]:
    """`frames`, `fps` and `min_fps` as a manifest tells them, or less where it cannot be said.

    Counted in the packets, without decoding: one packet is one picture in what an MP4 can hold.
    """
    times = _times(clip)
    if not times:
        return {}
    gaps = [later - earlier for earlier, later in pairwise(times)]
    if not gaps or min(gaps) <= 0:
        return {"frames": len(times)}
    mean, lowest = len(gaps) / (times[-1] - times[0]), 1 / max(gaps)
    return {"frames": len(times), "fps": round(float(mean), 3), "min_fps": round(float(lowest), 3)}


def _times(clip: bytes) -> list[Fraction]:
    """Presentation times in s, rising."""
    try:
        with av.open(io.BytesIO(clip), "r") as container:
            (stream,) = container.streams.video
            packets = [packet for packet in container.demux(stream) if packet.size]
            base = stream.time_base or Fraction(0)
            return sorted(packet.pts * base for packet in packets if packet.pts is not None)
    except (FFmpegError, ValueError):  # no MP4, or not one stream of pictures
        return []
