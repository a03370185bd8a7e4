"""The register spares a start the reading of every bundle, and is believed no further than that."""

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.evidence import BundleWriter, DeviceKey
from edge_agent.evidence.bundle.chain import Chain
from edge_agent.evidence.bundle.register import REGISTER_FILE
from edge_agent.evidence.log import LogKey, MerkleLog
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import Box, Case, Event, Media, ModelInfo, Track

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
CAR = Track(1, "car", 0.9, Box(80, 90, 160, 140), (0.0, 0.0), 0.1, 9.0, 4.0)
CAMERA = CameraOrigin(
    Media("rtsp://camera", "live", None, START, "given"), ModelInfo("yolo", "cd" * 32)
)
LIVE = Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", {"c1": CAMERA})


def case(number: int, revision: int = 1) -> Case:
    subject, facts = f"parking.illegal/kerb/{number}", {"dwell_s": 8.0, "picture": [320, 180]}
    event = Event(
        "c1", "parking.illegal", subject, "begin", 4.0, 12.0, START, 9, "kerb", CAR, facts
    )
    return Case(subject, event, event, (), None, False, ("arrival not seen",), revision=revision)


@pytest.fixture
def written(tmp_path: Path) -> BundleWriter:
    """Five bundles, entries 0 to 4 of a log, the second one revised as entry 5."""
    state = tmp_path / "state"
    key = DeviceKey.load_or_create(state, "box-1", ManualClock(START))
    made = BundleWriter(tmp_path / "evidence", key, LIVE, Evidence(), {})
    made.log = MerkleLog(tmp_path / "log", LogKey.load_or_create(state), LIVE.log)
    for number in range(5):
        made.write(case(number), None)
    made.write(case(1, revision=2), None)
    return made


def opened(folder: Path) -> tuple[list[tuple[str, object]], set[int]]:
    chain = Chain(folder, LIVE.log)
    return [*chain.newest(9), ("head", chain.head)], chain.entries()


def harmed(path: Path) -> None:
    """Unreadable, yet as large and as old as before."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"harm")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_start_reads_what_is_new_or_touched_and_nothing_else(
    written: BundleWriter, caplog: pytest.LogCaptureFixture
) -> None:
    folder = written.folder
    plain = opened(folder)
    assert plain[1] == {0, 2, 3, 4, 5} and plain == opened(folder)
    oldest, newest = (folder / f"{name}.evb" for name, _ in (plain[0][0], plain[0][-2]))
    harmed(oldest)
    assert opened(folder) == plain, "it was not read"
    newest.touch()
    oldest.touch()
    with caplog.at_level(logging.WARNING):
        found = opened(folder)
    assert [record.message for record in caplog.records] == ["bundle unreadable"]
    assert found == (plain[0][1:], plain[1] - {0})
    newest.unlink()
    assert opened(folder)[1] == {2, 3, 4}
    assert opened(folder)[0][-1] == plain[0][-1], "the place of what was taken away stays taken"


def test_what_was_written_since_is_registered_once_a_day(written: BundleWriter) -> None:
    assert not (written.folder / REGISTER_FILE).exists()
    written.store_register()
    files = json.loads((written.folder / REGISTER_FILE).read_bytes())["files"]
    assert len(files) == 5
    harmed(written.folder / min(files))
    assert opened(written.folder)[1] == {0, 2, 3, 4, 5} == written.entries


@pytest.mark.parametrize("what", ["garbage", "foreign", "wrong"])
def test_a_register_that_is_wrong_harms_nothing(
    written: BundleWriter, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    plain = opened(written.folder)
    path = written.folder / REGISTER_FILE
    told = json.loads(path.read_bytes())
    if what == "foreign":
        told["origin"] = "edge/plaza/box-2"
    for known in told["files"].values():
        known["link"] |= {"manifest_sha256": "ab" * 32, "index": 7 + known["link"]["index"]}
    path.write_bytes(b"garbage" if what == "garbage" else json.dumps(told).encode())
    assert opened(written.folder) == plain
    assert {record.message for record in caplog.records} == {
        "garbage": {"register unreadable: every bundle is read"},
        "foreign": set(),
        "wrong": {"register is wrong: every bundle is read"},
    }[what]
    caplog.clear()
    assert opened(written.folder) == plain and not caplog.records
