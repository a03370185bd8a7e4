"""Some events a second time, in the words of ONVIF's event broker (opt-in).

Format: ONVIF Core Specification, event broker: `<prefix>/onvif-ej/<topic>/&<source items>` with
`UtcTime`, `Source` and `Data` as JSON; topics are those of the `tns1` tree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge_agent.uplink.envelope import canonical
from edge_agent.uplink.outbox import Row
from edge_agent.uplink.session import Message

EXPIRY_S: Final = 60
"""These are for who watches now; the events themselves wait for a week."""


@dataclass(frozen=True, slots=True)
class Topic:
    """How one kind of event is called there."""

    path: str
    """Below `tns1:`."""
    state: str | None = None
    """Name of the boolean that is true from begin to end; None for what happens in a moment."""
    has_plate: bool = False


TOPICS: Final[Mapping[str, Topic]] = {
    "edge.flow.line_crossing.v1": Topic("RuleEngine/LineDetector/Crossed"),
    "edge.zone.trespass.v1": Topic("RuleEngine/FieldDetector/ObjectsInside", "IsInside"),
    "edge.zone.loitering.v1": Topic("RuleEngine/LoiteringDetector/ObjectIsLoitering", "State"),
    "edge.plate.read.v1": Topic("RuleEngine/Recognition/LicensePlate", has_plate=True),
    "edge.camera.blurred.v1": Topic("VideoSource/ImageTooBlurry/AnalyticsService", "State"),
    "edge.camera.dark.v1": Topic("VideoSource/ImageTooDark/AnalyticsService", "State"),
    "edge.camera.overexposed.v1": Topic("VideoSource/ImageTooBright/AnalyticsService", "State"),
    "edge.camera.covered.v1": Topic("VideoSource/GlobalSceneChange/AnalyticsService", "State"),
    "edge.camera.moved.v1": Topic("VideoSource/GlobalSceneChange/AnalyticsService", "State"),
}
"""Everything else has no counterpart there and is not told twice."""


def mirrored(row: Row, prefix: str) -> Message | None:
    """What an ONVIF client hears of an event; None if it has no word for it."""
    envelope: Mapping[str, Any] = json.loads(row.body)
    topic = TOPICS.get(str(envelope.get("type")))
    if topic is None:
        return None
    data = envelope["data"]
    if data["phase"] == "update" or (topic.state is None and data["phase"] != "begin"):
        return None
    source = {"VideoSource": data["source"]["camera"]}
    if topic.path.startswith("RuleEngine"):
        source["Rule"] = data.get("zone") or str(envelope["type"]).split(".")[2]
    body = canonical(
        {
            "UtcTime": envelope["time"],
            "PropertyOperation": "Changed",
            "Source": source,
            "Data": _items(topic, data),
        }
        if topic.state
        else {"UtcTime": envelope["time"], "Source": source, "Data": _items(topic, data)}
    )
    address = f"{prefix}/onvif-ej/{topic.path}/&{'/'.join(source.values())}"
    return Message(address, body, expiry_s=EXPIRY_S)


def _items(topic: Topic, data: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if topic.state is not None:
        found[topic.state] = data["phase"] == "begin"
    if "object" in data:
        found["ObjectId"] = str(data["object"]["track"])
    if topic.has_plate and "plate" in data:
        found["PlateNumber"] = data["plate"].get("text")
    return found
