"""What stands at a broker: heartbeats, cameras, contacts, answers, all as their schemas say."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml

from edge_agent.clock import ManualClock
from edge_agent.health import CameraHealth, Snapshot
from edge_agent.ports import LineState
from edge_agent.uplink.commands import Commands
from edge_agent.uplink.session import Message, Received
from edge_agent.uplink.standing import EVERY_S, EXPIRY_S, StandingFeed

TREE = "edge/v1/s/d"
DOCUMENT: dict[str, Any] = yaml.safe_load(
    (files("edge_agent.uplink") / "asyncapi.yaml").read_text("utf-8")
)
NORTH = CameraHealth("online", None, 100, 40, 3, 1, 24.9, 0.04, (12.0, 60.5))
SOUTH = CameraHealth("lost", "south: no route", 0, 0, 0, 0, 0.0, None, None, ("parking.illegal",))
SNAPSHOT = Snapshot(
    {"north": NORTH, "south": SOUTH}, 12.34, 2, 0, 10**9, 2 * 10**8, None, True, "online"
)


def check(name: str, message: Message) -> dict[str, Any]:
    """What the document says of that message holds."""
    body: dict[str, Any] = json.loads(message.body)
    schema = DOCUMENT["components"]["messages"][name]["payload"]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(body, schema, jsonschema.Draft202012Validator)
    return body


class Board:
    """Takes announcements."""

    def __init__(self) -> None:
        self.said: list[Message] = []
        self.feed = StandingFeed(TREE, self.said.append)

    def tick(self, now_s: float, snapshot: Snapshot = SNAPSHOT, *lines: LineState) -> list[Message]:
        self.said.clear()
        self.feed.tick(now_s, snapshot, lines)
        return list(self.said)


def test_everything_is_told_once_and_then_what_changes() -> None:
    board = Board()
    health, north, south = board.tick(0)
    assert check("health", health)["cameras"]["north"]["lag_p99_ms"] == 60.5
    assert (health.topic, health.expiry_s, health.is_retained) == (
        f"{TREE}/health",
        EXPIRY_S,
        False,
    )
    assert check("cameraStatus", north)["state"] == "online"
    assert check("cameraStatus", south)["rules_off"] == ["parking.illegal"]
    assert (south.topic, south.is_retained) == (f"{TREE}/cam/south/status", True)
    assert board.tick(1) == []
    back = replace(SNAPSHOT, cameras={"north": NORTH, "south": replace(SOUTH, state="online")})
    (changed,) = board.tick(2, back)
    assert changed.topic == f"{TREE}/cam/south/status"
    assert [message.topic for message in board.tick(EVERY_S, back)] == [f"{TREE}/health"]


def test_a_camera_that_is_no_more_leaves_nothing_behind() -> None:
    board = Board()
    board.tick(0)
    (gone,) = board.tick(1, replace(SNAPSHOT, cameras={"north": NORTH}))
    assert (gone.topic, gone.body, gone.is_retained) == (f"{TREE}/cam/south/status", b"", True)


@pytest.mark.parametrize("state", ["on", "off", "green"])
def test_contacts_tell_their_state(state: str) -> None:
    board = Board()
    board.tick(0)
    since = datetime(2026, 1, 1, 12, tzinfo=UTC)
    (line,) = board.tick(1, SNAPSHOT, LineState("in", "phase-1", state, since))
    assert check("lineState", line) == {"state": state, "since": "2026-01-01T12:00:00.000Z"}
    assert (line.topic, line.is_retained) == (f"{TREE}/io/in/phase-1", True)


def test_answers_are_as_described() -> None:
    answers: list[Message] = []
    with Commands(TREE, ("reload",), {"reload": dict}, answers.append, ManualClock()) as commands:
        for body in (b'{"id": "a"}', b"{", b""):
            commands.hear(Received(f"{TREE}/cmd/reload", body))
    assert len(answers) == 3
    for answer in answers:
        check("response", answer)
