"""A small picture to detect in, and the large one of the same moment, decoded if asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from edge_agent.sources.picture import VideoPicture
from edge_agent.sources.ring import Gop, PacketRing
from edge_agent.types import Image, Window


class LargePictures:
    """Single pictures of a stream that is kept undecoded; safe to share by threads.

    It goes on from where it was, so that asking for pictures in their order, however often, costs
    at most what decoding all of them does. An older one is decoded apart, from its key frame on.
    """

    def __init__(self, ring: PacketRing) -> None:
        self._ring = ring
        self._lock = threading.Lock()
        self._run: _Run | None = None

    def at(self, t_s: float, gop: Gop) -> VideoPicture | None:
        """The picture closest to that time, in the ring or in `gop`; None when it is damaged."""
        frame = self._decoded(*(self._ring.at(t_s) or _nearest(gop, t_s)))
        return None if frame is None else VideoPicture(frame)

    def _decoded(self, gop: Gop, index: int) -> VideoFrame | None:
        with self._lock:
            run = self._run
            if run is not None and run.gop is gop and run.reaches(index):
                return run.to(index)
            if run is None or gop.begin_s > run.gop.begin_s:
                self._run = _Run(gop)
                return self._run.to(index)
        return _Run(gop).to(index)


def _nearest(gop: Gop, t_s: float) -> tuple[Gop, int]:
    parcels = list(gop.parcels)
    return gop, min(range(len(parcels)), key=lambda index: abs(parcels[index].t_s - t_s))


class _Run:
    """One way through a group of pictures, from its key frame on."""

    def __init__(self, gop: Gop) -> None:
        self.gop = gop
        self._decoder: VideoCodecContext = gop.segment.decoder()
        self._next = 0
        self._is_over = False
        self._latest: list[VideoFrame] = []

    def reaches(self, index: int) -> bool:
        """True when the picture has just come out or is still to come."""
        wanted = self.gop.parcels[index].pts
        shown = [picture.pts for picture in self._latest if picture.pts is not None]
        return wanted in shown or (not self._is_over and wanted > max(shown, default=-1))

    def to(self, index: int) -> VideoFrame | None:
        wanted = self.gop.parcels[index].pts
        for picture in self._pictures():
            if picture.pts == wanted:
                return picture
        return None

    def _pictures(self) -> Iterator[VideoFrame]:
        """What came out last, then what comes out next; pictures follow in their own order."""
        yield from self._latest
        while self._next < len(self.gop.parcels):
            pictures = self._decode(self.gop.parcels[self._next].packet())
            self._next += 1
            self._latest = pictures or self._latest
            yield from pictures
        if not self._is_over:  # what it holds back for later ones
            self._is_over = True
            self._latest = self._decode(None) or self._latest
            yield from self._latest

    def _decode(self, packet: Packet | None) -> list[VideoFrame]:  # type: ignore[type-arg]
        try:
            return self._decoder.decode(packet)
        except FFmpegError:
            return []


class PairedPicture:
    """Implements `types.Picture`: as large as the main stream, seen through the small one.

    Both show the same field of view. The group of packets around the moment is kept for as long as
    the picture is, unless the large one has been decoded.
    """

    def __init__(self, small: VideoPicture, t_s: float, gop: Gop, large: LargePictures) -> None:
        self._small = small
        self._t_s = t_s
        self._gop: Gop | None = gop
        self._pictures = large
        self.width, self.height = gop.segment.width, gop.segment.height
        self._lock = threading.Lock()
        self._large_found: VideoPicture | None = None

    def bgr(self) -> Image:
        """Of the small picture, enlarged, where the large one is beyond decoding."""
        large = self._large
        if large is None or (large.width, large.height) != (self.width, self.height):
            return self._small.scaled(self.width, self.height)
        return large.bgr()

    def scaled(self, width: int, height: int) -> Image:
        return self._small.scaled(width, height)

    def grey(self, width: int, height: int) -> Image:
        return self._small.grey(width, height)

    def small(self, width: int, height: int, part: Window | None = None) -> Image:
        return self._small.small(width, height, part)

    def small_grey(self, width: int, height: int) -> Image:
        return self._small.small_grey(width, height)

    def sample(self, window: Window, step: int) -> Image:
        """From the small picture where that shows as much."""
        x1, y1, x2, y2 = window
        across, down = self.width / self._small.width, self.height / self._small.height
        if step < across or step < down:
            large = self._large
            return (
                self.bgr()[y1:y2:step, x1:x2:step] if large is None else large.sample(window, step)
            )
        columns = np.arange(x1, x2, step) // across
        rows = np.arange(y1, y2, step) // down
        part = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        pixels = self._small.sample(part, 1)
        places = np.ix_((rows - rows[0]).astype(int), (columns - columns[0]).astype(int))
        return np.asarray(pixels[places], np.uint8)

    @property
    def _large(self) -> VideoPicture | None:
        with self._lock:
            if self._large_found is None and self._gop is not None:
                self._large_found = self._pictures.at(self._t_s, self._gop)
                self._gop = None
            return self._large_found
