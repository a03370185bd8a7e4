"""Photos of real bundles through real brokers, put together as docs/mqtt.md says."""

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.clock import ManualClock, SystemClock
from edge_agent.config import Evidence
from edge_agent.config.uplink import MediaSettings, Mqtt
from edge_agent.evidence import BundleWriter, DeviceKey
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.journal import Journal
from edge_agent.privacy import Redacted
from edge_agent.types import (
    ArrayPicture,
    Box,
    Case,
    Event,
    Frame,
    Media,
    ModelInfo,
    Photo,
    PlateRead,
    Track,
)
from edge_agent.uplink import EmbeddedBroker, Outbox, Uplink

PATIENCE_S = 30.0
START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
CAR = Track(1, "car", 0.9, Box(80, 90, 160, 140), (0.0, 0.0), 0.1, 9.0, 4.0)
TREE = "edge/v1/plaza/box-1"
DOCS = Path(__file__).parents[2].joinpath("docs", "mqtt.md").read_text("utf-8")
(CONSUMER,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
EVERYTHING = MediaSettings(roles=("manifest", "enter", "wide", "close", "leave"))


def origin(kind: Any = "live") -> Origin:
    media = Media("rtsp://camera", kind, None, START, "given")
    camera = CameraOrigin(media, ModelInfo("yolo", "cd" * 32))
    return Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", {"c1": camera})


class Halver:
    """A redactor whose copies can be told from the originals."""

    models: tuple[ModelInfo, ...] = ()

    def redact(self, photo: Photo, plate: PlateRead | None, may_guess: bool = True) -> Redacted:
        return Redacted(photo.frame.image // 2, ())


def case(number: int) -> Case:
    noise = np.random.default_rng(number).integers(0, 256, (180, 320, 3), np.uint8)
    wall = START + timedelta(minutes=number)
    frame = Frame("c1", 120, 12.0, wall, ArrayPicture(noise))
    facts = {"dwell_s": 8.0, "limit_s": 8.0, "picture": [320, 180]}
    subject = f"parking.illegal/{number}"
    event = Event(
        *("c1", "parking.illegal", subject, "begin", 4.0, 12.0, wall, 120, "kerb", CAR, facts)
    )
    wide, close = (
        Photo("wide", frame, CAR.box, None, 1.0),
        Photo("close", frame, CAR.box, Box(70, 60, 110, 90), 1.0),
    )
    return Case(subject, event, event, (wide, close), None, False, ("vehicle has not left",))


def decide(folder: Path, count: int, kind: str = "live") -> list[str]:
    """Cases on the disk whose records wait to be sent; returns their ids."""
    key = DeviceKey.load_or_create(folder / "state", "box-1", ManualClock(START))
    bundles = BundleWriter(folder / "evidence", key, origin(kind), Evidence(), {})
    bundles.redactor = Halver()
    with Outbox(folder / "outbox.db") as outbox, Journal(origin(kind), outbox, bundles) as journal:
        for number in range(count):
            journal.case(case(number), None)
    return sorted(path.stem for path in (folder / "evidence").glob("*.evb"))


class Office:
    """A consumer whose session outlives the broker; at QoS 0, see `Subscriber` beside."""

    def __init__(self, mqtt: Mqtt) -> None:
        self.topics: list[str] = []
        self.files: dict[str, bytes] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self._code: dict[str, Any] = {}
        exec(CONSUMER, self._code)
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id="office",
            protocol=paho.MQTTv5 if mqtt.protocol == "5" else paho.MQTTv311,
            clean_session=None if mqtt.protocol == "5" else False,
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._take
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect(mqtt.host, mqtt.port)
        self._client.subscribe("edge/#", qos=0)
        self._client.loop_start()

    def __enter__(self) -> Self:
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait(self, holds: Callable[[], bool]) -> bool:
        with self._changed:
            return self._changed.wait_for(holds, PATIENCE_S)

    def _take(self, _c: object, _u: object, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.topics.append(message.topic)
            if "/media/" in message.topic:
                found = self._code["whole"](message.topic, message.payload)
                if found is not None:
                    self.files[message.topic] = found
            elif "/case/" in message.topic:
                self.records[message.topic] = json.loads(message.payload)
            self._changed.notify_all()

    def assert_whole(self, folder: Path, cases: list[str]) -> None:
        """Every photo is there, is the redacted copy, and is what the device has signed."""
        certificate = (folder / "state" / "box-1" / "device-cert.pem").read_bytes()
        for name in cases:
            at = f"{TREE}/case/{name}"
            dsse = self.files[f"{at}/media/manifest"]
            signed = self._code["signed"](dsse, certificate)
            payload = self.records[at]["data"]["manifest_sha256"]
            assert payload in {
                hashlib.sha256(self._archive(folder, name, "manifest.json")).hexdigest()
            }
            for role in ("wide", "close"):
                photo = self.files[f"{at}/media/{role}"]
                assert signed[hashlib.sha256(photo).hexdigest()] == f"derived/{role}-redacted.jpg"
                assert self._code["is_genuine"](photo, dsse, certificate)
                assert not self._code["is_genuine"](photo + b"\0", dsse, certificate)

    @staticmethod
    def _archive(folder: Path, name: str, member: str) -> bytes:
        with zipfile.ZipFile(folder / "evidence" / f"{name}.evb") as bundle:
            return bundle.read(member)


@pytest.fixture(params=["mosquitto 5", "mosquitto 3.1.1", "embedded"])
def broker(request: pytest.FixtureRequest) -> Iterator[Mqtt]:
    if request.param == "embedded":
        with EmbeddedBroker() as embedded:
            yield embedded.mqtt
    else:
        start = request.getfixturevalue("mosquitto")
        yield start().mqtt(protocol=request.param.split()[1])


def with_photos(mqtt: Mqtt, media: MediaSettings = EVERYTHING) -> Mqtt:
    return mqtt.model_copy(update={"media": media})


def test_photos_follow_their_record_and_are_what_was_signed(broker: Mqtt, tmp_path: Path) -> None:
    cases = decide(tmp_path, 2)
    with (
        Office(broker) as office,
        Outbox(tmp_path / "outbox.db") as outbox,
        Uplink(with_photos(broker), outbox, origin()) as uplink,
    ):
        assert uplink.flush(PATIENCE_S)
        status = uplink.status()
        assert status.waiting == 0 and status.taken > 2 + 6, "parts of photos are counted as well"
        assert office.wait(lambda: len(office.files) == 6)
        office.assert_whole(tmp_path, cases)
    whens = [office.topics.index(f"{TREE}/case/{name}") for name in cases]
    assert max(whens) < min(at for at, name in enumerate(office.topics) if "/media/" in name)


def test_originals_and_photos_of_replays_only_by_an_explicit_wish(
    mosquitto: Callable[..., Any], tmp_path: Path
) -> None:
    mqtt = mosquitto().mqtt()
    (name,) = decide(tmp_path, 1, "replay")
    with Office(mqtt) as office, Outbox(tmp_path / "outbox.db") as outbox:
        with Uplink(with_photos(mqtt), outbox, origin("replay")) as uplink:
            assert uplink.flush(PATIENCE_S)
            assert (uplink.status().waiting, outbox.waiting_media) == (0, 0)
        decide(tmp_path, 1, "replay")
    (tmp_path / "outbox.db").unlink()
    decide(tmp_path, 1, "replay")
    wish = MediaSettings(roles=("wide",), originals=True, replays=True)
    with Office(mqtt) as office, Outbox(tmp_path / "outbox.db") as outbox:
        with Uplink(with_photos(mqtt, wish), outbox, origin("replay")) as uplink:
            assert uplink.flush(PATIENCE_S)
        topic = f"{TREE}/replay/case/{name}/media/wide"
        assert office.wait(lambda: topic in office.files)
        assert office.files[topic] == office._archive(tmp_path, name, "media/wide.jpg")


def test_a_refusal_of_photos_holds_up_no_events(
    mosquitto: Callable[..., Any], tmp_path: Path
) -> None:
    acl = tmp_path / "acl"
    narrow = "".join(f"topic write {TREE}/{leaf}\n" for leaf in ("info", "status", "case/+", "e"))
    acl.write_text(f"topic read #\n{narrow}")
    broker = mosquitto("allow_anonymous true", f"acl_file {acl}")
    mqtt = broker.mqtt()
    decide(tmp_path, 3)
    clock = SystemClock()
    with (
        Outbox(tmp_path / "outbox.db") as outbox,
        Uplink(with_photos(mqtt), outbox, origin()) as uplink,
    ):
        for _ in range(int(PATIENCE_S / 0.05)):
            if outbox.waiting == 0 and "photo" in str(uplink.status().reason):
                break
            clock.sleep(0.05)
        assert outbox.waiting == 0 and "photo" in str(uplink.status().reason)
        outbox.add({"id": "e"}, f"{TREE}/e")
        uplink.wake()
        for _ in range(int(PATIENCE_S / 0.05)):
            if outbox.waiting == 0:
                break
            clock.sleep(0.05)
        assert outbox.waiting == 0 and outbox.waiting_media >= 9
        broker.kill()
        acl.write_text("topic readwrite #\n")
        broker.start()
        assert uplink.flush(PATIENCE_S)


def test_an_event_waits_behind_a_few_parts_at_most(
    mosquitto: Callable[..., Any], tmp_path: Path
) -> None:
    mqtt = mosquitto().mqtt()
    decide(tmp_path, 12)
    with (
        Office(mqtt) as office,
        Outbox(tmp_path / "outbox.db") as outbox,
        Uplink(with_photos(mqtt), outbox, origin()) as uplink,
    ):
        assert office.wait(lambda: sum("/media/" in name for name in office.topics) > 5)
        outbox.add({"id": "e"}, f"{TREE}/e")
        before = len(office.topics)
        uplink.wake()
        assert office.wait(lambda: f"{TREE}/e" in office.topics)
        assert uplink.flush(PATIENCE_S)
        total = sum("/media/" in name for name in office.topics)
        assert office.topics.index(f"{TREE}/e") - before <= 10 < total / 4, total


AGENT = """
import sys
from pathlib import Path
from test_uplink_media import EVERYTHING, origin
from edge_agent.config.uplink import Mqtt
from edge_agent.uplink import Outbox, Uplink
path, port = sys.argv[1:]
mqtt = Mqtt(host="127.0.0.1", port=int(port), media=EVERYTHING)
with Outbox(Path(path)) as outbox, Uplink(mqtt, outbox, origin()) as uplink:
    print("up", flush=True)
    assert uplink.flush(60)
"""


def has_come(office: Office, goal: int, cases: int) -> Callable[[], bool]:
    return lambda: len(office.topics) >= goal or len(office.files) == 3 * cases


@pytest.mark.slow
def test_agents_and_brokers_killed_in_the_middle_lose_no_photo(
    mosquitto: Callable[..., Any], tmp_path: Path
) -> None:
    broker = mosquitto()
    cases = decide(tmp_path, 25)
    chance = random.Random(20260513)
    path = os.pathsep.join([*sys.path, str(Path(__file__).parent)])

    def run() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", AGENT, str(tmp_path / "outbox.db"), str(broker.port)]
        env = {**os.environ, "PYTHONPATH": path}
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)

    with Office(broker.mqtt(protocol="3.1.1")) as office:
        broker.save()
        for turn in range(6):
            goal = len(office.topics) + chance.randrange(1, 45)
            agent = run()
            office.wait(has_come(office, goal, len(cases)))
            if turn % 3 == 2:
                broker.kill()
                broker.start()
            agent.kill()
            agent.communicate()
        agent = run()
        agent.communicate()
        assert agent.returncode == 0
        assert office.wait(lambda: len(office.files) == 3 * len(cases))
        office.assert_whole(tmp_path, cases)
    with Outbox(tmp_path / "outbox.db") as outbox:
        assert (outbox.waiting, outbox.waiting_media) == (0, 0)
