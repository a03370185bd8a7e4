"""A recording played as if it were a camera."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from edge_agent.errors import SourceError
from edge_agent.sources.container import demux, nominal_s, open_video, stores_decoding_order
from edge_agent.sources.feed import Read
from edge_agent.sources.packets import Segment
from edge_agent.text import printable


class Start:
    """When the streams of one camera begin to play: together, each time anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun_s = 0.0
        self._begun: set[FileLink] = set()

    def of(self, link: FileLink, now_s: float) -> float:
        """The moment that whoever came first has set."""
        with self._lock:
            if not self._begun or link in self._begun:
                self._begun_s = now_s
                self._begun.clear()
            self._begun.add(link)
            return self._begun_s


class FileLink:
    """A file at its own pace. Implements `feed.Link`."""

    is_monotonic = False

    def __init__(self, path: Path, loop: bool, read: Read, start: Start) -> None:
        self.name = printable(path.name)
        self._path = path
        self._loop = loop
        self._read = read
        self._start = start

    def packets(self, is_closed: threading.Event) -> Iterator[tuple[Packet[VideoStream], Segment]]:
        if not self._path.is_file():
            raise SourceError(f"{self._path}: no such file: check `path`")
        ahead_s = 0.0
        begun_s = self._start.of(self, self._now_s())
        while not is_closed.is_set():
            segment, shift, last_s = None, 0, -1.0
            container, stream = open_video(self._path)
            with container:
                segment = Segment.of(stream)
                shift = round(ahead_s / segment.time_base)
                by_decoding = stores_decoding_order(container)
                for packet in _whole(demux(container, stream)):
                    ticks = packet.dts if packet.dts is not None else packet.pts
                    if ticks is None:
                        continue
                    if by_decoding or packet.pts is None:
                        packet.pts = ticks
                    packet.pts += shift
                    due_s = float((ticks + shift) * segment.time_base)
                    if is_closed.wait(max(0.0, begun_s + due_s - self._now_s())):
                        return
                    last_s = max(last_s, due_s)
                    yield packet, segment
                ahead_s = last_s + nominal_s(stream)
            if not self._loop or last_s < 0:
                return

    def _now_s(self) -> float:
        return self._read()[1].mono_ns / 1e9


def _whole(packets: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
    """Up to the end or to damage."""
    try:
        yield from (packet for packet in packets if packet.size)
    except FFmpegError:
        return
