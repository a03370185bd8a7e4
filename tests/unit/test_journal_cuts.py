"""A live device cut off anywhere between two system calls loses nothing that was decided."""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.errors import EvidenceError
from edge_agent.evidence import BundleWriter, DeviceKey, verify
from edge_agent.evidence.log import LogKey, MerkleLog
from edge_agent.identity import CameraOrigin, Origin, leaf_hash
from edge_agent.journal import Journal
from edge_agent.types import ArrayPicture, Box, Case, Event, Frame, Media, ModelInfo, Photo
from edge_agent.uplink import Outbox

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
LOG_KEY = LogKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
CAMERA = CameraOrigin(Media("rtsp://c", "live", None, START, "clock"), ModelInfo("n", "b" * 64))
ORIGIN = Origin({"name": "plaza"}, "box-1", "boot", "c" * 64, "edge-agent 0", {"c1": CAMERA})


LOITERS, CASE = "edge.zone.loitering.v1", "edge.evidence.case.v1"


class Cut(BaseException):
    """The power is gone."""


class Disk:
    """Counts what reaches the disk; before call number `last` everything unsynced is lost."""

    def __init__(self, patch: pytest.MonkeyPatch, last: int) -> None:
        self.left = last
        self._empty: set[str] = set()
        """Files of which only the name would be found."""
        self._unsynced: dict[str, list[tuple[Path, Path, bytes | None]]] = defaultdict(list)
        self._fsync, self._replace, self._open = os.fsync, os.replace, os.open
        patch.setattr(os, "fsync", self.fsync)
        patch.setattr(os, "replace", self.replace)
        patch.setattr(os, "open", self.open)

    def _count(self) -> None:
        if self.left == 0:
            for name in self._empty:
                os.truncate(name, 0)
            for renamed in self._unsynced.values():
                for source, target, before in reversed(renamed):
                    target.rename(source)
                    if before is not None:
                        target.write_bytes(before)
            self._unsynced.clear()
            raise Cut
        self.left -= 1

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        self._count()
        if flags & os.O_CREAT:
            self._empty.add(os.path.realpath(path))
        return self._open(path, flags, mode)

    def fsync(self, handle: int) -> None:
        self._count()
        self._fsync(handle)
        name = os.readlink(f"/proc/self/fd/{handle}")
        self._empty.discard(name)
        self._unsynced.pop(name, None)

    def replace(self, source: Path, target: Path) -> None:
        self._count()
        before = target.read_bytes() if target.exists() else None
        self._replace(source, target)
        folder, written = str(target.parent.resolve()), os.path.realpath(source)
        self._unsynced[folder].append((source, target, before))
        if written in self._empty:
            self._empty.remove(written)
            self._empty.add(os.path.realpath(target))


def event(number: int) -> Event:
    t_s = float(number)
    wall = START + timedelta(seconds=t_s)
    return Event("c1", "zone.loitering", f"s{number}", "begin", t_s, t_s, wall, number * 10, "kerb")


def case() -> Case:
    begin = replace(event(12), kind="parking.illegal")
    frame = Frame("c1", 120, 12.0, begin.wall, ArrayPicture(np.zeros((18, 32, 3), np.uint8)))
    photo = Photo("wide", frame, Box(4, 4, 8, 7), None, 1.0)
    return Case(begin.subject, begin, begin, (photo,), None, False, ("vehicle has not left",))


@contextmanager
def device(folder: Path) -> Iterator[Journal]:
    """The device, started again; its keys are there already."""
    key = DeviceKey.load_or_create(folder.parent / "state", "box-1", ManualClock(START))
    bundles = BundleWriter(folder / "evidence", key, ORIGIN, Evidence(), {})
    bundles.log = MerkleLog(folder / "log", LOG_KEY, ORIGIN.log)
    with (
        Outbox(folder / "outbox.db") as outbox,
        Journal(ORIGIN, outbox, bundles, folder / "events.jsonl") as journal,
    ):
        yield journal


def work(journal: Journal) -> None:
    for number in range(3):
        journal.event(event(number))
    journal.checkpoint()
    journal.event(event(3))
    journal.case(case(), None)
    journal.event(event(4))


def settled(folder: Path) -> tuple[list[str], int]:
    """Types of what is in the outbox, and the log's size, after checking all that is there."""
    log = MerkleLog(folder / "log", LOG_KEY, ORIGIN.log)
    with Outbox(folder / "outbox.db") as outbox:
        rows = outbox.pending()
    told = [json.loads(row.body) for row in rows]
    places = [envelope["data"]["log"]["index"] for envelope in told]
    assert sorted(set(places)) == places
    for place, row in zip(places, rows, strict=True):
        assert log.leaf(place) == leaf_hash(row.body)
        assert log.prove(place).flaw(row.body) is None
    for bundle in folder.glob("evidence/*.evb"):
        assert verify(bundle).findings == ()
    assert list((folder / "evidence").glob(".*.staged")) == []
    return [envelope["type"] for envelope in told], log.size


def test_an_undisturbed_device(tmp_path: Path) -> None:
    with device(tmp_path / "run") as journal:
        work(journal)
    expected = [*[LOITERS] * 4, CASE, LOITERS]
    assert settled(tmp_path / "run") == (expected, 7), "what is told, and the bundle"
    with device(tmp_path / "run") as journal:
        work(journal)  # the same again: only the bundle is a new revision of the case
    assert settled(tmp_path / "run") == ([*expected, CASE], 9)


def test_cut_anywhere_it_starts_again_and_has_everything(tmp_path: Path) -> None:
    cuts = 0
    while True:
        folder = tmp_path / f"cut-{cuts}"
        (folder / "evidence").mkdir(parents=True)
        DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))
        try:
            with pytest.MonkeyPatch.context() as patch:
                Disk(patch, cuts)
                with device(folder) as journal:
                    work(journal)
        except Cut:
            with device(folder):
                pass
            known, size = settled(folder)
            has_bundle = any(folder.glob("evidence/*.evb"))
            assert size == len(known) + has_bundle
            with device(folder) as journal:
                work(journal)
            told, _ = settled(folder)
            assert told[: len(known)] == known
            assert (told.count(LOITERS), CASE in told) == (5, True)
            cuts += 1
            continue
        break
    assert cuts > 40, "the whole way to the disk was cut"


def test_an_older_copy_of_the_log_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with device(folder) as journal:
        work(journal)
    log = MerkleLog(folder / "log", LOG_KEY, ORIGIN.log)
    log.restart()
    with pytest.raises(EvidenceError, match="an older copy was restored"), device(folder):
        pass


def test_what_the_log_could_not_store_is_made_up_for(tmp_path: Path) -> None:
    folder, obstacle = tmp_path / "run", tmp_path / "run/log/tile"
    with pytest.raises(Cut), device(folder) as journal:
        journal.event(event(0))
        obstacle.write_text("where the tiles should be")
        for _ in range(2):
            with pytest.raises(EvidenceError, match="cannot be made a folder"):
                journal.case(case(), None)
        journal.event(event(1))
        raise Cut
    obstacle.unlink()
    with device(folder):
        pass
    told, size = settled(folder)
    assert told == [LOITERS, LOITERS, CASE]
    assert size == 5, "the first try is an entry as well: its place was told to the second"
