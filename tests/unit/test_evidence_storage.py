"""What a case gives up when the disk has no room for it, and what it never does."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent.clock import ClockReading, ClockSpan, ManualClock, Sync
from edge_agent.config import Evidence
from edge_agent.evidence import BundleWriter, DeviceKey, verify, verify_chain
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.case.legibility import with_plates
from edge_agent.evidence.staging import NoSpace, make_folder
from edge_agent.evidence.storage import Ballast, Storage
from edge_agent.evidence.verification.consistency import contradictions
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import (
    ArrayPicture,
    Box,
    Case,
    Event,
    Frame,
    Media,
    ModelInfo,
    Photo,
    PlateRead,
    Role,
)

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
SYNC = Sync("ntp", True, 12.0)
NOISE = np.random.default_rng(5).integers(0, 255, (360, 640, 3), np.uint8)
"""At full quality some 420 KB as a JPEG."""
MOMENTS: dict[Role, float] = {"enter": 1.0, "wide": 4.0, "close": 5.0, "leave": 8.0}


def case(subject: str = "s", revision: int = 1) -> Case:
    def event(phase: Any, t_s: float) -> Event:
        wall = START + timedelta(seconds=t_s)
        reading = ClockReading(round(t_s * 1e9), SYNC)
        return Event(
            "c1", "parking.illegal", subject, phase, 1.0, t_s, wall, int(t_s), clock=reading
        )

    def photo(role: Role) -> Photo:
        t_s = MOMENTS[role]
        frame = Frame("c1", int(t_s), t_s, START + timedelta(seconds=t_s), ArrayPicture(NOISE))
        return Photo(role, frame, Box(10, 10, 600, 300), None, 1.0)

    photos = tuple(photo(role) for role in MOMENTS)
    begin, end = event("begin", 4.0), event("end", 8.0)
    return Case(subject, begin, end, photos, (0.0, 8.0), True, (), revision, clock=ClockSpan(SYNC))


Open = Callable[..., Storage]


@pytest.fixture
def storage(tmp_path: Path) -> Open:
    """Opens a live device's storage with that budget."""
    camera = CameraOrigin(Media("rtsp://c", "live", None, START, "clock"), ModelInfo("n", "b" * 64))
    origin = Origin({"name": "plaza"}, "box-1", "boot-7", "c" * 64, "edge-agent 0", {"c1": camera})
    key = DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))

    def open_storage(ballast: int = 4096, **settings: int | None) -> Storage:
        told: dict[str, Any] = {"jpeg_quality": 100, "min_free_mb": 0, "sheet": False, **settings}
        evidence = Evidence(**told)
        folder = tmp_path / "evidence"
        bundles = BundleWriter(folder, key, origin, evidence, {})
        return Storage(bundles, Ballast(folder, ballast), evidence)

    return open_storage


def kept(storage: Storage, of: Case, clip: bytes | None) -> tuple[set[str], Manifest]:
    """What the bundle holds, after verifying that it is sound; its manifest."""
    bundle = storage.write(of, clip)
    report = verify(Path(bundle.path))
    assert report.is_valid, report.findings
    facts = Manifest.model_validate(bundle.manifest)
    return {item.role for item in facts.media} | ({"derived"} if facts.derived else set()), facts


ALL = {"enter", "wide", "close", "leave"}


@pytest.mark.parametrize(
    ("budget_mb", "clip_kb", "left"),
    [
        (None, 900, ALL | {"clip", "derived"}),
        (4, 900, ALL | {"clip", "derived"}),
        (4, 1900, ALL | {"derived"}),
        (2, 900, ALL),
        (1, 900, {"wide", "close"}),
    ],
)
def test_first_clips_then_photos(
    storage: Open, budget_mb: int | None, clip_kb: int, left: set[str]
) -> None:
    found, facts = kept(storage(disk_budget_mb=budget_mb), case(), bytes(clip_kb * 1000))
    assert found == left
    given_up = (ALL | {"clip", "derived"}) - left
    assert set(facts.shed.what if facts.shed else ()) == given_up
    assert facts.shed is None or facts.shed.why == "disk budget"
    photos_shed = ["photos shed: disk budget"] if ALL - left else []
    assert facts.case.reasons == photos_shed and facts.reasons == photos_shed
    assert facts.evidential == facts.case.is_complete == (not photos_shed)


def test_records_are_written_however_full_it_is(storage: Open, tmp_path: Path) -> None:
    full = storage(disk_budget_mb=1)
    for number in range(6):
        found, facts = kept(full, case(f"s/{number}"), b"clip")
        assert found == ({"wide", "close"} if number == 0 else set())
        assert facts.shed is not None and facts.case.reasons == ["photos shed: disk budget"]
    paths = sorted((tmp_path / "evidence").glob("*.evb"))
    assert len(paths) == 6 and verify_chain(paths).is_valid
    assert sum(path.stat().st_size for path in paths) < 1_100_000


def test_a_later_revision_never_takes_away_what_an_earlier_one_holds(storage: Open) -> None:
    first = storage().write(case(), b"clip")
    before = Path(first.path).read_bytes()
    full = storage(disk_budget_mb=1)
    with pytest.raises(NoSpace, match="there is room for"):
        full.write(case(revision=2), None)
    assert Path(first.path).read_bytes() == before
    roomy, facts = kept(storage(disk_budget_mb=3), case(revision=2), None)
    assert roomy == ALL | {"clip", "derived"} and facts.case.revision == 2


def test_room_that_comes_back_is_used(storage: Open) -> None:
    full = storage(disk_budget_mb=1)
    assert kept(full, case("first"), None)[0] == {"wide", "close"}
    assert kept(full, case("second"), None)[0] == set()
    Path(full.write(case("first", 2), None).path).unlink()
    assert kept(full, case("third"), None)[0] == {"wide", "close"}


def test_a_budget_that_is_used_up_is_told_at_once_and_once(
    storage: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opened = storage(disk_budget_mb=4)
    assert opened.shedding is None
    opened.write(case("a"), bytes(900_000))
    assert opened.shedding is None and not caplog.records, "there was room"
    for subject in "bcd":
        opened.write(case(subject), bytes(900_000))
        assert opened.shedding == "disk budget"
    (told,) = caplog.records
    assert told.levelname == "ERROR" and "disk_budget_mb" in told.__dict__["remedy"]
    caplog.clear()
    opened = storage(disk_budget_mb=2)
    assert opened.shedding == "disk budget", "before the first case loses anything"
    assert len(caplog.records) == 1
    opened.write(replace(case("e"), photos=()), None)
    assert opened.shedding is not None, "a case without pictures is no sign of room"
    for path in (tmp_path / "evidence").glob("*.evb"):
        path.unlink()
    opened.write(replace(case("f"), photos=case("f").photos[:1]), None)
    assert opened.shedding is None


def test_what_is_shed_and_what_is_there_must_agree(storage: Open) -> None:
    _, facts = kept(storage(disk_budget_mb=1), case(), b"clip")
    assert list(contradictions(facts)) == []
    assert facts.shed is not None
    told = facts.shed.model_copy(update={"what": [*facts.shed.what, "wide"]})
    (found,) = contradictions(facts.model_copy(update={"shed": told}))
    assert found == "wide was given up for want of room, and is there"
    silent = facts.case.model_copy(update={"reasons": ["arrival not seen"]})
    (found,) = contradictions(facts.model_copy(update={"case": silent}))
    assert "photos were given up" in found


class Reader:
    """Reads the plate wherever it looks."""

    models: tuple[ModelInfo, ...] = (ModelInfo("plates", "ab" * 32),)

    def read(self, frame: Frame, tracks: Any) -> tuple[PlateRead, ...]:
        return ()

    def look(self, frame: Frame, vehicle: Box) -> PlateRead | None:
        return PlateRead(1, "AB12", (0.9,) * 4, "eu", (), 0.9)


@pytest.mark.parametrize("before", ["", "before"])
def test_a_plate_that_no_photo_shows_any_more_is_doubted(storage: Open, before: str) -> None:
    full = storage(disk_budget_mb=1)
    if before:
        full.write(case(before), None)
    found, facts = kept(full, with_plates(case(), Reader()), None)
    assert found == (set() if before else {"wide", "close"})
    assert ("plate not legible" in facts.reasons) == bool(before)


def test_ballast_is_kept_given_up_and_taken_again(tmp_path: Path) -> None:
    make_folder(tmp_path / "a/b/c")
    ballast = Ballast(tmp_path / "a/b/c", 100_000)
    assert not ballast.release()
    ballast.restore(0)
    assert ballast.path.stat().st_blocks * 512 >= 100_000, "it takes no space"
    assert ballast.release() and not ballast.release()
    ballast.restore(1 << 60)
    assert not ballast.path.exists()


def test_a_case_without_photos_has_nothing_to_give_up(storage: Open) -> None:
    bare = replace(case(), photos=(), clip_s=None, is_complete=False, reasons=("arrival not seen",))
    found, facts = kept(storage(disk_budget_mb=1), bare, None)
    assert (found, facts.shed) == (set(), None)
