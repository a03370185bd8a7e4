"""The tracker on drawn-up traffic: a scene is a function from time to what a detector reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import numpy as np
import pytest

from edge_agent.config.models import TrackerSettings
from edge_agent.geometry import iou, overlap
from edge_agent.tracking import Tracker
from edge_agent.types import ArrayPicture, Box, Detections, Frame, Track

NAMES = ("car", "truck", "person", "bus")
WALL = datetime(2026, 5, 13, tzinfo=UTC)
PICTURE = ArrayPicture(np.zeros((360, 640, 3), np.uint8))

Seen = tuple[str, float, Box]
View = Callable[[float], Iterable[Seen]]
Log = list[tuple[float, tuple[Track, ...]]]


def frame_at(t_s: float, seq: int = 0, picture: ArrayPicture = PICTURE) -> Frame:
    return Frame("cam", seq, t_s, WALL, picture)


def detections(seen: Iterable[Seen]) -> Detections:
    listed = list(seen)
    return Detections(
        np.array([[b.x1, b.y1, b.x2, b.y2] for _, _, b in listed], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in listed], np.float32),
        np.array([NAMES.index(name) for name, _, _ in listed], np.int64),
        NAMES,
    )


def watch(tracker: Tracker, view: View, fps: float, span_s: tuple[float, float]) -> Log:
    """What the tracker says about every frame of that time."""
    first, last = round(span_s[0] * fps), round(span_s[1] * fps)
    return [
        (n / fps, tracker.update(detections(view(n / fps)), frame_at(n / fps, n)))
        for n in range(first, last + 1)
    ]


def moved(box: Box, dx: float, dy: float = 0.0) -> Box:
    return Box(box.x1 + dx, box.y1 + dy, box.x2 + dx, box.y2 + dy)


def jittered(box: Box, rng: np.random.Generator, share: float = 0.02) -> Box:
    unit = (box.width, box.height, box.width, box.height)
    dx1, dy1, dx2, dy2 = (rng.normal(0.0, share, 4) * unit).tolist()
    return Box(box.x1 + dx1, box.y1 + dy1, box.x2 + dx2, box.y2 + dy2)


def at(tracks: Iterable[Track], box: Box) -> Track | None:
    """The track at that place."""
    best = max(tracks, key=lambda track: iou(track.box, box), default=None)
    return best if best and iou(best.box, box) > 0.5 else None


def new_tracker(lost_still_s: float = 60.0, confirm_s: float = 0.2) -> Tracker:
    return Tracker(TrackerSettings(lost_still_s=lost_still_s, confirm_s=confirm_s), 0.35)


PARKED = Box(300, 150, 380, 200)
RATES = pytest.mark.parametrize("fps", [1, 2, 5, 25, 60])


@RATES
def test_what_stands_in_the_first_frame_has_stood_since_then(fps: float) -> None:
    rng = np.random.default_rng(1)
    log = watch(new_tracker(), lambda t: [("car", 0.8, jittered(PARKED, rng))], fps, (0, 20))
    for t_s, tracks in log:
        if t_s >= 3.0:
            (track,) = tracks
            assert (track.id, track.first_s, track.last_s) == (1, 0.0, t_s)
            assert track.still_since_s is not None and track.still_since_s <= 0.25
            assert track.velocity == (0.0, 0.0)


def passing(
    fps: float, speed: float, offset: tuple[float, float], begin_x: float, size: float = 1.0
) -> View:
    """A car drives past, and hides the parked one while they overlap much."""
    rng = np.random.default_rng(7)
    step_s = 1 / fps
    like = Box(300, 200 - 50 * size, 300 + 80 * size, 200)

    def view(t_s: float) -> list[Seen]:
        x = offset[0] + speed * (t_s - 10.0) - np.sign(speed) * begin_x
        passer = moved(like, float(x), offset[1])
        is_passing = t_s > 10.0 + step_s / 2 and abs(x) <= begin_x
        seen: list[Seen] = []
        if not is_passing or overlap(passer, PARKED) < 0.3 * PARKED.area:
            seen.append(("car", 0.8, jittered(PARKED, rng)))
        if is_passing:
            seen.append(("car", 0.9, jittered(passer, rng)))
        return seen

    return view


@pytest.mark.parametrize(
    ("fps", "speed"),
    [(fps, speed) for fps in (5, 25, 60) for speed in (-400, -160, -80, 80, 160, 400)
     if abs(speed) / fps <= PARKED.width / 2],
)  # fmt: skip
@pytest.mark.parametrize("dy", [0.0, 10.0, 30.0])
def test_a_passing_car_takes_neither_the_id_nor_the_place(
    fps: float, speed: float, dy: float
) -> None:
    log = watch(new_tracker(), passing(fps, speed, (0, dy), 250), fps, (0, 18))
    for t_s, tracks in log:
        if t_s > 3.0:
            track = next(track for track in tracks if track.id == 1)
            assert iou(track.box, PARKED) > 0.6, f"dragged away at {t_s}"
            assert track.still_since_s is not None and track.still_since_s < 0.25, t_s
    assert log[-1][1][0].last_s == log[-1][0]
    others = {track.id for _, tracks in log for track in tracks if track.id != 1}
    assert len(others) == 1


@pytest.mark.parametrize("fps", [1, 2, 10])
@pytest.mark.parametrize("speed", [-500, -120, 60, 300])
@pytest.mark.parametrize("size", [0.6, 1.0, 1.5, 2.5])
def test_nor_does_anything_of_another_size_or_seen_rarely(
    fps: float, speed: float, size: float
) -> None:
    log = watch(new_tracker(), passing(fps, speed, (0, 12), 280, size), fps, (0, 24))
    for t_s, tracks in log:
        if t_s > 4.0:
            track = next(track for track in tracks if track.id == 1)
            assert iou(track.box, PARKED) > 0.6, f"dragged away at {t_s}"
            assert track.still_since_s is not None and track.still_since_s < 0.25, t_s
    assert log[-1][1][0].last_s == log[-1][0]


@pytest.mark.parametrize("begin_x", [10, 25, 40, 60])
@pytest.mark.parametrize("speed", [-160, -80, 80, 160])
def test_a_car_that_is_first_seen_right_before_the_parked_one_passes_as_well(
    speed: float, begin_x: float
) -> None:
    log = watch(new_tracker(), passing(25, speed, (0, 10), begin_x), 25, (0, 20))
    t_s, tracks = log[-1]
    (track,) = (track for track in tracks if track.last_s == t_s)
    assert track.id == 1 and iou(track.box, PARKED) > 0.8
    assert track.still_since_s is not None and track.still_since_s < 0.25


def test_minutes_of_traffic_leave_parked_cars_alone() -> None:
    rng = np.random.default_rng(11)
    parked = [PARKED, moved(PARKED, -110), moved(PARKED, 105, 4)]

    def view(t_s: float) -> list[Seen]:
        cars = []
        for lane, speed, pause_s in ((12.0, 150.0, 3.1), (38.0, -210.0, 4.7), (-25.0, 90.0, 7.3)):
            since_s = t_s % pause_s
            for k in range(4):
                along = abs(speed) * (since_s + k * pause_s) - 60
                x = along if speed > 0 else 640 - along
                cars.append(Box(x, 150 + lane, x + 85, 202 + lane))
        cars = [car for car in cars if car.x1 > -60 and car.x2 < 700]
        seen: list[Seen] = [("car", 0.8, jittered(car, rng)) for car in cars]
        for box in parked:
            shown = 1 - max((overlap(box, car) / box.area for car in cars), default=0.0)
            if shown > 0.5 and rng.uniform() > 0.1:
                seen.append(("car", 0.3 + 0.5 * shown, jittered(box, rng)))
        return seen

    log = watch(new_tracker(), view, 10, (0, 180))
    names = [[at(tracks, box) for t_s, tracks in log if t_s > 5] for box in parked]
    ids = [{track.id if track else None for track in tracks} for tracks in names]
    assert all(len(one) == 1 and None not in one for one in ids)
    assert len(set.union(*ids)) == 3
    for track in (track for tracks in names for track in tracks if track):
        assert track.still_since_s is not None and track.still_since_s < 4


@RATES
@pytest.mark.parametrize("hidden_s", [2.0, 10.0, 45.0])
def test_a_hidden_car_holds_its_place_and_takes_its_id_back(fps: float, hidden_s: float) -> None:
    rng = np.random.default_rng(3)

    def view(t_s: float) -> list[Seen]:
        is_hidden = 10 < t_s < 10 + hidden_s
        return [] if is_hidden else [("car", 0.8, jittered(moved(PARKED, 4, -3), rng))]

    for t_s, tracks in watch(new_tracker(), view, fps, (0, 15 + hidden_s)):
        if t_s > 4:
            (track,) = tracks
            assert track.id == 1 and track.still_since_s is not None
            assert iou(track.box, PARKED) > 0.7
            assert (track.last_s < t_s) == (10 < t_s < 10 + hidden_s)


def test_a_hidden_car_is_given_up_in_time() -> None:
    tracker = new_tracker(lost_still_s=20)
    watch(tracker, lambda t: [("car", 0.8, PARKED)], 5, (0, 10))
    log = watch(tracker, lambda t: [], 5, (10.2, 29.8))
    assert all(len(tracks) == 1 for _, tracks in log)
    assert watch(tracker, lambda t: [], 5, (30, 30.2))[-1][1] == ()
    (ended,) = tracker.ended()
    assert (ended.id, ended.last_s) == (1, 10.0)
    assert watch(tracker, lambda t: [("car", 0.8, PARKED)], 5, (30.4, 33))[-1][1][0].id == 2


@pytest.mark.parametrize("fps", [2, 5, 25, 60])
def test_a_parked_car_that_drives_off_keeps_its_id_and_is_moving_soon(fps: float) -> None:
    rng = np.random.default_rng(4)

    def view(t_s: float) -> list[Seen]:
        s = max(0.0, t_s - 10)
        return [("car", 0.8, jittered(moved(PARKED, -30 * s * s, 6 * s * s), rng))]

    log = watch(new_tracker(), view, fps, (0, 12.5))
    assert {track.id for _, tracks in log for track in tracks} == {1}
    for t_s, (track,) in ((t, tracks) for t, tracks in log if t > 3):
        if t_s <= 10:
            assert track.still_since_s is not None
        if t_s > 11.8:
            assert track.still_since_s is None and track.velocity[0] < -40


@RATES
def test_a_creeping_queue_is_not_parked(fps: float) -> None:
    rng = np.random.default_rng(5)

    def view(t_s: float) -> list[Seen]:
        return [("car", 0.8, jittered(moved(PARKED, -3.0 * t_s), rng))]

    for t_s, tracks in watch(new_tracker(), view, fps, (0, 60)):
        for track in tracks:
            assert track.id == 1
            assert track.still_since_s is None or t_s - track.still_since_s < 10


@pytest.mark.parametrize("fps", [2, 5, 25])
def test_a_box_that_is_half_covered_for_long_has_not_moved(fps: float) -> None:
    rng = np.random.default_rng(6)
    halves = {0: Box(340, 150, 380, 200), 1: Box(300, 150, 345, 200), 2: Box(300, 150, 380, 172)}

    def view(t_s: float) -> list[Seen]:
        box = halves[int(t_s) // 8 % 3] if t_s > 6 and int(t_s) % 8 < 4 else PARKED
        return [("car", 0.6, jittered(box, rng))]

    for t_s, tracks in watch(new_tracker(), view, fps, (0, 40)):
        if t_s > 3:
            (track,) = (track for track in tracks if track.last_s == t_s)
            assert track.id == 1 and track.still_since_s is not None, t_s
            assert track.still_since_s < 0.25 and iou(track.box, PARKED) > 0.7


@pytest.mark.parametrize("fps", [5, 12, 25, 60])
@pytest.mark.parametrize("brake", [40.0, 100.0, 200.0])
def test_the_moment_of_stopping_is_found(fps: float, brake: float) -> None:
    rng = np.random.default_rng(8)

    def view(t_s: float) -> list[Seen]:
        left = max(0.0, 5.0 - t_s)
        along = -0.5 * brake * left * left if left < 1 else -0.5 * brake - brake * (left - 1)
        return [("car", 0.8, jittered(moved(PARKED, along), rng, 0.01))]

    track = watch(new_tracker(), view, fps, (2.5, 9))[-1][1][0]
    assert track.still_since_s is not None
    assert -0.4 <= track.still_since_s - 5.0 <= 0.3


def test_a_moving_car_is_given_up_after_its_time_and_reported_once() -> None:
    tracker = new_tracker()
    watch(tracker, lambda t: [("car", 0.8, moved(PARKED, -50 * t))], 25, (0, 2))
    ended: list[Track] = []
    for n in range(51, 120):
        tracks = tracker.update(Detections.none(NAMES), frame_at(n / 25, n))
        ended += tracker.ended()
        assert bool(tracks) == (n / 25 - 2.0 <= 1.5)
        assert all(track.last_s == 2.0 and track.velocity[0] < -30 for track in tracks)
    assert [track.id for track in ended] == [1]


def test_a_track_is_confirmed_by_time_and_by_a_second_sight() -> None:
    slow = watch(new_tracker(), lambda t: [("car", 0.8, PARKED)], 1, (0, 1))
    assert [len(tracks) for _, tracks in slow] == [0, 1]
    fast = watch(new_tracker(confirm_s=0.5), lambda t: [("car", 0.8, PARKED)], 10, (0, 0.6))
    assert [len(tracks) for _, tracks in fast] == [0, 0, 0, 0, 0, 1, 1]
    eager = watch(new_tracker(confirm_s=0), lambda t: [("car", 0.8, PARKED)], 10, (0, 0.2))
    assert [len(tracks) for _, tracks in eager] == [0, 1, 1]


def test_weak_detections_continue_a_track_and_start_none() -> None:
    tracker = new_tracker()
    weak = watch(tracker, lambda t: [("car", 0.2, PARKED)], 10, (0, 1))
    assert all(tracks == () for _, tracks in weak)
    watch(tracker, lambda t: [("car", 0.5, PARKED)], 10, (1.1, 2))
    (track,) = watch(tracker, lambda t: [("car", 0.2, PARKED)], 10, (2.1, 5))[-1][1]
    assert (track.id, track.last_s) == (1, 5.0)


def test_hold_keeps_what_was_seen_and_confirms_it() -> None:
    tracker = new_tracker()
    tracker.update(detections([("car", 0.8, PARKED)]), frame_at(0.0))
    (track,) = [tracker.hold(frame_at(n / 10, n)) for n in range(1, 600)][-1]
    assert (track.id, track.first_s, track.last_s) == (1, 0.0, 59.9)
    assert track.still_since_s == 0.0 and track.box == PARKED and tracker.ended() == ()


def test_a_car_that_is_taken_for_a_truck_keeps_its_id_and_its_majority() -> None:
    rng = np.random.default_rng(9)

    def view(t_s: float) -> list[Seen]:
        name = "truck" if int(t_s * 10) % 3 == 0 else "car"
        return [(name, 0.6, jittered(moved(PARKED, 20 * t_s), rng))]

    log = watch(new_tracker(), view, 10, (0, 8))
    assert {(t.id, t.cls) for t_s, tracks in log if t_s > 1 for t in tracks} == {(1, "car")}


def test_a_person_never_continues_a_vehicle() -> None:
    tracker = new_tracker()
    watch(tracker, lambda t: [("car", 0.8, PARKED)], 10, (0, 3))
    log = watch(tracker, lambda t: [("person", 0.8, PARKED)], 10, (3.1, 6))
    assert {(track.id, track.cls) for track in log[-1][1]} == {(1, "car"), (2, "person")}


def test_one_vehicle_that_is_reported_twice_is_one_track() -> None:
    rng = np.random.default_rng(10)

    def view(t_s: float) -> list[Seen]:
        box = moved(PARKED, 15 * t_s)
        part = Box(box.x1 + 2, box.y1 + 1, box.x1 + 40, box.y2 - 2)
        seen = [("car", 0.7, jittered(box, rng)), ("truck", 0.6, jittered(box, rng))]
        return [*seen, ("car", 0.5, jittered(part, rng))]

    log = watch(new_tracker(), view, 10, (0, 8))
    assert {track.id for _, tracks in log for track in tracks} == {1}


def test_real_neighbours_are_not_joined() -> None:
    bus = Box(200, 60, 400, 190)
    cars = [Box(210, 130, 270, 178), Box(280, 150, 345, 215), Box(350, 152, 415, 217)]
    far = Box(380, 40, 420, 70)
    everything = [("bus", 0.8, bus), *(("car", 0.7, box) for box in cars), ("car", 0.6, far)]
    log = watch(new_tracker(), lambda t: everything, 10, (0, 8))
    assert len(log[-1][1]) == 5


def test_another_picture_size_scales_what_is_known() -> None:
    tracker = new_tracker()
    watch(tracker, lambda t: [("car", 0.8, PARKED)], 10, (0, 5))
    half = ArrayPicture(np.zeros((180, 320, 3), np.uint8))
    small = Box(PARKED.x1 / 2, PARKED.y1 / 2, PARKED.x2 / 2, PARKED.y2 / 2)
    (held,) = tracker.hold(frame_at(5.1, 51, half))
    (track,) = tracker.update(detections([("car", 0.8, small)]), frame_at(5.2, 52, half))
    assert held.id == track.id == 1 and track.still_since_s == 0.0
    assert iou(held.box, small) > 0.99 and iou(track.box, small) > 0.99


def test_stills_minutes_apart_follow_what_stands() -> None:
    tracker = new_tracker()
    other = Box(100, 150, 180, 200)
    for n in range(5):
        seen = [("car", 0.8, PARKED)] + ([("car", 0.8, other)] if n in (1, 3) else [])
        tracks = tracker.update(detections(seen), frame_at(300.0 * n, n))
    (track,) = tracks
    assert (track.id, track.first_s, track.still_since_s) == (1, 0.0, 0.0)


def test_a_vehicle_that_comes_to_the_place_of_one_that_left_unseen_is_another() -> None:
    def view(t_s: float) -> list[Seen]:
        if t_s < 10:
            return [("car", 0.8, PARKED)]
        return [("car", 0.8, moved(PARKED, max(0.0, 60 * (18 - t_s))))] if t_s > 14 else []

    tracks = watch(new_tracker(), view, 25, (0, 25))[-1][1]
    assert [track.id for track in tracks] == [2]


def test_a_car_known_by_its_half_grows_when_the_whole_is_seen() -> None:
    rng = np.random.default_rng(12)
    half = Box(340, 150, 380, 200)

    def view(t_s: float) -> list[Seen]:
        seen: list[Seen] = [("car", 0.6, jittered(half, rng))]
        return [*seen, ("truck", 0.3, jittered(PARKED, rng))] if t_s > 4 else seen

    log = watch(new_tracker(), view, 10, (0, 10))
    assert {track.id for _, tracks in log for track in tracks} == {1}
    (track,) = log[-1][1]
    assert track.still_since_s == 0.0 and iou(track.box, PARKED) > 0.9
