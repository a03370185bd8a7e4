"""Redacted copies in bundles: beside the originals, never instead of them."""

import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.errors import ModelError
from edge_agent.evidence import BundleWriter, DeviceKey, verify
from edge_agent.evidence.custody.redaction import redacted_copies
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.privacy import Hidden, Redacted
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
    Track,
)

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
WHITE = np.full((180, 320, 3), 255, np.uint8)
CAR = Track(1, "car", 0.9, Box(80, 90, 160, 140), (0.0, 0.0), 0.1, 9.0, 4.0)
LEFT, RIGHT = Box(0, 0, 40, 40), Box(280, 100, 320, 180)


class Blackener:
    """Hides two places, whatever is there."""

    models: tuple[ModelInfo, ...] = (ModelInfo("yunet", "ab" * 32),)

    def redact(self, photo: Photo, plate: PlateRead | None, may_guess: bool = True) -> Redacted:
        image = photo.frame.image.copy()
        for box in (LEFT, RIGHT):
            image[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)] = 0
        return Redacted(image, (Hidden("face", LEFT, "yunet"), Hidden("plate", RIGHT, "yunet")))


def _frame(t_s: float) -> Frame:
    return Frame("c1", int(10 * t_s), t_s, START, ArrayPicture(WHITE))


def _case() -> Case:
    facts = {"dwell_s": 8.0, "limit_s": 8.0, "picture": [320, 180]}
    begin = Event("c1", "parking.illegal", "s", "begin", 4.0, 12.0, START, 120, "kerb", CAR, facts)
    wide = Photo("wide", _frame(12.0), CAR.box, None, 1.0)
    close = Photo("close", _frame(12.0), CAR.box, Box(70, 60, 300, 150), 1.0)
    return Case("s", begin, begin, (wide, close), None, False, ("vehicle has not left",))


class Broken(Blackener):
    """A network that fails."""

    def redact(self, photo: Photo, plate: PlateRead | None, may_guess: bool = True) -> Redacted:
        raise ModelError("the network refused")


def test_where_redaction_fails_the_evidence_is_kept_and_nothing_is_drawn_from_it(
    tmp_path: Path,
) -> None:
    bundle = _write(tmp_path, Broken())
    assert verify(bundle).is_valid
    with zipfile.ZipFile(bundle) as archive:
        names = archive.namelist()
    assert "media/wide.jpg" in names
    assert not [name for name in names if name.startswith("derived/")]


class Listener(Blackener):
    """Keeps what it is told of the subject's plate."""

    def __init__(self) -> None:
        self.told: list[PlateRead | None] = []
        self.guesses: set[bool] = set()

    def redact(self, photo: Photo, plate: PlateRead | None, may_guess: bool = True) -> Redacted:
        self.told.append(plate)
        self.guesses.add(may_guess)
        return super().redact(photo, plate)


@pytest.mark.parametrize(("agreed", "is_told"), [("B4701", True), ("B4707", False), (None, False)])
def test_only_a_read_on_which_all_agree_says_which_plate_may_stay(
    agreed: str | None, is_told: bool
) -> None:
    """Another one may be a stranger's, in front of the vehicle."""
    read = PlateRead(1, "B4701", (1.0,), None, ((0, 0), (9, 0), (9, 9), (0, 9)), 1.0)
    case, listener = _case(), Listener()
    plates: dict[Role, PlateRead | None] = {"wide": read, "close": None}
    redacted_copies(replace(case, plates=plates, plate={"text": agreed}), listener)
    assert listener.told == [read if is_told else None, None]
    assert listener.guesses == {False}
    redacted_copies(_case(), listener)
    assert listener.guesses == {False, True}, "a camera that reads no plates"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return _write(tmp_path, Blackener())


def _write(tmp_path: Path, redactor: Blackener) -> Path:
    key = DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))
    media = Media("rtsp://camera", "live", None, START, "given")
    camera = CameraOrigin(media, ModelInfo("yolo", "cd" * 32))
    origin = Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", {"c1": camera})
    writer = BundleWriter(tmp_path / "out", key, origin, Evidence(), {})
    writer.redactor = redactor
    return Path(writer.write(_case(), None).path)


def _image(bundle: Path, name: str) -> Image:
    with zipfile.ZipFile(bundle) as archive:
        data = np.frombuffer(archive.read(name), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def test_every_photo_has_a_copy_and_stays_as_it_is(bundle: Path) -> None:
    assert verify(bundle).is_valid
    for role, shape in (("wide", (180, 320, 3)), ("close", (90, 230, 3))):
        original, copy = (
            _image(bundle, name) for name in (f"media/{role}.jpg", f"derived/{role}-redacted.jpg")
        )
        assert original.shape == copy.shape == shape
        assert original.min() > 250
        assert copy[-1, -1].max() < 5
    assert _image(bundle, "derived/wide-overlay.jpg")[5:35, 5:35].max() < 5


def test_the_manifest_tells_what_was_hidden_where_and_by_what(bundle: Path) -> None:
    told = verify(bundle).facts
    copies = {item["path"]: item for item in told["derived"]}
    wide = copies["derived/wide-redacted.jpg"]
    assert wide["derived_from"] == "media/wide.jpg"
    assert wide["redaction"] == {
        "method": "pixelation",
        "hidden": [
            {"trait": "face", "by": "yunet", "box": [0, 0, 0.125, 0.222222]},
            {"trait": "plate", "by": "yunet", "box": [0.875, 0.555556, 1, 1]},
        ],
        "models": [{"name": "yunet", "sha256": "ab" * 32}],
    }
    close = copies["derived/close-redacted.jpg"]["redaction"]["hidden"]
    assert [each["trait"] for each in close] == ["plate"], "the other one is not in the crop"
    assert copies["derived/wide-overlay.jpg"]["redaction"] == wide["redaction"]
    assert told["privacy"]["redacted"] is False, "the originals are not"
