"""What a live box says of itself, at a real broker: who comes later finds it there."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from edge_agent.clock import SystemClock
from edge_agent.config.models import Site
from edge_agent.health import CameraHealth, Snapshot
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.ports import LineState
from edge_agent.types import Media, ModelInfo
from edge_agent.uplink import Listener, Outbox, Uplink, present
from edge_agent.uplink.commands import Commands

PATIENCE_S = 30.0
START = datetime(2026, 1, 1, tzinfo=UTC)
MEDIA = Media("v", "live", None, START, "clock")
ORIGIN = Origin(
    {"name": "s"}, "d", "b", "c" * 64, "edge 1", {"c": CameraOrigin(MEDIA, ModelInfo("m", None))}
)
TREE = "edge/v1/s/d"
SNAPSHOT = Snapshot(
    {"c": CameraHealth("online", None, 1, 1, 0, 0, 1.0, 0.1, None)},
    *(5.0, 0, 0, 10, 20, None, True, "online"),
)
EVENT = {
    "id": "e1",
    "type": "edge.zone.trespass.v1",
    "time": "2026-01-01T00:00:00.000Z",
    "data": {"phase": "begin", "source": {"camera": "c"}, "zone": "yard"},
}


def site_at(mqtt: Any, **wishes: Any) -> Site:
    broker = {"host": mqtt.host, "port": mqtt.port, **wishes}
    return Site.model_validate(
        {"site": {"name": "s"}, "device": "d", "mqtt": broker, "cameras": {"c": {}}}
    )


def asked_of(uplink: Uplink, tree: str = TREE) -> Commands:
    return Commands(tree, (), {"selftest": dict}, uplink.publish, SystemClock())


def test_a_box_with_everything(mosquitto: Callable[..., Any]) -> None:
    at = mosquitto().mqtt()
    site = site_at(at, home_assistant={}, onvif={}, commands=["selftest"])
    assert site.mqtt is not None
    with (
        Listener(at, "#") as listener,
        Outbox(":memory:") as outbox,
        Uplink(site.mqtt, outbox, ORIGIN) as uplink,
        asked_of(uplink) as commands,
        present(site, uplink, ORIGIN, commands) as feed,
    ):
        feed.tick(0.0, SNAPSHOT, [LineState("out", "call-1", "on", START)])
        outbox.add(EVENT, f"{TREE}/cam/c/event/zone/trespass")
        assert uplink.flush(PATIENCE_S)
        wanted = {
            *(f"{TREE}/{leaf}" for leaf in ("info", "status", "health", "cam/c/status")),
            *(f"{TREE}/{leaf}" for leaf in ("io/out/call-1", "cam/c/event/zone/trespass")),
            "homeassistant/device/edge-agent_s_d/config",
            "s/d/onvif-ej/RuleEngine/FieldDetector/ObjectsInside/&c/yard",
        }
        assert listener.wait(len(wanted), PATIENCE_S)
        assert {topic for topic, _ in listener.messages} == wanted
    with Listener(at, f"{TREE}/#") as late:
        assert late.wait(4, PATIENCE_S)
        found = dict(late.messages)
    assert found[f"{TREE}/status"] == {"state": "stopped"}
    assert found[f"{TREE}/cam/c/status"]["state"] == "online"
    assert found[f"{TREE}/io/out/call-1"]["state"] == "on"
    assert f"{TREE}/health" not in found


def test_without_a_wish_nothing_is_added(mosquitto: Callable[..., Any]) -> None:
    at = mosquitto().mqtt()
    site = site_at(at)
    assert site.mqtt is not None
    with (
        Listener(at, "#") as listener,
        Outbox(":memory:") as outbox,
        Uplink(site.mqtt, outbox, ORIGIN) as uplink,
        asked_of(uplink) as commands,
        present(site, uplink, ORIGIN, commands) as feed,
    ):
        outbox.add(EVENT, f"{TREE}/cam/c/event/zone/trespass")
        feed.tick(0.0, SNAPSHOT)
        assert uplink.flush(PATIENCE_S)
        assert listener.wait(5, PATIENCE_S)
    assert all(topic.startswith(f"{TREE}/") for topic, _ in listener.messages)
    assert json.loads(site.model_dump_json())["mqtt"]["commands"] == []


def test_a_recording_played_as_live_says_nothing(mosquitto: Callable[..., Any]) -> None:
    at = mosquitto().mqtt()
    site = site_at(at, home_assistant={}, commands=["selftest"])
    recorded = Media("v", "replay", "a" * 64, START, "given")
    origin = Origin(
        *({"name": "s"}, "d", "b", "c" * 64, "edge 1"),
        {"c": CameraOrigin(recorded, ModelInfo("m", None))},
    )
    assert site.mqtt is not None
    with (
        Listener(at, "#") as listener,
        Outbox(":memory:") as outbox,
        Uplink(site.mqtt, outbox, origin) as uplink,
        asked_of(uplink, f"{TREE}/replay") as commands,
        present(site, uplink, origin, commands) as feed,
    ):
        feed.tick(0.0, SNAPSHOT)
        assert listener.wait(2, PATIENCE_S)
    assert all(topic.startswith(f"{TREE}/replay/") for topic, _ in listener.messages)
