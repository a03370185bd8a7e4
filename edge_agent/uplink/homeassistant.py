"""What Home Assistant is told so that it shows a box without being configured.

Format: MQTT device discovery (home-assistant.io/integrations/mqtt, "Device discovery payload").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from edge_agent.config.models import Site
from edge_agent.uplink import topics
from edge_agent.uplink.envelope import canonical
from edge_agent.uplink.session import Message

_NAME = "edge-agent"
_HEALTH = {
    "uptime": ("Uptime", "uptime_s", {"device_class": "duration", "unit_of_measurement": "s"}),
    "waiting": ("Undelivered events", "waiting", {}),
    "disk_free": (
        "Free disk space",
        "disk_free_bytes",
        {"device_class": "data_size", "unit_of_measurement": "B"},
    ),
    "memory": (
        "Memory",
        "memory_bytes",
        {"device_class": "data_size", "unit_of_measurement": "B"},
    ),
    "temperature": (
        "Temperature",
        "temperature_c",
        {"device_class": "temperature", "unit_of_measurement": "°C"},
    ),
}
_EXPIRE_S = 120
"""Four heartbeats."""


def discovery(site: Site, prefix: str, software: str) -> Message:
    """The retained message that makes a box appear as one device with its entities.

    An empty one on the same topic makes it disappear.
    """
    name = f"{_NAME}_{site.site.name}_{site.device}"
    tree = topics.root(site.site.name, site.device, is_replay=False)
    entities = {**_health(tree), **_cases(tree), **_cameras(site, tree), **_outputs(site, tree)}
    for key, entity in entities.items():
        entity["unique_id"] = f"{name}_{key}"
    body = {
        "device": {
            "identifiers": [name],
            "name": f"{site.site.name} {site.device}",
            "manufacturer": _NAME,
            "model": _NAME,
            "sw_version": software,
        },
        "origin": {"name": _NAME, "sw_version": software},
        "availability": [
            {"topic": topics.status(tree), "value_template": "{{ value_json.state }}"}
        ],
        "qos": 1,
        "components": entities,
    }
    return Message(f"{prefix}/device/{name}/config", canonical(body), is_retained=True)


def _health(tree: str) -> dict[str, dict[str, Any]]:
    common = {
        "state_topic": topics.health(tree),
        "entity_category": "diagnostic",
        "expire_after": _EXPIRE_S,
    }
    found: dict[str, dict[str, Any]] = {
        key: {
            "platform": "sensor",
            "name": name,
            "state_class": "measurement",
            "value_template": f"{{{{ value_json.{figure} }}}}",
            **more,
            **common,
        }
        for key, (name, figure, more) in _HEALTH.items()
    }
    found["problem"] = {
        "platform": "binary_sensor",
        "name": "Health",
        "device_class": "problem",
        "value_template": "{{ 'OFF' if value_json.well else 'ON' }}",
        **common,
    }
    return found


def _cases(tree: str) -> dict[str, dict[str, Any]]:
    return {
        "last_case": {
            "platform": "sensor",
            "name": "Last case",
            "device_class": "timestamp",
            "state_topic": f"{tree}/case/+",
            "value_template": "{{ value_json.time }}",
            "json_attributes_topic": f"{tree}/case/+",
            "json_attributes_template": "{{ {'case': value_json.subject, 'kind': "
            "value_json.data.kind, 'evidential': value_json.data.evidential} | tojson }}",
        }
    }


def _cameras(site: Site, tree: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for camera, settings in site.cameras.items():
        found[f"camera_{camera}"] = {
            "platform": "binary_sensor",
            "name": f"Camera {camera}",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": topics.camera_status(tree, camera),
            "value_template": "{{ 'ON' if value_json.state == 'online' else 'OFF' }}",
            "json_attributes_topic": topics.camera_status(tree, camera),
        }
        if settings.bays and any(rule.kind == "parking.availability" for rule in settings.rules):
            found |= _bays(tree, camera, settings.bays.zones)
    return found


def _bays(tree: str, camera: str, bays: Iterable[str]) -> Mapping[str, dict[str, Any]]:
    """Told by the events of the rule `parking.availability`; unknown until the first."""
    topic = f"{tree}/cam/{camera}/event/parking/availability"
    found: dict[str, dict[str, Any]] = {
        f"free_{camera}": {
            "platform": "sensor",
            "name": f"Free bays {camera}",
            "state_class": "measurement",
            "state_topic": topic,
            "value_template": "{{ value_json.data.free | default(this.state) }}",
        }
    }
    for bay in bays:
        is_taken = f"'ON' if '{bay}' in value_json.data.occupied_bays else 'OFF'"
        found[f"bay_{camera}_{bay}"] = {
            "platform": "binary_sensor",
            "name": f"Bay {bay}",
            "device_class": "occupancy",
            "state_topic": topic,
            "value_template": f"{{{{ ({is_taken}) if value_json.data.occupied_bays is defined "
            "else this.state | upper }}",
        }
    return found


def _outputs(site: Site, tree: str) -> dict[str, dict[str, Any]]:
    names = [*site.outputs, *site.calls]
    return {
        f"out_{name}": {
            "platform": "binary_sensor",
            "name": f"Output {name}",
            "state_topic": topics.line(tree, "out", name),
            # Events of the same contact share the topic; they have no `state`.
            "value_template": "{{ (value_json.state | default(this.state)) | upper }}",
        }
        for name in names
    }
