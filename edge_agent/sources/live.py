"""A camera that is live: connects, decodes, loses the link, and may be asked to connect again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from edge_agent.clock import ClockReading
from edge_agent.errors import SourceError, SourceLost
from edge_agent.sources.feed import Feed, Link, Read
from edge_agent.sources.pair import LargePictures, PairedPicture
from edge_agent.sources.picture import VideoPicture
from edge_agent.sources.ring import PacketRing
from edge_agent.sources.showing import Show
from edge_agent.types import Frame, Media, Picture

log = logging.getLogger(__name__)

CLOSEST_S = 0.004
"""What comes closer together was in a burst: servers send what they have kept to a new viewer."""
CLIP_PATIENCE_S = 1.0
"""A clip waits so long for its last packets."""
SAME_SHAPE = 0.03
"""By how much the proportions of two streams of one view may differ."""


@dataclass(frozen=True, slots=True)
class Links:
    """The ways to one camera."""

    main: Link
    sub: Link | None = None
    """Its small stream, if detection is to look at that."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a camera may be silent, and how much of its past is kept."""

    stall_s: float
    keep_s: float
    max_bytes: int


class LiveSource:
    """One camera. Implements `ports.Source`.

    `frames` connects; it ends when the source is closed or a recording that it plays is over, and
    otherwise raises: `SourceError` for a camera that never worked, `SourceLost` for one that did.
    Call it again to connect again: media time, which is CLOCK_MONOTONIC, and the packets for clips
    go on. `close` and `clip` may be called from other threads.
    """

    live = True
    duration_s: float | None = None

    def __init__(self, camera: str, links: Links, read: Read, limits: Limits) -> None:
        self.camera = camera
        self.media = Media(links.main.name, "live", None, read()[0], "clock")
        self._links = links
        self._read = read
        self._limits = limits
        self._ring = PacketRing(limits.keep_s, limits.max_bytes)
        self._large = LargePictures(self._ring)
        self._feeds: tuple[Feed, ...] = ()
        self._is_closed = self._is_resting = self._is_odd = False
        self._seq = 0
        self._last_s = 0.0

    def frames(self) -> Iterator[Frame]:
        self._feeds = feeds = self._connections()
        try:
            if not self._is_closed:
                for feed in feeds:
                    feed.start()
                yield from self._frames(feeds[-1], feeds[:-1])
        except SourceError as error:
            lost = SourceLost if self._seq else SourceError
            raise lost(str(error)) from None
        finally:
            for feed in feeds:
                feed.stop()
            self._ring.break_off()

    def clip(self, start_s: float, end_s: float) -> bytes | None:
        return self._ring.clip(start_s, end_s, CLIP_PATIENCE_S)

    def rest(self, is_resting: bool) -> None:
        self._is_resting = is_resting

    def close(self) -> None:
        self._is_closed = True
        for feed in self._feeds:
            feed.stop()

    def _connections(self) -> tuple[Feed, ...]:
        """The one that is decoded comes last."""
        stall_s, links = self._limits.stall_s, self._links
        if links.sub is None:
            return (Feed(links.main, self._read, stall_s),)
        kept = Feed(links.main, self._read, stall_s, self._ring.put)
        seen = Feed(links.sub, self._read, stall_s)
        seen.lean_on((kept,))
        return kept, seen

    def _frames(self, seen: Feed, beside: tuple[Feed, ...]) -> Iterator[Frame]:
        show = Show(seen.link.name, self._limits.stall_s)
        while (parcel := seen.take()) is not None:
            if not beside and parcel.segment.template is not None:
                self._ring.put(parcel)
            show.is_resting = self._is_resting
            for t_s, picture in show.pictures(parcel):
                self._seq += 1
                shown = VideoPicture(picture)
                pair = self._paired(shown, t_s + _shift_s(seen, beside)) if beside else shown
                if pair is not None and t_s >= self._last_s + CLOSEST_S:
                    self._last_s = t_s
                    yield self._frame(t_s, pair, parcel.delay_s)

    def _paired(self, small: VideoPicture, t_s: float) -> Picture | None:
        """With its large picture, once there is one."""
        gop = self._ring.newest
        if gop is None:
            return None
        pair = PairedPicture(small, t_s, gop, self._large)
        shape = pair.width * small.height / (pair.height * small.width)
        if abs(shape - 1) > SAME_SHAPE and not self._is_odd:
            sizes = f"{pair.width}x{pair.height}, {small.width}x{small.height}"
            text = "main and sub stream differ in shape: boxes may be off; set both alike"
            log.warning(text, extra={"camera": self.camera, "sizes": sizes})
        self._is_odd = abs(shape - 1) > SAME_SHAPE
        return pair

    def _frame(self, t_s: float, picture: Picture, delay_s: float) -> Frame:
        """A picture that came late may have been taken late: its time is no surer than that."""
        wall, clock = self._read()
        age_ns = clock.mono_ns - round(t_s * 1e9)
        taken = wall - timedelta(microseconds=age_ns / 1000)
        stamp = ClockReading(clock.mono_ns - age_ns, clock.sync.within(1000 * delay_s))
        return Frame(self.camera, self._seq - 1, t_s, taken, picture, stamp)


def _shift_s(seen: Feed, beside: tuple[Feed, ...]) -> float:
    """What the main stream comes later than the small one, where the camera's clock tells."""
    unknown_s = []
    for feed in (*beside, seen):
        if feed.pace.skew_s is None:
            return 0.0
        unknown_s.append(feed.pace.skew_s - feed.pace.transit_s)
    return unknown_s[0] - unknown_s[-1]
