"""A live box at a real broker: what it says of itself, and what it does when asked."""

from __future__ import annotations

import base64
import json
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import paho.mqtt.client as paho
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_agent.clock import SystemClock
from edge_agent.config.load import site_sha256
from edge_agent.config.uplink import Metrics, Mqtt
from edge_agent.evidence.log import LogKey
from edge_agent.live.metrics import served
from edge_agent.witness import Alarm, Watch, WitnessBook, WitnessService

pytestmark = pytest.mark.slow

TREE = "edge/v1/plaza/box"
PATIENCE_S = 30.0


class Operator:
    """Keeps the newest message of every topic, and asks for things."""

    def __init__(self, port: int) -> None:
        self.newest: dict[str, Any] = {}
        self._changed = threading.Condition()
        version = CallbackAPIVersion.VERSION2
        self._client = paho.Client(version, "operator", protocol=paho.MQTTv5)
        self._client.on_message = self._keep
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("#", qos=1)
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def ask(self, command: str, wish: dict[str, Any]) -> dict[str, Any]:
        topic = f"{TREE}/cmd/{command}"
        with self._changed:
            self.newest.pop(f"{topic}/response", None)
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = f"{topic}/response"
        properties.CorrelationData = json.dumps(wish).encode() + str(len(self.newest)).encode()
        self._client.publish(topic, json.dumps(wish), qos=1, properties=properties)
        answer = self.wait(f"{topic}/response", lambda message: True)
        assert isinstance(answer, dict)
        return answer

    def wait(self, topic: str, suits: Callable[[Any], bool]) -> Any:
        with self._changed:
            assert self._changed.wait_for(
                lambda: topic in self.newest and suits(self.newest[topic]), PATIENCE_S
            ), (topic, self.newest.get(topic))
            return self.newest[topic]

    def _keep(self, _client: object, _user: object, message: paho.MQTTMessage) -> None:
        with self._changed:
            if message.payload and "/log/" not in message.topic:
                self.newest[message.topic] = json.loads(message.payload)
                self._changed.notify_all()


@pytest.fixture
def config(mosquitto: Callable[..., Any], rtsp_cameras: list[Any], tmp_path: Path) -> Path:
    first, _ = rtsp_cameras
    text = {
        "site": {"name": "plaza"},
        "device": "box",
        "state_dir": str(tmp_path / "state"),
        "mqtt": {
            "host": "127.0.0.1",
            "port": mosquitto().port,
            "commands": ["snapshot", "reload", "selftest"],
            "home_assistant": {},
        },
        "cameras": {
            "a": {
                "source": {"kind": "rtsp", "url": first.url, "stall_s": 1},
                "detector": {"model": "motion"},
                "rules": [{"kind": "camera.health"}],
            }
        },
    }
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump(text))
    return path


def test_a_box_tells_how_it_is_and_does_what_it_may_be_asked(
    boxes: Any, config: Path, rtsp_cameras: list[Any]
) -> None:
    with boxes.running(config) as box:
        operator = Operator(box.site.mqtt.port)
        try:
            operator.wait(f"{TREE}/status", lambda body: body["state"] == "online")
            status = f"{TREE}/cam/a/status"
            operator.wait(status, lambda body: body["state"] == "online")
            assert "cameras" in operator.wait(f"{TREE}/health", lambda body: "well" in body)
            assert [topic for topic in operator.newest if topic.startswith("homeassistant/")]

            picture = operator.ask("snapshot", {"camera": "a"})
            assert picture["ok"], picture
            jpeg = np.frombuffer(base64.b64decode(picture["result"]["jpeg_base64"]), np.uint8)
            image = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
            assert image is not None and image.shape == (240, 320, 3)
            unknown = operator.ask("snapshot", {"camera": "z"})
            assert not unknown["ok"] and "no camera `z`" in unknown["error"]

            tested = operator.ask("selftest", {})
            assert tested["ok"] and tested["result"]["stuck"] is None, tested

            good = config.read_text()
            config.write_text(good.replace("camera.health", "camera.wealth"))
            refused = operator.ask("reload", {"n": 1})
            assert not refused["ok"] and "camera.wealth" in refused["error"]
            config.write_text(good.replace("stall_s: 1", "stall_s: 2"))
            taken = operator.ask("reload", {"n": 2})
            assert taken["ok"], taken
            assert box.site.cameras["a"].source.stall_s == 2
            assert boxes.comes_true(lambda: box.journal.origin.config_sha256 == site_sha256(config))

            rtsp_cameras[0].kill()
            lost = operator.wait(status, lambda body: body["state"] == "lost")
            assert str(rtsp_cameras[0].port) in lost["reason"]
        finally:
            operator.close()


def test_a_reload_that_changes_the_connection_is_answered_on_the_new_one(
    boxes: Any, config: Path
) -> None:
    with boxes.running(config) as box:
        operator, uplink = Operator(box.site.mqtt.port), box.uplink
        try:
            operator.wait(f"{TREE}/status", lambda body: body["state"] == "online")
            site = yaml.safe_load(config.read_text())
            site["mqtt"]["keepalive_s"] = 20
            config.write_text(yaml.safe_dump(site))
            begun_s = box.clock.monotonic()
            taken = operator.ask("reload", {})
            assert taken["ok"] and box.uplink is not uplink, taken
            assert box.clock.monotonic() - begun_s < 2.0, "nobody waits for the one that asked"
            assert operator.ask("selftest", {})["ok"], "and it goes on obeying"
        finally:
            operator.close()


def test_a_reload_tells_the_new_cameras_on_the_same_connection(
    boxes: Any, config: Path, rtsp_cameras: list[Any]
) -> None:
    with boxes.running(config) as box:
        operator, uplink = Operator(box.site.mqtt.port), box.uplink
        try:
            operator.wait(f"{TREE}/info", lambda body: list(body["cameras"]) == ["a"])
            site = yaml.safe_load(config.read_text())
            site["cameras"]["b"] = site["cameras"].pop("a")
            config.write_text(yaml.safe_dump(site))
            assert boxes.reload(box) is None
            told = operator.wait(f"{TREE}/info", lambda body: list(body["cameras"]) == ["b"])
            assert told["config_sha256"] == site_sha256(config)
            (shown,) = (operator.newest[name] for name in operator.newest if "/device/" in name)
            assert "b" in str(shown["components"]) and uplink is box.uplink
        finally:
            operator.close()


def test_figures_for_prometheus_come_from_the_running_box(boxes: Any, config: Path) -> None:
    with boxes.running(config) as box:
        assert boxes.goes_on(box, "a")
        any_port = Metrics.model_construct(port=0)
        with served(any_port, box.snapshot) as port:
            address = f"http://127.0.0.1:{port}/metrics"
            text = urllib.request.urlopen(address, timeout=10).read().decode()
    assert 'camera="a"' in text and "frames" in text


def test_a_witness_vouches_for_a_running_box(boxes: Any, config: Path, tmp_path: Path) -> None:
    site, name = yaml.safe_load(config.read_text()), "edge/plaza/box"
    log_key = LogKey.load_or_create(tmp_path / "state" / "box")
    (tmp_path / "witness").mkdir()
    book = WitnessBook(
        tmp_path / "witness",
        "city.example/w1",
        Ed25519PrivateKey.generate(),
        {name: log_key.vkey(name)},
    )
    mqtt, over, alarms = Mqtt(**site["mqtt"] | {"commands": ()}), threading.Event(), list[Alarm]()
    service = WitnessService(mqtt, book, Watch(300.0), SystemClock(), alarms.append)
    thread = threading.Thread(target=service.serve, args=([name], over.is_set))
    thread.start()
    site["evidence"] = {"witnesses": [str(book.vkey)]}
    config.write_text(yaml.safe_dump(site))
    try:
        assert boxes.comes_true(lambda: service.is_ready)
        with boxes.running(config) as box:
            assert boxes.comes_true(lambda: box.feed.cosigned is not None)
            assert box.journal.bundles.witnessed() is not None
        statement = (tmp_path / "state" / "box" / "log-key.dsse").read_bytes()
        assert b"application/vnd" in statement
    finally:
        over.set()
        thread.join(PATIENCE_S)
    assert not alarms
