"""Redaction: what is hidden is gone, the subject is not, and nothing depends on having weights."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.config.models import PlateSettings
from edge_agent.errors import ModelError
from edge_agent.geometry import grow
from edge_agent.privacy import Redacted
from edge_agent.types import ArrayPicture, Box, Frame, Image, Photo, PlateRead
from edge_agent.vision import PhotoRedactor, open_redactor, search_path
from edge_agent.vision.detector import OnnxDetector, open_onnx
from edge_agent.vision.plates import open_plate_reader
from edge_agent.vision.redaction import FACE_BLOCKS, pixelate, without

NOISE = np.random.default_rng(5).integers(0, 255, (180, 320, 3), np.uint8)
CAR = Box(100, 60, 200, 120)


def frame(image: Image = NOISE) -> Frame:
    return Frame("c1", 0, 0.0, datetime(2026, 5, 13, tzinfo=UTC), ArrayPicture(image))


def photo(*beside: tuple[str, Box], image: Image = NOISE, subject: Box = CAR) -> Photo:
    return Photo("wide", frame(image), subject, None, 0.0, beside)


def is_touched(redacted: Redacted, box: Box) -> bool:
    rows, columns = slice(int(box.y1), int(box.y2)), slice(int(box.x1), int(box.x2))
    return bool((redacted.image[rows, columns] != NOISE[rows, columns]).any())


sides = st.tuples(*[st.floats(-50, 400)] * 4)


@settings(deadline=None)
@given(sides, st.integers(1, 4))
def test_what_is_pixelated_keeps_a_few_colours_and_the_rest_stays(
    edges: tuple[float, float, float, float], blocks: int
) -> None:
    x1, x2 = sorted(min(max(edge, 0), 320) for edge in edges[:2])
    y1, y2 = sorted(min(max(edge, 0), 180) for edge in edges[2:])
    image = NOISE.copy()
    pixelate(image, Box(x1, y1, x2, y2), blocks)
    rows, columns = slice(round(y1), round(y2)), slice(round(x1), round(x2))
    assert len(np.unique(image[rows, columns].reshape(-1, 3), axis=0)) <= blocks**2
    image[rows, columns] = NOISE[rows, columns]
    assert np.array_equal(image, NOISE)


def test_without_weights_heads_and_other_vehicles_plates_go_and_the_subject_stays() -> None:
    person, other = Box(20, 40, 40, 100), Box(220, 60, 310, 120)
    redacted = PhotoRedactor().redact(photo(("person", person), ("car", other)), None)
    assert {(hidden.trait, hidden.by) for hidden in redacted.hidden} == {
        ("head", "person box"),
        ("plate", "vehicle box"),
    }
    head = redacted.image[42:58, 22:38].reshape(-1, 3)
    assert len(np.unique(head, axis=0)) <= FACE_BLOCKS**2
    assert len(np.unique(redacted.image[85:118, 225:305].reshape(-1, 3), axis=0)) == 1
    assert not is_touched(redacted, CAR)
    assert not is_touched(redacted, Box(20, 80, 40, 100)), "a person's feet"


PLATE = Box(130, 95, 170, 107)


def read_at(place: Box) -> PlateRead:
    corners = (
        (place.x1, place.y1),
        (place.x2, place.y1),
        (place.x2, place.y2),
        (place.x1, place.y2),
    )
    return PlateRead(1, "B4701", (1.0,), None, corners, 1.0)


@pytest.mark.parametrize("other", [Box(100, 60, 150, 120), Box(90, 50, 210, 130), CAR])
def test_in_what_seems_another_vehicle_the_plate_that_was_read_stays(other: Box) -> None:
    """Some detectors see a vehicle twice, or half of it."""
    beside = photo(("car", other))
    assert is_touched(PhotoRedactor().redact(beside, None), PLATE)
    redacted = PhotoRedactor().redact(beside, read_at(PLATE))
    assert not is_touched(redacted, PLATE)
    around = grow(PLATE, 0.2)
    for x, y in ((around.x1 - 2, around.y1), (around.x1, around.y2 + 2)):
        there = Box(x - 6, y, x, y + 2)
        assert is_touched(redacted, there), "all around it is hidden"


inner = st.tuples(*[st.integers(0, 60)] * 4)


@settings(deadline=None)
@given(inner, inner)
def test_a_hole_is_cut_out_exactly(
    edges: tuple[int, int, int, int], hole: tuple[int, int, int, int]
) -> None:
    (x1, x2, y1, y2), (a1, a2, b1, b2) = edges, hole
    box = Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    cut = Box(min(a1, a2), min(b1, b2), max(a1, a2), max(b1, b2))
    count = np.zeros((60, 60), int)
    for part in without(box, cut):
        count[int(part.y1) : int(part.y2), int(part.x1) : int(part.x2)] += 1
    expected = np.zeros((60, 60), int)
    expected[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)] = 1
    expected[int(cut.y1) : int(cut.y2), int(cut.x1) : int(cut.x2)] = 0
    assert np.array_equal(count, expected)


@pytest.mark.parametrize("person", [Box(20, 100, 60, 130), Box(20, 100, 60, 180)])
def test_of_whoever_is_cut_off_more_is_hidden(person: Box) -> None:
    (hidden,) = PhotoRedactor().redact(photo(("person", person)), None).hidden
    assert hidden.box.y2 >= person.y1 + min(person.width, person.height)


def test_a_car_cut_off_above_may_have_its_plate_anywhere() -> None:
    (hidden,) = PhotoRedactor().redact(photo(("car", Box(100, 0, 200, 60))), None).hidden
    assert hidden.box.y1 == 0


def test_a_model_that_is_missing_or_finds_no_faces_is_told(tmp_path: Path) -> None:
    own = search_path(None, {})
    with pytest.raises(ModelError, match="known models"):
        open_redactor("nobody", None, own)
    with pytest.raises(ModelError, match="finds no faces"):
        open_redactor("helmets", None, own)


@pytest.fixture(scope="module")
def paths(shared: Path) -> list[Path]:
    return search_path(shared / "models", os.environ)


@pytest.fixture(scope="module")
def detector(paths: list[Path]) -> OnnxDetector:
    return open_onnx("yolox_nano", paths)


def stored(image: Image) -> Image:
    """As it comes back out of a JPEG."""
    decoded = cv2.imdecode(cv2.imencode(".jpg", image)[1], cv2.IMREAD_COLOR)
    return np.asarray(decoded, np.uint8)


def seen(image: Image, detector: OnnxDetector) -> Photo:
    """With what the camera's detector sees beside a subject that is elsewhere."""
    found = detector.detect(frame(image))
    names = (found.names[int(cls)] for cls in found.classes)
    boxes = (Box(*(float(edge) for edge in box)) for box in found.boxes)
    return photo(*zip(names, boxes, strict=True), image=image, subject=Box(0, 0, 0, 0))


@pytest.mark.slow
def test_no_face_is_found_again(shared: Path, paths: list[Path], detector: OnnxDetector) -> None:
    weights = shared / "models/yunet_s_640_640__face_detection_yunet_2023mar.onnx"
    judge = cv2.FaceDetectorYN.create(str(weights), "", (640, 640), 0.6)
    redactor = open_redactor("yunet", None, paths)
    before = after = 0
    for path in sorted((shared / "helmets/hardhat/valid").rglob("*.jpg"))[:40]:
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        redacted = stored(redactor.redact(seen(image, detector), None).image)
        for picture in (image, redacted):
            judge.setInputSize((picture.shape[1], picture.shape[0]))
            faces = judge.detect(picture)[1]
            count = sum(face[3] >= 10 for face in faces) if faces is not None else 0
            before, after = (before + count, after) if picture is image else (before, after + count)
    assert before > 50
    assert after == 0


def plates(folder: Path) -> Iterator[tuple[Image, Box, str]]:
    for truth in sorted(folder.glob("*.txt"))[:25]:
        *_, x, y, width, height, text = truth.read_text().split()[:6]
        place = Box(float(x), float(y), float(x) + float(width), float(y) + float(height))
        image = np.asarray(cv2.imread(str(truth.with_suffix(".jpg"))), np.uint8)
        yield image, grow(place, 1.0), text


@pytest.mark.slow
@pytest.mark.parametrize("model", [None, "hyperlpr3_320"])
def test_no_plate_can_be_read_again(
    shared: Path, paths: list[Path], detector: OnnxDetector, model: str | None
) -> None:
    reader = open_plate_reader(PlateSettings(regions=("eu",)), paths)
    redactor = open_redactor(None, model, paths)

    def read(image: Image, place: Box) -> str:
        found = reader.look(frame(image), place)
        return found.text if found else ""

    before = after = 0
    for image, place, text in plates(shared / "plates/openalpr-eu"):
        before += read(image, place) == text
        after += read(stored(redactor.redact(seen(image, detector), None).image), place) == text
    assert before > 10
    assert after == 0


@pytest.mark.slow
def test_the_subjects_own_plate_stays_and_a_strangers_beside_it_goes(
    shared: Path, paths: list[Path]
) -> None:
    """Two cars side by side: each in turn is the subject."""
    halves = [
        np.asarray(cv2.imread(str(shared / "plates/openalpr-eu" / name)), np.uint8)
        for name in ("test_002.jpg", "test_005.jpg")
    ]
    height = min(len(half) for half in halves)
    image = np.hstack([half[:height] for half in halves])
    middle = halves[0].shape[1]
    boxes = [Box(0, 0, middle, height), Box(middle, 0, image.shape[1], height)]
    redactor = open_redactor(None, "hyperlpr3_320", paths)
    reader = open_plate_reader(PlateSettings(regions=("eu",)), paths)
    for own, other in (boxes, boxes[::-1]):
        redacted = redactor.redact(photo(("car", other), image=image, subject=own), None).image
        texts = [
            found.text if (found := reader.look(frame(picture), box)) else ""
            for box in (own, other)
            for picture in (image, redacted)
        ]
        assert texts[0] and texts[0] == texts[1]
        assert texts[2] and texts[2] != texts[3]


def test_of_two_plates_on_one_vehicle_neither_counts_as_its_own(
    shared: Path, paths: list[Path]
) -> None:
    """One of them may be that of a car in front, which only its plate gives away."""
    halves = [
        np.asarray(cv2.imread(str(shared / "plates/openalpr-eu" / name)), np.uint8)
        for name in ("test_002.jpg", "test_005.jpg")
    ]
    height = min(len(half) for half in halves)
    image = np.hstack([half[:height] for half in halves])
    whole = Box(0, 0, image.shape[1], height)
    redactor = open_redactor(None, "hyperlpr3_320", paths)
    hidden = redactor.redact(photo(image=image, subject=whole), None).hidden
    middle = halves[0].shape[1]
    assert {each.box.x1 < middle for each in hidden if each.trait == "plate"} == {True, False}


def test_a_read_says_which_of_two_plates_is_the_subjects(shared: Path, paths: list[Path]) -> None:
    path = shared / "plates/openalpr-eu/test_002.jpg"
    image = np.asarray(cv2.imread(str(path)), np.uint8)
    whole = Box(0, 0, image.shape[1], image.shape[0])
    redactor = open_redactor(None, "hyperlpr3_320", paths)
    elsewhere = PlateRead(1, "X", (1.0,), None, ((0, 0), (9, 0), (9, 9), (0, 9)), 1.0)
    assert redactor.redact(photo(image=image, subject=whole), None).hidden == ()
    assert redactor.redact(photo(image=image, subject=whole), elsewhere).hidden
    assert redactor.redact(photo(image=image, subject=whole), None, may_guess=False).hidden
