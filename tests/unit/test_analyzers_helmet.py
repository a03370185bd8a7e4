"""Helmets on hand-made sightings: votes over time, once per visit, and whom to call."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from edge_agent.analyzers.people.helmet import Helmet
from edge_agent.analyzers.view import View
from edge_agent.app import load
from edge_agent.config import SiteInfo
from edge_agent.config.models import Line
from edge_agent.errors import ConfigError
from edge_agent.geometry import Polygon
from edge_agent.types import ArrayPicture, Box, Detections, Event, Frame, HeadSighting, Scene, Track

PICTURE = ArrayPicture(np.zeros((200, 400, 3), np.uint8))
SITE = SiteInfo(name="tower-7", responsible="Bauamt", safety_manager="Li Wei +86 138")
VIEW = View(
    "c1",
    {"site": Polygon([(0.25, 0), (1, 0), (1, 1), (0.25, 1)])},
    {"gate": Line(a=(0.5, 0), b=(0.5, 1))},
    ZoneInfo("UTC"),
    site=SITE,
)
Wears = Callable[[float], bool | None]
"""Whether a helmet is seen at that time; None while the head is not."""


def scene(t_s: float, x: float, wears: Wears, score: float = 0.8) -> Scene:
    """One worker at x, looked at twice per second."""
    box, born = Box(x - 10, 100, x + 10, 160), Box(40, 100, 60, 160)
    track = Track(1, "person", 0.9, box, (0, 0), 0.0, t_s, None, born=born, seen=box)
    has_helmet = wears(t_s) if round(t_s * 10) % 5 == 0 else None
    heads = (HeadSighting(1, box, has_helmet, score),) if has_helmet is not None else ()
    frame = Frame("c1", round(t_s * 10), t_s, datetime(2026, 1, 1, tzinfo=UTC), PICTURE)
    return Scene(frame, Detections.none(), (track,), heads=heads)


def play(wears: Wears, until_s: float, view: View = VIEW, **settings: object) -> list[Event]:
    rule = Helmet(Helmet.Settings.model_validate({"zone": "site", **settings}), view)
    scenes = [scene(i / 10, 200 + i % 3, wears) for i in range(round(until_s * 10))]
    events = [event for each in scenes for event in rule.update(each)]
    return events + list(rule.finish(scenes[-1]))


def phases(events: Iterable[Event]) -> list[tuple[str, float]]:
    return [(event.phase, event.t_s) for event in events]


def test_a_bare_head_is_reported_once_with_whom_to_call() -> None:
    events = play(lambda t: False, 30)
    assert phases(events) == [("begin", 2.0), ("end", 29.9)]
    begin = events[0]
    assert begin.facts["call"] == {
        "site": "tower-7",
        "responsible": "Bauamt",
        "safety_manager": "Li Wei +86 138",
    }
    assert (begin.facts["sightings"], begin.facts["bare_share"]) == (5, 1.0)
    assert begin.zone == "site" and begin.begin_s == 0.0


def test_the_rules_own_names_come_first() -> None:
    begin, _ = play(lambda t: False, 5, safety_manager="Gate 2: Chen")
    assert begin.facts["call"]["safety_manager"] == "Gate 2: Chen"


def test_who_wears_one_is_left_alone() -> None:
    assert play(lambda t: True, 30) == []


def test_a_few_wrong_looks_accuse_nobody() -> None:
    assert play(lambda t: round(t * 2) % 3 != 0, 60) == [], "every third look says bare"


def test_an_unsure_majority_accuses_nobody() -> None:
    assert play(lambda t: round(t * 2) % 3 == 0, 60) == [], "two thirds are not enough"


def test_a_hidden_head_accuses_nobody() -> None:
    assert play(lambda t: None, 30) == []
    assert play(lambda t: False if t < 1.2 else None, 30) == [], "three looks are too few"


def test_putting_it_on_ends_it_and_taking_it_off_is_the_same_visit() -> None:
    events = play(lambda t: 10 <= t < 30, 60)
    begin, end = events
    assert (begin.phase, end.phase) == ("begin", "end")
    assert end.facts["end_reason"] == "helmet_on" and 15 < end.t_s < 19


def leaves_and_comes_back(away_s: float, visit_s: float) -> list[Event]:
    rule = Helmet(Helmet.Settings(zone="site", visit_s=visit_s), VIEW)
    events: list[Event] = []
    for i in range(round((20 + away_s) * 10)):
        x = 50.0 if 10 <= i / 10 < 10 + away_s else 200.0
        events += rule.update(scene(i / 10, x, lambda t: False))
    return events


def test_once_per_visit() -> None:
    assert phases(leaves_and_comes_back(away_s=5, visit_s=20)) == [("begin", 2.0)]
    again = leaves_and_comes_back(away_s=25, visit_s=20)
    assert [event.phase for event in again] == ["begin", "end", "begin"]
    assert again[0].subject != again[2].subject


def test_only_who_came_through_the_gate() -> None:
    rule = Helmet(Helmet.Settings(zone="site", line="gate"), VIEW)
    left = [rule.update(scene(i / 10, 150 + i % 3, lambda t: False)) for i in range(100)]
    assert [event for events in left for event in events] == []
    through = [list(rule.update(scene(10 + i / 10, 260, lambda t: False))) for i in range(100)]
    (begin,) = (event for events in through for event in events)
    assert begin.t_s == 12.0 and begin.begin_s == 10.0


SITE_FILE = """\
site: {{name: tower-7{named}}}
device: box-1
cameras:
  gate:
    detector: {{model: motion}}
    zones: {{site: [[0, 0], [1, 0], [1, 1], [0, 1]]}}
    rules:
      - kind: safety.helmet
        zone: site{own}
"""


def check(tmp_path: Path, named: str = "", own: str = "") -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE_FILE.format(named=named, own=own))
    load(path)


def test_an_alarm_that_calls_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check(tmp_path)
    assert str(caught.value).endswith(
        "site.yaml:8: cameras.gate.rules[0].safety_manager: nobody is named whom an alarm must "
        "call; add `safety_manager:` or `responsible:` here or under `site:`"
    )


@pytest.mark.parametrize(
    ("named", "own"),
    [
        (", responsible: Bauamt", ""),
        (", safety_manager: Li Wei", ""),
        ("", "\n        safety_manager: Li Wei"),
    ],
)
def test_one_name_is_enough(tmp_path: Path, named: str, own: str) -> None:
    check(tmp_path, named, own)


def test_looks_that_are_too_rare_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    text = SITE_FILE.format(named=", responsible: Bauamt", own="")
    path.write_text(text.replace("{model: motion}", "{model: motion, max_fps: 0.4}"))
    with pytest.raises(ConfigError, match=r"sightings: 5 within 10 s are more than 0.4 looks"):
        load(path)


def test_a_density_needs_a_calibrated_camera(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    text = SITE_FILE.format(named="", own="\n        limit_per_m2: 2")
    path.write_text(text.replace("safety.helmet", "flow.crowd"))
    with pytest.raises(ConfigError, match=r"limit_per_m2: this camera measures no metres"):
        load(path)
