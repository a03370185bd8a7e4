"""What is sent next: a window over the outbox, with patience for what a broker will not take."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from edge_agent.clock import Clock
from edge_agent.errors import UplinkError
from edge_agent.uplink.envelope import CONTENT_TYPE
from edge_agent.uplink.outbox import Outbox, Row
from edge_agent.uplink.session import Ack, Message

log = logging.getLogger(__name__)

WINDOW = 100
"""Messages on their way at once; more did not make QoS 1 faster against mosquitto."""

RESERVED = 4
"""Of what the broker takes at once: left for status, info, and what the log has to say."""

EXPIRY_S = 7 * 24 * 3600
"""How long a broker keeps an event for a subscriber that is away (MQTT 5)."""

RETRY_MIN_S, RETRY_MAX_S = 1.0, 60.0
STRIKES = 3
"""A message that was on its way at so many losses in turn is what costs the connection."""


class Carrier(Protocol):
    """The part of a session that a delivery needs."""

    receive_maximum: int

    @property
    def room(self) -> int: ...

    def fits(self, message: Message) -> bool: ...

    def publish(self, message: Message) -> None: ...


class Delivery:
    """Sends rows in order and deletes them on success; outlives the sessions it uses.

    A row that the broker refuses is held back and tried again later (1 to 60 s), and the others
    go on. Some brokers answer an unwanted message by closing the connection (AWS IoT does): after
    a connection that was lost without a single acknowledgement, rows go one at a time; the row
    that was on its way at the third loss in turn is held back likewise.
    """

    def __init__(self, outbox: Outbox, clock: Clock, ack_timeout_s: float) -> None:
        self._outbox = outbox
        self._clock = clock
        self._ack_timeout_s = ack_timeout_s
        self._flying: set[int] = set()
        self._held: set[int] = set()
        self._retried: set[int] = set()
        self._cursor = 0
        self._retry_at: float | None = None
        self._retry_s = RETRY_MIN_S
        self._heard_at = 0.0
        self._strikes = 0
        self._said: set[str] = set()
        self.is_drained = False
        """True when the last `fill` left no row that could be sent."""
        self.followers: Sequence[str] = ()
        """Roles of the photos that are to follow a case's record once it is delivered."""
        self.on_sent: Callable[[Row], None] = lambda row: None
        """Called with every row that is on its way, each time that it is."""
        self.has_progress = False
        """True when this session has delivered something."""
        self.complaint: str | None = None
        """Why rows are held back, or None while all is well."""

    def begin(self) -> None:
        """A new session: everything that is not acknowledged is sent again, in order."""
        self._flying.clear()
        self._cursor = 0
        self.has_progress = False

    def fill(self, session: Carrier) -> None:
        """Publish as many rows as the window allows."""
        now = self._clock.monotonic()
        self._check_silence(now)
        if self._retry_at is not None and now >= self._retry_at:
            self._retried |= self._held
            self._held.clear()
            self._retry_at, self._cursor = None, 0
        limit = 1 if self._strikes else min(WINDOW, max(1, session.receive_maximum - RESERVED))
        room = min(limit - len(self._flying), session.room)
        self.is_drained = False
        if room <= 0:
            return
        if not self._flying:
            self._heard_at = now
        while room > 0 and (rows := self._outbox.pending(self._cursor, room)):
            for row in rows:
                self._cursor = row.sequence
                if row.sequence not in self._flying and row.sequence not in self._held:
                    room -= self._send(row, session)
        self.is_drained = room > 0

    def settle(self, acks: Iterable[Ack]) -> bool:
        """Delete what was taken, hold back what was not; True when something was taken."""
        taken = [ack.key for ack in acks if ack.failure is None and ack.key > 0]
        for ack in acks:
            if ack.failure is not None:
                self._hold(ack.key, f"the broker does not take some messages: {ack.failure}")
            self._flying.discard(ack.key)
        if acks:
            self._heard_at = self._clock.monotonic()
        if not taken:
            return False
        self._outbox.delivered(*taken, followers=self.followers)
        self.has_progress, self._strikes = True, 0
        if self._retried.intersection(taken):
            self._retried.difference_update(taken)
            self._retry_s = RETRY_MIN_S
        if not self._held and not self._retried:
            self.complaint = None
            self._said.clear()
        return True

    def lose(self) -> None:
        """The session is over; learn from how it ended."""
        if self.has_progress or not self._flying:
            return
        self._strikes += 1
        if self._strikes >= STRIKES:
            why = self.complaint or "the connection is lost whenever a certain message is sent"
            for sequence in sorted(self._flying):
                self._hold(sequence, why)

    def _send(self, row: Row, session: Carrier) -> bool:
        message = Message(row.topic, row.body, row.sequence, CONTENT_TYPE, expiry_s=EXPIRY_S)
        if not session.fits(message):
            self._hold(row.sequence, f"the broker takes no messages of {len(row.body)} bytes")
            return False
        self._flying.add(row.sequence)
        session.publish(message)
        self.on_sent(row)
        return True

    def _hold(self, sequence: int, why: str) -> None:
        self.complaint = why
        if why not in self._said:
            self._said.add(why)
            log.warning("uplink: %s", why, extra={"sequence": sequence})
        if sequence <= 0:  # a status message; the next session sends it again
            return
        self._held.add(sequence)
        self._retried.discard(sequence)
        if self._retry_at is None:
            self._retry_at = self._clock.monotonic() + self._retry_s
            self._retry_s = min(2 * self._retry_s, RETRY_MAX_S)

    def _check_silence(self, now: float) -> None:
        if self._flying and now - self._heard_at > self._ack_timeout_s:
            raise UplinkError(
                f"the broker has not acknowledged anything for {self._ack_timeout_s:.0f} s: "
                "connecting anew"
            )
