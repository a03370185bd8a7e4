"""A lane's statistics on hand-made traffic."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydantic import ValidationError

from edge_agent.analyzers.traffic.lane import Lane
from edge_agent.analyzers.traffic.lane_flow import LaneFlow, across
from edge_agent.analyzers.traffic.line_crossing import LineCrossing
from edge_agent.analyzers.view import View
from edge_agent.config.models import Line
from edge_agent.geometry import Ground, Polygon
from edge_agent.types import ArrayPicture, Box, Detections, Event, Frame, Scene, Track

WIDTH, HEIGHT, FPS = 400, 200, 10
PICTURE = ArrayPicture(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
ZONES = {"lane": Polygon([(0, 0.5), (1, 0.5), (1, 1), (0, 1)])}
LINES = {"gauge": Line(a=(0.5, 1.0), b=(0.5, 0.0), to_right="east", to_left="west")}
# 10 px are a metre.
GROUND = Ground([(0, 0), (1, 0), (1, 1), (0, 1)], [(0, 0), (40, 0), (40, 20), (0, 20)])
VIEW = View(
    "c1", ZONES, LINES, ZoneInfo("UTC"), GROUND, directions={"lane": ((0.0, 0.7), (1.0, 0.7))}
)

Drive = tuple[float, float, str]
"""When its centre crosses x = 200, its pace in px/s (negative: to the left), and its class."""


def scenes(
    drives: Sequence[Drive], until_s: float, start: str = "2026-05-13T09:49:00"
) -> Iterable[Scene]:
    wall = datetime.fromisoformat(start).replace(tzinfo=UTC)
    for i in range(round(until_s * FPS)):
        t_s = i / FPS
        tracks = []
        for ident, (at_s, pace, cls) in enumerate(drives, 1):
            x = 200 + pace * (t_s - at_s)
            if 40 <= x <= WIDTH - 40:
                box = Box(x - 22.5, 130, x + 22.5, 150)
                tracks.append(Track(ident, cls, 0.9, box, (pace, 0), 0.0, t_s, None))
        frame = Frame("c1", i, t_s, wall + timedelta(seconds=t_s), PICTURE)
        yield Scene(frame, Detections.none(), tuple(tracks))


def play(played: Iterable[Scene], **settings: object) -> list[Event]:
    rule = LaneFlow(LaneFlow.Settings.model_validate(settings), VIEW)
    events: list[Event] = []
    last = None
    for last in played:
        events += rule.update(last)
    assert last is not None
    return events + list(rule.finish(last))


TRAFFIC = [(3.05, 100.0, "car"), (8.05, 50.0, "truck"), (10.05, 100.0, "car"), (70.05, 50.0, "car")]


@pytest.mark.parametrize("where", [{"zone": "lane"}, {"line": "gauge", "direction": "east"}])
def test_minutes_by_the_wall_clock(where: dict[str, str]) -> None:
    first, second = play(scenes(TRAFFIC, 80.0), **where)
    assert [event.t_s for event in (first, second)] == pytest.approx([60.0, 79.9])
    facts = first.facts
    assert facts["minute"] == "2026-05-13T09:49:00.000Z"
    assert (facts["is_partial"], second.facts["is_partial"]) == (False, True)
    assert second.facts["watched_s"] == pytest.approx(20, abs=0.2)
    assert facts["volume"] == {"car": 2, "truck": 1} and facts["vehicles"] == 3
    assert facts["flow_per_h"] == pytest.approx(180, rel=0.01)
    assert facts["headway_mean_s"] == pytest.approx(3.5, abs=0.01)
    assert facts["headway_min_s"] == pytest.approx(2.0, abs=0.01)
    # Each covers the line while its 45 px pass: 0.45 s, 0.9 s, 0.45 s.
    assert facts["occupancy"] == pytest.approx(1.8 / 60, abs=0.3 / 60)
    assert second.facts["volume"] == {"car": 1}
    assert second.facts["headway_mean_s"] == pytest.approx(60, abs=0.01), "across the minute"


def test_mean_speed_is_the_harmonic_mean() -> None:
    first, _ = play(scenes(TRAFFIC, 80.0), zone="lane")
    assert first.facts["speeds"] == 3
    assert first.facts["mean_speed_kmh"] == pytest.approx(3 / (1 / 36 + 1 / 18 + 1 / 36), rel=0.01)


def test_only_its_own_direction_and_lane_count() -> None:
    both = [(3.0, 100.0, "car"), (5.0, -100.0, "car")]
    assert play(scenes(both, 10.0), zone="lane")[0].facts["vehicles"] == 1
    assert play(scenes(both, 10.0), line="gauge")[0].facts["vehicles"] == 2
    assert play(scenes(both, 10.0), line="gauge", direction="west")[0].facts["vehicles"] == 1


def test_an_empty_minute_is_told_as_well() -> None:
    (event,) = play(scenes([], 60.0), zone="lane")
    facts = event.facts
    assert (facts["vehicles"], facts["volume"], facts["is_partial"]) == (0, {}, False)
    assert facts["mean_speed_kmh"] is None and facts["headway_min_s"] is None
    assert facts["occupancy"] == 0.0 and facts["queue_vehicles_max"] == 0


def test_a_recording_may_begin_within_a_minute() -> None:
    first, second = play(scenes(TRAFFIC, 20.0, "2026-05-13T09:49:55"), zone="lane")
    assert first.facts["minute"] == "2026-05-13T09:49:00.000Z"
    assert first.facts["is_partial"] and first.facts["watched_s"] == pytest.approx(5, abs=0.2)
    assert [event.facts["vehicles"] for event in (first, second)] == [1, 2]


def test_time_without_pictures_was_not_watched() -> None:
    kept = [each for each in scenes(TRAFFIC, 40.0) if not 12 < each.frame.t_s < 30]
    (event,) = play(kept, zone="lane")
    assert event.facts["watched_s"] == pytest.approx(22, abs=0.3)


def test_it_agrees_with_the_line_count() -> None:
    rng = np.random.default_rng(3)
    drives = [(float(at_s), float(rng.uniform(40, 200)), "car") for at_s in rng.uniform(5, 55, 40)]
    counter = LineCrossing(LineCrossing.Settings(line="gauge"), VIEW)
    counted = [event for each in scenes(drives, 60.0) for event in counter.update(each)]
    (event,) = play(scenes(drives, 60.0), line="gauge")
    assert event.facts["vehicles"] == len(counted) == 40


@pytest.mark.parametrize(
    ("arrow", "a", "b"),
    [
        (((0, 0), (1, 0)), (0.5, 0.75), (0.5, 0.25)),
        (((1, 0), (0, 0)), (0.5, 0.25), (0.5, 0.75)),
        (((0, 0), (0, 1)), (0.0, 0.5), (1.0, 0.5)),
    ],
)
def test_the_line_across_a_zone_lies_within_it(
    arrow: tuple[tuple[float, float], tuple[float, float]],
    a: tuple[float, float],
    b: tuple[float, float],
) -> None:
    diamond = Polygon([(0, 0.5), (0.5, 0.25), (1, 0.5), (0.5, 0.75)])
    line = across(Lane(diamond, arrow))
    assert line.a == pytest.approx(a)
    assert line.b == pytest.approx(b)


def test_settings_that_name_no_place_are_refused() -> None:
    with pytest.raises(ValidationError, match="needs a `zone`, a `line` or both"):
        LaneFlow.Settings()
    with pytest.raises(ValidationError, match="add `line:`"):
        LaneFlow.Settings(zone="lane", direction="east")
