"""Photos of cases on their way to a broker: after the records, few at once, from the disk.

The outbox knows which files are to follow a case's record; the bundle is where they lie. A file
leaves the queue when all its chunks have been acknowledged. It is sent once per content: a later
revision of a case whose photo is still the same does not send it again.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from edge_agent.clock import Clock
from edge_agent.config.uplink import MediaSettings
from edge_agent.errors import UplinkError
from edge_agent.uplink.delivery import (
    EXPIRY_S,
    RESERVED,
    RETRY_MAX_S,
    RETRY_MIN_S,
    STRIKES,
    Carrier,
)
from edge_agent.uplink.envelope import BODY_LIMIT
from edge_agent.uplink.outbox import Errand, Outbox
from edge_agent.uplink.parcel import LEAST, NothingToSend, Parcel
from edge_agent.uplink.session import Ack, Message

log = logging.getLogger(__name__)

WINDOW: Final = 2
"""Chunks on their way at once: an event waits behind no more than these 32 KB."""
HOUR_S: Final = 3600
"""A broker keeps a photo for at least so long: whether its time is over, retention decides, which
knows of holds and of clocks that are wrong; what it has left on the disk is sent."""
FIRST_KEY: Final = 1 << 62
"""Keys of chunks begin here; numbers of the outbox never get so far."""


@dataclass
class _Load:
    """The file that is being sent."""

    errand: Errand
    sha256: str
    messages: list[Message]
    todo: deque[int] = field(default_factory=deque)
    flying: dict[int, int] = field(default_factory=dict)
    """Key -> index."""


class Courier:
    """Sends what follows the records; outlives the sessions it uses.

    A file that the broker refuses, or that costs the connection three times in turn, is put off
    (1 to 60 s) and the others go first. What the disk has no more is struck off with a line in
    the log.
    """

    def __init__(
        self, outbox: Outbox, settings: MediaSettings | None, clock: Clock, ack_timeout_s: float
    ) -> None:
        self._outbox, self._clock = outbox, clock
        self._settings = settings
        self._ack_timeout_s = ack_timeout_s
        self._load: _Load | None = None
        self._keys = count(FIRST_KEY)
        self._held: dict[str, None] = {}
        """Topics of what was put off, in that order."""
        self._resumes_s = 0.0
        self._retry_s = RETRY_MIN_S
        self._heard_at = 0.0
        self._strikes = self._struck = 0
        self.has_progress = False
        """True when this session has delivered a chunk."""
        self.complaint: str | None = None
        """Why files are put off, or None while all is well."""

    @property
    def waiting(self) -> int:
        """Number of files that are still to be sent."""
        return 0 if self._settings is None else self._outbox.waiting_media

    def begin(self) -> None:
        """A new session: chunks that are not acknowledged are sent again."""
        self.has_progress = False
        if self._load is not None:
            self._load.todo.extendleft(sorted(self._load.flying.values(), reverse=True))
            self._load.flying.clear()

    def fill(self, session: Carrier) -> bool:
        """Publish the next chunks; to be called when no record waits to be sent.

        True when files were struck off that need not be sent.
        """
        now_s = self._clock.monotonic()
        self._check_silence(now_s)
        if self._settings is None or now_s < self._resumes_s:
            return False
        struck = self._struck
        spare = min(RESERVED, session.receive_maximum - 1)
        while session.room > spare:
            if self._load is None:
                self._load = self._next(session, self._settings)
            load = self._load
            if load is None or not load.todo or len(load.flying) >= WINDOW:
                break
            if not session.fits(load.messages[load.todo[0]]):  # another broker, with another limit
                self._load = None
                continue
            self._send(load, session, now_s)
        return self._struck > struck

    def settle(self, acks: Iterable[Ack]) -> bool:
        """Note what was taken and what was not; True when a file is through."""
        for ack in acks:
            load = self._load
            if load is None or load.flying.pop(ack.key, None) is None:
                continue  # of a file that has been put off
            self._heard_at = self._clock.monotonic()
            if ack.failure is not None:
                self._put_off(load.errand, f"the broker does not take some photos: {ack.failure}")
            else:
                self.has_progress, self._strikes = True, 0
        load = self._load
        if load is None or load.todo or load.flying:
            return False
        self._outbox.settle_media(load.errand, load.sha256)
        self._load, self._retry_s = None, RETRY_MIN_S
        if not self._held:
            self.complaint = None
        return True

    def lose(self) -> None:
        """The session is over; learn from how it ended."""
        if self._load is None or not self._load.flying or self.has_progress:
            return
        self._strikes += 1
        if self._strikes >= STRIKES:
            self._put_off(self._load.errand, "the connection is lost whenever a photo is sent")

    def _send(self, load: _Load, session: Carrier, now_s: float) -> None:
        if not load.flying:
            self._heard_at = now_s
        key, index = next(self._keys), load.todo.popleft()
        load.flying[key] = index
        part = load.messages[index]
        session.publish(
            Message(part.topic, part.body, key, part.content_type, expiry_s=part.expiry_s)
        )

    def _next(self, session: Carrier, settings: MediaSettings) -> _Load | None:
        """The next file, cut as this broker takes it."""
        while (errand := self._first()) is not None:
            try:
                load = self._opened(errand, session, settings)
            except NothingToSend as error:
                log.info("photo not sent", extra={"topic": errand.topic, "why": str(error)})
                load = None
            except UplinkError as error:
                self._put_off(errand, str(error))
                return None
            except OSError as error:
                self._put_off(errand, f"an evidence file cannot be read: {error.strerror}")
                return None
            if load is not None:
                return load
            self._outbox.settle_media(errand, None)
            self._struck += 1
        self.complaint = None  # what was put off may have been deleted meanwhile
        return None

    def _first(self) -> Errand | None:
        """What is due for longest; one that was put off only when nothing else is, in turns."""
        errand = self._outbox.next_media(self._held)
        while errand is None and self._held:
            del self._held[next(iter(self._held))]
            errand = self._outbox.next_media(self._held)
        return errand

    def _opened(self, errand: Errand, session: Carrier, settings: MediaSettings) -> _Load | None:
        """Read and cut; None for what the broker has already."""
        if errand.role not in settings.roles:
            raise NothingToSend(f"the site file does not ask for {errand.role} any more")
        parcel = Parcel.read(self._folder / errand.bundle, errand.role, settings.originals)
        if parcel.sha256 == errand.sha256:
            return None
        expiry_s = EXPIRY_S
        if parcel.delete_after is not None:
            left_s = (parcel.delete_after - self._clock.now()).total_seconds()
            expiry_s = max(HOUR_S, min(expiry_s, round(left_s)))
        messages = [
            Message(errand.topic, body, 0, content_type, expiry_s=expiry_s)
            for body, content_type in parcel.cut(_limit(errand.topic, session))
        ]
        return _Load(errand, parcel.sha256, messages, deque(range(len(messages))))

    @property
    def _folder(self) -> Path:
        """What a record's `dataref` is relative to."""
        return Path(self._outbox.path).parent

    def _put_off(self, errand: Errand, why: str) -> None:
        if why != self.complaint:
            log.warning("uplink: %s", why, extra={"topic": errand.topic})
        self.complaint, self._load, self._strikes = why, None, 0
        self._held[errand.topic] = None
        self._resumes_s = self._clock.monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, RETRY_MAX_S)

    def _check_silence(self, now_s: float) -> None:
        is_waiting = self._load is not None and self._load.flying
        if is_waiting and now_s - self._heard_at > self._ack_timeout_s:
            raise UplinkError(
                f"the broker has not acknowledged any part of a photo for "
                f"{self._ack_timeout_s:.0f} s: connecting anew"
            )


def _limit(topic: str, session: Carrier) -> int:
    """Bytes of the largest message that we send and the broker takes."""
    limit = BODY_LIMIT
    while not session.fits(Message(topic, bytes(limit))):
        limit //= 2
        if limit < LEAST:
            raise UplinkError(f"the broker takes no messages of {2 * limit} bytes")
    return limit
