"""One connection to a camera, read by a thread of its own.

FFmpeg waits for a silent camera without a way to be called off, and what is read late must not
look as if it had been taken late: so somebody reads and stamps, and somebody else decodes.
"""

from __future__ import annotations

import logging
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NoReturn, Protocol

from av.packet import Packet
from av.video.stream import VideoStream

from edge_agent.clock import ClockReading
from edge_agent.errors import SourceError, SourceLost
from edge_agent.sources.pace import Pace
from edge_agent.sources.packets import Parcel, Segment

log = logging.getLogger(__name__)

OPEN_S = 10.0
"""A camera that has not answered by then does not answer."""
SILENT_S = 600.0
"""Between two complaints about the same."""
MAX_BEHIND_S = 2.0
"""A reader that is further behind goes on at the newest key frame ..."""
MAX_WAITING_S = 15.0
"""... or, where none comes, with whatever is newest: memory has an end."""

Read = Callable[[], tuple[datetime, ClockReading]]


class Link(Protocol):
    """A way to a camera: connects and delivers its packets, once per call."""

    name: str
    """Without credentials, for messages."""
    is_monotonic: bool
    """Its presentation times are CLOCK_MONOTONIC itself."""

    def packets(self, is_closed: threading.Event) -> Iterator[tuple[Packet[VideoStream], Segment]]:
        """Until a recording is over or it is asked to stop; `SourceError` says why it fails."""
        ...


class Feed:
    """A running connection: `take` its packets in order, or have them all `kept`."""

    def __init__(
        self, link: Link, read: Read, stall_s: float, kept: Callable[[Parcel], object] | None = None
    ) -> None:
        self.link = link
        self._skipped, self._silent_until_s = 0, float("-inf")
        self.pace = Pace(link.is_monotonic)
        self._kept = kept
        self._beside: tuple[Feed, ...] = ()
        self._listeners: list[Feed] = []
        self._read = read
        self._stall_s = stall_s
        self._waiting: deque[Parcel] = deque()
        self._changed = threading.Condition()
        self._is_over = self._has_ended = False
        self._heard_s = 0.0
        """When the latest packet came; when it began, before."""
        self._failure: SourceError | None = None
        self._has_begun = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"feed {link.name}", daemon=True)

    def start(self) -> None:
        self._heard_s = self._now_s()
        self._thread.start()

    def lean_on(self, others: tuple[Feed, ...]) -> None:
        """Fail as soon as one of these does."""
        self._beside = others
        for other in others:
            other._listeners.append(self)

    def stop(self) -> None:
        """Let go; what FFmpeg is waiting for it gives up by itself."""
        self._closed.set()
        self._wake()

    def take(self) -> Parcel | None:
        """The next packet, waited for; None once stopped or over. Raises `SourceError`."""
        with self._changed:
            self._changed.wait_for(self._has_news, self._patience_s)
            if self._closed.is_set():
                return None
            for other in self._beside:
                other.check()
            if self._waiting:
                return self._waiting.popleft()
            if self._has_ended:
                return None
            self._raise()

    def check(self) -> None:
        """Raise `SourceError` where the packets that are kept have stopped coming."""
        if self._has_ended:
            return
        if self._is_over or self._now_s() - self._heard_s > self._patience_s:
            self._raise()

    @property
    def _patience_s(self) -> float:
        return self._stall_s if self._has_begun else self._stall_s + OPEN_S

    def _raise(self) -> NoReturn:
        if self._is_over:
            raise self._failure or SourceLost(f"{self.link.name}: has ended")
        raise SourceLost(
            f"{self.link.name}: has sent nothing for {self._stall_s:g} s: check the camera's power "
            "and the network to it"
        )

    def _has_news(self) -> bool:
        has_failed = any(other._is_over and not other._has_ended for other in self._beside)
        return bool(self._waiting) or self._is_over or has_failed or self._closed.is_set()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            for packet, segment in self.link.packets(self._closed):
                if self._closed.is_set():
                    return
                self._put(self._stamped(packet, segment))
            self._has_ended = True
        except SourceError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001  (its words may be the address, password and all)
            kind = type(error).__name__
            self._failure = SourceLost(f"{self.link.name}: cannot be read any further ({kind})")
        finally:
            self._is_over = True
            for feed in (self, *self._listeners):
                feed._wake()

    def _stamped(self, packet: Packet[VideoStream], segment: Segment) -> Parcel:
        wall, clock = self._read()
        arrived_s = self._heard_s = clock.mono_ns / 1e9
        if packet.pts is None:
            t_s = self.pace.at(None, arrived_s)
            pts = round(t_s / segment.time_base)
        else:
            pts = packet.pts
            t_s = self.pace.at(float(pts * segment.time_base), arrived_s)
        sent = _wall_clock(packet)
        if sent is not None:
            self.pace.hear(sent, t_s, wall.timestamp(), arrived_s)
        delay_s = max(arrived_s - t_s, 0.0)
        return Parcel(bytes(packet), pts, packet.is_keyframe, t_s, segment, delay_s)

    def _now_s(self) -> float:
        return self._read()[1].mono_ns / 1e9

    def _put(self, parcel: Parcel) -> None:
        self._has_begun = True
        if self._kept is not None:
            self._kept(parcel)
            return
        with self._changed:
            behind_s = parcel.t_s - self._waiting[0].t_s if self._waiting else 0.0
            if behind_s > (MAX_BEHIND_S if parcel.is_key else MAX_WAITING_S):
                self._give_up(parcel.t_s)
            self._waiting.append(parcel)
            self._changed.notify_all()

    def _give_up(self, t_s: float) -> None:
        """Drop what waits; said now and then, since a box that is too small does it all day."""
        self._skipped += len(self._waiting)
        self._waiting.clear()
        if t_s >= self._silent_until_s:
            self._silent_until_s = t_s + SILENT_S
            facts = {"source": self.link.name, "skipped": self._skipped}
            log.warning("too slow for the camera", extra=facts)


def _wall_clock(packet: Packet[VideoStream]) -> float | None:
    """Unix time in s at which the camera says it took the picture (AVProducerReferenceTime)."""
    if not packet.has_sidedata("prft"):
        return None
    microseconds: int = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))[0]
    return microseconds / 1e6
