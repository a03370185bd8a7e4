"""The topic tree and its published description agree."""

import gzip
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from edge_agent.checkpoints import EVERY_S
from edge_agent.uplink import commands, standing, topics
from edge_agent.uplink.delivery import EXPIRY_S
from write_asyncapi import written

FOLDER = files("edge_agent.uplink")
DOCUMENT: dict[str, Any] = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text("utf-8"))


def envelope(kind: str, source_kind: str) -> dict[str, Any]:
    return {
        "source": "urn:edge:kerb-3:box-1/cam/c1",
        "type": kind,
        "subject": "case/0123456789abcdef01234567",
        "data": {"source": {"kind": source_kind}},
    }


@pytest.mark.parametrize(
    ("kind", "source_kind", "expected"),
    [
        ("edge.parking.illegal.v1", "live", "edge/v1/kerb-3/box-1/cam/c1/event/parking/illegal"),
        (
            "edge.incident.stopped_vehicle.v1",
            "replay",
            "edge/v1/kerb-3/box-1/replay/cam/c1/event/incident/stopped_vehicle",
        ),
        ("edge.flow.lane.v1", "live", "edge/v1/kerb-3/box-1/cam/c1/stats"),
        ("edge.flow.lane.v1", "replay", "edge/v1/kerb-3/box-1/replay/cam/c1/stats"),
        ("edge.evidence.case.v1", "live", "edge/v1/kerb-3/box-1/case/0123456789abcdef01234567"),
        (
            "edge.evidence.case.v1",
            "replay",
            "edge/v1/kerb-3/box-1/replay/case/0123456789abcdef01234567",
        ),
    ],
)
def test_topic(kind: str, source_kind: str, expected: str) -> None:
    assert topics.topic(envelope(kind, source_kind)) == expected


def test_status_and_info_lie_below_the_root() -> None:
    tree = topics.root("kerb-3", "box-1", is_replay=True)
    assert topics.status(tree) == "edge/v1/kerb-3/box-1/replay/status"
    assert topics.info(topics.root("s", "d", is_replay=False)) == "edge/v1/s/d/info"


def test_document_describes_exactly_the_topics_that_exist() -> None:
    assert DOCUMENT["asyncapi"].startswith("3.")
    addresses = [channel["address"] for channel in DOCUMENT["channels"].values()]
    assert sorted(addresses) == sorted(topics.ADDRESSES)


def test_document_is_asyncapi_3() -> None:
    """By the AsyncAPI Initiative's own schema (@asyncapi/specs 6.11, Apache-2.0, no examples)."""
    path = Path(__file__).with_name("asyncapi-3.0.0.json.gz")
    rules = jsonschema.Draft7Validator(json.loads(gzip.decompress(path.read_bytes())))
    assert not [error.message for error in rules.iter_errors(DOCUMENT)]
    wrong = {**DOCUMENT, "operations": {"shout": {"action": "shout"}}}
    assert not rules.is_valid(wrong)


def test_document_declares_every_parameter_of_an_address() -> None:
    for channel in DOCUMENT["channels"].values():
        named = {part[1:-1] for part in channel["address"].split("/") if part.startswith("{")}
        assert named == set(channel["parameters"])


def test_document_has_one_operation_per_channel() -> None:
    used = [operation["channel"]["$ref"] for operation in DOCUMENT["operations"].values()]
    assert sorted(used) == sorted(f"#/channels/{name}" for name in DOCUMENT["channels"])
    for operation in DOCUMENT["operations"].values():
        binding = operation["bindings"]["mqtt"]
        spans = (EXPIRY_S, EVERY_S, commands.EXPIRY_S, standing.EXPIRY_S)
        assert binding["retain"] or binding["messageExpiryInterval"] in spans


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in references(value)]
    return [ref for value in node for ref in references(value)] if isinstance(node, list) else []


def test_document_references_resolve() -> None:
    for reference in references(DOCUMENT):
        if reference.startswith("./"):
            assert json.loads((FOLDER / reference[2:]).read_text("utf-8"))["$id"]
            continue
        node = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_document_describes_every_event_type_that_has_a_schema() -> None:
    described = {ref for ref in references(DOCUMENT) if ref.startswith("./schemas/")}
    shipped = {f"./schemas/{entry.name}" for entry in (FOLDER / "schemas").iterdir()}
    assert described == shipped - {"./schemas/data.json"}


def test_document_is_what_its_generator_writes() -> None:
    text = (FOLDER / "asyncapi.yaml").read_text("utf-8")
    assert written(text) == text, "run python tools/write_asyncapi.py"
