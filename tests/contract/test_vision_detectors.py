"""Real weights on real street pictures: every model of the cards that is at hand."""

import threading
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.config.models import DetectorSettings
from edge_agent.errors import ModelError
from edge_agent.geometry import iou_matrix
from edge_agent.ports import Glancing
from edge_agent.types import VEHICLES, ArrayPicture, Detections, Frame
from edge_agent.vision import MotionDetector, OnnxDetector, open_detector, search_path
from edge_agent.vision.detector import open_onnx

JAM = "2019-06-28_13-03-07.370509_00001.06514"
GENERAL = ("yolox_nano", "nanodet_m", "fastestdet", "yolov5n_640", "yolov8n", "crossroad_0078")


@pytest.fixture(scope="module")
def paths(shared: Path) -> list[Path]:
    return search_path(shared / "models", {})


def frame_at(video: Path, index: int) -> Frame:
    capture = cv2.VideoCapture(str(video))
    for _ in range(index):
        capture.grab()
    is_read, image = capture.read()
    capture.release()
    assert is_read
    picture = ArrayPicture(np.asarray(image, np.uint8))
    return Frame("cam", index, index / 25, datetime(2026, 1, 1, tzinfo=UTC), picture)


def strong_vehicles(detector: OnnxDetector, found: Detections) -> np.ndarray:
    is_vehicle = np.array([found.names[c] in VEHICLES for c in found.classes], bool)
    kept: np.ndarray = found.boxes[is_vehicle & (found.scores >= detector.min_score)]
    return kept


def marked_boxes(xml: Path, frame: int, min_area: float) -> np.ndarray:
    """Hand-drawn boxes of vehicles in one frame (CVAT tracks)."""
    boxes = []
    for track in ET.parse(xml).getroot().iter("track"):
        for box in track.iter("box"):
            if int(box.get("frame", -1)) == frame and box.get("outside") == "0":
                x1, y1, x2, y2 = (float(box.get(k, 0)) for k in ("xtl", "ytl", "xbr", "ybr"))
                if (x2 - x1) * (y2 - y1) >= min_area:
                    boxes.append((x1, y1, x2, y2))
    return np.array(boxes, np.float32)


@pytest.mark.parametrize(("name", "least"), [*zip(GENERAL, (8, 4, 5, 6, 7, 6), strict=True)])
def test_hand_marked_vehicles_are_found(
    paths: list[Path], shared: Path, name: str, least: int
) -> None:
    folder = shared / "footage" / "tfl-jamcam"
    truth = marked_boxes(folder / f"3_{JAM}.xml", 100, 500)
    detector = open_onnx(name, paths)
    frame = frame_at(folder / f"{JAM}.mp4", 100)
    found = strong_vehicles(detector, detector.detect(frame))
    hits = (iou_matrix(truth, found).max(axis=1) > 0.5).sum()
    assert hits >= least, f"{name}: {hits} of {len(truth)} vehicles"
    assert np.all(found >= 0)
    assert np.all(found[:, 2] <= frame.width)
    assert np.all(found[:, 3] <= frame.height)


def test_all_models_agree_on_a_clear_car(paths: list[Path], shared: Path) -> None:
    frame = frame_at(shared / "footage/stop-queue/input_video.mp4", 120)
    car = np.array([[260, 140, 341, 208]], np.float32)
    for name in GENERAL:
        detector = open_onnx(name, paths)
        found = strong_vehicles(detector, detector.detect(frame))
        assert iou_matrix(car, found).max() > 0.7, name


def test_the_pole_camera_model_sees_a_car_from_above(paths: list[Path], shared: Path) -> None:
    detector = open_onnx("crossroad_0078", paths)
    found = detector.detect(frame_at(shared / "footage/intel/car-detection.mp4", 80))
    assert found.names[found.classes[0]] == "vehicle"
    assert iou_matrix(np.array([[270, 65, 435, 330]], np.float32), found.boxes[:1]).max() > 0.8


def test_one_vehicle_is_one_detection(paths: list[Path], shared: Path) -> None:
    detector = open_onnx("yolox_nano", paths)
    found = detector.detect(frame_at(shared / f"footage/tfl-jamcam/{JAM}.mp4", 100))
    boxes = found.boxes[[found.names[c] in ("car", "bus", "truck") for c in found.classes]]
    overlaps = iou_matrix(boxes, boxes) - np.eye(len(boxes), dtype=np.float32)
    assert overlaps.max() <= detector.card.nms_iou


def test_weak_detections_are_reported_for_the_tracker(paths: list[Path], shared: Path) -> None:
    frame = frame_at(shared / f"footage/tfl-jamcam/{JAM}.mp4", 100)
    detector = open_onnx("yolox_nano", paths, min_score=0.8)
    found = detector.detect(frame)
    assert detector.min_score == 0.8
    assert detector.floor == pytest.approx(0.2)
    assert 0.2 <= found.scores.min() < 0.8 < found.scores.max()
    assert np.all(np.diff(found.scores) <= 0)


@pytest.mark.parametrize("model", ["fastestdet", "yolov5n_640"])  # small and large outputs
def test_a_glance_finds_what_detect_finds(paths: list[Path], shared: Path, model: str) -> None:
    frames = [frame_at(shared / f"footage/tfl-jamcam/{JAM}.mp4", i) for i in (0, 60, 120)]
    detector = open_onnx(model, paths)
    assert isinstance(detector, Glancing)
    glances = [detector.glance(frame) for frame in frames]
    for glance in reversed(glances):
        glance.infer()
    for frame, glance in zip(frames, glances, strict=True):
        found, expected = glance.detections(), detector.detect(frame)
        assert len(found)
        assert found.boxes.tobytes() == expected.boxes.tobytes()
        assert found.scores.tobytes() == expected.scores.tobytes()


def test_many_threads_get_what_one_gets(paths: list[Path], shared: Path) -> None:
    video = shared / f"footage/tfl-jamcam/{JAM}.mp4"
    frames = [frame_at(video, i) for i in (0, 60, 120)]
    detector = open_onnx("fastestdet", paths)
    alone = [detector.detect(frame).boxes.tobytes() for frame in frames]
    got: dict[int, Sequence[bytes]] = {}

    def work(number: int) -> None:
        got[number] = [detector.detect(frame).boxes.tobytes() for frame in frames]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [got[i] for i in range(4)] == [alone] * 4


def test_pictures_of_any_shape_are_taken(paths: list[Path]) -> None:
    detector = open_onnx("yolox_nano", paths)
    for height, width in ((1080, 1920), (288, 352), (50, 900), (900, 50), (16, 16)):
        picture = ArrayPicture(np.full((height, width, 3), 128, np.uint8))
        frame = Frame("cam", 0, 0.0, datetime(2026, 1, 1, tzinfo=UTC), picture)
        assert detector.prepare(frame)[0].shape == (1, 3, 416, 416)
        detector.detect(frame)


def test_the_session_is_shared_and_the_model_is_named(paths: list[Path]) -> None:
    settings = DetectorSettings(model="yolox_nano", min_score=0.5)
    first, second = (open_detector(settings, paths) for _ in range(2))
    assert isinstance(first, OnnxDetector)
    assert isinstance(second, OnnxDetector)
    assert first._session is second._session
    assert not first.is_ordered
    assert first.model.name == "yolox_nano"
    assert first.model.sha256 == first.card.sha256


def test_without_weights_the_message_says_what_to_do(tmp_path: Path) -> None:
    card = next(p / "yolox_nano.yaml" for p in search_path(None, {}) if p.name == "models")
    (tmp_path / card.name).write_text(card.read_text())
    with pytest.raises(ModelError, match="edge-agent models pull yolox_nano"):
        open_detector(DetectorSettings(model="yolox_nano"), [tmp_path])


def test_motion_sees_the_cars_of_a_camera_with_auto_exposure(shared: Path) -> None:
    capture = cv2.VideoCapture(str(shared / "footage/intel/car-detection.mp4"))
    detector, busy, fps = MotionDetector(), set(), 12.48
    for seq in range(360):
        image = np.asarray(capture.read()[1], np.uint8)
        t_s = seq / fps
        frame = Frame("cam", seq, t_s, datetime(2026, 1, 1, tzinfo=UTC), ArrayPicture(image))
        found = detector.detect(frame)
        sizes = (found.boxes[:, 2] - found.boxes[:, 0]) * (found.boxes[:, 3] - found.boxes[:, 1])
        if (sizes > 10_000).any():
            busy.add(int(t_s))
    capture.release()
    assert {5, 6, 7, 15, 16, 17, 26, 27} <= busy
    assert not busy & {1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23, 24}
