"""Lanes, queues, speeds and congestion on hand-made scenes."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from edge_agent.analyzers.traffic.congestion import Congestion
from edge_agent.analyzers.traffic.lane import Lane, Paces, distinct, queue_of
from edge_agent.analyzers.view import View
from edge_agent.geometry import Ground, Polygon
from edge_agent.types import ArrayPicture, Box, Detections, Event, Frame, Scene, Track

WIDTH, HEIGHT = 400, 200
PICTURE = ArrayPicture(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
START = datetime(2026, 5, 13, 9, 0, tzinfo=UTC)
ZONE = Polygon([(0, 0.5), (1, 0.5), (1, 1), (0, 1)])
LANE = Lane(ZONE, ((0.0, 0.7), (1.0, 0.7)))
# 10 px are a metre, everywhere.
FLAT = Ground([(0, 0), (1, 0), (1, 1), (0, 1)], [(0, 0), (40, 0), (40, 20), (0, 20)])


def scene(t_s: float, *tracks: Track) -> Scene:
    frame = Frame("c1", round(t_s * 100), t_s, START + timedelta(seconds=t_s), PICTURE)
    return Scene(frame, Detections.none(), tracks)


def car(ident: int, x: float, t_s: float = 0.0, still: bool = True, score: float = 0.9) -> Track:
    """45 px long, 20 px high, its foot at y = 150."""
    box = Box(x - 22.5, 130, x + 22.5, 150)
    since_s = 0.0 if still else None
    return Track(ident, "car", score, box, (0, 0), 0.0, t_s, since_s, score > 0.35)


def test_reach_is_a_share_of_the_lane() -> None:
    assert LANE.reach(Box(100, 130, 200, 150), scene(0)) == pytest.approx((0.25, 0.5))
    back = Lane(ZONE, ((1.0, 0.7), (0.0, 0.7)))
    assert back.reach(Box(100, 130, 200, 150), scene(0)) == pytest.approx((0.5, 0.75))


def test_queue_is_the_longest_chain() -> None:
    lone, chain = car(1, 370), [car(2, 200), car(3, 145), car(4, 90)]
    queue = queue_of([lone, *chain], LANE, scene(0), FLAT)
    assert queue.vehicles == 3
    assert queue.share == pytest.approx((222.5 - 67.5) / 400)
    assert queue.length_m == pytest.approx(11 + 4.5)
    assert queue_of([], LANE, scene(0), FLAT).vehicles == 0


def test_parts_of_one_vehicle_count_once() -> None:
    whole, part, next_one = car(1, 100), car(2, 108, score=0.2), car(3, 150)
    assert [each.id for each in distinct([whole, part, next_one], scene(0))] == [1, 3]
    twin = car(2, 104)
    assert [each.id for each in distinct([whole, twin, next_one], scene(0))] == [1, 3]


@pytest.mark.parametrize(
    ("pixels", "metres"),
    [
        ([(0, 0), (1, 0), (1, 1), (0, 1)], [(0, 0), (40, 0), (40, 20), (0, 20)]),
        # A road that runs away from the camera: its far end is 60 m away and looks narrow.
        ([(0.4, 0.2), (0.6, 0.2), (1, 1), (0, 1)], [(0, 60), (8, 60), (8, 0), (0, 0)]),
    ],
)
def test_speed_in_kmh_holds_in_perspective(
    pixels: list[tuple[float, float]], metres: list[tuple[float, float]]
) -> None:
    to_picture = Ground(metres, pixels)  # takes shares, gives shares: here metres to shares
    paces = Paces(Ground(pixels, metres))
    rng = np.random.default_rng(2)
    speeds = []
    for i in range(40):
        x, y = to_picture.metres((4.0, 5.0 + 10.0 * i / 20), 1, 1)
        foot = (x * WIDTH, y * HEIGHT + rng.normal(0, 0.3))
        box = Box(foot[0] - 10, foot[1] - 12, foot[0] + 10, foot[1])
        track = Track(1, "car", 0.9, box, (0, 0), 0.0, i / 20, None)
        paces.update(scene(i / 20, track), [track])
        speeds.append(paces.kmh(track))
    assert speeds[0] is None
    known = [speed for speed in speeds[20:] if speed is not None]
    assert np.mean(known) == pytest.approx(36, rel=0.05)


def congestion(with_ground: bool = False, **settings: object) -> Congestion:
    view = View(
        "c1",
        {"lane": ZONE},
        {},
        ZoneInfo("UTC"),
        FLAT if with_ground else None,
        directions={"lane": LANE.arrow},
    )
    values = {"zone": "lane", "hold_s": 5, "clear_s": 3, "update_s": 10, **settings}
    return Congestion(Congestion.Settings.model_validate(values), view)


def play(rule: Congestion, tracks: Callable[[float], Iterable[Track]], until_s: int) -> list[Event]:
    events: list[Event] = []
    last = None
    for i in range(until_s * 5):
        last = scene(i / 5, *tracks(i / 5))
        events += rule.update(last)
    assert last is not None
    return events + list(rule.finish(last))


def test_a_standing_queue_begins_lasts_and_dissolves() -> None:
    def tracks(t_s: float) -> list[Track]:
        if t_s >= 20:
            return [car(3, 145, t_s)]
        return [car(1, 300, t_s), car(2, 250, t_s), car(3, 200, t_s)]

    events = play(congestion(), tracks, 30)
    assert [(event.phase, event.t_s) for event in events] == [
        ("begin", 5.0),
        ("update", 15.0),
        ("end", 23.0),
    ]
    begin, _, end = events
    assert begin.begin_s == 0.0
    assert begin.facts["queue_vehicles"] == begin.facts["slow"] == begin.facts["vehicles"] == 3
    assert begin.facts["queue_m"] is None and begin.facts["mean_speed_kmh"] is None
    assert begin.facts["queue_share"] == pytest.approx(145 / 400, abs=0.001)
    assert begin.facts["occupancy"] == pytest.approx(135 / 400, abs=0.001)
    assert (end.facts["end_s"], end.facts["queue_vehicles_max"]) == (20.0, 3)


def test_metres_and_kmh_where_the_camera_is_calibrated() -> None:
    def tracks(t_s: float) -> list[Track]:
        crawling = [car(i, 250 - 50 * i + 10 * t_s, t_s, still=False) for i in (1, 2)]
        return [car(0, 250, t_s), *crawling]  # the others at 1 m/s

    (begin, *_) = play(congestion(with_ground=True, hold_s=2), tracks, 3)
    assert begin.facts["mean_speed_kmh"] == pytest.approx(3.6 * 2 / 3, rel=0.05)
    assert begin.facts["queue_m"] == pytest.approx((250 - 150 - 20) / 10 + 4.5, abs=0.5)


def test_a_short_stop_or_two_vehicles_are_no_congestion() -> None:
    def stop(t_s: float) -> list[Track]:
        return [car(i, 100 + 50 * i, t_s) for i in range(3)] if t_s < 4 else []

    assert play(congestion(), stop, 10) == []
    assert play(congestion(), lambda t_s: [car(1, 200, t_s), car(2, 150, t_s)], 20) == []


def test_flowing_traffic_is_none() -> None:
    def tracks(t_s: float) -> list[Track]:  # 100 px/s: more than two lengths a second
        return [car(i, (60 * i + 100 * t_s) % 320 + 40, t_s, still=False) for i in range(4)]

    assert play(congestion(), tracks, 20) == []


def test_it_flickers_but_is_one_congestion() -> None:
    """For a second now and then only half of the vehicles are known to be slow."""

    def tracks(t_s: float) -> list[Track]:
        count = 2 if t_s > 8 and int(t_s) % 4 == 0 else 4
        return [car(i, 100 + 50 * i, t_s) for i in range(count)]

    events = play(congestion(vehicles=4), tracks, 30)
    assert [event.phase for event in events] == ["begin", "update", "update", "end"]


@pytest.mark.parametrize(("lapse_s", "begins_s"), [(1.0, 5.0), (3.0, 11.0)])
def test_before_it_begins_it_may_lapse_for_a_moment(lapse_s: float, begins_s: float) -> None:
    def tracks(t_s: float) -> list[Track]:
        return [car(i, 100 + 50 * i, t_s) for i in range(2 if 3 < t_s < 3 + lapse_s else 3)]

    assert play(congestion(), tracks, 15)[0].t_s == pytest.approx(begins_s, abs=0.2)


def test_three_parked_beside_flowing_traffic_are_none() -> None:
    def tracks(t_s: float) -> list[Track]:
        flowing = [car(i, (60 * i + 100 * t_s) % 320 + 40, t_s, still=False) for i in range(4)]
        return [car(10 + i, 100 + 50 * i, t_s) for i in range(3)] + [
            replace(each, box=replace(each.box, y1=170, y2=190)) for each in flowing
        ]

    assert play(congestion(), tracks, 20) == []
