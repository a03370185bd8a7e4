"""Events in ONVIF's words."""

import json
from typing import Any

import pytest

from edge_agent.uplink import schemas
from edge_agent.uplink.onvif import TOPICS, mirrored
from edge_agent.uplink.outbox import Row


def row(kind: str, phase: str = "begin", **data: Any) -> Row:
    envelope = {
        "type": f"edge.{kind}.v1",
        "time": "2026-05-13T09:49:12.123Z",
        "data": {"phase": phase, "source": {"camera": "north"}, **data},
    }
    return Row(1, "t", json.dumps(envelope).encode())


def test_a_state_begins_and_ends() -> None:
    for phase, state in (("begin", True), ("end", False)):
        found = mirrored(row("zone.trespass", phase, zone="yard", object={"track": 7}), "box")
        assert found is not None
        assert found.topic == "box/onvif-ej/RuleEngine/FieldDetector/ObjectsInside/&north/yard"
        assert json.loads(found.body) == {
            "UtcTime": "2026-05-13T09:49:12.123Z",
            "PropertyOperation": "Changed",
            "Source": {"VideoSource": "north", "Rule": "yard"},
            "Data": {"IsInside": state, "ObjectId": "7"},
        }


def test_a_moment_is_told_once() -> None:
    told = row("plate.read", plate={"text": "M AB 123"})
    found = mirrored(told, "s/d")
    assert found is not None
    assert json.loads(found.body)["Data"] == {"PlateNumber": "M AB 123"}
    assert "PropertyOperation" not in json.loads(found.body)
    assert mirrored(row("plate.read", "end"), "s/d") is None


@pytest.mark.parametrize("kind", ["parking.illegal", "evidence.case", "flow.lane"])
def test_what_onvif_has_no_word_for_is_not_told(kind: str) -> None:
    assert mirrored(row(kind), "p") is None
    assert mirrored(row("zone.trespass", "update"), "p") is None
    assert mirrored(Row(1, "t", b'{"id": "x"}'), "p") is None


def test_only_kinds_that_exist_are_mapped() -> None:
    known = {f"edge.{name.split(':')[3]}.v1" for name in schemas()}
    assert set(TOPICS) <= known
