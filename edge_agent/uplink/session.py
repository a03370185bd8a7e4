"""One connection to a broker, from CONNECT to its loss, driven by its owner's thread."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.config.uplink import Mqtt
from edge_agent.errors import UplinkError
from edge_agent.uplink.client import (
    explain_error,
    explain_refusal,
    explain_silence,
    make_client,
    properties,
)

_HEADROOM: Final = 256
"""Bytes of a PUBLISH beside topic and body: fixed header, packet id, properties."""
_RECEIVE_MAXIMUM: Final = 16
"""Commands and answers come one by one; a flood of them waits at the broker."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is published at QoS 1; `key` comes back in its `Ack`, 0 for none of the outbox."""

    topic: str
    body: bytes
    key: int = 0
    content_type: str = "application/json"
    is_retained: bool = False
    expiry_s: int | None = None
    correlation: bytes | None = None
    """Tells a requester which of its requests this answers (MQTT 5)."""


@dataclass(frozen=True, slots=True)
class Received:
    """What arrived on a topic that was subscribed to."""

    topic: str
    body: bytes
    is_retained: bool = False
    """True when it was there before we subscribed."""
    response_topic: str | None = None
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Ack:
    """The broker's answer to one message; `failure` says why it did not take it."""

    key: int
    failure: str | None


class Session:
    """Never reused: a new connection is a new session, so nothing lingers in the client.

    Every method raises UplinkError with the reason once the connection is refused or lost.
    """

    def __init__(
        self, mqtt: Mqtt, client_id: str, will: Message, take: Callable[[Received], None]
    ) -> None:
        self._mqtt = mqtt
        # Events need no session, the outbox repeats them; commands are kept by nobody else.
        self._is_resumed = bool(mqtt.commands) and mqtt.session_expiry_s > 0
        self._client = make_client(mqtt, client_id, self._is_resumed)
        self._client.max_inflight_messages_set(0)  # the owner keeps the window
        self._client.will_set(will.topic, will.body, qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = lambda _c, _u, message: take(_received(message))
        self._selector = selectors.DefaultSelector()
        self._keys: dict[int, int] = {}
        self._acks: list[Ack] = []
        self._why: str | None = None
        self._filters: dict[int, str] = {}
        self._line: object = None
        self.refused: str | None = None
        """Why a subscription was not granted, and what to do."""
        self.is_connected = False
        self.receive_maximum = 65535
        self._packet_maximum: int | None = None

    def open(self, waker: socket.socket) -> None:
        """Connect and send CONNECT; `poll` returns early when `waker` becomes readable."""
        try:
            self._client.connect(
                self._mqtt.host,
                self._mqtt.port,
                self._mqtt.keepalive_s,
                **self._wishes(),
            )
            self._line = sock = self._socket()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise UplinkError(explain_error(error, self._mqtt)) from error
        self._selector.register(sock, selectors.EVENT_READ)
        self._selector.register(waker, selectors.EVENT_READ, waker)

    def fits(self, message: Message) -> bool:
        """False when the broker has said that it takes no packets of this size."""
        size = len(message.body) + len(message.topic.encode()) + _HEADROOM
        return self._packet_maximum is None or size <= self._packet_maximum

    def publish(self, message: Message) -> None:
        """Send at QoS 1; the answer arrives with a later `poll`."""
        info = self._client.publish(
            message.topic,
            message.body,
            qos=1,
            retain=message.is_retained,
            properties=properties(
                self._mqtt, message.content_type, message.expiry_s, message.correlation
            ),
        )
        self._keys[info.mid] = message.key
        self._socket()

    @property
    def room(self) -> int:
        """How many messages more the broker takes before it has acknowledged some."""
        return self.receive_maximum - len(self._keys)

    def subscribe(self, topic_filter: str) -> None:
        """From now on `poll` hands over what arrives there."""
        _, number = self._client.subscribe(topic_filter, qos=1)
        if number is not None:
            self._filters[number] = topic_filter

    def poll(self, timeout_s: float) -> list[Ack]:
        """Exchange what there is with the broker, waiting at most `timeout_s` for something."""
        sock = self._socket()
        writing = selectors.EVENT_WRITE if self._client.want_write() else 0
        self._selector.modify(sock, selectors.EVENT_READ | writing)
        # Bytes that TLS has already decrypted do not make the socket readable.
        decrypted = hasattr(sock, "pending") and sock.pending() > 0
        ready = self._selector.select(0 if decrypted else timeout_s)
        for key, _ in ready:
            if key.data is not None:
                key.data.recv(4096)
        events = {key.fileobj: mask for key, mask in ready}.get(sock, 0)
        if decrypted or events & selectors.EVENT_READ:
            self._client.loop_read()
        if events & selectors.EVENT_WRITE and self._client.socket() is not None:
            self._client.loop_write()
        if self._client.socket() is not None:
            self._client.loop_misc()
        acks, self._acks = self._acks, []
        if not acks:  # what was acknowledged before the connection broke still counts
            self._socket()
        return acks

    def leave(self) -> None:
        """Say goodbye, so that the last will is not published."""
        self._client.disconnect()

    def close(self) -> None:
        """Drop the connection; without `leave` the broker publishes the last will."""
        self._selector.close()
        sock: Any = self._client.socket()
        if sock is not None:
            sock.close()

    def _wishes(self) -> dict[str, Any]:
        """What only MQTT 5 can say when connecting."""
        if self._mqtt.protocol != "5":
            return {}
        found = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        found.ReceiveMaximum = _RECEIVE_MAXIMUM
        if self._is_resumed:
            found.SessionExpiryInterval = self._mqtt.session_expiry_s
        return {"clean_start": not self._is_resumed, "properties": found}

    def _socket(self) -> Any:  # noqa: ANN401  (paho's SocketLike lacks what sockets have)
        sock = self._client.socket()
        if sock is None:
            raise UplinkError(self._why or explain_silence(self._mqtt))
        return sock

    def _on_connect(
        self, _c: Client, _u: object, _f: ConnectFlags, code: ReasonCode, found: Properties | None
    ) -> None:
        if code.is_failure:
            self._why = explain_refusal(code, self._mqtt)
            return
        self.is_connected = True
        self.receive_maximum = getattr(found, "ReceiveMaximum", self.receive_maximum)
        self._packet_maximum = getattr(found, "MaximumPacketSize", None)

    def _on_disconnect(
        self, _c: Client, _u: object, flags: DisconnectFlags, code: ReasonCode, _p: object
    ) -> None:
        if self._why is not None:
            return
        fault = getattr(self._line, "fault", None)
        if fault is not None:
            self._why = explain_error(fault, self._mqtt)
        elif not self.is_connected:
            self._why = explain_silence(self._mqtt)
        elif flags.is_disconnect_packet_from_server:
            self._why = f"broker {self._mqtt.host}:{self._mqtt.port} sent us away: {code}"
        else:
            self._why = f"broker {self._mqtt.host}:{self._mqtt.port}: connection lost ({code})"

    def _on_publish(
        self, _c: Client, _u: object, mid: int, code: ReasonCode, _p: Properties | None
    ) -> None:
        failure = str(code) if code.is_failure else None
        self._acks.append(Ack(self._keys.pop(mid, 0), failure))

    def _on_subscribe(
        self, _c: Client, _u: object, mid: int, codes: list[ReasonCode], _p: Properties | None
    ) -> None:
        topic_filter = self._filters.pop(mid, "?")
        refused = next((code for code in codes if code.is_failure), None)
        if refused is not None:
            self.refused = (
                f"the broker refuses a subscription to {topic_filter} ({refused}): allow this "
                "user to read there"
            )


def _received(message: MQTTMessage) -> Received:
    found = message.properties
    return Received(
        message.topic,
        bytes(message.payload),
        message.retain,
        getattr(found, "ResponseTopic", None),
        getattr(found, "CorrelationData", None),
    )
