"""Decoding a stream, all of it or, while nothing happens, as little as shows that nothing does."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import cast

from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

LONGEST_S = 2.5
"""Where key frames are further apart, nothing rests: too much would happen between them."""
STIR = 1.5
"""A packet so many times as large as any lately says that something has begun to move."""
LATELY = 250
"""Packets that are remembered while at rest ..."""
FIRST = 10
"""... and as many have to be, before one can be conspicuous."""
LEAST = 200
"""Bytes; below them a packet is mostly its own head."""


class RestingDecoder:
    """A decoder that decodes key frames only while it rests, and what follows a stir.

    A group of pictures that begins at rest is kept undecoded beside its key frame. When one of
    its packets is conspicuously large, or the rest is called off, all of it is decoded, so that
    no picture is missing from there on, nor of the moments before. A function of the packets and
    of when it is told to rest: no clock.
    """

    def __init__(self, context: VideoCodecContext) -> None:
        self.is_resting = False
        self.failures = 0
        """Packets that could not be decoded."""
        self._context = context
        self._asleep: list[Packet[VideoStream]] | None = None
        """The group of pictures so far, of which only the first was decoded; None while awake."""
        self._shown: int | None = None
        """Presentation time of the last picture that was shown asleep, in ticks."""
        self._key: Fraction | None = None
        self._group_s: float | None = None
        """From the key frame before to the latest."""
        self._sizes: dict[bool, deque[int]] = {}
        self._last_word: Packet[VideoStream] = cast("Packet[VideoStream]", Packet())
        """An empty packet, which ends a stream; what comes out counts time as it says."""

    @property
    def is_asleep(self) -> bool:
        """True while pictures are left out."""
        return self._asleep is not None

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """The pictures that this packet completes or wakes, in order."""
        if packet.time_base:
            self._last_word.time_base = packet.time_base
        if packet.is_keyframe:
            return self._begin_group(packet)
        stirs = self._stirs(packet)
        if self._asleep is None:
            return self._awake(packet)
        self._asleep.append(packet)
        if self.is_resting and not stirs and self._since_key_s(packet) <= LONGEST_S:
            return []
        return self._wake()

    def flush(self) -> list[VideoFrame]:
        """What the decoder still holds; the stream has ended."""
        return [*self._wake(), *self._awake(self._last_word)]

    def _begin_group(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        is_part = self._key == _time(packet)  # some cameras send one picture in several packets
        if not is_part:
            self._group_s = None if self._key is None else self._since_key_s(packet)
            self._key = _time(packet)
        may_rest = self._group_s is not None and self._group_s <= LONGEST_S
        if not (self.is_resting and may_rest):
            self._asleep = None
            return self._awake(packet)
        held = [] if self._asleep is not None else self._drain()
        self._asleep = [*(self._asleep or []), packet] if is_part else [packet]
        pictures = [*held, *self._decode(packet), *self._drain()]
        self._shown = max((_ticks(picture) for picture in pictures), default=self._shown)
        return pictures

    def _wake(self) -> list[VideoFrame]:
        packets, self._asleep = self._asleep or [], None
        return [picture for packet in packets for picture in self._awake(packet)]

    def _awake(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """Without the key frame's own picture, which was shown before waking up."""
        shown = self._shown
        pictures = self._decode(packet)
        fresh = [picture for picture in pictures if shown is None or _ticks(picture) > shown]
        if fresh:
            self._shown = None
        return fresh

    def _drain(self) -> list[VideoFrame]:
        """What the decoder holds; it begins anew after that."""
        pictures = self._decode(self._last_word)
        self._context.flush_buffers()
        return pictures

    def _decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        try:
            return self._context.decode(packet)
        except FFmpegError:
            self.failures += 1
            return []

    def _stirs(self, packet: Packet[VideoStream]) -> bool:
        """Whether it is conspicuously large for its kind: those that others refer to, and not."""
        if not self.is_resting:
            self._sizes.clear()
            return False
        sizes = self._sizes.setdefault(packet.is_disposable, deque(maxlen=LATELY))
        is_known = len(sizes) >= FIRST
        stirs = is_known and packet.size > STIR * max(LEAST, *sizes)
        sizes.append(packet.size)
        return stirs

    def _since_key_s(self, packet: Packet[VideoStream]) -> float:
        return float(_time(packet) - (self._key or 0))


def _ticks(item: Packet[VideoStream] | VideoFrame) -> int:
    return (item.pts if item.pts is not None else item.dts) or 0


def _time(packet: Packet[VideoStream]) -> Fraction:
    return _ticks(packet) * Fraction(packet.time_base or 0)
