"""A live camera's packets as they arrive, and what has to be known to decode or to copy them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import cast

import av
from av.codec import CodecContext
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from edge_agent.sources.container import MAX_PIXELS

_RAW = {"h264": "h264", "hevc": "hevc", "mjpeg": "mjpeg"}
"""Codec -> FFmpeg's format of its bare packets."""
_START = b"\0\0\1"
_HEAD_UNITS = 16
"""What describes the stream comes before the picture itself, as one of the first units."""


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A stretch of a stream whose packets belong together: one connection, codec and size."""

    codec: str
    width: int
    height: int
    time_base: Fraction
    extradata: bytes = b""
    layout: str | None = None
    """Of pixels that were never encoded."""
    template: VideoStream | None = None
    """What a file with these packets is modelled on; None where no file can hold them."""

    @classmethod
    def of(cls, stream: VideoStream, time_base: Fraction | None = None) -> Segment:
        """Of an open stream, which may be closed afterwards."""
        context = stream.codec_context
        try:
            holder = av.open(io.BytesIO(), "w", format="mp4")
            template = holder.add_stream_from_template(stream, opaque=True)
        except (FFmpegError, ValueError):  # a codec that MP4 cannot hold
            template = None
        ticks = time_base or stream.time_base or Fraction(1, 90_000)
        extradata = bytes(context.extradata or b"")
        return cls(context.name, stream.width, stream.height, ticks, extradata, template=template)

    def decoder(self) -> VideoCodecContext:
        """A fresh decoder on one thread: the others have inference to do."""
        context = CodecContext.create(self.codec, "r")
        assert isinstance(context, VideoCodecContext)
        if self.extradata:
            context.extradata = self.extradata
        if self.layout is not None:
            context.width, context.height, context.pix_fmt = self.width, self.height, self.layout
        context.thread_type, context.thread_count = "NONE", 1
        context.options = {"max_pixels": str(MAX_PIXELS)}
        return context


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """One packet and when its picture was taken."""

    data: bytes
    pts: int
    """In ticks of the segment."""
    is_key: bool
    t_s: float
    """CLOCK_MONOTONIC, in s."""
    segment: Segment
    delay_s: float = 0.0
    """It arrived so much after that: the way, or the camera's clock has jumped back."""

    def packet(self) -> Packet[VideoStream]:
        """A copy that FFmpeg may do with as it likes."""
        packet = cast("Packet[VideoStream]", Packet(self.data))
        packet.pts, packet.time_base = self.pts, self.segment.time_base
        packet.is_keyframe = self.is_key
        return packet


def joined(parts: Sequence[Parcel]) -> Parcel:
    """One parcel of all that came of one picture."""
    is_key = any(part.is_key for part in parts)
    return replace(parts[0], data=b"".join(part.data for part in parts), is_key=is_key)


class SegmentWatch:
    """Notices where the camera begins to send something else, without decoding anything."""

    def __init__(self, codec: str, time_base: Fraction, first: Segment | None = None) -> None:
        self._codec = codec
        self._time_base = time_base
        self._current = first
        self._said: tuple[bytes, ...] | None = None

    def at(self, data: bytes, is_key: bool) -> Segment | None:
        """The segment that a packet belongs to; None before the first key frame of an unknown."""
        said = described(self._codec, data) if is_key else ()
        if not said or said == self._said:
            return self._current
        is_known = self._current is not None and self._said is None and self._agrees(said)
        if not is_known:
            self._current = _probed(self._codec, data, self._time_base) or self._current
        self._said = said
        return self._current

    def _agrees(self, said: tuple[bytes, ...]) -> bool:
        """True when the connection already said so, as far as it says anything."""
        assert self._current is not None
        return self._codec == "mjpeg" or all(unit in self._current.extradata for unit in said)


def described(codec: str, data: bytes) -> tuple[bytes, ...]:
    """What a key frame's packet says of its stream: parameter sets, a JPEG's frame header.

    Rec. ITU-T H.264 7.4.1, H.265 7.4.2.2, T.81 B.2.2; empty where it says nothing.
    """
    if codec == "mjpeg":
        return _jpeg_size(data)
    if codec not in ("h264", "hevc") or _START not in data[:4]:
        return ()
    units = [unit.rstrip(b"\0") for unit in data.split(_START, _HEAD_UNITS)[1:-1]]
    return tuple(unit for unit in units if unit and _is_parameter_set(codec, unit[0]))


def _is_parameter_set(codec: str, head: int) -> bool:
    return head & 31 in (7, 8) if codec == "h264" else head >> 1 & 63 in (32, 33, 34)


def _jpeg_size(data: bytes) -> tuple[bytes, ...]:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in (0xC0, 0xC1, 0xC2):
            return (data[at + 5 : at + 9],)
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return ()


def _probed(codec: str, data: bytes, time_base: Fraction) -> Segment | None:
    try:
        with av.open(io.BytesIO(data), "r", format=_RAW[codec]) as container:
            segment = Segment.of(container.streams.video[0], time_base)
    except (FFmpegError, IndexError):
        return None
    return segment if 0 < segment.width * segment.height <= MAX_PIXELS else None
