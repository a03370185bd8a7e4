"""Every event's facts in words, and the tables of a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from edge_agent.report import Recording, ReportData, render_report
from edge_agent.report.details import details
from edge_agent.report.tables import MOST_ROWS, Table, merged, tables
from edge_agent.score import happenings

MINUTE = {
    "volume": {"bus": 1, "car": 16},
    "flow_per_h": 1020.4,
    "mean_speed_kmh": 41.27,
    "occupancy": 0.1291,
    "headway_mean_s": 1.6,
    "is_partial": True,
    "watched_s": 28.27,
    "queue_vehicles_max": 3,
    "queue_m_max": 20.6,
}
TURNOVER = {"arrivals": 10, "departures": 2, "mean_stay_s": 900.0}


def envelope(kind: str, subject: str, pts_s: float, **data: Any) -> dict[str, Any]:
    source = {"source": {"kind": "replay", "camera": "north"}, "time": {"pts_s": pts_s}}
    return {"type": f"edge.{kind}.v1", "subject": f"case/{subject}", "data": {**source, **data}}


def shown(*envelopes: dict[str, Any]) -> list[Table]:
    return list(tables(list(happenings(envelopes)), merged(envelopes)))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"cues": [{"cue": "contact", "closing_sizes_per_s": 4.0}, {"cue": "dead_stop"}],
          "place_px": [1, 2, 3, 4]}, "seen: two vehicles met, stopped dead"),
        ({"cues": ["flame_colour", "flicker"], "picture_share": 0.0123},
         "seen: flame colour, flicker; share of the picture 1.23 %"),
        ({"call": {"site": "x", "responsible": "City, 1", "safety_manager": "A. Ex, 2"},
          "bare_share": 0.93}, "call A. Ex, 2 or City, 1; bare in 93 %"),
        ({"charge": {"amount_minor": 240, "currency": "EUR", "is_complete": False}},
         "charge 2.40 EUR or more"),
        ({"charge": {"amount_minor": 240, "currency": "JPY"}}, "charge 240 JPY"),
        ({"queue_m_max": 42.7, "queue_share_max": 0.95, "end_reason": "dissolved"},
         "longest queue 42.7 m; queue at most over 95 %; ended: traffic flows again"),
        ({"signal": {"main": "red"}, "into_red_s": 1.23, "red_since_s": 64.0, "phase_name": "main"},
         "signal main red; red had been lit for 1.2 s; red since 1:04.0"),
        ({"list": "staff", "list_meaning": "allow", "output": "gate"},
         "on the list staff; which means allow; contact gate"),
        ({"speed_kmh": None, "already_standing": False, "kept_for": []}, ""),
        ({"already_standing": True, "advisory": True}, "there from the start; advice only"),
        ({"reasons": ["replay", "camera moved"]}, "doubtful: camera moved"),
        ({"something_new_kmh": 12.0, "zone": "kerb"}, "something new 12 km/h"),
    ],
)  # fmt: skip
def test_facts_in_words(data: dict[str, Any], words: str) -> None:
    assert details(data) == words


def test_one_row_per_happening() -> None:
    crash = {"zone": "road", "object": {"cls": "car"}}
    (table,) = shown(
        envelope("incident.crash", "c", 3.0, phase="begin", begin_s=2.0, cues=["contact"], **crash),
        envelope("flow.line_crossing", "l", 3.5, line="entry", direction="in"),
        envelope("incident.crash", "c", 9.0, phase="end", end_s=8.0, end_reason="left", **crash),
        envelope("camera.moved", "m", 5.0, phase="begin", begin_s=5.0, turn_deg=3.0),
    )
    assert table.rows == (
        ("0:02.0", "6.0 s", "Crash", "car", "road", "seen: two vehicles met; ended: left"),
        ("0:05.0", "", "Camera moved", "", "", "turned by 3°"),
    )


def test_a_page_does_not_grow_without_end() -> None:
    (table,) = shown(
        *(envelope("zone.trespass", f"t{i}", i, begin_s=i) for i in range(MOST_ROWS + 7))
    )
    assert len(table.rows) == MOST_ROWS and table.note == "7 more stand in events.jsonl."


def test_lanes_and_bays() -> None:
    forecast = {"occupied": None, "reason": "no history"}
    bays = {"bays": 40, "free": 28, "occupied": 11, "unknown": 1, "zone": "lot"}
    lanes, lot = shown(
        envelope("flow.lane", "m0", 60.0, phase="end", begin_s=0.0, zone="up", **MINUTE),
        envelope("flow.lane", "m1", 90.0, phase="end", begin_s=60.0, line="l", direction="in"),
        envelope("parking.availability", "a", 5.0, turnover=TURNOVER, forecast=forecast, **bays),
    )
    assert lanes.rows == (
        ("0:00, 28.3 s watched", "up", "1 bus, 16 car", "1020", "41 km/h", "13%", "1.6 s",
         "3 vehicles, 21 m"),
        ("1:00", "l in", "none", "unknown", "unknown", "0%", "unknown", ""),
    )  # fmt: skip
    assert lot.rows == (("lot", "28 of 40", "11", "1", "10", "2", "15 min", "no history"),)


def _data(events: Sequence[dict[str, Any]]) -> ReportData:
    recording = Recording("north", "x.mp4", None, "now", "given", 60.0)
    return ReportData("demo", "x", [recording], "root.pem", events)


def test_tables_stand_on_the_page() -> None:
    events = [envelope("flow.lane", "m0", 60.0, phase="end", begin_s=0.0, zone="<up>", **MINUTE)]
    page = render_report(_data(events))
    assert "<h3>Lanes, minute by minute</h3>" in page and "<td>&lt;up&gt;</td>" in page


def test_only_line_crossings_are_counted() -> None:
    told = (
        envelope("flow.line_crossing", "l", 3.5, line="entry", direction="in", phase="end"),
        envelope("flow.lane", "m", 60.0, line="entry", direction="in", phase="end", **MINUTE),
        envelope("incident.red_light", "r", 3.6, line="entry", direction="in", phase="begin"),
    )
    page = render_report(_data(told))
    counts = page[page.index("Counts") :]
    cells = re.findall(r"<td[^>]*>(?:<b>|<strong>)?([^<]*)", counts)
    assert cells == ["entry", "in", "1", "1"]
