"""Delivery of the outbox to an MQTT broker, in a thread of its own."""

from __future__ import annotations

import logging
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Literal, Self

from paho.mqtt.client import topic_matches_sub

from edge_agent.clock import Clock, SystemClock
from edge_agent.config.uplink import MediaSettings, Mqtt
from edge_agent.errors import EdgeError, UplinkError
from edge_agent.identity import Origin
from edge_agent.uplink import topics
from edge_agent.uplink.client import CONNECT_TIMEOUT_S, explain_silence, make_client
from edge_agent.uplink.courier import FIRST_KEY, Courier
from edge_agent.uplink.delivery import RESERVED, Delivery
from edge_agent.uplink.envelope import birth, canonical
from edge_agent.uplink.onvif import mirrored
from edge_agent.uplink.outbox import Outbox, Row
from edge_agent.uplink.session import Ack, Message, Received, Session

log = logging.getLogger(__name__)

BACKOFF_MIN_S, BACKOFF_MAX_S = 1.0, 60.0
HANG_S = 300.0
"""Longer than any attempt: a resolver asks for a minute or two, a back-off takes one."""
_TICK_S = 0.5
_FAREWELL_S = 2.0
_GOODBYE = -1
"""Key of the last message of a clean stop; answers have keys below."""
_KEPT = 64
"""So many answers wait for a broker, so many messages for somebody to listen."""

State = Literal["connecting", "online", "offline", "stopped"]


@dataclass(frozen=True, slots=True)
class Status:
    """How the uplink is doing; `reason` says why not better, and what to do."""

    state: State
    reason: str | None
    waiting: int
    """Undelivered envelopes, and photos that are to follow them."""
    taken: int
    """Envelopes and parts of photos that a broker has taken so far: while it grows, it goes on."""


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
        self._fingerprint = fingerprint
        self._beat_s = clock.monotonic()
        self._delivery = Delivery(outbox, clock, float(mqtt.keepalive_s))
        media = _media(mqtt, origin)
        self._courier = Courier(outbox, media, clock, float(mqtt.keepalive_s))
        self._delivery.followers = media.roles if media else ()
        if mqtt.onvif is not None:
            self._delivery.on_sent = self._mirror
        self._info = topics.info(self._tree)
        self._standing: dict[str, Message] = {self._info: self._birth(origin)}
        self._unsaid: set[str] = set()
        self._ears: dict[str, Callable[[Received], None]] = {}
        self._deaf: set[str] = set()
        self._unheard: deque[Received] = deque(maxlen=_KEPT)
        self._refused: str | None = None
        self._answers: dict[int, Message] = {}
        self._unsent: set[int] = set()
        self._numbers = count(_GOODBYE - 1, -1)
        self._in_flight = self._taken = 0
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

    def stuck(self, now_s: float) -> str | None:
        """Why the thread makes no progress (`now_s` is monotonic); None while it does.

        A broker that is away is no reason: it is tried again, which is progress.
        """
        if not self._thread.is_alive() and not self._closing.is_set():
            return "the uplink has ended"
        silent_s = now_s - self._beat_s
        return f"the uplink hangs for {silent_s:.0f} s" if silent_s > HANG_S else None

    def introduce(self, origin: Origin) -> None:
        """From now on the retained `info` says this: what a reload has changed."""
        self.announce(self._birth(origin))

    def announce(self, message: Message) -> None:
        """Publish what replaces whatever stood on its topic; said again on every connection.

        Beside the outbox: only the newest counts, and it is gone with this process.
        """
        with self._changed:
            self._standing[message.topic] = message
            self._unsaid.add(message.topic)
        self.wake()

    def publish(self, message: Message) -> None:
        """Publish once; said again until a broker has taken or refused it, gone with the process.

        While there is no broker the newest few wait.
        """
        with self._changed:
            number = next(self._numbers)
            self._answers[number] = replace(message, key=number)
            self._unsent.add(number)
            if len(self._answers) > _KEPT:
                oldest = next(iter(self._answers))
                self._unsent.discard(oldest)
                del self._answers[oldest]
        self.wake()

    def listen(self, topic_filter: str, take: Callable[[Received], None]) -> None:
        """Hand what arrives there to `take`, in the uplink's thread, which it must not hold up.

        What a broker had kept for us and sent before anybody listened is handed over as well.
        """
        with self._changed:
            self._ears[topic_filter] = take
            self._deaf.add(topic_filter)
        self.wake()

    def status(self) -> Status:
        """The connection's state now."""
        state, reason = self._state
        whys = (reason, self._delivery.complaint, self._courier.complaint, self._refused)
        why_not = "; ".join(why for why in whys if why) or None
        return Status(state, why_not, self._left, self._taken)

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything is delivered; False when that takes longer than `timeout_s`."""
        self.wake()
        with self._changed:
            self._changed.wait_for(
                lambda: self._left == 0 or not self._thread.is_alive(), timeout_s
            )
        return self._left == 0

    @property
    def _left(self) -> int:
        return self._outbox.waiting + self._courier.waiting

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
                started_s = self._beat_s = self._clock.monotonic()
                self._attempt()
                lasted_s = self._clock.monotonic() - started_s
                has_progress = self._delivery.has_progress or self._courier.has_progress
                if has_progress or lasted_s > BACKOFF_MAX_S:
                    backoff_s = BACKOFF_MIN_S
                self._beat_s = self._clock.monotonic()
                self._closing.wait(backoff_s)
                backoff_s = min(2 * backoff_s, BACKOFF_MAX_S)
        finally:
            self._tell("stopped", self._state[1])
            self._waker.close()

    def _attempt(self) -> None:
        """One connection, from its beginning to its end, for whatever reason."""
        self._delivery.begin()
        self._courier.begin()
        session: Session | None = None
        try:
            name = self._tree.replace("/", "-")
            session = Session(self._mqtt, name, self._say("offline"), self._take)
            self._connect(session)
            self._serve(session)
        except (EdgeError, OSError) as error:
            self._delivery.lose()
            self._courier.lose()
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
        with self._changed:
            info = self._standing[self._info]
            self._unsaid.update(self._standing)
            self._unsaid.discard(self._info)
            self._unsent.update(self._answers)
            self._deaf.update(self._ears)
        self._in_flight, self._refused = 0, None
        self._send(session, info)
        self._send(session, self._say("online"))
        self._tell("online", None)
        while not self._closing.is_set():
            self._beat_s = self._clock.monotonic()
            self._speak(session)
            self._delivery.fill(session)
            if self._delivery.is_drained and self._courier.fill(session):
                self._notify()
            self._settle(session.poll(_TICK_S))
            self._refused = session.refused
        self._leave(session)

    def _settle(self, acks: list[Ack]) -> bool:
        """Take note of what the broker has answered; True when that was our goodbye."""
        rows = []
        self._taken += sum(ack.key > 0 and ack.failure is None for ack in acks)
        is_through = self._courier.settle(ack for ack in acks if ack.key >= FIRST_KEY)
        for ack in acks:
            if ack.key >= FIRST_KEY:
                continue
            self._in_flight -= ack.key <= 0
            if ack.key >= _GOODBYE:
                rows.append(ack)
                continue
            with self._changed:
                answer = self._answers.pop(ack.key, None)
            if ack.failure is not None and answer is not None:
                log.warning("answer refused", extra={"topic": answer.topic, "why": ack.failure})
        if self._delivery.settle(rows) or is_through:
            self._notify()
        return any(ack.key == _GOODBYE for ack in acks)

    def _speak(self, session: Session) -> None:
        """Everything beside the outbox, as far as the broker takes it now."""
        with self._changed:
            deaf = [each for each in self._ears if each in self._deaf]
            self._deaf.clear()
        for topic_filter in deaf:
            session.subscribe(topic_filter)
        if deaf:
            unheard = list(self._unheard)
            self._unheard.clear()
            for received in unheard:
                self._take(received)
        while self._in_flight < RESERVED and session.room > 0:
            message = self._next()
            if message is None:
                break
            if session.fits(message):
                self._send(session, message)
            else:
                log.warning("too large for the broker", extra={"topic": message.topic})
                with self._changed:
                    self._answers.pop(message.key, None)

    def _next(self) -> Message | None:
        with self._changed:
            if self._unsaid:
                topic = min(self._unsaid)
                self._unsaid.remove(topic)
                return self._standing[topic]
            if self._unsent:
                number = max(self._unsent)
                self._unsent.remove(number)
                return self._answers[number]
        return None

    def _send(self, session: Session, message: Message) -> None:
        """Keeps count of what is not from the outbox."""
        self._in_flight += 1
        session.publish(message)

    def _mirror(self, row: Row) -> None:
        onvif = self._mqtt.onvif
        prefix = (onvif and onvif.prefix) or "/".join(self._tree.split("/")[2:4])
        message = mirrored(row, prefix)
        if message is not None:
            self.publish(message)

    def _take(self, received: Received) -> None:
        with self._changed:
            ears = [
                take
                for topic_filter, take in self._ears.items()
                if topic_matches_sub(topic_filter, received.topic)
            ]
        for take in ears:
            take(received)
        if not ears:
            self._unheard.append(received)

    def _leave(self, session: Session) -> None:
        deadline = self._clock.monotonic() + _FAREWELL_S
        while self._has_unsaid and self._clock.monotonic() < deadline:
            self._speak(session)
            self._settle(session.poll(_TICK_S))
        self._send(session, self._say("stopped"))
        while self._clock.monotonic() < deadline:
            if self._settle(session.poll(_TICK_S)):
                break
        session.leave()

    @property
    def _has_unsaid(self) -> bool:
        with self._changed:
            return bool(self._unsaid or self._unsent)

    def _birth(self, origin: Origin) -> Message:
        return Message(self._info, canonical(birth(origin, self._fingerprint)), is_retained=True)

    def _say(self, state: str) -> Message:
        body: dict[str, Any] = {"state": state}
        key = _GOODBYE if state == "stopped" else 0
        return Message(topics.status(self._tree), canonical(body), key, is_retained=True)

    def _tell(self, state: State, reason: str | None) -> None:
        if reason is not None and (state, reason) != self._state:
            log.warning("uplink: %s", reason)
        elif state == "online":
            log.info("uplink online", extra={"broker": f"{self._mqtt.host}:{self._mqtt.port}"})
        self._state = (state, reason)
        self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _media(mqtt: Mqtt, origin: Origin) -> MediaSettings | None:
    media = mqtt.media
    return None if media is None or (origin.is_replay and not media.replays) else media
