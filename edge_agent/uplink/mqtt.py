"""Delivery of the outbox to an MQTT broker, in a thread of its own."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

from edge_agent.clock import Clock, SystemClock
from edge_agent.config.models import Mqtt
from edge_agent.errors import EdgeError, UplinkError
from edge_agent.identity import Origin
from edge_agent.uplink import topics
from edge_agent.uplink.client import CONNECT_TIMEOUT_S, explain_silence, make_client
from edge_agent.uplink.delivery import Delivery
from edge_agent.uplink.envelope import birth, canonical
from edge_agent.uplink.outbox import Outbox
from edge_agent.uplink.session import Message, Session

log = logging.getLogger(__name__)

BACKOFF_MIN_S, BACKOFF_MAX_S = 1.0, 60.0
_TICK_S = 0.5
_FAREWELL_S = 2.0

State = Literal["connecting", "online", "offline", "stopped"]


@dataclass(frozen=True, slots=True)
class Status:
    """How the uplink is doing; `reason` says why not better, and what to do."""

    state: State
    reason: str | None
    waiting: int
    """Undelivered envelopes."""


class Uplink:
    """Sends what the outbox holds until the broker has acknowledged it; never blocks a producer.

    One thread owns the connection: it connects, announces itself (retained `info` and `status`,
    last will `offline`), publishes at QoS 1 in order, deletes on success, and reconnects with a
    back-off of 1 to 60 s. What a dead connection leaves unacknowledged is sent again, so that a
    consumer may see an event twice, with the same `id`.

    Raises ConfigError at once when a password or certificate file is wrong; anything that may
    heal by itself is retried for ever and told by `status`.
    """

    def __init__(
        self,
        mqtt: Mqtt,
        outbox: Outbox,
        origin: Origin,
        fingerprint: str | None = None,
        clock: Clock = SystemClock(),  # noqa: B008  (has no state)
    ) -> None:
        make_client(mqtt, "")
        self._mqtt = mqtt
        self._outbox = outbox
        self._clock = clock
        self._tree = topics.root(str(origin.site["name"]), origin.device, origin.is_replay)
        self._info = birth(origin, fingerprint)
        self._delivery = Delivery(outbox, clock, float(mqtt.keepalive_s))
        self._standing: dict[str, Message] = {}
        self._unsaid: set[str] = set()
        self._ear: tuple[str, Callable[[str, bytes], None]] | None = None
        self._is_deaf = True
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._state: tuple[State, str | None] = ("connecting", None)
        self._bell, self._waker = socket.socketpair()
        self._bell.setblocking(False)
        self._waker.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wake(self) -> None:
        """Say that the outbox holds something new."""
        try:
            self._bell.send(b"\0")
        except (BlockingIOError, BrokenPipeError, OSError):
            return  # it is awake already, or closed

    def announce(self, message: Message) -> None:
        """Publish what replaces whatever stood on its topic; said again on every connection.

        Beside the outbox: only the newest counts, and it is gone with this process.
        """
        with self._changed:
            self._standing[message.topic] = message
            self._unsaid.add(message.topic)
        self.wake()

    def listen(self, topic_filter: str, take: Callable[[str, bytes], None]) -> None:
        """Hand what arrives there to `take`, in the uplink's thread."""
        self._ear = (topic_filter, take)
        self.wake()

    def status(self) -> Status:
        """The connection's state now."""
        state, reason = self._state
        complaints = [text for text in (reason, self._delivery.complaint) if text is not None]
        return Status(state, "; ".join(complaints) or None, self._outbox.waiting)

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything is delivered; False when that takes longer than `timeout_s`."""
        self.wake()
        with self._changed:
            self._changed.wait_for(
                lambda: self._outbox.waiting == 0 or not self._thread.is_alive(), timeout_s
            )
        return self._outbox.waiting == 0

    def close(self) -> None:
        """Publish `stopped` and disconnect; what was not delivered stays in the outbox."""
        self._closing.set()
        self.wake()
        self._thread.join(CONNECT_TIMEOUT_S + _FAREWELL_S)
        self._bell.close()

    def _run(self) -> None:
        backoff_s = BACKOFF_MIN_S
        try:
            while not self._closing.is_set():
                started_s = self._clock.monotonic()
                self._attempt()
                lasted_s = self._clock.monotonic() - started_s
                if self._delivery.has_progress or lasted_s > BACKOFF_MAX_S:
                    backoff_s = BACKOFF_MIN_S
                self._closing.wait(backoff_s)
                backoff_s = min(2 * backoff_s, BACKOFF_MAX_S)
        finally:
            self._tell("stopped", self._state[1])
            self._waker.close()

    def _attempt(self) -> None:
        """One connection, from its beginning to its end, for whatever reason."""
        self._delivery.begin()
        session: Session | None = None
        try:
            session = Session(self._mqtt, self._tree.replace("/", "-"), self._say("offline"))
            self._connect(session)
            self._serve(session)
        except (EdgeError, OSError) as error:
            self._delivery.lose()
            self._tell("offline", str(error))
        finally:
            if session is not None:
                session.close()

    def _connect(self, session: Session) -> None:
        deadline = self._clock.monotonic() + CONNECT_TIMEOUT_S
        session.open(self._waker)
        while not session.is_connected and not self._closing.is_set():
            session.poll(_TICK_S)
            if not session.is_connected and self._clock.monotonic() > deadline:
                raise UplinkError(explain_silence(self._mqtt))

    def _serve(self, session: Session) -> None:
        if self._closing.is_set():
            return
        session.publish(Message(topics.info(self._tree), canonical(self._info), is_retained=True))
        session.publish(self._say("online"))
        with self._changed:
            self._unsaid.update(self._standing)
            self._is_deaf = True
        self._tell("online", None)
        while not self._closing.is_set():
            self._speak(session)
            self._delivery.fill(session)
            if self._delivery.settle(session.poll(_TICK_S)):
                self._notify()
        self._leave(session)

    def _speak(self, session: Session) -> None:
        with self._changed:
            messages = [self._standing[topic] for topic in sorted(self._unsaid)]
            self._unsaid.clear()
        if self._ear is not None and self._is_deaf:
            session.subscribe(*self._ear)
            self._is_deaf = False
        for message in messages:
            session.publish(message)

    def _leave(self, session: Session) -> None:
        self._speak(session)
        farewell = self._say("stopped")
        session.publish(farewell)
        deadline = self._clock.monotonic() + _FAREWELL_S
        while self._clock.monotonic() < deadline:
            acks = session.poll(_TICK_S)
            self._delivery.settle(acks)
            if any(ack.key == farewell.key for ack in acks):
                break
        session.leave()

    def _say(self, state: str) -> Message:
        body: dict[str, Any] = {"state": state}
        key = -1 if state == "stopped" else 0
        return Message(topics.status(self._tree), canonical(body), key, is_retained=True)

    def _tell(self, state: State, reason: str | None) -> None:
        if reason is not None and (state, reason) != self._state:
            log.warning("uplink: %s", reason)
        self._state = (state, reason)
        self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()
