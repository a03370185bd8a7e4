"""What holds for visits whatever people do: once each, never without somebody, in media time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.analyzers.people.loitering import Loitering, Trespass
from edge_agent.analyzers.people.pedestrian import Pedestrian
from edge_agent.analyzers.people.presence import PresenceRule
from edge_agent.analyzers.view import View
from edge_agent.geometry import Polygon
from edge_agent.types import ArrayPicture, Box, Detections, Event, Frame, Scene, Track

PICTURE = ArrayPicture(np.zeros((200, 400, 3), np.uint8))
START = datetime(2026, 5, 13, tzinfo=UTC)
VIEW = View("c1", {"z": Polygon([(0.25, 0), (0.75, 0), (0.75, 1), (0.25, 1)])}, {}, ZoneInfo("UTC"))
HEIGHT = 40.0
STEP_S = 0.1

Way = list[float]
"""x in px at every whole second; between them the person walks evenly."""
ways = st.lists(st.floats(0, 400), min_size=2, max_size=12)
strolls = st.tuples(st.floats(60, 340), st.lists(st.floats(-30, 30), min_size=3, max_size=12)).map(
    lambda walk: [float(x) for x in walk[0] + np.cumsum([0.0, *walk[1]])]
)
"""Nobody walks faster than three quarters of the body height per second."""


def x_at(way: Way, t_s: float) -> float:
    return float(np.interp(t_s, range(len(way)), way))


def is_inside(x: float) -> bool:
    return 100 <= x <= 300


def rules() -> list[PresenceRule]:
    return [
        Pedestrian(Pedestrian.Settings(zone="z"), VIEW),
        Trespass(Trespass.Settings(zone="z"), VIEW),
        Loitering(Loitering.Settings(zone="z", dwell_s=3), VIEW),
    ]


def scenes(people: Sequence[Way], step: int = 1) -> list[Scene]:
    """Everybody seen every `step` tenths of a second, 100 px apart in height."""
    last_s = max(len(way) for way in people) - 1
    found = []
    for i in range(0, round(last_s / STEP_S) + 1, step):
        t_s = round(i * STEP_S, 3)
        tracks = []
        for ident, way in enumerate(people, 1):
            if t_s <= len(way) - 1:
                box, born = (_box(x, 60.0 * ident) for x in (x_at(way, t_s), way[0]))
                tracks.append(
                    Track(ident, "person", 0.9, box, (0, 0), 0.0, t_s, None, born=born, seen=box)
                )
        frame = Frame("c1", i, t_s, START, PICTURE)
        found.append(Scene(frame, Detections.none(), tuple(tracks)))
    return found


def _box(x: float, foot: float) -> Box:
    return Box(x - 8, foot - HEIGHT, x + 8, foot)


def play(rule: PresenceRule, played: Sequence[Scene]) -> list[Event]:
    events = [event for scene in played for event in rule.update(scene)]
    return events + list(rule.finish(played[-1]))


@settings(max_examples=60, deadline=None)
@given(st.lists(ways, min_size=1, max_size=3))
def test_every_begin_has_one_end_and_somebody_inside(people: list[Way]) -> None:
    played = scenes(people)
    for rule in rules():
        events = play(rule, played)
        begins = {event.subject for event in events if event.phase == "begin"}
        assert len(begins) == sum(event.phase == "begin" for event in events)
        ends = [event for event in events if event.phase == "end"]
        assert {event.subject for event in ends} == begins and len(ends) == len(begins)
        for event in events:
            assert event.track is not None and event.begin_s <= event.track.last_s <= event.t_s
            assert is_inside(event.track.box.centre[0])
            if event.phase == "begin":
                way = people[event.track.id - 1]
                assert is_inside(x_at(way, event.t_s)) and is_inside(x_at(way, event.begin_s))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 95) | st.floats(305, 400), min_size=2, max_size=10))
def test_nothing_without_somebody_inside(way: Way) -> None:
    outside = [x if x < 100 else 50.0 for x in way] if way[0] < 100 else [max(x, 305) for x in way]
    assert all(play(rule, scenes([outside])) == [] for rule in rules())


@settings(max_examples=60, deadline=None)
@given(st.lists(strolls, min_size=1, max_size=3), st.integers(10, 40), st.integers(1, 9))
def test_a_track_that_breaks_makes_no_second_visit(people: list[Way], at: int, pause: int) -> None:
    """One person's track ends at some time and goes on under another id a little later."""
    broken = []
    for i, scene in enumerate(scenes(people)):
        tracks = []
        for track in scene.tracks:
            if track.id != 1 or i < at:
                tracks.append(track)
            elif i >= at + pause:
                first_s = round((at + pause) * STEP_S, 3)
                born = _box(x_at(people[0], first_s), 60.0)
                tracks.append(replace(track, id=99, first_s=first_s, born=born))
        broken.append(replace(scene, tracks=tuple(tracks)))
    for rule, again in zip(rules(), rules(), strict=True):
        before = _begins_of(play(rule, scenes(people)), {1})
        assert _begins_of(play(again, broken), {1, 99}) <= max(1, before)


def _begins_of(events: Sequence[Event], ids: set[int]) -> int:
    return sum(e.phase == "begin" and e.track is not None and e.track.id in ids for e in events)


calm = st.lists(st.sampled_from([20.0, 60.0, 140.0, 200.0, 260.0, 340.0]), min_size=3, max_size=12)


@settings(max_examples=40, deadline=None)
@given(st.lists(calm, min_size=1, max_size=2))
def test_dropping_every_second_frame_changes_nothing_essential(people: list[Way]) -> None:
    for rule, again in zip(rules(), rules(), strict=True):
        full = [e for e in play(rule, scenes(people)) if _is_clear(e, people)]
        half = play(again, scenes(people, step=2))
        begins = [event.begin_s for event in half if event.phase == "begin"]
        for event in full:
            if event.phase == "begin":
                assert any(abs(begin_s - event.begin_s) <= 0.2 for begin_s in begins)


def _is_clear(event: Event, people: Sequence[Way]) -> bool:
    """Not decided by a hair: half a second later it would still have been decided."""
    assert event.track is not None
    way, t_s = people[event.track.id - 1], event.t_s
    moments = [t_s - 1.5 + i * STEP_S for i in range(21)]
    return t_s + 0.5 <= len(way) - 1 and all(is_inside(x_at(way, m)) for m in moments)
