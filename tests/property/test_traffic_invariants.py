"""What must hold for the traffic rules whatever vehicles do."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.analyzers import ANALYZERS
from edge_agent.analyzers.view import View
from edge_agent.config.models import Line
from edge_agent.geometry import Polygon
from edge_agent.types import ArrayPicture, Box, Detections, Event, Frame, Scene, Track

PICTURE = ArrayPicture(np.zeros((200, 400, 3), np.uint8))
START = datetime(2026, 5, 13, 9, 0, tzinfo=UTC)
VIEW = View(
    "c1",
    {"lane": Polygon([(0.1, 0.3), (0.9, 0.3), (0.9, 0.9), (0.1, 0.9)])},
    {"stop": Line(a=(0.5, 1.0), b=(0.5, 0.0))},
    ZoneInfo("UTC"),
    directions={"lane": ((0.0, 0.5), (1.0, 0.5))},
)
RULES: dict[str, dict[str, Any]] = {
    "incident.wrong_way": {"zone": "lane"},
    "incident.congestion": {"zone": "lane", "vehicles": 2, "hold_s": 1, "clear_s": 1},
    "incident.red_light": {"line": "stop", "direction": "forward", "phase": "main"},
    "flow.lane": {"zone": "lane", "line": "stop"},
    "flow.emergency_vehicle": {"zone": "lane"},
}

Moment = tuple[float, list[tuple[float, float] | None], str | None]
"""Seconds since the one before, where each vehicle is (None: unseen), what the signal shows."""
place = st.none() | st.tuples(st.floats(-20, 420), st.floats(0, 220))
moments = st.lists(
    st.tuples(
        st.sampled_from([0.04, 0.1, 0.4, 3.0, 70.0]),
        st.lists(place, min_size=3, max_size=3),
        st.sampled_from([None, "red", "green", "amber", "dark", "conflict"]),
    ),
    min_size=1,
    max_size=40,
)


def scenes(story: Sequence[Moment]) -> Iterable[Scene]:
    t_s, tracks, gone = 0.0, dict[int, Track](), set[int]()
    for seq, (dt_s, places, state) in enumerate(story):
        t_s += dt_s
        for ident, where in enumerate(places, 1):
            if where is None or ident in gone:
                continue
            box = Box(where[0] - 20, where[1] - 10, where[0] + 20, where[1] + 10)
            old = tracks.get(ident)
            is_still = old is not None and old.box == box
            born = old.born if old else box
            first_s = old.first_s if old else t_s
            still_s = t_s if is_still else None
            tracks[ident] = Track(
                ident, "car", 0.9, box, (0, 0), first_s, t_s, still_s, born=born, seen=box
            )
        ended = tuple(track for track in tracks.values() if t_s - track.last_s > 2)
        for track in ended:
            del tracks[track.id]
            gone.add(track.id)
        frame = Frame("c1", seq, t_s, START + timedelta(seconds=t_s), PICTURE)
        signals = {"main": state} if state else {}
        yield Scene(frame, Detections.none(), tuple(tracks.values()), ended, signals)


def play(story: Sequence[Moment]) -> list[Event]:
    rules = [ANALYZERS[kind] for kind in RULES]
    made = [each.make(each.settings.model_validate(RULES[kind]), VIEW)
            for kind, each in zip(RULES, rules, strict=True)]  # fmt: skip
    events: list[Event] = []
    last = None
    for last in scenes(story):
        for rule in made:
            events += rule.update(last)
    assert last is not None
    for rule in made:
        events += rule.finish(last)
    return events


@settings(deadline=None, max_examples=150)
@given(moments)
def test_every_happening_begins_once_and_ends_once(story: Sequence[Moment]) -> None:
    phases: dict[str, list[str]] = {}
    for event in play(story):
        phases.setdefault(event.subject, []).append(event.phase)
        assert event.begin_s <= event.t_s
        assert 0 <= event.facts.get("queue_share", 0) <= 1
        assert 0 <= event.facts.get("occupancy", 0) <= 1
    for subject, told in phases.items():
        if subject.startswith("flow.lane"):
            assert told == ["end"]
        else:
            assert told[0] == "begin" and told[-1] == "end"
            assert set(told[1:-1]) <= {"update"}


@settings(deadline=None, max_examples=50)
@given(moments)
def test_two_plays_tell_the_same(story: Sequence[Moment]) -> None:
    assert play(story) == play(story)


@settings(deadline=None, max_examples=100)
@given(moments)
def test_nobody_runs_a_red_light_that_is_not_red(story: Sequence[Moment]) -> None:
    for event in play(story):
        if event.kind == "incident.red_light" and event.phase == "begin":
            assert event.signal == {"main": "red"}
            assert event.facts["into_red_s"] >= 0


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.floats(0, 12), min_size=3, max_size=60),
    st.floats(-4, 4),
    st.sampled_from([0.04, 0.1, 0.2, 0.5]),
)
def test_whoever_never_goes_back_is_not_accused(
    steps: Sequence[float], dy: float, dt_s: float
) -> None:
    """However unsteadily it moves forward, and up or down in the picture."""
    xs = np.cumsum([60.0, *steps])
    story: list[Moment] = [
        (dt_s, [(float(x), 100 + dy * i % 60), None, None], None) for i, x in enumerate(xs)
    ]
    assert not [event for event in play(story) if event.kind == "incident.wrong_way"]
