"""What holds for the tracker whatever the traffic does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.config.models import TrackerSettings
from edge_agent.tracking import Tracker
from edge_agent.types import ArrayPicture, Detections, Frame, Track

WALL = datetime(2026, 5, 13, tzinfo=UTC)
PICTURE = ArrayPicture(np.zeros((240, 320, 3), np.uint8))
NAMES = ("car", "truck", "person")

Row = tuple[float, float, float, float, float, int]
"""x, y, width, height, score, class."""

rows = st.tuples(
    st.floats(-20, 320, width=32),
    st.floats(-20, 240, width=32),
    st.floats(0, 150, width=32),
    st.floats(0, 150, width=32),
    st.floats(0, 1, width=32),
    st.integers(0, 2),
)
step = st.tuples(st.floats(0.001, 5.0), st.lists(rows, max_size=6))
traffic = st.lists(step, min_size=1, max_size=25)


def frame(t_s: float) -> Frame:
    return Frame("cam", 0, t_s, WALL, PICTURE)


def detections(seen: Sequence[Row]) -> Detections:
    array = np.array([row[:5] for row in seen], np.float32).reshape(-1, 5)
    boxes = np.concatenate([array[:, :2], array[:, :2] + array[:, 2:4]], axis=1)
    return Detections(boxes, array[:, 4], np.array([row[5] for row in seen], np.int64), NAMES)


def new_tracker() -> Tracker:
    return Tracker(TrackerSettings(), 0.35)


def play(
    steps: Sequence[tuple[float, list[Row]]],
) -> list[tuple[tuple[Track, ...], tuple[Track, ...]]]:
    tracker, t_s = new_tracker(), 0.0
    log = []
    for dt_s, seen in steps:
        t_s += dt_s
        log.append((tracker.update(detections(seen), frame(t_s)), tracker.ended()))
    return log


@settings(max_examples=80, deadline=None)
@given(traffic)
def test_ids_are_unique_and_never_return_and_boxes_are_finite(
    steps: list[tuple[float, list[Row]]],
) -> None:
    gone: set[int] = set()
    highest = 0
    for tracks, ended in play(steps):
        ids = [track.id for track in (*tracks, *ended)]
        assert len(ids) == len(set(ids)) and not gone & set(ids)
        new = sorted(i for i in ids if i > highest)
        assert new == list(range(highest + 1, highest + 1 + len(new)))
        highest += len(new)
        gone |= {track.id for track in ended}
        for track in (*tracks, *ended):
            box = track.box
            numbers = (box.x1, box.y1, box.x2, box.y2, *track.velocity, track.score)
            assert all(math.isfinite(number) for number in numbers)
            assert 0 <= box.x1 <= box.x2 <= 320 and 0 <= box.y1 <= box.y2 <= 240
            assert track.first_s <= track.last_s
            assert track.still_since_s is None or track.still_since_s >= track.first_s


@settings(max_examples=40, deadline=None)
@given(traffic)
def test_the_same_traffic_gives_the_same_tracks(steps: list[tuple[float, list[Row]]]) -> None:
    assert play(steps) == play(steps)


START = 125.0


def drive(times: Sequence[float], speed: float, n: int) -> list[tuple[float, list[Row]]]:
    """Cars in lanes of their own, all at one speed in px/s."""
    steps, last_s = [], -1.0
    for t_s in times:
        cars: list[Row] = [(START + speed * t_s, 10 + 45.0 * i, 60, 36, 0.8, 0) for i in range(n)]
        steps.append((t_s - last_s, cars))
        last_s = t_s
    return steps


@settings(max_examples=30, deadline=None)
@given(
    st.floats(-60, 60), st.integers(1, 5), st.sets(st.integers(8, 40), max_size=30), st.booleans()
)
def test_dropped_frames_bend_nothing(
    speed: float, n: int, dropped: set[int], are_empty: bool
) -> None:
    times = [i / 20 for i in range(41) if i not in dropped or i == 40]
    log = play(drive(times, speed, n))
    if are_empty:
        steps = drive([i / 20 for i in range(41)], speed, n)
        gone = dropped - {40}
        log = play([(dt, [] if i in gone else cars) for i, (dt, cars) in enumerate(steps)])
    assert {track.id for tracks, _ in log for track in tracks} == set(range(1, n + 1))
    for track in log[-1][0]:
        assert abs(track.box.x1 - (START + speed * 2.0)) < 12


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.001, 0.4), min_size=1, max_size=6), st.integers(1, 5))
def test_holding_a_picture_in_which_nothing_moves_changes_nothing(
    pauses: list[float], n: int
) -> None:
    def end(with_holds: bool) -> tuple[Track, ...]:
        tracker, t_s = new_tracker(), 0.0
        for _, cars in drive([0.0] * 12, 0.0, n):
            tracker.update(detections(cars), frame(t_s))
            for pause_s in pauses:
                t_s += pause_s
                if with_holds:
                    held = tracker.hold(frame(t_s))
                    assert all(track.last_s == t_s for track in held)
            t_s += 0.05
        return tracker.update(detections(drive([0.0], 0.0, n)[0][1]), frame(t_s))

    plain, held = end(with_holds=False), end(with_holds=True)
    assert [(t.id, t.box, t.first_s, t.last_s) for t in plain] == [
        (t.id, t.box, t.first_s, t.last_s) for t in held
    ]
