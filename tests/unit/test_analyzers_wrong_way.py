"""Wrong-way driving on hand-made tracks."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from edge_agent.analyzers.traffic.wrong_way import WrongWay
from edge_agent.analyzers.view import View
from edge_agent.geometry import Ground, Polygon
from edge_agent.types import ArrayPicture, Box, Detections, Event, Frame, Scene, Track

WIDTH, HEIGHT = 400, 200
PICTURE = ArrayPicture(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
START = datetime(2026, 5, 13, 9, 0, tzinfo=UTC)
# The lower half of the picture; its traffic goes to the right. 20 px are a metre.
GROUND = Ground([(0, 0), (1, 0), (1, 1), (0, 1)], [(0, 0), (20, 0), (20, 10), (0, 10)])
VIEW = View(
    "c1",
    {"lane": Polygon([(0, 0.5), (1, 0.5), (1, 1), (0, 1)])},
    {},
    ZoneInfo("UTC"),
    GROUND,
    directions={"lane": ((0.0, 0.7), (1.0, 0.7))},
)
SIZE = (60.0, 30.0)


def box(x: float, y: float = 160, size: tuple[float, float] = SIZE) -> Box:
    """Around that centre, as far as the picture shows it."""
    w, h = size
    return Box(max(0.0, x - w / 2), y - h / 2, min(float(WIDTH), x + w / 2), y + h / 2)


def scene(t_s: float, *tracks: Track, ended: tuple[Track, ...] = ()) -> Scene:
    frame = Frame("c1", round(t_s * 100), t_s, START + timedelta(seconds=t_s), PICTURE)
    return Scene(frame, Detections.none(), tracks, ended)


def play(scenes: Iterable[Scene], **settings: object) -> list[Event]:
    rule = WrongWay(WrongWay.Settings.model_validate({"zone": "lane", **settings}), VIEW)
    events: list[Event] = []
    last = None
    for last in scenes:
        events += rule.update(last)
    assert last is not None
    return events + list(rule.finish(last))


def drive(
    places: Sequence[Box | None], fps: float = 10, still: Sequence[bool] = (), sure: bool = True
) -> list[Scene]:
    """One car at those places, one picture after another; None where it is not seen."""
    scenes, seen, seen_s = [], places[0], 0.0
    for i, place in enumerate(places):
        t_s = i / fps
        if place is not None:
            seen, seen_s = place, t_s
        assert seen is not None
        since_s = t_s if still and still[i] else None
        track = Track(1, "car", 0.9, seen, (0, 0), 0.0, seen_s, since_s, sure, places[0], seen)
        scenes.append(scene(t_s, track))
    return [*scenes, scene(len(places) / fps, ended=scenes[-1].tracks)]


def phases(events: Iterable[Event]) -> list[str]:
    return [event.phase for event in events]


def test_against_the_arrow_is_told_once_and_ends() -> None:
    events = play(drive([box(x) for x in range(340, 60, -10)]))  # 100 px/s
    assert phases(events) == ["begin", "end"]
    begin, end = events
    assert begin.subject == end.subject and begin.zone == "lane"
    assert begin.t_s == pytest.approx(0.6)  # a length of 60 px at 100 px/s
    assert begin.begin_s == 0.0
    assert begin.facts["angle_deg"] == 180 and begin.facts["path_sizes"] == 1.0
    assert begin.facts["speed_kmh"] == pytest.approx(18)  # 5 m/s
    assert end.facts["end_reason"] == "left" and end.facts["end_s"] == pytest.approx(2.7)


def test_with_the_arrow_is_nothing() -> None:
    assert play(drive([box(x) for x in range(40, 360, 10)])) == []


@pytest.mark.parametrize(("dx", "dy", "is_wrong"), [(-5, 0, 1), (-4, 6, 1), (-2, 6, 0), (5, 0, 0)])
def test_the_angle_decides(dx: float, dy: float, is_wrong: bool) -> None:
    way = [box(300 + dx * i, 110 + dy * i, (20, 10)) for i in range(13)]
    assert bool(play(drive(way))) == is_wrong


def test_other_zones_and_classes_are_not_its_business() -> None:
    assert play(drive([box(x, 40) for x in range(340, 60, -10)])) == []
    assert play(drive([box(x) for x in range(340, 60, -10)]), classes=["bicycle"]) == []


def test_reversing_by_some_metres_is_no_wrong_way() -> None:
    forward = [box(x) for x in range(100, 300, 10)]
    back = [box(300 - 5 * i) for i in range(10)]  # 45 px: 2.3 m
    assert play(drive(forward + back + [back[-1]] * 10)) == []


def test_whoever_turns_round_is_found() -> None:
    forward = [box(x) for x in range(100, 300, 10)]
    back = [box(x) for x in range(300, 100, -10)]
    begin, _ = play(drive(forward + back))
    assert begin.begin_s == pytest.approx(2.0)


def test_whoever_stands_first_and_then_backs_up_is_found_as_soon() -> None:
    stands, back = [box(300)] * 60, [box(x) for x in range(300, 100, -10)]
    begin, _ = play(drive(stands + back, still=[True] * 60 + [False] * 20))
    assert begin.t_s == pytest.approx(6.6) and begin.begin_s == pytest.approx(6.0)


def test_it_is_told_of_once_although_it_comes_back() -> None:
    way = [box(x) for x in range(340, 200, -10)]
    events = play(drive([*way, *[box(200, 60)] * 30, *way]))
    assert phases(events) == ["begin", "end"]


def test_jitter_is_no_way() -> None:
    rng = np.random.default_rng(1)
    for pace in (0.0, 3.0):
        way = [box(100 + pace * i + rng.normal(0, 6)) for i in range(80)]
        assert play(drive(way, fps=25)) == []


def test_a_jump_to_another_vehicle_is_no_way() -> None:
    waits = [box(300)] * 10
    assert play(drive([*waits, *[box(200)] * 10])) == []
    assert play(drive([*waits, None, None, *[box(150)] * 10])) == []
    forward = [box(200 + 4 * i) for i in range(20)]
    assert play(drive([*forward, *(box(180 + 4 * i) for i in range(20))])) == []


def test_traffic_that_seems_to_run_backwards_is_not_believed() -> None:
    """Pictures so rare that each vehicle takes the place of the one before, and a bit less."""
    assert play(drive([box(300 - 15 * i) for i in range(15)], fps=1.5)) == []


def test_hidden_for_a_moment_is_still_the_same_way() -> None:
    way: list[Box | None] = [box(x) for x in range(340, 60, -8)]
    way[4:9] = [None] * 5
    assert phases(play(drive(way))) == ["begin", "end"]


def test_what_was_never_clear_is_not_accused() -> None:
    assert play(drive([box(x) for x in range(340, 60, -10)], sure=False)) == []


def test_coming_out_from_behind_something_is_no_way() -> None:
    """Its right edge is fixed, the left one comes out."""
    assert play(drive([Box(300 - 6 * i, 145, 300, 175) for i in range(1, 11)])) == []


def test_entering_and_leaving_the_picture_count_in_full() -> None:
    """Cut off by the border, the centre of the box goes at half the pace."""
    events = play(drive([box(430 - 10 * i) for i in range(11)]))
    assert events[0].t_s <= 0.7


def test_outside_the_zone_for_long_it_has_left() -> None:
    way = [box(x) for x in range(340, 200, -10)]
    events = play(drive(way + [box(200, 60)] * 30))
    assert phases(events) == ["begin", "end"]
    assert events[1].t_s < 3.0


def test_the_end_of_the_recording_closes_it() -> None:
    events = play(drive([box(x) for x in range(340, 60, -10)])[:-1])
    assert events[-1].phase == "end" and events[-1].facts["end_reason"] == "recording_ended"
