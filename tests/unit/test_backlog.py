"""What waits in memory for the disk: in order, bounded, and without moving anything late."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent.clock import ManualClock
from edge_agent.config import Evidence, Output
from edge_agent.errors import EvidenceError
from edge_agent.evidence import BundleWriter, DeviceKey
from edge_agent.evidence.storage import Ballast, Storage
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.journal import Journal
from edge_agent.live.backlog import MAX_CASES, Backlog
from edge_agent.signals import MockOutputs
from edge_agent.types import ArrayPicture, Box, Case, Event, Frame, Media, ModelInfo, Photo
from edge_agent.uplink import Outbox

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
PICTURE = ArrayPicture(np.zeros((90, 160, 3), np.uint8))


@pytest.fixture
def backlog(tmp_path: Path) -> Iterator[Backlog]:
    camera = CameraOrigin(Media("rtsp://c", "live", None, START, "clock"), ModelInfo("n", "b" * 64))
    origin = Origin({"name": "plaza"}, "box-1", "boot", "c" * 64, "edge-agent 0", {"c1": camera})
    key = DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))
    bundles = BundleWriter(tmp_path / "evidence", key, origin, Evidence(sheet=False), {})
    with (
        Outbox(tmp_path / "outbox.db", max_bytes=6000) as outbox,
        Journal(origin, outbox, bundles, tmp_path / "events.jsonl") as journal,
    ):
        journal.outputs = MockOutputs({"gate": Output(pulse_ms=300)})
        yield Backlog(journal)


def event(number: int, kind: str = "plate.read", **facts: Any) -> Event:
    wall = START + timedelta(seconds=number)
    return Event("c1", kind, f"{kind}/{number}", "end", number, number, wall, number, facts=facts)


def case(number: int, revision: int = 1) -> Case:
    begin = event(number, "parking.illegal")
    frame = Frame("c1", number, float(number), begin.wall, PICTURE)
    photos = (Photo("wide", frame, Box(10, 10, 60, 50), None, 1.0),)
    return Case(begin.subject, begin, begin, photos, None, False, ("arrival not seen",), revision)


def numbers(backlog: Backlog) -> list[int]:
    return [each["data"]["time"]["frame"] for each in backlog.journal.envelopes]


def deliver(backlog: Backlog) -> None:
    """A broker takes everything that waits in the outbox, which has room again."""
    outbox = backlog.journal.outbox
    outbox.delivered(*(row.sequence for row in outbox.pending()))


def test_events_wait_in_order(backlog: Backlog) -> None:
    for number in range(12):
        backlog.event(event(number))
    stored = len(backlog.journal.envelopes)
    assert 0 < stored < 12 and backlog.waiting == 12 - stored
    while not backlog.retry():
        deliver(backlog)
    assert numbers(backlog) == list(range(12))


def test_what_no_disk_will_ever_take_holds_nothing_up(backlog: Backlog) -> None:
    for number in range(12):
        backlog.event(event(number))
    first = len(backlog.journal.envelopes)
    assert backlog.waiting > 2
    backlog.events.insert(1, replace(event(90), camera="nobody"))
    deliver(backlog)
    with pytest.raises(KeyError):
        backlog.retry()
    while not backlog.retry():
        deliver(backlog)
    assert numbers(backlog) == list(range(12)) and first < 12


def test_a_grant_that_comes_late_is_told_but_opens_nothing(backlog: Backlog) -> None:
    grant = {"output": "gate", "list": "staff", "list_meaning": "allow"}
    backlog.event(event(0, "access.granted", **grant))
    for number in range(1, 12):
        backlog.event(event(number))
    backlog.event(event(12, "access.granted", **grant))
    while not backlog.retry():
        deliver(backlog)
    assert isinstance(backlog.journal.outputs, MockOutputs)
    assert [pulse.at for pulse in backlog.journal.outputs.pulses] == [START]
    assert [e["type"] for e in backlog.journal.envelopes].count("edge.access.granted.v1") == 2


def test_what_can_never_be_signed_is_not_kept(backlog: Backlog) -> None:
    strange = replace(case(0), latest=event(0, "parking.illegal", speed=2**60))
    with pytest.raises(EvidenceError, match="cannot be signed"):
        backlog.case(strange, None)
    assert backlog.waiting == 0


def test_what_can_never_be_signed_leaves_the_others_in_order(
    backlog: Backlog, tmp_path: Path
) -> None:
    (tmp_path / "evidence").rename(tmp_path / "away")
    for each in (case(1), case(1, revision=2)):
        backlog.case(each, None)
    strange = replace(case(0), latest=event(0, "parking.illegal", speed=2**60))
    backlog.cases.insert(1, (strange, None))
    with pytest.raises(EvidenceError, match="cannot be signed"):
        backlog.retry()
    assert [each.revision for each, _ in backlog.cases] == [1, 2]


def test_memory_ends_as_well(backlog: Backlog, tmp_path: Path) -> None:
    (tmp_path / "evidence").rename(tmp_path / "away")
    for number in range(MAX_CASES):
        backlog.case(case(number), b"clip")
    backlog.case(case(20, revision=2), None)
    backlog.case(case(21), None)
    kept = [(len(each.photos), clip, each.reasons[-1]) for each, clip in backlog.cases]
    assert kept[:2] == [(0, None, "shed for memory")] * 2
    assert all(photos for photos, _, _ in kept[2:]) and len(kept) == MAX_CASES + 2
    for number in range(22, 22 + MAX_CASES):
        backlog.case(case(number), None)
    subjects = [each.subject for each, _ in backlog.cases]
    assert "parking.illegal/20" not in subjects, "its first revision is on the disk"
    assert len(subjects) == 2 * MAX_CASES + 1
    (tmp_path / "away").rename(tmp_path / "evidence")
    while not backlog.retry():
        deliver(backlog)
    assert len(list((tmp_path / "evidence").glob("*.evb"))) == 2 * MAX_CASES + 1


def test_events_without_end_give_up_what_says_least_first(backlog: Backlog) -> None:
    backlog.max_events = 4
    number = 0
    while len(backlog.events) < 2:  # the outbox is full from here on
        backlog.event(event(number))
        number += 1
    waiting = [each.frame for each in backlog.events]
    backlog.event(event(100, "flow.line_crossing"))
    backlog.event(replace(event(101), phase="update"))
    backlog.event(event(102))
    assert [each.frame for each in backlog.events] == [*waiting, 101, 102]
    backlog.event(event(103))
    assert [each.frame for each in backlog.events] == [*waiting, 102, 103]
    assert backlog.shed_events == 2
    backlog.event(event(104))
    assert [each.frame for each in backlog.events] == [waiting[1], 102, 103, 104]


def test_a_disk_that_was_unplugged_is_waited_for_and_told_once(
    backlog: Backlog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundles = backlog.journal.bundles
    backlog.journal.storage = Storage(bundles, Ballast(bundles.folder, 4096), Evidence())
    bundles.folder.rename(tmp_path / "unplugged")
    backlog.case(case(1), None)
    backlog.case(case(2), None)
    for _ in range(20):
        assert not backlog.retry()
    assert backlog.waiting == 2
    assert [each.message for each in caplog.records] == ["kept in memory"]
    (tmp_path / "unplugged").rename(bundles.folder)
    assert backlog.retry() and len(list(bundles.folder.glob("*.evb"))) == 2
    assert caplog.records[-1].message == "the disk has taken what waited"


def test_what_waits_of_a_camera_that_is_no_more_is_told_all_the_same(
    backlog: Backlog, tmp_path: Path
) -> None:
    journal, old = backlog.journal, backlog.journal.bundles
    key = DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))
    cameras = {"c2": journal.origin.cameras["c1"]}
    origin = replace(journal.origin, cameras=cameras)
    journal.change(BundleWriter(old.folder, key, origin, Evidence(sheet=False), {}), None)
    backlog.event(event(1))
    backlog.case(case(2), None)
    assert backlog.waiting == 0 and len(journal.envelopes) == 2
