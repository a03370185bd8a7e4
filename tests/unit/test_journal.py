"""What a decision moves, and what is told of plates."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry

from edge_agent.clock import ManualClock
from edge_agent.config import Evidence, Output
from edge_agent.evidence import BundleWriter, DeviceKey
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.journal import Journal
from edge_agent.live.logbook import FieldFormatter, entry
from edge_agent.plates import PlateKey, hashed
from edge_agent.signals import MockOutputs
from edge_agent.types import Box, Case, Event, Media, ModelInfo, Track
from edge_agent.uplink import Outbox, schema_for, schemas
from edge_agent.uplink.topics import topic

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
KEY = bytes(range(32))
PLATE = {"text": "AB12", "confidence": 0.9, "region": "eu", "reads": 2, "chars": [0.9] * 4}
CAR = Track(1, "car", 0.9, Box(0, 0, 9, 9), (0.0, 0.0), 0.0, 1.0, None)
REGISTRY: Registry[Any] = Registry().with_contents(schemas().items())


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    media = Media("a.mp4", "replay", "a" * 64, START, "given")
    cameras = {"c1": CameraOrigin(media, ModelInfo("nano", "b" * 64))}
    origin = Origin({"name": "plaza"}, "box-1", "boot", "c" * 64, "edge-agent 0", cameras)
    key = DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))
    bundles = BundleWriter(tmp_path / "evidence", key, origin, Evidence(), {})
    with (
        Outbox(":memory:") as outbox,
        Journal(origin, outbox, bundles, tmp_path / "events.jsonl") as made,
    ):
        made.outputs = MockOutputs({"gate": Output(pulse_ms=300)})
        yield made


def event(kind: str, t_s: float = 3.0, **facts: Any) -> Event:
    wall = START + timedelta(seconds=t_s)
    known = {"picture": [16, 9], **facts}
    return Event(
        "c1", kind, f"{kind}/1", "end", t_s, t_s, wall, int(t_s * 10), "entry", CAR, known, PLATE
    )


def grant(t_s: float = 3.0) -> Event:
    facts = {"output": "gate", "list": "staff", "list_meaning": "allow"}
    return event("access.granted", t_s, **facts)


def is_valid(envelope: dict[str, Any]) -> bool:
    return Draft202012Validator(schema_for(envelope["type"]), registry=REGISTRY).is_valid(envelope)


def test_a_grant_closes_its_contact_and_both_are_told(journal: Journal) -> None:
    journal.event(grant())
    told, done = journal.envelopes
    assert told["type"] == "edge.access.granted.v1" and told["data"]["plate"] == PLATE
    expected = {"output": "gate", "pulse_ms": 300, "backend": "mock", "cause": "access.granted"}
    assert done["type"] == "edge.io.out.v1" and expected.items() <= done["data"].items()
    assert done["subject"] == told["subject"] and done["id"] != told["id"]
    assert "plate" not in done["data"]
    assert topic(done) == "edge/v1/plaza/box-1/replay/io/out/gate"
    assert is_valid(told) and is_valid(done)
    assert isinstance(journal.outputs, MockOutputs)
    (pulse,) = journal.outputs.pulses
    assert (pulse.output, pulse.at, pulse.backend) == ("gate", START + timedelta(seconds=3), "mock")


def test_a_contact_comes_to_rest_before_it_is_closed_again(journal: Journal) -> None:
    for t_s in (3.0, 3.2, 3.5, 3.56, 4.2):  # 300 ms closed, 250 ms open
        journal.event(grant(t_s))
    kinds = [each["type"] for each in journal.envelopes]
    assert kinds.count("edge.access.granted.v1") == 5
    done = [e["data"]["time"]["pts_s"] for e in journal.envelopes if e["type"] == "edge.io.out.v1"]
    assert done == [3.0, 3.56, 4.2]


def test_nothing_else_moves_anything(journal: Journal) -> None:
    journal.event(event("plate.read", output="gate", list="staff", list_meaning="allow"))
    journal.outputs = None
    journal.event(grant())
    assert [each["type"] for each in journal.envelopes] == [
        "edge.plate.read.v1",
        "edge.access.granted.v1",
    ]


def test_plates_leave_the_box_as_hashes_where_privacy_asks_for_it(
    journal: Journal, tmp_path: Path
) -> None:
    journal.plate_key = lambda at: PlateKey(KEY)
    unread = {"text": None, "confidence": 0.0, "region": None, "reason": "one look only"}
    journal.event(event("plate.read"))
    journal.event(replace(event("plate.read", 4.0), plate=unread))
    journal.event(grant(5.0))
    end = event("parking.illegal", 6.0, dwell_s=3.0)
    journal.case(Case(end.subject, end, end, (), None, False, ("x",), plates={}, plate=PLATE), None)
    first, second, _, _, case = journal.envelopes
    expected = {**PLATE, "text": None, "hash": hashed("AB12", KEY)}
    assert first["data"]["plate"] == case["data"]["plate"] == expected
    assert second["data"]["plate"] == unread
    assert all(is_valid(each) for each in journal.envelopes)
    assert b"AB12" not in (tmp_path / "events.jsonl").read_bytes()
    # Evidence is not for everybody, and a court reads plates.
    (bundle,) = journal.written.values()
    assert bundle.manifest["plate"]["text"] == "AB12"


@pytest.mark.parametrize(("phase", "level"), [("begin", "WARNING"), ("end", "INFO")])
def test_the_log_says_what_happened_where(
    phase: Any, level: str, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "edge_agent.journal")
    fault = event("io.fault", reason="frames_stopped", outputs=["ns-call", "ew-call"])
    fault = replace(fault, phase=phase, zone=None, track=None, plate=None)
    journal.event(fault)
    (record,) = caplog.records
    text = FieldFormatter("%(levelname)s: %(message)s").format(record)
    assert text.startswith(
        f"{level}: told type=edge.io.fault.v1 camera=c1 phase={phase} reason=frames_stopped "
        "outputs=ns-call,ew-call subject=case/"
    )
    sent = entry(record, text)
    assert b"\nCAMERA=c1\n" in sent or sent.startswith(b"CAMERA=c1\n")


def test_the_log_names_the_zone_and_no_plate(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "edge_agent.journal")
    journal.event(grant())
    told, pulse = (FieldFormatter("%(message)s").format(record) for record in caplog.records)
    assert " camera=c1 phase=end zone=entry output=gate " in told
    assert " camera=c1 " in pulse and " output=gate " in pulse and " zone=" not in pulse
    assert "AB12" not in told + pulse
