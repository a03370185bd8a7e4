"""The weight-free detector and the gate on a rendered road, where the truth is known."""

from collections.abc import Iterator
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.config.models import DetectorSettings
from edge_agent.geometry import iou
from edge_agent.types import ArrayPicture, Box, Detections, Frame
from edge_agent.vision import MotionDetector, MotionGate, open_detector
from edge_agent.vision.background import BackgroundSettings
from edge_agent.vision.motion import MotionSettings

WIDTH, HEIGHT = 640, 360
WALL = datetime(2026, 1, 1, tzinfo=UTC)


class Road:
    """Textured asphalt with markings, seen by a noisy camera; cars and light as the test says."""

    def __init__(self) -> None:
        random = np.random.default_rng(7)
        self._noise = random.normal(0, 2.5, (5, HEIGHT, WIDTH, 3)).astype(np.float32)
        grain = random.normal(0, 25, (HEIGHT, WIDTH)).astype(np.float32)
        base = 95 + cv2.GaussianBlur(grain, (0, 0), 2)
        self.empty = np.repeat(np.asarray(base, np.float32)[:, :, None], 3, axis=2)
        self.empty[:90] = (60, 110, 70)
        cv2.line(self.empty, (0, 200), (WIDTH, 200), (200, 200, 200), 4)
        self._seq = 0

    def frame(self, t_s: float, *cars: Box, gain: float = 1.0, shadow: Box | None = None) -> Frame:
        image = self.empty.copy()
        if shadow is not None:
            mask = np.zeros((HEIGHT, WIDTH), np.float32)
            cv2.rectangle(mask, _corner(shadow), _corner(shadow, end=True), 1.0, -1)
            image = image * (1 - 0.4 * np.asarray(cv2.GaussianBlur(mask, (0, 0), 3))[:, :, None])
        for car in cars:
            _draw_car(image, car)
        image = image * gain + self._noise[self._seq % len(self._noise)]
        self._seq += 1
        picture = ArrayPicture(np.clip(image, 0, 255).astype(np.uint8))
        return Frame("cam", self._seq, t_s, WALL, picture)


def _corner(box: Box, end: bool = False) -> tuple[int, int]:
    return (int(box.x2), int(box.y2)) if end else (int(box.x1), int(box.y1))


def _draw_car(image: NDArray[np.float32], box: Box) -> None:
    cv2.rectangle(image, _corner(box), _corner(box, end=True), (40, 40, 170), -1)
    w, h = box.width, box.height
    top = Box(box.x1 + 0.2 * w, box.y1 + 0.1 * h, box.x2 - 0.2 * w, box.y1 + 0.45 * h)
    cv2.rectangle(image, _corner(top), _corner(top, end=True), (70, 60, 50), -1)
    for x in (box.x1 + 0.2 * w, box.x2 - 0.2 * w):
        cv2.circle(image, (int(x), int(box.y2 - 0.12 * h)), int(0.14 * h), (15, 15, 15), -1)


def car_at(x: float, y: float = 220) -> Box:
    return Box(x, y, x + 110, y + 55)


def boxes(found: Detections) -> list[Box]:
    return [Box(*(float(v) for v in row)) for row in found.boxes]


def steps(start_s: float, end_s: float, fps: float = 2.0) -> Iterator[float]:
    return iter(np.arange(start_s, end_s, 1 / fps))


def empty_for(detector: MotionDetector, road: Road, until_s: float, fps: float = 2.0) -> None:
    for t in steps(0, until_s, fps):
        found = detector.detect(road.frame(t))
        assert not len(found), f"{len(found)} objects on an empty road at {t} s"


def test_a_car_that_parks_for_three_minutes_stays_detected_and_leaves_no_ghost() -> None:
    road, detector = Road(), MotionDetector()
    empty_for(detector, road, 6)
    for t in steps(6, 9):
        detector.detect(road.frame(t, car_at(80 * (t - 6))))
    for t in steps(9, 189):
        found = detector.detect(road.frame(t, car_at(240)))
        assert len(found) == 1, f"{len(found)} objects at {t} s"
        assert iou(boxes(found)[0], car_at(240)) > 0.75
        assert found.names[found.classes[0]] == "vehicle"
    for t in steps(189, 193):
        detector.detect(road.frame(t, car_at(240 + 100 * (t - 189))))
    for t in steps(193, 200):
        assert not len(detector.detect(road.frame(t)))


def test_other_traffic_does_not_disturb_a_parked_car() -> None:
    road, detector = Road(), MotionDetector()
    empty_for(detector, road, 3, fps=5)
    parked = car_at(260, 260)
    for t in steps(3, 5, fps=5):
        detector.detect(road.frame(t, car_at(130 * (t - 3), 260)))
    for t in steps(5, 30, fps=5):
        passing = car_at((t * 150) % 900 - 150, 120)
        found = boxes(detector.detect(road.frame(t, parked, passing)))
        assert max(iou(box, parked) for box in found) > 0.7, f"lost at {t} s"


def test_an_object_is_absorbed_after_the_time_that_was_asked_for() -> None:
    settings = MotionSettings(background=BackgroundSettings(absorb_s=20))
    road, detector = Road(), MotionDetector(settings)
    empty_for(detector, road, 3)
    seen = [len(detector.detect(road.frame(t, car_at(240)))) for t in steps(3, 40)]
    assert all(seen[:34])
    assert not any(seen[44:])


def test_the_hole_of_a_car_that_was_there_from_the_start_is_no_object() -> None:
    road, detector = Road(), MotionDetector()
    for t in steps(0, 10, fps=5):
        assert not len(detector.detect(road.frame(t, car_at(240))))
    for t in steps(10, 14, fps=5):
        detector.detect(road.frame(t, car_at(240 + 110 * (t - 10))))
    late = [boxes(detector.detect(road.frame(t))) for t in steps(14, 20, fps=5)]
    assert not any(late[5:]), "the hole is still an object after a second"


@pytest.mark.parametrize("gain", [0.55, 1.5])
def test_a_sudden_exposure_change_is_no_object_and_keeps_the_parked_car(gain: float) -> None:
    road, detector = Road(), MotionDetector()
    empty_for(detector, road, 3, fps=5)
    for t in steps(3, 6, fps=5):
        detector.detect(road.frame(t, car_at(240)))
    for t in steps(6, 16, fps=5):
        found = boxes(detector.detect(road.frame(t, car_at(240), gain=gain)))
        assert len(found) == 1, f"{len(found)} objects at {t} s"
        assert iou(found[0], car_at(240)) > 0.7
    for t in steps(16, 26, fps=5):  # and back, over ten seconds
        now = gain + (1 - gain) * (t - 16) / 10
        found = boxes(detector.detect(road.frame(t, car_at(240), gain=now)))
        assert len(found) == 1, f"{len(found)} objects at {t} s"


def test_a_soft_shadow_is_no_object() -> None:
    road, detector = Road(), MotionDetector()
    empty_for(detector, road, 3, fps=5)
    for t in steps(3, 9, fps=5):
        cloud = Box(80 * (t - 3), 150, 80 * (t - 3) + 200, 320)
        assert not len(detector.detect(road.frame(t, shadow=cloud))), f"shadow seen at {t} s"


def test_time_is_counted_in_seconds_not_in_frames() -> None:
    settings = MotionSettings(background=BackgroundSettings(absorb_s=20))
    for fps in (2.0, 10.0):
        road, detector = Road(), MotionDetector(settings)
        empty_for(detector, road, 3, fps)
        seen = [(t, len(detector.detect(road.frame(t, car_at(240))))) for t in steps(3, 30, fps)]
        gone = next(t for t, n in seen if n == 0)
        assert 22 < gone < 26


def test_a_person_is_told_from_a_vehicle_by_shape() -> None:
    road, detector = Road(), MotionDetector()
    empty_for(detector, road, 3)
    found = detector.detect(road.frame(3.0, Box(100, 210, 130, 290), car_at(300)))
    assert sorted(found.names[c] for c in found.classes) == ["person", "vehicle"]


def test_the_same_frames_give_the_same_bytes() -> None:
    runs = []
    for _ in range(2):
        road, detector = Road(), MotionDetector()
        found = [detector.detect(road.frame(t, car_at(60 * t))) for t in steps(0, 8, fps=5)]
        runs.append(b"".join(f.boxes.tobytes() + f.scores.tobytes() for f in found))
    assert runs[0] == runs[1]


def test_a_new_resolution_starts_the_model_again() -> None:
    road, detector = Road(), MotionDetector()
    empty_for(detector, road, 3)
    small = ArrayPicture(road.frame(3).picture.scaled(320, 180))
    assert not len(detector.detect(Frame("cam", 99, 3.5, WALL, small)))


def test_motion_is_opened_by_name_and_is_not_evidential() -> None:
    detector = open_detector(DetectorSettings(model="motion"), [])
    assert detector.is_ordered
    assert (detector.model.name, detector.model.sha256) == ("motion", None)
    assert not detector.model.is_evidential


def test_the_gate_stays_shut_on_a_still_scene_but_not_for_long() -> None:
    road, gate = Road(), MotionGate(max_quiet_s=1.0)
    decisions = [(t, gate.is_open(road.frame(t))) for t in steps(0, 5, fps=10)]
    assert [round(float(t), 1) for t, is_open in decisions if is_open] == [0, 1, 2, 3, 4]


def test_the_gate_opens_for_a_small_far_vehicle() -> None:
    road, gate = Road(), MotionGate()
    gate.is_open(road.frame(0))
    assert not gate.is_open(road.frame(0.1))
    assert gate.is_open(road.frame(0.2, Box(300, 120, 316, 130)))


def test_slow_changes_add_up_at_the_gate() -> None:
    road, gate = Road(), MotionGate(max_quiet_s=60)
    opened = [gate.is_open(road.frame(t, gain=1 - 0.01 * t)) for t in steps(0, 30, fps=2)]
    assert opened[0]
    assert 1 < sum(opened) < 15
