"""Red-light running on hand-made tracks and signals."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from edge_agent.analyzers.traffic.red_light import RedLight
from edge_agent.analyzers.view import View
from edge_agent.config.models import Line
from edge_agent.signals.recorded import Edge, RecordedSignals
from edge_agent.types import ArrayPicture, Box, Detections, Event, Frame, Scene, Track

PICTURE = ArrayPicture(np.zeros((200, 400, 3), np.uint8))
START = datetime(2026, 5, 13, 9, 0, tzinfo=UTC)
# Drawn upwards at x = 200: what goes to the right crosses to its right.
LINE = Line(a=(0.5, 1.0), b=(0.5, 0.25), to_right="east", to_left="west")
VIEW = View("c1", {}, {"stop": LINE}, ZoneInfo("UTC"))


def play(
    place: Callable[[float], float | tuple[float, float]],
    edges: Sequence[tuple[float, str]],
    until_s: float = 8.0,
    phase: str = "main",
    **settings: object,
) -> list[Event]:
    """A car of 60 px whose centre is at x = place(t); signals as given."""
    signals = RecordedSignals([Edge(t_s=t_s, phase=phase, state=state) for t_s, state in edges])  # type: ignore[arg-type]
    values = {"line": "stop", "direction": "east", "phase": "main", **settings}
    rule = RedLight(RedLight.Settings.model_validate(values), VIEW)
    events: list[Event] = []
    track = None
    for i in range(round(until_s * 10)):
        t_s = i / 10
        where = place(t_s)
        x, y = where if isinstance(where, tuple) else (where, 115.0)
        box = Box(x - 30, y - 15, x + 30, y + 15)
        track = Track(1, "car", 0.9, box, (0, 0), 0.0, t_s, None)
        wall = START + timedelta(seconds=t_s)
        frame = Frame("c1", i, t_s, wall, PICTURE)
        events += rule.update(Scene(frame, Detections.none(), (track,), (), signals.at(t_s)))
    assert track is not None
    gone = Frame("c1", 1000, until_s, START + timedelta(seconds=until_s), PICTURE)
    at_end = Scene(gone, Detections.none(), (), (track,), signals.at(until_s))
    return [*events, *rule.update(at_end), *rule.finish(at_end)]


def passes(at_s: float) -> Callable[[float], float]:
    """Its centre crosses the line at that time, at 50 px/s; its front 0.6 s earlier."""
    return lambda t_s: 200 + 50 * (t_s - at_s)


def test_crossing_on_red_is_told_with_the_signal() -> None:
    begin, end = play(passes(4.05), [(0.0, "green"), (2.0, "red")])
    assert (begin.phase, end.phase) == ("begin", "end") and begin.subject == end.subject
    assert begin.signal == {"main": "red"} and begin.doubts == ()
    assert begin.facts["red_since_s"] == 2.0
    assert begin.facts["into_red_s"] == pytest.approx(2.05, abs=0.02)
    assert 2.5 <= begin.facts["before_line_s"] < begin.facts["red_since_s"] + 1.5
    assert (begin.facts["line"], begin.facts["direction"]) == ("stop", "east")


@pytest.mark.parametrize("state", ["green", "amber", "dark", "conflict"])
def test_other_states_accuse_nobody(state: str) -> None:
    assert play(passes(4.0), [(0.0, "red"), (1.0, state)]) == []


def test_what_is_not_known_accuses_nobody() -> None:
    assert play(passes(4.0), []) == []
    assert play(passes(4.0), [(0.0, "red")], phase="other") == []


def test_the_other_direction_has_another_signal() -> None:
    assert play(lambda t_s: 400 - 50 * t_s, [(0.0, "red")]) == []
    assert len(play(lambda t_s: 400 - 50 * t_s, [(0.0, "red")], direction="west")) == 2


def test_on_the_line_when_it_turned_red_is_no_offence() -> None:
    """Its front crossed at 3.4 s, its centre at 4.0 s."""
    assert play(passes(4.0), [(0.0, "amber"), (3.6, "red")]) == []


def test_grace() -> None:
    edges = [(0.0, "amber"), (3.0, "red")]  # the front crosses 0.4 s into red
    assert play(passes(4.0), edges, grace_s=0.5) == []
    assert len(play(passes(4.0), edges, grace_s=0.1)) == 2


def test_stopping_with_the_bonnet_over_the_line_is_no_running() -> None:
    assert play(lambda t_s: min(190, 100 + 30 * t_s), [(0.0, "red")]) == []


def test_waiting_on_red_and_leaving_on_green_is_no_offence() -> None:
    assert play(lambda t_s: 150 + 50 * max(0, t_s - 5), [(0.0, "red"), (5.0, "green")]) == []


def test_a_second_red_has_its_own_grace() -> None:
    """It was before the line during the first red only."""
    assert play(passes(4.0), [(0.0, "red"), (3.2, "green"), (3.8, "red")]) == []


def test_a_conflict_in_this_cycle_makes_it_doubtful() -> None:
    edges = [(0.0, "green"), (1.0, "conflict"), (1.5, "red")]
    begin, end = play(passes(5.0), edges)
    assert begin.doubts == end.doubts == ("io conflict",)
    begin, _ = play(passes(5.0), [(0.0, "conflict"), (0.5, "green"), (1.5, "red")])
    assert begin.doubts == ()


def test_a_conflict_while_it_lasts_makes_the_rest_doubtful() -> None:
    begin, end = play(passes(4.0), [(0.0, "red"), (5.0, "conflict")])
    assert (begin.doubts, end.doubts) == ((), ("io conflict",))
    assert begin.signal == end.signal == {"main": "red"}, "what the accusation rests on"


def test_round_the_end_of_the_line_and_back_across_it_is_another_direction() -> None:
    def place(t_s: float) -> tuple[float, float]:
        if t_s < 2:
            return 120, 115
        if t_s < 4:
            return 120 + 80 * (t_s - 2), 20
        return 280 - 60 * (t_s - 4), 115

    assert play(place, [(0.0, "red")]) == []
