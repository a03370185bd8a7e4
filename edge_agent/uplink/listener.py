"""A subscriber that remembers what arrived: the other end, for demonstrations and tests."""

from __future__ import annotations

import json
import threading
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage, topic_matches_sub

from edge_agent.config.uplink import Mqtt
from edge_agent.errors import UplinkError
from edge_agent.uplink.client import (
    CONNECT_TIMEOUT_S,
    explain_error,
    explain_refusal,
    explain_silence,
    make_client,
)


class Listener:
    """Subscribes at QoS 1 and collects (topic, payload); a context manager.

    It is subscribed when `with` begins. A payload that is no JSON object arrives as `{}`.
    Raises UplinkError with the reason when the broker cannot be reached or refuses.
    """

    def __init__(self, mqtt: Mqtt, topic_filter: str = "edge/#") -> None:
        self._mqtt = mqtt
        self._filter = topic_filter
        self._client = make_client(mqtt, "")
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._changed = threading.Condition()
        self._messages: list[tuple[str, dict[str, Any]]] = []
        self._bodies: list[bytes] = []
        self._why: str | None = None
        self._is_subscribed = False

    def __enter__(self) -> Self:
        try:
            self._client.connect(self._mqtt.host, self._mqtt.port, self._mqtt.keepalive_s)
        except OSError as error:
            raise UplinkError(explain_error(error, self._mqtt)) from error
        self._client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._is_subscribed or self._why, CONNECT_TIMEOUT_S)
        if not self._is_subscribed:
            self.close()
            raise UplinkError(self._why or explain_silence(self._mqtt))
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Unsubscribe by disconnecting."""
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def messages(self) -> list[tuple[str, dict[str, Any]]]:
        """What has arrived so far, in order."""
        with self._changed:
            return list(self._messages)

    @property
    def bodies(self) -> list[bytes]:
        """The same messages as bytes, for those that are no JSON."""
        with self._changed:
            return list(self._bodies)

    def wait(self, count: int, timeout_s: float) -> bool:
        """Wait until at least `count` messages have arrived; False when that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._messages) >= count, timeout_s)

    def _on_connect(self, client: Client, _u: object, _f: object, code: Any, _p: object) -> None:  # noqa: ANN401
        if code.is_failure:
            self._fail(explain_refusal(code, self._mqtt))
        else:
            client.subscribe(self._filter, qos=1)

    def _on_subscribe(self, _c: Client, _u: object, _m: int, codes: list[Any], _p: object) -> None:
        if codes[0].is_failure:
            self._fail(f"the broker refuses a subscription to {self._filter}: {codes[0]}")
            return
        with self._changed:
            self._is_subscribed = True
            self._changed.notify_all()

    def _on_disconnect(self, *_: object) -> None:
        self._fail(explain_silence(self._mqtt))

    def _on_message(self, _c: Client, _u: object, message: MQTTMessage) -> None:
        # amqtt 0.12 sends retained messages of other clients' subscriptions as well.
        if not topic_matches_sub(self._filter, message.topic):
            return
        try:
            payload = json.loads(message.payload)
        except ValueError:
            payload = {}
        with self._changed:
            self._bodies.append(bytes(message.payload))
            self._messages.append((message.topic, payload if isinstance(payload, dict) else {}))
            self._changed.notify_all()

    def _fail(self, why: str) -> None:
        with self._changed:
            self._why = self._why or why
            self._changed.notify_all()
