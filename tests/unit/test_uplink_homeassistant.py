"""Home Assistant's discovery: its own schema holds, and its templates read what is really sent."""

import json
from datetime import UTC, datetime
from typing import Any

import jinja2
import jsonschema
import pytest

from edge_agent.config.models import Site
from edge_agent.health import CameraHealth, Snapshot
from edge_agent.ports import LineState
from edge_agent.uplink.homeassistant import discovery
from edge_agent.uplink.standing import camera_status, heartbeat, line_state

START = datetime(2026, 1, 1, tzinfo=UTC)
TREE = "edge/v1/kerb-3/box-1"
ZONE = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]
SITE = Site.model_validate(
    {
        "site": {"name": "kerb-3"},
        "device": "box-1",
        "outputs": {"gate": {}},
        "cameras": {
            "north": {},
            "lot": {
                "detector": {"model": "nano"},
                "zones": {"a1": ZONE, "a2": ZONE},
                "bays": {"zones": ["a1", "a2"]},
                "rules": [{"kind": "parking.availability", "settings": {}}],
            },
        },
    }
)
TEXT = {"type": "string", "minLength": 1}
SUBSCRIBED = {"type": "string", "pattern": r"^[^#+]+(/\+)?(/[^#+]+)*$"}
SCHEMA: dict[str, Any] = {
    # As home-assistant/core validates it (components/mqtt/schemas.py and the two platforms).
    "type": "object",
    "required": ["device", "origin", "components"],
    "additionalProperties": False,
    "properties": {
        "device": {
            "type": "object",
            "required": ["identifiers"],
            "additionalProperties": False,
            "properties": {
                "identifiers": {"type": "array", "items": TEXT, "minItems": 1},
                **dict.fromkeys(("name", "manufacturer", "model", "sw_version"), TEXT),
            },
        },
        "origin": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": {"name": TEXT, "sw_version": TEXT, "support_url": TEXT},
        },
        "availability": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["topic"],
                "additionalProperties": False,
                "properties": {"topic": SUBSCRIBED, "value_template": TEXT},
            },
        },
        "qos": {"enum": [0, 1, 2]},
        "components": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["platform", "unique_id", "state_topic"],
                "additionalProperties": False,
                "properties": {
                    "platform": {"enum": ["sensor", "binary_sensor"]},
                    "unique_id": {"type": "string", "pattern": "^[a-zA-Z0-9_-]+$"},
                    "name": TEXT,
                    "state_topic": SUBSCRIBED,
                    "value_template": TEXT,
                    "json_attributes_topic": SUBSCRIBED,
                    "json_attributes_template": TEXT,
                    "expire_after": {"type": "integer", "minimum": 0},
                    "entity_category": {"enum": ["config", "diagnostic"]},
                    "state_class": {"enum": ["measurement", "total", "total_increasing"]},
                    "unit_of_measurement": TEXT,
                    "device_class": {
                        "enum": [
                            *("duration", "data_size", "temperature", "timestamp"),
                            *("connectivity", "problem", "occupancy"),
                        ]
                    },
                },
            },
        },
    },
}
HEALTH = CameraHealth("online", None, 1, 1, 0, 0, 1.0, 0.1, None)
SNAPSHOT = Snapshot({"north": HEALTH}, 5.0, 3, 0, 10, 20, 51.5, True, "online")
EVENT = {"data": {"free": 1, "occupied_bays": ["a2"]}}
CUT_EVENT = {"data": {"truncated": True}}
CASE = {
    "time": "2026-01-01T00:00:00.000Z",
    "subject": "case/1",
    "data": {"kind": "parking.illegal", "evidential": True},
}


@pytest.fixture(scope="module")
def body() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(discovery(SITE, "homeassistant", "edge-agent 1").body)
    return found


def test_home_assistant_accepts_it(body: dict[str, Any]) -> None:
    message = discovery(SITE, "homeassistant", "edge-agent 1")
    assert message.topic == "homeassistant/device/edge-agent_kerb-3_box-1/config"
    assert message.is_retained
    jsonschema.validate(body, SCHEMA)
    names = [entity["unique_id"] for entity in body["components"].values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("entity", "payload", "state"),
    [
        ("uptime", heartbeat(TREE, SNAPSHOT).body, "5"),
        ("temperature", heartbeat(TREE, SNAPSHOT).body, "51.5"),
        ("waiting", heartbeat(TREE, SNAPSHOT).body, "3"),
        ("problem", heartbeat(TREE, SNAPSHOT).body, "OFF"),
        ("camera_north", camera_status(TREE, "north", HEALTH).body, "ON"),
        ("out_gate", line_state(TREE, LineState("out", "gate", "on", START)).body, "ON"),
        ("out_gate", json.dumps({"specversion": "1.0"}), "OFF"),
        ("free_lot", json.dumps(EVENT), "1"),
        ("free_lot", json.dumps(CUT_EVENT), "off"),
        ("bay_lot_a1", json.dumps(EVENT), "OFF"),
        ("bay_lot_a2", json.dumps(EVENT), "ON"),
        ("bay_lot_a2", json.dumps(CUT_EVENT), "OFF"),
        ("last_case", json.dumps(CASE), "2026-01-01T00:00:00.000Z"),
    ],
)
def test_its_templates_read_what_is_sent(
    body: dict[str, Any], entity: str, payload: bytes, state: str
) -> None:
    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(
        body["components"][entity]["value_template"]
    )
    # `this` is the entity as it was: an update that says nothing of it leaves it so.
    assert template.render(value_json=json.loads(payload), this={"state": "off"}) == state


def test_attributes_of_a_case(body: dict[str, Any]) -> None:
    text = body["components"]["last_case"]["json_attributes_template"]
    found = json.loads(jinja2.Template(text).render(value_json=CASE))
    assert found == {"case": "case/1", "kind": "parking.illegal", "evidential": True}


def test_its_topics_are_those_where_things_are_sent(body: dict[str, Any]) -> None:
    topics = {entity["state_topic"] for entity in body["components"].values()}
    sent = {heartbeat(TREE, SNAPSHOT).topic, camera_status(TREE, "north", HEALTH).topic}
    sent.add(line_state(TREE, LineState("out", "gate", "on", START)).topic)
    assert sent <= topics
    assert body["availability"][0]["topic"] == f"{TREE}/status"
