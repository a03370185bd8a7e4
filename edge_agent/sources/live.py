"""A camera that is live: connects, decodes, loses the link, and may be asked to connect again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from av.video.frame import VideoFrame

from edge_agent.errors import SourceError, SourceLost
from edge_agent.sources.decoding import RestingDecoder
from edge_agent.sources.feed import Feed, Link, Read
from edge_agent.sources.packets import Parcel, Segment
from edge_agent.sources.picture import VideoPicture
from edge_agent.sources.ring import PacketRing
from edge_agent.types import Frame, Media

CLOSEST_S = 0.004
"""What comes closer together was in a burst: servers send what they have kept to a new viewer."""
KEY_PATIENCE_S = 30.0
"""Cameras send a key frame every second or two, thrifty ones every ten or twenty."""
CLIP_PATIENCE_S = 1.0
"""A clip waits so long for its last packets."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a camera may be silent, and how much of its past is kept."""

    stall_s: float
    keep_s: float
    max_bytes: int


class LiveSource:
    """One camera. Implements `ports.Source`.

    `frames` connects; it ends when the source is closed and otherwise raises: `SourceError` for a
    camera that never worked, `SourceLost` for one that did. Call it again to connect again: media
    time, which is CLOCK_MONOTONIC, and the packets for clips go on. `close` and `clip` may be
    called from other threads.
    """

    live = True
    duration_s = None

    def __init__(self, camera: str, link: Link, read: Read, limits: Limits) -> None:
        self.camera = camera
        self.media = Media(link.name, "live", None, read()[0], "clock")
        self._link = link
        self._read = read
        self._limits = limits
        self._ring = PacketRing(limits.keep_s, limits.max_bytes)
        self._feed: Feed | None = None
        self._is_closed = self._is_resting = False
        self._seq = 0
        self._last_s = 0.0

    def frames(self) -> Iterator[Frame]:
        feed = self._feed = Feed(self._link, self._read, self._limits.stall_s)
        had = self._seq
        try:
            if not self._is_closed:
                feed.start()
                yield from self._frames(feed)
        except SourceError as error:
            lost = SourceLost if self._seq > had or had else SourceError
            raise lost(str(error)) from None
        finally:
            feed.stop()
            self._ring.break_off()

    def clip(self, start_s: float, end_s: float) -> bytes | None:
        return self._ring.clip(start_s, end_s, CLIP_PATIENCE_S)

    def rest(self, is_resting: bool) -> None:
        self._is_resting = is_resting

    def close(self) -> None:
        self._is_closed = True
        if self._feed is not None:
            self._feed.stop()

    def _frames(self, feed: Feed) -> Iterator[Frame]:
        decoding = Decoding(self._link.name, self._limits.stall_s)
        while (parcel := feed.take()) is not None:
            is_whole = self._ring.put(parcel) is not None
            decoding.is_resting = self._is_resting
            for t_s, picture in decoding.pictures(parcel, is_whole):
                self._seq += 1
                if t_s >= self._last_s + CLOSEST_S:
                    self._last_s = t_s
                    yield self._frame(t_s, picture)

    def _frame(self, t_s: float, picture: VideoFrame) -> Frame:
        wall, clock = self._read()
        age_ns = clock.mono_ns - round(t_s * 1e9)
        taken = wall - timedelta(microseconds=age_ns / 1000)
        stamp = replace(clock, mono_ns=clock.mono_ns - age_ns)
        return Frame(self.camera, self._seq - 1, t_s, taken, VideoPicture(picture), stamp)


class Decoding:
    """Pictures of one connection; gives up on one that never shows any."""

    def __init__(self, name: str, patience_s: float) -> None:
        self._name = name
        self._patience_s = patience_s
        self._segment: Segment | None = None
        self._decoder: RestingDecoder | None = None
        self.is_resting = False
        self._blank_s: float | None = None
        """Since when nothing could be decoded."""
        self._is_keyless = True

    def pictures(self, parcel: Parcel, is_whole: bool) -> Iterator[tuple[float, VideoFrame]]:
        """What the packet completes, each with its time; nothing from a torn group."""
        if self._blank_s is None:
            self._blank_s = parcel.t_s
        found = self._decode(parcel) if is_whole else []
        self._is_keyless &= not is_whole
        if found or (self._decoder is not None and self._decoder.is_asleep):
            self._blank_s = None
        else:
            self._judge(parcel.t_s)
        for picture in found:
            ticks = 0 if picture.pts is None else picture.pts - parcel.pts
            yield parcel.t_s + float(ticks * parcel.segment.time_base), picture

    def _decode(self, parcel: Parcel) -> list[VideoFrame]:
        if parcel.segment is not self._segment or self._decoder is None:
            self._segment = parcel.segment
            self._decoder = RestingDecoder(parcel.segment.decoder())
        self._decoder.is_resting = self.is_resting
        pictures = self._decoder.decode(parcel.packet())
        return [picture for picture in pictures if not picture.is_corrupt]

    def _judge(self, t_s: float) -> None:
        blank_s = t_s - (self._blank_s or 0.0)
        if self._is_keyless and blank_s > KEY_PATIENCE_S:
            raise SourceLost(
                f"{self._name}: no key frame for {KEY_PATIENCE_S:g} s: set the camera to one every "
                "1 to 2 s (also called I frame or GOP length), without `smart` coding"
            )
        if not self._is_keyless and blank_s > self._patience_s:
            raise SourceLost(
                f"{self._name}: sends packets of which no picture could be decoded for "
                f"{self._patience_s:g} s: the network loses too much (try `transport: tcp`), or "
                "set the camera to H.264"
            )
