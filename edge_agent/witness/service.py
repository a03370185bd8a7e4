"""The witness at work: checkpoints in, cosignatures and alarms out, over MQTT.

Listens to `edge/v1/<site>/<device>/log/checkpoint` (retained, every minute) and to the requests
on `.../log/add-checkpoint/<key id>`; answers on `.../log/cosignature/<key id>`, retained, so that
a device that was away learns what was cosigned last; tells alarms on `.../log/alarm/<key id>`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import rfc8785
from paho.mqtt.client import Client, MQTTMessage

from edge_agent.clock import Clock, utc_text
from edge_agent.config.models import Mqtt
from edge_agent.errors import UplinkError
from edge_agent.evidence.log import Note
from edge_agent.uplink import topics
from edge_agent.uplink.client import explain_error, explain_refusal, explain_silence, make_client
from edge_agent.witness.book import Refusal, WitnessBook
from edge_agent.witness.request import Request
from edge_agent.witness.watch import Alarm, Watch

log = logging.getLogger(__name__)

BACKOFF_MIN_S, BACKOFF_MAX_S = 1.0, 60.0
_TICK_S = 0.5
_ANY_DEVICE = topics.root("+", "+", is_replay=False)
_CHECKPOINTS = topics.checkpoint(_ANY_DEVICE)


class WitnessService:
    """Serves until told to stop; a broker that is away is waited for."""

    def __init__(
        self,
        mqtt: Mqtt,
        book: WitnessBook,
        watch: Watch,
        clock: Clock,
        on_alarm: Callable[[Alarm], None],
    ) -> None:
        self._mqtt = mqtt
        self._book = book
        self._watch = watch
        self._clock = clock
        self._on_alarm = on_alarm
        self._id = book.vkey.key_id.hex()
        self._requests = topics.add_checkpoint(_ANY_DEVICE, self._id)
        self._why: str | None = None
        self._is_ready = False

    @property
    def is_ready(self) -> bool:
        """True while it is subscribed."""
        return self._is_ready

    def serve(self, origins: Iterable[str], is_stopped: Callable[[], bool]) -> None:
        """Run in this thread, reconnecting with a back-off of 1 to 60 s."""
        self._watch.expect(origins, self._clock.monotonic())
        backoff_s = BACKOFF_MIN_S
        while not is_stopped():
            began_s = self._clock.monotonic()
            try:
                self._session(is_stopped)
            except UplinkError as error:
                log.warning("witness: %s", error)
            self._is_ready = False
            if self._clock.monotonic() - began_s > BACKOFF_MAX_S:
                backoff_s = BACKOFF_MIN_S
            self._rest(backoff_s, is_stopped)
            backoff_s = min(2 * backoff_s, BACKOFF_MAX_S)

    def _rest(self, seconds: float, is_stopped: Callable[[], bool]) -> None:
        until_s = self._clock.monotonic() + seconds
        while self._clock.monotonic() < until_s and not is_stopped():
            self._clock.sleep(_TICK_S)
            self._tell_silences(None)

    def _session(self, is_stopped: Callable[[], bool]) -> None:
        """One connection, from its beginning to its end."""
        self._why = None
        client = make_client(self._mqtt, f"witness-{self._id}")
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        try:
            client.connect(self._mqtt.host, self._mqtt.port, self._mqtt.keepalive_s)
        except OSError as error:
            raise UplinkError(explain_error(error, self._mqtt)) from error
        try:
            while not is_stopped():
                if client.loop(_TICK_S) != 0 or self._why is not None:
                    raise UplinkError(self._why or explain_silence(self._mqtt))
                self._tell_silences(client)
            client.disconnect()
        finally:
            sock: Any = client.socket()
            if sock is not None:
                sock.close()

    def _on_connect(self, client: Client, _u: object, _f: object, code: Any, _p: object) -> None:  # noqa: ANN401
        if code.is_failure:
            self._why = explain_refusal(code, self._mqtt)
        else:
            client.subscribe([(_CHECKPOINTS, 1), (self._requests, 1)])

    def _on_subscribe(self, _c: Client, _u: object, _m: int, codes: list[Any], _p: object) -> None:
        refused = next((code for code in codes if code.is_failure), None)
        if refused is not None:
            self._why = (
                f"the broker refuses a subscription ({refused}): allow this user to read "
                f"{_CHECKPOINTS} and {self._requests}"
            )
        self._is_ready = refused is None

    def _on_message(self, client: Client, _u: object, message: MQTTMessage) -> None:
        _, _, site, device, _, what, *_ = message.topic.split("/")
        tree, origin = topics.root(site, device, is_replay=False), f"edge/{site}/{device}"
        try:
            if what == "checkpoint":
                told = self._book.observe(Note.from_bytes(bytes(message.payload)))
                if told.origin != origin:
                    raise Refusal("malformed", origin, f"publishes a checkpoint of {told.origin}")
                alarms = self._watch.hear(origin, self._clock.monotonic())
                self._alarm(client, alarms)
            else:
                self._answer(client, tree, Request.from_bytes(bytes(message.payload)))
        except ValueError as error:
            log.warning("witness: %s: %s", message.topic, error)
        except Refusal as refusal:
            self._refuse(client, tree, refusal)

    def _answer(self, client: Client, tree: str, request: Request) -> None:
        when_s = int(self._clock.now().timestamp())
        note = self._book.cosign(request, when_s)
        self._publish_newest(client, tree, note)
        origin = note.text.partition("\n")[0]
        self._alarm(client, self._watch.hear(origin, self._clock.monotonic()))

    def _refuse(self, client: Client, tree: str, refusal: Refusal) -> None:
        log.warning("witness: %s [%s]", refusal, refusal.why)
        newest = self._book.newest(refusal.origin)
        if refusal.why == "behind" and newest is not None:
            self._publish_newest(client, tree, newest)
        if refusal.why in ("fork", "truncated"):
            alarms = self._watch.trouble(refusal.origin, refusal.why, str(refusal))
            self._alarm(client, alarms)

    def _publish_newest(self, client: Client, tree: str, note: Note) -> None:
        topic = topics.cosignature(tree, self._id)
        client.publish(topic, note.to_bytes(), qos=1, retain=True)

    def _tell_silences(self, client: Client | None) -> None:
        self._alarm(client, self._watch.silences(self._clock.monotonic()))

    def _alarm(self, client: Client | None, alarms: Iterable[Alarm]) -> None:
        for alarm in alarms:
            self._on_alarm(alarm)
            if client is None:
                continue
            body = {
                "alarm": alarm.trouble,
                "origin": alarm.origin,
                "state": "over" if alarm.is_over else "raised",
                "text": alarm.text,
                "time": utc_text(self._clock.now()),
                "witness": self._book.vkey.name,
            }
            _, site, device = alarm.origin.split("/")
            topic = topics.alarm(topics.root(site, device, is_replay=False), self._id)
            client.publish(topic, rfc8785.dumps(body), qos=1, retain=True)
