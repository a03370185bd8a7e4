"""A recorded video file, played as fast as its reader asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from fractions import Fraction
from itertools import chain
from pathlib import Path

from av.error import FFmpegError
from av.video.frame import VideoFrame

from edge_agent.errors import SourceError, SourceLost
from edge_agent.sources.clip import cut_clip
from edge_agent.sources.container import (
    declared_s,
    demux,
    duration_s,
    file_sha256,
    nominal_s,
    open_video,
    stamp,
    stores_decoding_order,
)
from edge_agent.sources.decoding import RestingDecoder
from edge_agent.sources.picture import VideoPicture, turn_of
from edge_agent.sources.start import recording_start
from edge_agent.sources.timeline import Timeline
from edge_agent.text import printable
from edge_agent.types import Frame, Media


class VideoSource:
    """One recorded file as a camera. Implements `ports.Source`.

    Decodes the first picture at once, so that a file without one raises `SourceError` here.
    `frames` skips damaged packets and goes on to the end; after the last frame of a file that was
    damaged or cut off it raises `SourceLost`. `close` and `clip` may be called from another thread.
    """

    live = False

    def __init__(
        self, path: Path, camera: str, start: datetime | None = None, timezone: tzinfo = UTC
    ) -> None:
        self.camera = camera
        self._path = path
        sha256 = file_sha256(path)
        self._container, self._stream = open_video(path)
        tags = self._stream.metadata | self._container.metadata
        began, began_from = recording_start(start, path.name, tags, timezone)
        self.media = Media(printable(path.name), "replay", sha256, began, began_from)
        self.duration_s = duration_s(self._container, self._stream)
        self._declared_s = declared_s(self._container, self._stream)
        self._by_decoding = stores_decoding_order(self._container)
        self._timeline = Timeline(nominal_s(self._stream))
        self._decoder = RestingDecoder(self._stream.codec_context)
        self._lock = threading.Lock()
        self._is_closed = self._is_started = False
        self._skipped = 0
        pictures = self._pictures()
        first = next(pictures, None)
        if first is None:
            self.close()
            raise SourceError(
                f"{path}: not one picture could be decoded: copy it again or convert it to H.264"
            )
        self._skipped = self._decoder.failures = 0  # a recording may begin between key frames
        self._turn = turn_of(first)
        self._zero = stamp(first, self._by_decoding)
        self._pending = chain((first,), pictures)

    def frames(self) -> Iterator[Frame]:
        """Every picture in order; may be called once."""
        if self._is_started:
            raise RuntimeError(f"{self._path}: frames() plays a recording once; open it again")
        self._is_started = True
        return self._frames()

    def clip(self, start_s: float, end_s: float) -> bytes | None:
        """Also None after a jump of the stream's clock: its packets' times mislead from there."""
        broken_s = self._timeline.broken_s
        if self._zero is None or (broken_s is not None and end_s >= broken_s):
            return None
        start, end = (self._zero + Fraction(max(0.0, at_s)) for at_s in (start_s, end_s))
        return cut_clip(self._path, start, end)

    def rest(self, is_resting: bool) -> None:
        self._decoder.is_resting = is_resting

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._container.close()

    def _frames(self) -> Iterator[Frame]:
        seq, end_s = 0, 0.0
        for seq, picture in enumerate(self._pending):
            t_s = self._timeline.at(stamp(picture, self._by_decoding))
            end_s = t_s + max(self._timeline.nominal_s, _duration_s(picture))
            wall = self.media.start + timedelta(seconds=t_s)
            yield Frame(self.camera, seq, t_s, wall, VideoPicture(picture, self._turn))
        if not self._is_closed:
            self.close()
            self._judge_end(seq + 1, end_s)

    def _judge_end(self, count: int, end_s: float) -> None:
        # Some containers count from 0, others from the first picture.
        reached_s = end_s + max(0.0, float(self._zero or 0))
        declared_s = self._declared_s or 0.0
        if declared_s - reached_s > 0.5 + 0.001 * declared_s:
            raise SourceLost(
                f"{self._path}: ends at {end_s:.1f} s of {declared_s:.1f} s: truncated or "
                f"damaged; the {count} frames before were processed; copy the recording again"
            )
        bad = self._skipped + self._decoder.failures
        if bad:
            raise SourceLost(
                f"{self._path}: damaged (bad packets: {bad}); the {count} frames that "
                f"could be read, up to {end_s:.1f} s, were processed; copy the recording again"
            )

    def _pictures(self) -> Iterator[VideoFrame]:
        batches = self._batches()
        while True:
            with self._lock:  # closing a container that is being read would crash
                batch = None if self._is_closed else next(batches, None)
            if batch is None:
                return
            yield from batch

    def _batches(self) -> Iterator[list[VideoFrame]]:
        """What each packet completes, and at the end (or at damage) what the decoder holds."""
        try:
            for packet in demux(self._container, self._stream):
                if packet.size:
                    yield self._judged(self._decoder.decode(packet))
        except FFmpegError:
            self._skipped += 1
        yield self._judged(self._decoder.flush())

    def _judged(self, pictures: list[VideoFrame]) -> list[VideoFrame]:
        # Packets are called corrupt as well where MPEG-TS files were joined; pictures tell.
        self._skipped += any(picture.is_corrupt for picture in pictures)
        return pictures


def _duration_s(picture: VideoFrame) -> float:
    return float((picture.duration or 0) * (picture.time_base or 0))
