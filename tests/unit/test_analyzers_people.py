"""Pedestrians, cyclists, jaywalkers, loiterers, trespassers and crowds on hand-made scenes.

The picture is 400 x 200 px; persons are 40 px high and the zone spans x = 100..300, y >= 100.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from edge_agent.analyzers.people.crowd import Crowd
from edge_agent.analyzers.people.jaywalking import Jaywalking
from edge_agent.analyzers.people.loitering import Loitering, Trespass
from edge_agent.analyzers.people.pedestrian import Cyclist, Pedestrian
from edge_agent.analyzers.people.presence import PresenceRule
from edge_agent.analyzers.view import View
from edge_agent.geometry import Ground, Polygon
from edge_agent.ports import Analyzer
from edge_agent.types import ArrayPicture, Box, Detections, Event, Frame, Phase, Scene, Track

PICTURE = ArrayPicture(np.zeros((200, 400, 3), np.uint8))
START = datetime(2026, 5, 13, 22, 59, 50, tzinfo=UTC)  # ten seconds before 23:00
STEP_S = 0.2
NAMES = ("person", "bicycle", "motorcycle", "car")
VIEW = View(
    "c1",
    {
        "road": Polygon([(0.25, 0.5), (0.75, 0.5), (0.75, 1), (0.25, 1)]),
        "crossing": Polygon([(0.6, 0.5), (0.75, 0.5), (0.75, 1), (0.6, 1)]),
    },
    {},
    ZoneInfo("UTC"),
    # The picture is 20 m wide and 10 m deep: the road measures 10 x 5 m.
    Ground([(0, 0), (1, 0), (1, 1), (0, 1)], [(0, 0), (20, 0), (20, 10), (0, 10)]),
)


def person(ident: int, t_s: float, x: float, born: tuple[float, float], foot: float = 150) -> Track:
    """A person seen at x, first seen at `born` (time, x)."""
    box, first = Box(x - 8, foot - 40, x + 8, foot), Box(born[1] - 8, foot - 40, born[1] + 8, foot)
    return Track(ident, "person", 0.8, box, (0, 0), born[0], t_s, None, born=first, seen=box)


def thing(ident: int, cls: str, t_s: float, box: Box, still_s: float | None = None) -> Track:
    return Track(ident, cls, 0.8, box, (0, 0), 0.0, t_s, still_s, born=box, seen=box)


def scene(
    t_s: float, tracks: Iterable[Track], signals: Mapping[str, str] = MappingProxyType({})
) -> Scene:
    tracks = tuple(tracks)
    frame = Frame("c1", round(t_s / STEP_S), t_s, START + timedelta(seconds=t_s), PICTURE)
    seen = [track for track in tracks if track.last_s == t_s]
    boxes = np.array([(t.box.x1, t.box.y1, t.box.x2, t.box.y2) for t in seen], np.float32).reshape(
        -1, 4
    )
    scores = np.array([t.score for t in seen], np.float32)
    classes = np.array([NAMES.index(t.cls) for t in seen], np.int64)
    return Scene(frame, Detections(boxes, scores, classes, NAMES), tracks, (), signals)


def times(until_s: float, since_s: float = 0.0) -> list[float]:
    return [round(i * STEP_S, 3) for i in range(round(since_s / STEP_S), round(until_s / STEP_S))]


def play(rule: Analyzer, scenes: Iterable[Scene]) -> list[Event]:
    events: list[Event] = []
    last = None
    for last in scenes:
        events += rule.update(last)
    assert last is not None
    return events + list(rule.finish(last))


def told(events: Iterable[Event], phase: Phase = "begin") -> list[float]:
    return [event.t_s for event in events if event.phase == phase]


def across(t_s: float) -> list[Track]:
    """Walks 20 px/s (half a body height) from x = 40: in the zone from 3 s until 13 s."""
    return [person(1, t_s, 40 + 20 * t_s, (0.0, 40))]


def pedestrian(**settings: object) -> Pedestrian:
    return Pedestrian(Pedestrian.Settings.model_validate({"zone": "road", **settings}), VIEW)


def test_a_pedestrian_crosses_the_road() -> None:
    begin, end = play(pedestrian(), [scene(t, across(t)) for t in times(18)])
    assert (begin.phase, begin.begin_s, begin.t_s) == ("begin", 3.0, 4.0)
    assert (end.phase, end.facts["end_s"], end.facts["end_reason"]) == ("end", 13.0, "left")
    assert end.facts["dwell_s"] == pytest.approx(10.0)
    assert begin.subject == end.subject


def test_a_crossing_is_excepted() -> None:
    rule = pedestrian(except_zones=["crossing"])
    inside = [scene(t, [person(1, t, 270, (0.0, 270))]) for t in times(6)]
    assert play(rule, inside) == []


def test_stepping_on_the_kerb_for_a_moment_is_nothing() -> None:
    """In for 0.6 s and out for 0.6 s, over and over: never a whole second inside."""
    scenes = [scene(t, [person(1, t, 95 + 10 * (t % 1.2 < 0.6), (0.0, 95))]) for t in times(20)]
    assert play(pedestrian(), scenes) == []


def test_another_track_of_the_same_person_is_no_second_pedestrian() -> None:
    def tracks(t_s: float) -> list[Track]:
        (walker,) = across(t_s)
        if t_s < 6:
            return [walker]
        lost = person(1, 5.8, 156, (0.0, 40))
        if t_s < 7:
            return [lost]  # unseen for a second, the tracker hopes on
        return [lost, person(2, t_s, walker.box.centre[0], (7.0, 180))]

    events = play(pedestrian(), [scene(t, tracks(t)) for t in times(18)])
    assert [event.phase for event in events] == ["begin", "end"]
    assert events[1].track is not None and events[1].track.id == 2


def test_ids_that_swap_between_two_persons_do_not_make_three() -> None:
    def tracks(t_s: float) -> list[Track]:
        a, b = (1, 2) if t_s < 6 else (2, 1)
        return [
            person(a, t_s, 40 + 20 * t_s, (0.0, 40)),
            person(b, t_s, 360 - 20 * t_s, (0.0, 360)),
        ]

    assert len(told(play(pedestrian(), [scene(t, tracks(t)) for t in times(18)]))) == 2


def test_who_comes_later_elsewhere_is_somebody_else() -> None:
    def tracks(t_s: float) -> list[Track]:
        first = [person(1, t_s, 120, (0.0, 145))] if t_s < 4 else []
        return first + ([person(2, t_s, 280, (5.0, 255))] if t_s >= 5 else [])

    assert len(told(play(pedestrian(), [scene(t, tracks(t)) for t in times(10)]))) == 2


@pytest.mark.parametrize(("bike", "is_cyclist"), [("bicycle", True), ("motorcycle", False)])
def test_a_rider_is_no_pedestrian(bike: str, is_cyclist: bool) -> None:
    def tracks(t_s: float) -> list[Track]:
        x = 40 + 20 * t_s
        wheels = thing(2, bike, t_s, Box(x - 15, 128, x + 15, 154))
        return [person(1, t_s, x, (0.0, 40)), wheels]

    scenes = [scene(t, tracks(t)) for t in times(18)]
    assert play(pedestrian(), scenes) == []
    events = play(Cyclist(Cyclist.Settings(zone="road"), VIEW), scenes)
    assert [event.phase for event in events] == (["begin", "end"] if is_cyclist else [])
    assert all(event.track is not None and event.track.cls == "person" for event in events)


def test_a_bicycle_alone_counts_while_it_moves() -> None:
    def play_bike(still_s: float | None) -> list[Event]:
        box = Box(180, 130, 220, 155)
        scenes = [scene(t, [thing(2, "bicycle", t, box, still_s)]) for t in times(5)]
        return play(Cyclist(Cyclist.Settings(zone="road"), VIEW), scenes)

    assert len(told(play_bike(None))) == 1
    assert play_bike(0.0) == []


def test_walking_past_a_parked_bicycle_is_walking() -> None:
    bike = Box(180, 128, 210, 154)
    scenes = [scene(t, [*across(t), thing(2, "bicycle", t, bike, 0.0)]) for t in times(18)]
    assert len(told(play(pedestrian(), scenes))) == 1


def test_a_driver_is_no_pedestrian() -> None:
    car = Box(150, 100, 260, 180)
    scenes = [scene(t, [person(1, t, 200, (0.0, 175)), thing(2, "car", t, car)]) for t in times(5)]
    assert play(pedestrian(), scenes) == []


def test_getting_out_of_a_standing_car_counts_unless_told_otherwise() -> None:
    car = thing(2, "car", 0.0, Box(150, 100, 260, 148), 0.0)
    scenes = [scene(t, [person(1, t, 200, (0.0, 175)), car]) for t in times(5)]
    assert len(told(play(pedestrian(), scenes))) == 1
    assert play(pedestrian(at_vehicles=False), scenes) == []


def test_what_never_moves_is_a_bollard() -> None:
    scenes = [scene(t, [person(1, t, 200 + t % 3, (0.0, 200))]) for t in times(60)]
    assert play(pedestrian(), scenes) == []


def walk(rule: Callable[[], PresenceRule], lamp: Callable[[float], str | None]) -> list[Event]:
    def signals(t_s: float) -> dict[str, str]:
        state = lamp(t_s)
        return {} if state is None else {"walk": state}

    return play(rule(), [scene(t, across(t), signals(t)) for t in times(18)])


def jaywalking() -> Jaywalking:
    settings = {"zone": "road", "phase": "walk", "clearance_s": 5}
    return Jaywalking(Jaywalking.Settings.model_validate(settings), VIEW)


def test_stepping_onto_the_road_on_red() -> None:
    begin, end = walk(jaywalking, lambda t: "red")
    assert (begin.phase, begin.begin_s, begin.t_s) == ("begin", 3.0, 4.0)
    assert begin.signal == {"walk": "red"} and begin.facts["red_since_s"] == 0.0
    assert end.facts["end_s"] == 13.0 and begin.doubts == ()


@pytest.mark.parametrize("state", ["green", "amber", "dark", "conflict", None])
def test_nobody_is_accused_unless_it_is_red(state: str | None) -> None:
    assert walk(jaywalking, lambda t: state) == []


def test_who_started_on_green_may_finish() -> None:
    assert walk(jaywalking, lambda t: "green" if t < 9 else "red") == []


def test_but_not_dawdle() -> None:
    begin, _ = walk(jaywalking, lambda t: "green" if t < 4 else "red")
    assert (begin.begin_s, begin.t_s) == (9.0, 10.0), "red since 4 s, and five seconds to finish"


def test_who_was_first_seen_on_the_road_may_have_started_on_green() -> None:
    def events(clearance_s: float) -> list[Event]:
        settings = Jaywalking.Settings(zone="road", phase="walk", clearance_s=clearance_s)
        scenes = [scene(t, [person(1, t, 200, (0.0, 175))], {"walk": "red"}) for t in times(8)]
        return play(Jaywalking(settings, VIEW), scenes)

    assert events(clearance_s=10) == []
    assert told(events(clearance_s=5)) == [6.0]


def test_green_ends_an_accusation_and_a_conflict_makes_it_doubtful() -> None:
    _, end = walk(jaywalking, lambda t: "red" if t < 8 else "green")
    assert (end.t_s, end.facts["end_reason"], end.signal) == (
        8.0,
        "signal_changed",
        {"walk": "red"},
    )
    _, end = walk(jaywalking, lambda t: "red" if t < 8 else "conflict")
    assert end.doubts == ("io conflict",)


def loitering(**settings: object) -> Loitering:
    values = {"zone": "road", "dwell_s": 8, **settings}
    return Loitering(Loitering.Settings.model_validate(values), VIEW)


def test_loitering_counts_whoever_stays_moving_or_not() -> None:
    assert told(play(loitering(), [scene(t, across(t)) for t in times(18)])) == [11.0]
    assert play(loitering(dwell_s=11), [scene(t, across(t)) for t in times(18)]) == []


def test_going_out_for_a_moment_does_not_reset_loitering() -> None:
    def at(t_s: float) -> float:
        return 90 if 5 <= t_s < 6 else 150

    scenes = [scene(t, [person(1, t, at(t), (0.0, 150))]) for t in times(12)]
    # Out of the zone for a second, which does not count.
    assert told(play(loitering(), scenes)) == [pytest.approx(9.2, abs=STEP_S * 1.01)]
    assert told(play(loitering(visit_s=0.5), scenes)) == []


def test_hidden_time_counts_once_somebody_is_seen_again() -> None:
    def tracks(t_s: float) -> list[Track]:
        seen_s = t_s if not 3 <= t_s < 7 else 2.8
        return [person(1, seen_s, 150, (0.0, 175))]

    events = play(loitering(), [scene(t, tracks(t)) for t in times(10)])
    assert told(events) == [8.0]
    unseen = play(loitering(), [scene(t, tracks(min(t, 5.0))) for t in times(20)])
    assert unseen == [], "nobody is accused unseen"


def test_trespass_within_its_hours() -> None:
    hours = [{"from": "23:00", "to": "05:00"}]
    settings = Trespass.Settings.model_validate({"zone": "road", "schedule": hours})
    begin, end = play(Trespass(settings, VIEW), [scene(t, across(t)) for t in times(18)])
    assert (begin.begin_s, begin.t_s) == (10.0, 11.0), "the zone closes at 10 s"
    assert end.facts["end_s"] == 13.0


def test_a_trespassing_cyclist_is_one_trespasser() -> None:
    def tracks(t_s: float) -> list[Track]:
        x = 40 + 20 * t_s
        wheels = thing(2, "bicycle", t_s, Box(x - 15, 128, x + 15, 154))
        return [person(1, t_s, x, (0.0, 40)), wheels]

    rule = Trespass(Trespass.Settings(zone="road"), VIEW)
    assert len(told(play(rule, [scene(t, tracks(t)) for t in times(18)]))) == 1


def gathering(t_s: float) -> list[Track]:
    """One more person every two seconds, up to six, who all leave at 20 s."""
    count = 0 if t_s >= 20 else min(6, 1 + int(t_s / 2))
    return [person(i, t_s, 110 + 30 * i, (0.0, 110 + 30 * i)) for i in range(count)]


def crowd(**settings: object) -> Crowd:
    values = {"zone": "road", "window_s": 2, **settings}
    return Crowd(Crowd.Settings.model_validate(values), VIEW)


def test_a_crowd_gathers_and_disperses() -> None:
    begin, end = play(crowd(limit_persons=5), [scene(t, gathering(t)) for t in times(26)])
    assert 8.0 < begin.t_s <= 10.2, "five persons from 8 s on, in the mean of two seconds"
    assert begin.track is None and begin.facts["area_m2"] == 50.0
    assert (end.phase, end.facts["peak_persons"], end.facts["end_reason"]) == (
        "end",
        6.0,
        "cleared",
    )
    assert 20 < end.t_s < 22


def test_a_crowd_by_density() -> None:
    scenes = [scene(t, gathering(t)) for t in times(26)]
    dense = play(crowd(limit_per_m2=0.1), scenes)
    by_number = play(crowd(limit_persons=5), scenes)
    assert told(dense) == pytest.approx(told(by_number), abs=STEP_S * 1.01)
    assert dense[0].facts["per_m2"] == pytest.approx(0.1, abs=0.002)
    assert play(crowd(limit_per_m2=0.2), scenes) == []


def test_a_crowd_does_not_flicker_at_its_limit() -> None:
    scenes = [
        scene(t, [person(i, t, 110 + 30 * i, (0.0, 110)) for i in range(5 - (int(t / 4) % 2))])
        for t in times(40)
    ]
    assert [e.phase for e in play(crowd(limit_persons=5), scenes)] == ["begin", "end"]
