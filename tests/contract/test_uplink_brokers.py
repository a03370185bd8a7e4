"""The uplink against real brokers: mosquitto, and the embedded one as the first-class fake."""

import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.clock import SystemClock
from edge_agent.config.models import Mqtt
from edge_agent.errors import UplinkError
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import Media, ModelInfo
from edge_agent.uplink import EmbeddedBroker, Listener, Outbox, Uplink

TREE = "edge/v1/s/d/replay"
STATUS = f"{TREE}/status"
EVENT = f"{TREE}/cam/c/event/parking/illegal"
PATIENCE_S = 30.0
START = datetime(2026, 1, 1, tzinfo=UTC)
MEDIA = Media("v", "replay", "a" * 64, START, "given")
ORIGIN = Origin(
    {"name": "s"}, "d", "b", "c" * 64, "edge 1", {"c": CameraOrigin(MEDIA, ModelInfo("m", None))}
)


Mosquitto = Any
"""The broker process of `conftest.py`; its fixture is `mosquitto`."""


@pytest.fixture(params=["mosquitto 5", "mosquitto 3.1.1", "embedded"])
def broker(request: pytest.FixtureRequest) -> Iterator[Mqtt]:
    if request.param == "embedded":
        with EmbeddedBroker() as embedded:
            yield embedded.mqtt
    else:
        start = request.getfixturevalue("mosquitto")
        yield start().mqtt(protocol=request.param.split()[1])


def add(outbox: Outbox, count: int, first: int = 0) -> None:
    for n in range(first, first + count):
        outbox.add({"id": f"e{n}", "data": {"n": n}}, EVENT)


def events(listener: Listener) -> list[dict[str, Any]]:
    return [payload for topic, payload in listener.messages if topic == EVENT]


def await_reason(uplink: Uplink, pattern: str) -> str:
    clock = SystemClock()
    for _ in range(int(PATIENCE_S / 0.05)):
        reason = uplink.status().reason or ""
        if re.search(pattern, reason):
            return reason
        clock.sleep(0.05)
    raise AssertionError(f"expected {pattern!r}, got {uplink.status()}")


def last_status(mqtt: Mqtt) -> str:
    with Listener(mqtt, STATUS) as listener:
        assert listener.wait(1, PATIENCE_S)
        return str(listener.messages[0][1]["state"])


def test_everything_arrives_in_order_and_leaves_the_outbox(broker: Mqtt) -> None:
    with Outbox(":memory:") as outbox, Listener(broker) as listener:
        add(outbox, 250)
        with Uplink(broker, outbox, ORIGIN, "ab") as uplink:
            add(outbox, 50, first=250)
            assert uplink.flush(PATIENCE_S)
            assert uplink.status().state == "online"
            assert listener.wait(302, PATIENCE_S)
        assert listener.wait(303, PATIENCE_S)
        assert [event["data"]["n"] for event in events(listener)] == list(range(300))
        assert [int(event["sequence"]) for event in events(listener)] == list(range(1, 301))
        states = [payload for topic, payload in listener.messages if topic == STATUS]
        assert states == [{"state": "online"}, {"state": "stopped"}]
        assert outbox.waiting == 0


def test_birth_and_status_are_retained(broker: Mqtt) -> None:
    with Outbox(":memory:") as outbox:
        add(outbox, 1)
        with Uplink(broker, outbox, ORIGIN, "ab") as uplink:
            assert uplink.flush(PATIENCE_S)
            assert last_status(broker) == "online"
            with Listener(broker, f"{TREE}/info") as late:
                assert late.wait(1, PATIENCE_S)
                assert late.messages[0][1]["fingerprint"] == "ab"
    assert last_status(broker) == "stopped"


def test_an_outage_is_progress_and_a_dead_thread_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with Outbox(":memory:") as outbox:
        with Uplink(Mqtt(host="127.0.0.1", port=port), outbox, ORIGIN) as uplink:
            await_reason(uplink, "nothing listens")
            now_s = SystemClock().monotonic()
            assert uplink.stuck(now_s + 120) is None
            assert "hangs" in str(uplink.stuck(now_s + 400))
        assert uplink.stuck(now_s) is None, "it was asked to end"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_ended_is_told(mosquitto: Callable[..., Mosquitto]) -> None:
    outbox = Outbox(":memory:")
    outbox.close()  # a mistake of ours, which no retrying heals
    with Uplink(mosquitto().mqtt(), outbox, ORIGIN) as uplink:
        clock = SystemClock()
        for _ in range(int(PATIENCE_S / 0.05)):
            if uplink.stuck(clock.monotonic()) is not None:
                break
            clock.sleep(0.05)
        assert uplink.stuck(clock.monotonic()) == "the uplink has ended"


def test_waking_delivers_what_is_added_later(broker: Mqtt) -> None:
    with Outbox(":memory:") as outbox, Uplink(broker, outbox, ORIGIN) as uplink:
        assert uplink.flush(PATIENCE_S)
        for n in range(3):
            add(outbox, 1, first=n)
            uplink.wake()
            assert uplink.flush(PATIENCE_S)


def test_closing_is_final_and_may_be_repeated(broker: Mqtt) -> None:
    with Outbox(":memory:") as outbox:
        uplink = Uplink(broker, outbox, ORIGIN)
        uplink.close()
        uplink.close()
        uplink.wake()
        add(outbox, 1)
        assert not uplink.flush(0.1)
        assert uplink.status().state == "stopped"


def test_a_row_that_the_broker_refuses_stays(
    mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    acl = tmp_path / "acl"
    acl.write_text(f"topic read #\ntopic write {TREE}/info\ntopic write {TREE}/status\n")
    mqtt = mosquitto("allow_anonymous true", f"acl_file {acl}").mqtt()
    with Outbox(":memory:") as outbox, Uplink(mqtt, outbox, ORIGIN) as uplink:
        add(outbox, 3)
        uplink.wake()
        await_reason(uplink, "does not take.*Not authorized")
        # Some versions of mosquitto (2.0.11) close the connection after such an answer.
        assert not uplink.flush(0.5)
        assert outbox.waiting == 3


@pytest.mark.slow  # amqtt leaves a CONNECT of version 5 with a last will unanswered
def test_a_broker_that_knows_no_mqtt_5_leads_to_the_other_protocol() -> None:
    with EmbeddedBroker() as embedded, Outbox(":memory:") as outbox:
        add(outbox, 1)
        mqtt = embedded.mqtt.model_copy(update={"protocol": "5"})
        with Uplink(mqtt, outbox, ORIGIN) as uplink:
            await_reason(uplink, r'mqtt\.protocol to "3\.1\.1"')
        with pytest.raises(UplinkError, match=r"3\.1\.1"), Listener(mqtt):
            pass
        assert outbox.waiting == 1


def test_wrong_credentials_name_the_user_and_the_file(
    mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    users = tmp_path / "users"
    users.write_text("box:right\n")
    subprocess.run(["mosquitto_passwd", "-U", str(users)], check=True)
    broker = mosquitto("allow_anonymous false", f"password_file {users}")
    secret = tmp_path / "secret"
    secret.write_text("wrong\n")
    with Outbox(":memory:") as outbox:
        add(outbox, 1)
        for protocol in ("5", "3.1.1"):
            mqtt = broker.mqtt(username="box", password_file=secret, protocol=protocol)
            with Uplink(mqtt, outbox, ORIGIN) as uplink:
                assert str(secret) in await_reason(uplink, "refuses user box")
                assert uplink.status().state == "offline"
            with pytest.raises(UplinkError, match="refuses user box"), Listener(mqtt):
                pass
        with Uplink(broker.mqtt(), outbox, ORIGIN) as uplink:
            await_reason(uplink, r"set mqtt\.username")
        secret.write_text("right\n")
        with Uplink(mqtt, outbox, ORIGIN) as uplink:
            assert uplink.flush(PATIENCE_S)


class Subscriber:
    """A consumer whose session outlives the broker: by id, the sequences that arrived.

    It listens at QoS 0: mosquitto then writes to it before it acknowledges towards the publisher,
    and nothing that the kernel still holds is dropped because an answer could not be written. So
    what is missing here was lost by the publisher, not by a broker that dies with its memory.
    """

    def __init__(self, mqtt: Mqtt) -> None:
        self.sequences: dict[str, set[str]] = {}
        self.changed = threading.Condition()
        self.properties: Any = None
        self._ready = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id="consumer",
            protocol=paho.MQTTv5 if mqtt.protocol == "5" else paho.MQTTv311,
            clean_session=None if mqtt.protocol == "5" else False,
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._keep
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect(mqtt.host, mqtt.port)
        self._client.subscribe(EVENT, qos=0)
        self._client.loop_start()

    def __enter__(self) -> Self:
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait(self, count: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: len(self.sequences) >= count, PATIENCE_S)

    def _keep(self, _c: object, _u: object, message: paho.MQTTMessage) -> None:
        payload = json.loads(message.payload)
        with self.changed:
            self.properties = message.properties
            self.sequences.setdefault(payload["id"], set()).add(payload["sequence"])
            self.changed.notify_all()

    def assert_complete(self, count: int) -> None:
        """Every event once by id, and no gap in the numbering."""
        assert self.wait(count)
        assert set(self.sequences) == {f"e{n}" for n in range(count)}
        numbers = sorted(int(number) for found in self.sequences.values() for number in found)
        assert numbers == list(range(1, count + 1))


def test_properties_of_mqtt_5(mosquitto: Callable[..., Mosquitto]) -> None:
    mqtt = mosquitto().mqtt()
    with Subscriber(mqtt) as subscriber, Outbox(":memory:") as outbox, Uplink(mqtt, outbox, ORIGIN):
        add(outbox, 1)
        assert subscriber.wait(1)
    assert subscriber.properties.ContentType == "application/cloudevents+json"
    assert 600_000 < subscriber.properties.MessageExpiryInterval <= 604_800


@pytest.mark.slow
def test_a_broker_killed_in_the_middle_loses_nothing(
    mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    broker = mosquitto()
    total = 600
    with (
        Subscriber(broker.mqtt(protocol="3.1.1")) as subscriber,
        Outbox(tmp_path / "o.db") as outbox,
        Uplink(broker.mqtt(), outbox, ORIGIN) as uplink,
    ):
        broker.save()
        for n in range(total):
            add(outbox, 1, first=n)
            uplink.wake()
            if n in (150, 400):
                assert subscriber.wait(n - 50)
                broker.kill()
            if n in (250, 500):
                broker.start()
        assert uplink.flush(PATIENCE_S)
        subscriber.assert_complete(total)


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.slow
def test_a_long_outage_ends_in_order_and_in_little_memory(
    mosquitto: Callable[..., Mosquitto],
) -> None:
    """A tenth of a day at one event per second; docs/mqtt.md tells of a whole one."""
    mqtt = mosquitto().mqtt()
    total = 8640
    with Subscriber(mqtt) as subscriber, Outbox(":memory:") as outbox:
        for n in range(total):
            outbox.add({"id": f"e{n}", "data": {"n": n, "pad": "x" * 1000}}, EVENT)
        before_mb = resident_mb()
        with Uplink(mqtt, outbox, ORIGIN) as uplink:
            assert uplink.flush(PATIENCE_S)
        subscriber.assert_complete(total)
        numbers = [int(number) for found in subscriber.sequences.values() for number in found]
        assert numbers == list(range(1, total + 1))
        assert resident_mb() - before_mb < 32


PRODUCER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from edge_agent.config.models import Mqtt
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import Media, ModelInfo
from edge_agent.uplink import Outbox, Uplink
path, port, total, topic = sys.argv[1:]
media = Media("v", "replay", None, datetime(2026, 1, 1, tzinfo=UTC), "given")
camera = CameraOrigin(media, ModelInfo("m", None))
origin = Origin({"name": "s"}, "d", "b", "c" * 64, "edge 1", {"c": camera})
mqtt = Mqtt(host="127.0.0.1", port=int(port))
with Outbox(Path(path)) as outbox, Uplink(mqtt, outbox, origin) as uplink:
    for n in range(int(total)):
        outbox.add({"id": f"e{n}", "data": {"n": n}}, topic)
        uplink.wake()
        print(n, flush=True)
    assert uplink.flush(60)
"""


def produce(broker: Mosquitto, outbox: Path, total: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRODUCER, str(outbox), str(broker.port), str(total), EVENT],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_producer_killed_twenty_times_loses_nothing(
    mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    broker = mosquitto()
    total = 1000
    chance = random.Random(20260513)
    reached = 0
    with Subscriber(broker.mqtt(protocol="3.1.1")) as subscriber:
        for _ in range(20):
            producer = produce(broker, tmp_path / "o.db", total)
            assert producer.stdout is not None
            goal = reached + chance.randrange(1, 45)
            while reached < goal:
                reached = int(producer.stdout.readline())
            producer.kill()
            producer.communicate()
        producer = produce(broker, tmp_path / "o.db", total)
        producer.communicate()
        assert producer.returncode == 0
        subscriber.assert_complete(total)
    with Outbox(tmp_path / "o.db") as outbox:
        assert (outbox.waiting, outbox.last_sequence) == (0, total)


@pytest.mark.slow
def test_the_last_will_tells_of_a_killed_producer(
    mosquitto: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    broker = mosquitto()
    with Listener(broker.mqtt(), STATUS) as listener:
        producer = produce(broker, tmp_path / "o.db", 10**6)
        assert listener.wait(1, PATIENCE_S)
        producer.kill()
        producer.communicate()
        assert listener.wait(2, PATIENCE_S)
        states = [payload["state"] for _, payload in listener.messages]
        assert states == ["online", "offline"]
    assert last_status(broker.mqtt()) == "offline"
