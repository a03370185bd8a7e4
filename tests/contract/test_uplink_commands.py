"""Commands over a real mosquitto: answers, outages, restarts, both protocols."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.clock import SystemClock
from edge_agent.config.uplink import Mqtt
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import Media, ModelInfo
from edge_agent.uplink import Outbox, Uplink, topics
from edge_agent.uplink.commands import Commands
from edge_agent.uplink.session import Message

PATIENCE_S = 30.0
START = datetime(2026, 1, 1, tzinfo=UTC)
MEDIA = Media("v", "live", None, START, "clock")
ORIGIN = Origin(
    {"name": "s"}, "d", "b", "c" * 64, "edge 1", {"c": CameraOrigin(MEDIA, ModelInfo("m", None))}
)
TREE = topics.root("s", "d", is_replay=False)
COMMAND = topics.command(TREE, "snapshot")
RESPONSE = topics.response(TREE, "snapshot")


class Office:
    """Asks, and keeps what is answered."""

    def __init__(self, mqtt: Mqtt) -> None:
        self.is_new = mqtt.protocol == "5"
        self.answers: list[tuple[str, dict[str, Any], bytes | None]] = []
        self._changed = threading.Condition()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id="office",
            protocol=paho.MQTTv5 if self.is_new else paho.MQTTv311,
        )
        ready = threading.Event()
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._keep
        self._client.on_connect = lambda c, *_: c.subscribe(f"{TREE}/cmd/+/response/#", qos=1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.connect(mqtt.host, mqtt.port)
        self._client.loop_start()
        assert ready.wait(PATIENCE_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def ask(self, number: int, *, retain: bool = False) -> None:
        properties = None
        if self.is_new:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.ResponseTopic = f"{RESPONSE}/office"
            properties.CorrelationData = str(number).encode()
        body = json.dumps({"id": str(number)})
        info = self._client.publish(COMMAND, body, qos=1, retain=retain, properties=properties)
        info.wait_for_publish(PATIENCE_S)

    def wait(self, count: int) -> list[tuple[str, dict[str, Any], bytes | None]]:
        with self._changed:
            is_there = self._changed.wait_for(lambda: len(self.answers) >= count, PATIENCE_S)
            assert is_there, self.answers
            return list(self.answers)

    def _keep(self, _c: object, _u: object, message: paho.MQTTMessage) -> None:
        correlation = getattr(message.properties, "CorrelationData", None)
        with self._changed:
            self.answers.append((message.topic, json.loads(message.payload), correlation))
            self._changed.notify_all()


class Box:
    """A device that obeys; `asked` are the ids in the order in which they were carried out."""

    def __init__(self, mqtt: Mqtt) -> None:
        self.mqtt = mqtt
        self.asked: list[str] = []

    @contextmanager
    def running(self, patience_s: float = 0.0) -> Iterator[None]:
        with Outbox(":memory:") as outbox, Uplink(self.mqtt, outbox, ORIGIN) as uplink:
            commands = Commands(
                TREE, self.mqtt.commands, {"snapshot": self._do}, uplink.publish, SystemClock()
            )
            with commands:
                SystemClock().sleep(patience_s)
                uplink.listen(commands.requests, commands.hear)
                # Subscriptions go out before events: whoever has the event has the subscription.
                outbox.add({"id": "e"}, f"{TREE}/case/1")
                assert uplink.flush(PATIENCE_S)
                yield

    def wait(self, count: int) -> None:
        clock = SystemClock()
        for _ in range(int(PATIENCE_S / 0.05)):
            if len(self.asked) >= count:
                return
            clock.sleep(0.05)
        raise AssertionError(self.asked)

    def _do(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(str(body["id"]))
        return {"done": True}


def await_online(uplink: Uplink) -> None:
    clock = SystemClock()
    for _ in range(int(PATIENCE_S / 0.05)):
        if uplink.status().state == "online":
            return
        clock.sleep(0.05)
    raise AssertionError(uplink.status())


@pytest.fixture(params=["5", "3.1.1"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_an_answer_comes_where_it_was_asked_for(
    mosquitto: Callable[..., Any], protocol: str
) -> None:
    mqtt = mosquitto().mqtt(protocol=protocol, commands=("snapshot",))
    office = Office(mqtt)
    with Box(mqtt).running():
        office.ask(1)
        ((topic, answer, correlation),) = office.wait(1)
    office.close()
    assert answer == {"command": "snapshot", "id": "1", "ok": True, "result": {"done": True}}
    is_new = protocol == "5"
    assert topic == (f"{RESPONSE}/office" if is_new else RESPONSE)
    assert correlation == (b"1" if is_new else None)


def test_what_was_asked_while_the_device_was_away_is_done_when_it_is_back(
    mosquitto: Callable[..., Any], protocol: str
) -> None:
    """The broker keeps it: the device's session outlives the device's process."""
    mqtt = mosquitto().mqtt(protocol=protocol, commands=("snapshot",))
    office, box = Office(mqtt), Box(mqtt)
    with box.running():
        office.ask(1)
        office.wait(1)
    for number in (2, 3):
        office.ask(number)
    with box.running(patience_s=0.5):  # what arrives before anybody listens is not lost either
        office.wait(3)
    office.close()
    assert box.asked == ["1", "2", "3"]


@pytest.mark.slow
def test_what_the_broker_took_before_it_was_killed_is_done_after_it_is_back(
    mosquitto: Callable[..., Any], protocol: str
) -> None:
    broker = mosquitto()
    mqtt = broker.mqtt(protocol=protocol, commands=("snapshot",))
    office, box = Office(mqtt), Box(mqtt)
    with box.running():
        office.ask(1)
        office.wait(1)
    office.ask(2)
    broker.save()
    SystemClock().sleep(1.5)  # autosave_interval 1
    broker.kill()
    broker.start()
    with box.running():
        # Not by its answer: whoever asked may itself not be connected again.
        box.wait(2)
    office.close()
    assert box.asked == ["1", "2"]


def test_a_device_without_commands_leaves_no_session(mosquitto: Callable[..., Any]) -> None:
    """Nothing piles up at the broker for a device that obeys nobody."""
    mqtt = mosquitto().mqtt(commands=("snapshot",))
    office, box = Office(mqtt), Box(mqtt)
    with box.running():
        office.ask(1)
        office.wait(1)
    box.mqtt = mqtt.model_copy(update={"commands": ()})
    with box.running():
        pass
    office.ask(2)
    box.mqtt = mqtt
    with box.running():
        office.ask(3)
        office.wait(2)
    office.close()
    assert box.asked == ["1", "3"]


def test_a_retained_command_is_never_obeyed(mosquitto: Callable[..., Any]) -> None:
    mqtt = mosquitto().mqtt(commands=("snapshot",))
    office, box = Office(mqtt), Box(mqtt)
    office.ask(1, retain=True)
    with box.running():
        office.ask(2)
        office.wait(1)
    office.close()
    assert box.asked == ["2"]


def test_more_standing_messages_than_the_broker_takes_at_once(
    mosquitto: Callable[..., Any],
) -> None:
    mqtt = mosquitto("allow_anonymous true", "max_inflight_messages 1").mqtt()
    with Outbox(":memory:") as outbox, Uplink(mqtt, outbox, ORIGIN) as uplink:
        for n in range(100):
            message = Message(f"{TREE}/cam/c{n}/status", b"{}", is_retained=True)
            uplink.announce(message)
            uplink.announce(replace(message, body=b'{"again": 1}'))
            outbox.add({"id": f"e{n}"}, f"{TREE}/case/{n}")
        assert uplink.flush(PATIENCE_S)
        assert uplink.status().state == "online"


def test_an_answer_that_is_too_large_for_the_broker_holds_nothing_up(
    mosquitto: Callable[..., Any],
) -> None:
    mqtt = mosquitto("allow_anonymous true", "max_packet_size 3000").mqtt()
    with Outbox(":memory:") as outbox, Uplink(mqtt, outbox, ORIGIN) as uplink:
        await_online(uplink)
        uplink.publish(Message(RESPONSE, b"x" * 4000))
        outbox.add({"id": "e"}, f"{TREE}/case/1")
        assert uplink.flush(PATIENCE_S)
        assert uplink.status().reason is None
