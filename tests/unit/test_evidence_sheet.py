"""The printed sheet, captions in any script, and cases measured by their site's profile."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.evidence import EXIT_CODES, BundleWriter, DeviceKey, verify
from edge_agent.evidence.bundle.container import pack, unpack
from edge_agent.evidence.bundle.rates import frame_rates
from edge_agent.evidence.derivatives.lettering import Ink, fit, width_px, write
from edge_agent.evidence.derivatives.sheet import HEIGHT, MAX_BYTES, WIDTH
from edge_agent.evidence.profiles import find_profile
from edge_agent.evidence.trust.dsse import Envelope
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import (
    ArrayPicture,
    Box,
    Case,
    Event,
    Frame,
    Image,
    Media,
    ModelInfo,
    Photo,
    PlateRead,
    Role,
)

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
TIMES: dict[Role, float] = {"enter": 2.0, "wide": 12.0, "close": 14.0, "leave": 40.0}
SMALL = np.full((90, 160, 3), (0, 0, 200), np.uint8)
CORNERS = ((1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 2.0))
READ = PlateRead(0, "京A12345", (0.9,) * 7, "cn", CORNERS, 0.9)
AGREED = {
    "text": READ.text,
    "confidence": 0.9,
    "chars": list(READ.char_scores),
    "region": "cn",
    "reads": 3,
}


def case(roles: int = 4, image: Image = SMALL, has_plates: bool = True) -> Case:
    def event(phase: Any, t: float) -> Event:
        wall, facts = START + timedelta(seconds=t), {"limit_s": 5.0, "dwell_s": t - 4}
        kind = "parking.illegal"
        return Event("c1", kind, "s1", phase, 4.0, t, wall, int(t * 10), "kerb", None, facts)

    def photo(role: Role) -> Photo:
        t = TIMES[role]
        wall = START + timedelta(seconds=t)
        height, width = image.shape[:2]
        box = Box(0.25 * width, 0.25 * height, 0.5 * width, 0.5 * height)
        return Photo(role, Frame("c1", int(t * 10), t, wall, ArrayPicture(image)), box, None, 1.0)

    photos = tuple(photo(role) for role in list(TIMES)[:roles])
    is_complete = roles == 4
    latest = event("end", 42.0) if is_complete else event("begin", 12.0)
    reasons = () if is_complete else ("vehicle has not left",)
    plates = {photo.role: READ for photo in photos} if has_plates else None
    made = Case("s1", event("begin", 12.0), latest, photos, None, is_complete, reasons)
    return replace(made, plates=plates, plate=AGREED if has_plates else None)


@pytest.fixture
def key(tmp_path: Path) -> DeviceKey:
    return DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))


def writer(
    folder: Path, key: DeviceKey, profile: str | None = None, sheet: bool = True
) -> BundleWriter:
    media = Media("camera", "live", None, START, "given")
    cameras = {"c1": CameraOrigin(media, ModelInfo("yolo", None))}
    who = Origin({"name": "plaza"}, "box-1", "boot-7", "ef" * 32, "edge-agent 0", cameras)
    return BundleWriter(folder, key, who, Evidence(profile=profile, sheet=sheet), {})


def members(path: str | Path) -> dict[str, bytes]:
    return {member.name: member.data or b"" for member in unpack(Path(path).read_bytes())}


def sheet(path: str | Path) -> Image:
    found = cv2.imdecode(np.frombuffer(members(path)["derived/sheet.jpg"], np.uint8), 1)
    assert found is not None
    return np.asarray(found, np.uint8)


def test_the_sheet_shows_every_photo_where_it_belongs(tmp_path: Path, key: DeviceKey) -> None:
    bundle = writer(tmp_path / "a", key).write(case(), None)
    page = sheet(bundle.path)
    assert page.shape == (HEIGHT, WIDTH, 3)
    for x in (WIDTH // 4, 3 * WIDTH // 4):
        for y in (HEIGHT // 4, HEIGHT // 2 + 100):
            assert page[y, x, 2] > 150 > page[y, x, 0], "the photo is red"
    listed = bundle.manifest["derived"][-1]
    assert listed["path"] == "derived/sheet.jpg"
    assert listed["derived_from"] == [f"media/{role}.jpg" for role in TIMES]
    again = writer(tmp_path / "b", key).write(case(), None)
    assert members(again.path)["derived/sheet.jpg"] == members(bundle.path)["derived/sheet.jpg"]


def test_a_photo_that_is_missing_leaves_an_empty_cell(tmp_path: Path, key: DeviceKey) -> None:
    page = sheet(writer(tmp_path, key).write(case(3), None).path)
    cell = page[HEIGHT // 2 + 20 : HEIGHT // 2 + 300, WIDTH // 2 + 40 : WIDTH - 60]
    assert (cell.max(axis=2).astype(int) - cell.min(axis=2)).max() < 40, "grey, no photo"
    assert cell.min() < 160 < cell.mean(), "something is written there"


def test_a_case_without_photos_has_no_sheet(tmp_path: Path, key: DeviceKey) -> None:
    bundle = writer(tmp_path, key).write(replace(case(3, has_plates=False), photos=()), None)
    assert bundle.manifest["derived"] == []
    assert verify(Path(bundle.path)).is_valid


def test_a_sheet_of_one_photo_names_one_original(tmp_path: Path, key: DeviceKey) -> None:
    bundle = writer(tmp_path, key).write(case(1), None)
    assert bundle.manifest["derived"][-1]["derived_from"] == "media/enter.jpg"
    assert verify(Path(bundle.path)).is_valid


def test_the_sheet_stays_small_whatever_it_shows(tmp_path: Path, key: DeviceKey) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (1080, 1920, 3), np.uint8)
    data = members(writer(tmp_path, key).write(case(image=noise), None).path)["derived/sheet.jpg"]
    assert 100_000 < len(data) <= MAX_BYTES


@pytest.mark.parametrize("text", ["京A12345", "粤Z·1234港", "沪AD12345", "äöüß"])
def test_letters_of_plates_and_names_are_drawn(text: str) -> None:
    def drawn(text: str) -> Image:
        page = np.full((60, 400, 3), 255, np.uint8)
        write(page, text, (4, 44), Ink(40))
        return page

    for letter in text:
        assert not np.array_equal(drawn(letter), drawn("\U00010400")), f"{letter} is unknown"


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])), st.integers(1, 900))
def test_fitted_text_fits(text: str, limit_px: int) -> None:
    shown, ink = fit(text, Ink(30), limit_px)
    assert not shown or width_px(shown, ink) <= limit_px
    assert shown in (text, "") or shown.endswith("…")


def test_a_case_that_meets_its_profile_is_evidential(tmp_path: Path, key: DeviceKey) -> None:
    bundle = writer(tmp_path, key, "cn-four-photo").write(case(), None)
    told = bundle.manifest
    assert (told["profile"], told["evidential"], told["reasons"]) == ("cn-four-photo", True, [])
    assert verify(Path(bundle.path)).findings == ()


def test_a_case_that_misses_its_profile_says_why(tmp_path: Path, key: DeviceKey) -> None:
    blind = writer(tmp_path / "a", key, "cn-four-photo").write(case(has_plates=False), None)
    assert (blind.manifest["evidential"], blind.manifest["reasons"]) == (False, ["plate not read"])
    small = writer(tmp_path / "b", key, "cn-ga832").write(case(), None)
    assert small.manifest["reasons"] == ["picture too small", "clock not synchronised"]
    for bundle in (blind, small):
        assert verify(Path(bundle.path)).findings == ()


def test_a_partial_case_may_be_all_that_a_profile_needs(tmp_path: Path, key: DeviceKey) -> None:
    stays = writer(tmp_path / "a", key, "bj-2014").write(case(3), None)
    assert (stays.manifest["case"]["is_complete"], stays.manifest["evidential"]) == (False, True)
    four = writer(tmp_path / "b", key, "cn-four-photo").write(case(3), None)
    assert four.manifest["reasons"] == ["vehicle has not left"]
    assert verify(Path(stays.path)).findings == verify(Path(four.path)).findings == ()


def forge(path: Path, key: DeviceKey, change: Callable[[Any], object]) -> None:
    """What somebody with the device's key could do."""
    found = members(path)
    told = json.loads(found["manifest.json"])
    change(told)
    text = rfc8785.dumps(told)
    envelope = Envelope(text, b"", key.fingerprint)
    sealed = Envelope(text, key.sign(envelope.signed), key.fingerprint)
    found |= {"manifest.json": text, "manifest.dsse": sealed.to_bytes()}
    path.write_bytes(pack(found.items()))


@pytest.mark.parametrize("name", ["cn-ga832", "uk-2022-71", "somebody-elses"])
def test_a_profile_that_is_merely_claimed_is_found_out(
    tmp_path: Path, key: DeviceKey, name: str
) -> None:
    path = Path(writer(tmp_path / "out", key).write(case(), None).path)
    assert verify(path).is_valid
    forge(path, key, lambda told: told.update(profile=name))
    report = verify(path)
    assert {finding.code for finding in report.findings} == {"profile"}
    assert report.exit_code == EXIT_CODES["profile"] == 24


def test_a_profile_that_is_asked_for_is_an_answer_not_a_flaw(
    tmp_path: Path, key: DeviceKey
) -> None:
    path = Path(writer(tmp_path / "out", key).write(case(), None).path)
    report = verify(path, None, find_profile("cn-ga832"))
    assert report.is_valid and report.exit_code == EXIT_CODES["profile"]
    assert {verdict.rule.id for verdict in report.missed} == {"picture-size", "clock"}
    assert verify(path, None, find_profile("bj-2014")).exit_code == 0


def test_an_own_profile_is_attached(tmp_path: Path, key: DeviceKey) -> None:
    rules = (
        "name: mine\ntitle: Ours\nrules:\n  - {id: two, source: by-law 3, "
        "sentence: Two stills., check: stills, at_least: 2}\n"
    )
    (tmp_path / "mine.yaml").write_text(rules)
    out = writer(tmp_path / "out", key, str(tmp_path / "mine.yaml"))
    path = Path(out.write(case(), None).path)
    assert list(members(path))[-1] == "profile.json"
    assert verify(path).is_valid
    forge(path, key, lambda told: told.update(profile="cn-ga832"))
    assert verify(path).exit_code == EXIT_CODES["profile"]


def test_the_slowest_moment_of_a_clip_counts(
    tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    times_ms = [0, 40, 80, 120, 370, 410]
    data = make_video(tmp_path / "a.mp4", 6, times_ms=times_ms).read_bytes()
    assert frame_rates(data) == {"frames": 6, "fps": 12.195, "min_fps": 4.0}
    assert frame_rates(b"no clip") == {}


def test_a_site_may_do_without_the_sheet(tmp_path: Path, key: DeviceKey) -> None:
    bundle = writer(tmp_path, key, sheet=False).write(case(), None)
    assert [item["path"] for item in bundle.manifest["derived"]] == ["derived/wide-overlay.jpg"]
    assert verify(Path(bundle.path)).is_valid
