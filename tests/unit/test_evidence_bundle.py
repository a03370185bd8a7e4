"""Writing bundles: what they hold, that they repeat, that they are there whole or not at all."""

import hashlib
import io
import json
import resource
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rfc8785

from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.errors import EvidenceError
from edge_agent.evidence import BundleWriter, DeviceKey, verify, verify_chain
from edge_agent.evidence.derivatives.overlay import draw_overlay
from edge_agent.geometry import Polygon
from edge_agent.identity import CameraOrigin, Origin, case_id
from edge_agent.types import (
    ArrayPicture,
    Box,
    Case,
    Event,
    Frame,
    Media,
    ModelInfo,
    Phase,
    Photo,
    Role,
    Track,
)

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
REPLAY = Media("street.mp4", "replay", "ab" * 32, START, "given")
LIVE = Media("rtsp://camera", "live", None, START, "given")
MODEL = ModelInfo("yolo", "cd" * 32)
SITE = {"name": "plaza", "lat": 48.1, "lon": 11.5, "responsible": None}
ZONES = {"c1": {"kerb": Polygon([(0.1, 0.5), (0.9, 0.5), (0.9, 0.9), (0.1, 0.9)])}}
PIXELS = np.random.default_rng(3).integers(0, 255, (36, 64, 3), np.uint8)
IMAGE = np.asarray(cv2.resize(PIXELS, (320, 180)), np.uint8)
CAR = Track(1, "car", 0.91, Box(80, 90, 160, 140), (0.0, 0.0), 0.1, 12.0, 4.0)
TIMES: dict[Role, float] = {"enter": 2.0, "wide": 12.0, "close": 14.0, "leave": 40.0}


def origin(media: Media = REPLAY, model: ModelInfo = MODEL) -> Origin:
    return Origin(
        SITE, "box-1", "boot-7", "ef" * 32, "edge-agent 0", {"c1": CameraOrigin(media, model)}
    )


def event(phase: Phase, t: float, subject: str = "parking.illegal/kerb/1") -> Event:
    facts = {"dwell_s": round(t - 4.0, 3), "limit_s": 8.0, "picture": [320, 180]}
    wall = START + timedelta(seconds=t)
    kind = "parking.illegal"
    return Event("c1", kind, subject, phase, 4.0, t, wall, int(t * 10), "kerb", CAR, facts)


def photo(role: Role) -> Photo:
    t = TIMES[role]
    frame = Frame("c1", int(t * 10), t, START + timedelta(seconds=t), ArrayPicture(IMAGE))
    crop = Box(70, 84, 170, 146) if role == "close" else None
    return Photo(role, frame, CAR.box, crop, 123.456789)


def case(revision: int = 2, subject: str = "parking.illegal/kerb/1") -> Case:
    is_complete = revision == 2
    roles: tuple[Role, ...] = ("enter", "wide", "close", "leave")
    return Case(
        subject=subject,
        begin=event("begin", 12.0, subject),
        latest=event("end", 42.0, subject) if is_complete else event("begin", 12.0, subject),
        photos=tuple(photo(role) for role in roles[: 4 if is_complete else 3]),
        clip_s=(7.0, 17.0),
        is_complete=is_complete,
        reasons=() if is_complete else ("vehicle has not left",),
        revision=revision,
    )


@pytest.fixture
def key(tmp_path: Path) -> DeviceKey:
    return DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))


def writer(folder: Path, key: DeviceKey, who: Origin | None = None) -> BundleWriter:
    return BundleWriter(folder, key, who or origin(), Evidence(), ZONES)


def members(path: str | Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def manifest(path: str | Path) -> Any:
    return json.loads(members(path)["manifest.json"])


def test_a_bundle_holds_what_the_contract_says(tmp_path: Path, key: DeviceKey) -> None:
    bundle = writer(tmp_path / "out", key).write(case(), b"clip")
    assert Path(bundle.path) == tmp_path / "out" / f"{bundle.case_id}.evb"
    assert bundle.case_id == case_id(origin(), "c1", "parking.illegal/kerb/1")
    found = members(bundle.path)
    photos = [f"media/{role}.jpg" for role in ("enter", "wide", "close", "leave")]
    assert list(found) == [
        "manifest.json",
        "manifest.dsse",
        *photos,
        "media/clip.mp4",
        "derived/wide-overlay.jpg",
        "derived/sheet.jpg",
        "chain.pem",
        "device.json",
    ]
    assert bundle.manifest_sha256 == hashlib.sha256(found["manifest.json"]).hexdigest()
    assert found["manifest.json"] == rfc8785.dumps(bundle.manifest)
    assert found["media/clip.mp4"] == b"clip"
    assert json.loads(found["device.json"])["key"] == {"algorithm": "ES256", "grade": "file"}


def test_the_manifest_tells_the_case(tmp_path: Path, key: DeviceKey) -> None:
    told = manifest(writer(tmp_path, key).write(case(), b"clip").path)
    assert told["case"]["dwell_s"] == 38
    assert told["case"]["begin"] == {"utc": "2026-05-13T09:49:24.000Z", "pts_s": 12, "frame": 120}
    assert (told["evidential"], told["reasons"]) == (False, ["replay"])
    assert told["object"]["box"] == [0.25, 0.5, 0.5, 0.777778]
    close = next(item for item in told["media"] if item["role"] == "close")
    assert (close["width"], close["height"], close["sharpness"]) == (100, 62, 123.457)
    assert close["encoding"] == {
        "source": "decoded frame",
        "format": "jpeg",
        "quality": 92,
        "bits": 24,
    }
    assert close["crop"] == [0.21875, 0.466667, 0.53125, 0.811111]
    assert told["chain"] == {
        "origin": "edge/plaza/box-1/replay/boot-7",
        "index": 0,
        "previous": None,
    }
    assert (told["log"], told["profile"], told["supersedes"]) == (None, None, None)
    assert told["privacy"] == {"redacted": False, "delete_after": None}


@pytest.mark.parametrize(
    ("who", "reasons"),
    [
        (origin(LIVE), []),
        (origin(LIVE, ModelInfo("motion", None, False)), ["model motion is not evidential"]),
        (origin(replace(LIVE, start_from="clock")), ["clock not synchronised"]),
        (origin(replace(REPLAY, start_from="assumed")), ["replay", "clock not synchronised"]),
    ],
)
def test_what_makes_a_case_evidential(
    tmp_path: Path, key: DeviceKey, who: Origin, reasons: list[str]
) -> None:
    told = writer(tmp_path, key, who).write(case(), None).manifest
    assert (told["evidential"], told["reasons"]) == (not reasons, reasons)
    partial = writer(tmp_path / "p", key, who).write(case(1), None).manifest
    assert partial["reasons"] == [*reasons, "vehicle has not left"]
    assert not partial["evidential"]


def test_originals_carry_no_overlay_and_the_overlay_does(tmp_path: Path, key: DeviceKey) -> None:
    found = members(writer(tmp_path, key).write(case(), None).path)
    options = [cv2.IMWRITE_JPEG_QUALITY, 92]
    assert found["media/wide.jpg"] == cv2.imencode(".jpg", IMAGE, options)[1].tobytes()
    drawn = cv2.imdecode(np.frombuffer(found["derived/wide-overlay.jpg"], np.uint8), 1)
    assert drawn is not None
    assert drawn.shape[1] == 320 and drawn.shape[0] > 180
    assert drawn[180:].max() > 200  # the caption
    assert np.abs(drawn[:180].astype(int) - IMAGE).max() > 60


def test_the_same_replay_writes_the_same_bytes(tmp_path: Path, key: DeviceKey) -> None:
    def run(folder: Path) -> dict[str, bytes]:
        out = writer(folder, key)
        out.write(case(1), b"clip")
        out.write(case(1, "second"), None)
        out.write(case(2), b"clip")
        return {path.name: path.read_bytes() for path in sorted(folder.glob("*.evb"))}

    first = run(tmp_path / "a")
    assert len(first) == 2
    assert run(tmp_path / "b") == first
    assert run(tmp_path / "a") == first, "the folder of an interrupted replay is taken up again"


def test_a_later_revision_replaces_the_file_and_says_so(tmp_path: Path, key: DeviceKey) -> None:
    out = writer(tmp_path, key)
    first = out.write(case(1), b"clip")
    between = out.write(case(1, "other"), None)
    second = out.write(case(2), None)
    assert first.path == second.path
    told = manifest(second.path)
    assert told["supersedes"] == {"index": 0, "manifest_sha256": first.manifest_sha256}
    assert (told["chain"]["index"], told["chain"]["previous"]) == (2, between.manifest_sha256)
    assert members(second.path)["media/clip.mp4"] == b"clip", "kept from the first revision"
    assert verify_chain([Path(between.path), Path(second.path)]).is_valid
    assert verify(Path(second.path)).is_valid


def test_a_live_chain_goes_on_after_a_restart(tmp_path: Path, key: DeviceKey) -> None:
    first = writer(tmp_path, key, origin(LIVE)).write(case(2, "a"), None)
    second = writer(tmp_path, key, origin(LIVE)).write(case(2, "b"), None)
    assert second.manifest["chain"]["previous"] == first.manifest_sha256
    assert second.manifest["chain"]["origin"] == "edge/plaza/box-1"


@pytest.mark.parametrize("damage", ["absent", "stale", "garbage"])
def test_the_chain_survives_a_kill_before_its_state_was_stored(
    tmp_path: Path, key: DeviceKey, damage: str
) -> None:
    out = writer(tmp_path, key, origin(LIVE))
    out.write(case(2, "a"), None)
    state = tmp_path / "chain.json"
    stale = state.read_bytes()
    second = out.write(case(2, "b"), None)
    if damage == "absent":
        state.unlink()
    else:
        state.write_bytes(stale if damage == "stale" else b"garbage")
    third = writer(tmp_path, key, origin(LIVE)).write(case(2, "c"), None)
    assert third.manifest["chain"] == {
        "origin": "edge/plaza/box-1",
        "index": 2,
        "previous": second.manifest_sha256,
    }


def test_the_chain_outlives_bundles_that_were_moved_away(tmp_path: Path, key: DeviceKey) -> None:
    first = writer(tmp_path, key, origin(LIVE)).write(case(2, "a"), None)
    Path(first.path).unlink()
    second = writer(tmp_path, key, origin(LIVE)).write(case(2, "b"), None)
    assert second.manifest["chain"]["previous"] == first.manifest_sha256


def test_damaged_and_foreign_bundles_in_the_folder_do_no_harm(
    tmp_path: Path, key: DeviceKey
) -> None:
    (tmp_path / "broken.evb").write_bytes(b"PK\x03\x04 broken")
    (tmp_path / "folder.evb").mkdir()
    writer(tmp_path, key).write(case(), None)
    bundle = writer(tmp_path, key, origin(LIVE)).write(case(2, "a"), None)
    assert bundle.manifest["chain"]["index"] == 0


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """The kernel refuses to write further, as it does when a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_old_bundle_intact(tmp_path: Path, key: DeviceKey) -> None:
    out = writer(tmp_path / "out", key)
    first = out.write(case(1), b"clip")
    before = Path(first.path).read_bytes()
    with file_size_limit(4096), pytest.raises(EvidenceError, match="cannot be written") as caught:
        out.write(case(2), b"clip")
    assert first.path in str(caught.value)
    assert Path(first.path).read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        Path(first.path).name,
        "chain.json",
    ]
    again = out.write(case(2), b"clip")
    assert again.manifest["chain"]["index"] == 1, "the failed attempt took no place in the chain"
    assert verify(Path(again.path)).is_valid


def test_a_left_over_half_written_file_is_cleared_away(tmp_path: Path, key: DeviceKey) -> None:
    identity = case_id(origin(), "c1", "parking.illegal/kerb/1")
    (tmp_path / f".{identity}.evb.part").write_bytes(b"half")
    bundle = writer(tmp_path, key).write(case(), None)
    assert verify(Path(bundle.path)).is_valid
    assert not (tmp_path / f".{identity}.evb.part").exists()


def test_a_folder_that_is_a_file_is_named(tmp_path: Path, key: DeviceKey) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(EvidenceError, match=str(tmp_path / "out")):
        writer(tmp_path / "out", key)


def test_a_case_without_photos_is_still_a_bundle(tmp_path: Path, key: DeviceKey) -> None:
    empty = replace(case(1), photos=(), clip_s=None)
    bundle = writer(tmp_path, key).write(empty, b"ignored")
    assert list(members(bundle.path)) == [
        "manifest.json",
        "manifest.dsse",
        "chain.pem",
        "device.json",
    ]
    assert verify(Path(bundle.path)).is_valid


def test_facts_that_json_cannot_carry_are_refused(tmp_path: Path, key: DeviceKey) -> None:
    odd = replace(case(), latest=replace(event("end", 42.0), facts={"count": 2**60}))
    with pytest.raises(EvidenceError, match="cannot be signed"):
        writer(tmp_path, key).write(odd, None)
    assert not list(tmp_path.glob("*.evb"))


def test_a_media_name_of_strange_bytes_is_told_readably(tmp_path: Path, key: DeviceKey) -> None:
    who = origin(replace(REPLAY, name="caf\udce9.mp4"))
    told = writer(tmp_path, key, who).write(case(), None).manifest
    assert told["source"]["media_name"] == "caf\\udce9.mp4"


def test_a_media_name_that_cannot_be_printed_is_told_readably(
    tmp_path: Path, key: DeviceKey
) -> None:
    who = origin(replace(REPLAY, name="a\x1b[2J\n.mp4"))
    bundle = writer(tmp_path, key, who).write(case(), None)
    assert bundle.manifest["source"]["media_name"] == r"a\x1b[2J\n.mp4"
    assert verify(Path(bundle.path)).is_valid


def test_names_that_cannot_be_printed_are_refused(tmp_path: Path, key: DeviceKey) -> None:
    who = origin(REPLAY, ModelInfo("yolo\x1b[2J", None))
    with pytest.raises(EvidenceError, match="cannot be signed"):
        writer(tmp_path, key, who).write(case(), None)


@pytest.mark.parametrize(
    "media", [REPLAY, replace(REPLAY, start=START.replace(microsecond=999)), LIVE]
)
@pytest.mark.parametrize("revision", [1, 2])
def test_what_is_written_is_consistent(
    tmp_path: Path, key: DeviceKey, media: Media, revision: int
) -> None:
    shift = media.start - START
    told = case(revision)
    photos = tuple(
        replace(p, frame=replace(p.frame, wall=p.frame.wall + shift)) for p in told.photos
    )
    begin, latest = (replace(e, wall=e.wall + shift) for e in (told.begin, told.latest))
    told = replace(told, photos=photos, begin=begin, latest=latest)
    bundle = writer(tmp_path, key, origin(media)).write(told, b"clip")
    assert verify(Path(bundle.path)).findings == ()
    assert bundle.manifest["case"]["phase"] == latest.phase


def test_a_bundle_opens_in_memory_too(tmp_path: Path, key: DeviceKey) -> None:
    data = Path(writer(tmp_path, key).write(case(), None).path).read_bytes()
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None


@pytest.mark.parametrize("width", [16, 160, 352, 1280, 1920])
def test_the_caption_stays_on_its_bar(width: int) -> None:
    caption = "2026-05-13T09:49:21.000Z  plaza/c1  kerb  frame 90  case 99e11d421ccf43b772903897"
    drawn = draw_overlay(np.zeros((90, width, 3), np.uint8), None, Box(1, 1, 5, 5), caption * 2)
    assert drawn[90:].max() > 0 or width < 100
    assert drawn[90:, -3:].max() == 0
