"""Stays in parking bays on hand-made looks."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from edge_agent.analyzers.bays.availability import BayAvailability
from edge_agent.analyzers.bays.ev import EvBay, is_electric
from edge_agent.analyzers.bays.outside import OutsideBay
from edge_agent.analyzers.bays.stays import BayStay
from edge_agent.analyzers.bays.tariff import Tariff
from edge_agent.analyzers.view import View
from edge_agent.config import BaySettings, PlateSettings
from edge_agent.geometry import Polygon
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.ports import Analyzer
from edge_agent.types import (
    ArrayPicture,
    BayLook,
    BayVehicle,
    Box,
    Detections,
    Event,
    Frame,
    Media,
    ModelInfo,
    PlateRead,
    Scene,
    Track,
)
from edge_agent.uplink.envelope import event_envelope
from edge_agent.uplink.schema import schema_for, schemas

PICTURE = ArrayPicture(np.zeros((100, 400, 3), np.uint8))
START = datetime(2026, 3, 2, 8, tzinfo=UTC)
BOXES = {"a1": Box(0, 20, 80, 80), "a2": Box(100, 20, 180, 80)}
ZONES = {
    "a1": Polygon([(0.0, 0.2), (0.2, 0.2), (0.2, 0.8), (0.0, 0.8)]),
    "a2": Polygon([(0.25, 0.2), (0.45, 0.2), (0.45, 0.8), (0.25, 0.8)]),
    "lot": Polygon([(0, 0), (1, 0), (1, 1), (0, 1)]),
}
BAYS = BaySettings(
    zones=("a1", "a2"), lot="lot", ev=("a1",), reserved={"disabled": ("a1",)}, every_s=15
)
PLATES = PlateSettings(regions=("cn",))
VIEW = View("c1", ZONES, {}, ZoneInfo("UTC"), plates=PLATES, bays=BAYS)
TARIFF = Tariff(currency="EUR", per_hour=200, step_s=900, free_s=600, max_per_day=1500)

Look = tuple[float, Sequence[str]]
"""Media time and the bays that it shows taken; a box's name stands for a vehicle there."""


def scene(
    t_s: float,
    taken: Iterable[str] | None,
    outside: Iterable[Box] = (),
    plate: str | None = None,
) -> Scene:
    """A finished look (None: none); the vehicle in a1 is track 1, seen moving with its plate."""
    frame = Frame("c1", round(t_s * 10), t_s, START + timedelta(seconds=t_s), PICTURE)
    look = None
    if taken is not None:
        inside = [BayVehicle(BOXES[bay], 0.5, bay) for bay in taken]
        look = BayLook(t_s, (*inside, *(BayVehicle(box, 0.9, None) for box in outside)))
    track = Track(1, "car", 0.9, BOXES["a1"], (0, 0), 0.0, t_s, None)
    corners = tuple((x + 40 * t_s, y) for x, y in ((0, 0), (30, 0), (30, 10), (0, 10)))
    reads = (PlateRead(1, plate, (0.99,) * len(plate), "cn", corners, 0.9),) if plate else ()
    return Scene(frame, Detections.none(), (track,), plates=reads, bays=look)


def play(rule: Analyzer, looks: Iterable[Look]) -> list[Event]:
    events: list[Event] = []
    latest = None
    for t_s, taken in looks:
        latest = scene(t_s, taken)
        events += rule.update(latest)
    assert latest is not None
    return events + list(rule.finish(latest))


def told(events: Iterable[Event]) -> list[tuple[str, str | None, float]]:
    return [(event.phase, event.zone, event.begin_s) for event in events]


def every_15_s(*taken: str) -> list[Look]:
    """Looks of a video: each text names the bays taken, e.g. `a1 a2`."""
    return [(15.0 * i, names.split()) for i, names in enumerate(taken)]


def test_a_stay_from_the_first_to_the_last_look_that_shows_it() -> None:
    rule = BayStay(BayStay.Settings(tariff=TARIFF), VIEW)
    looks = every_15_s("", "", *["a2"] * 100, "", "", "", "")
    begin, end = play(rule, looks)
    assert told([begin, end]) == [("begin", "a2", 30.0), ("end", "a2", 30.0)]
    assert (begin.facts["already_standing"], begin.facts["precision_s"]) == (False, 15.0)
    assert (end.facts["dwell_s"], end.facts["end_reason"]) == (1485.0, "left")
    # 885 s beyond the free 600 s: one quarter of an hour of 2.00
    assert end.facts["charge"] == {
        "amount_minor": 50,
        "currency": "EUR",
        "charged_s": 885.0,
        "is_complete": True,
    }
    assert end.plate == {
        "text": None,
        "confidence": 0.0,
        "region": None,
        "reads": 0,
        "reason": "no plate found",
    }


def test_what_passes_changes_nothing() -> None:
    rule = BayStay(BayStay.Settings(), VIEW)
    looks = every_15_s("a2", "a2", "a1 a2", "a2", "a2", "", "a2", "a2")
    assert told(play(rule, looks)) == [("begin", "a2", 0.0), ("end", "a2", 0.0)]


def test_a_change_can_be_made_to_wait_longer() -> None:
    rule = BayStay(BayStay.Settings(confirm_s=60), VIEW)
    assert play(rule, every_15_s("", *["a2"] * 4, "", "", "", "", "")) == []
    begin, _ = play(rule, [(1000.0 + t, taken) for t, taken in every_15_s(*["a2"] * 6)])
    assert (begin.begin_s, begin.t_s) == (1000.0, 1000.0)  # after a pause


def test_in_a_time_lapse_each_frame_decides_alone() -> None:
    lapse = replace(VIEW, bays=BAYS.model_copy(update={"every_s": 0.0}))
    looks: list[Look] = [(0.00, []), (0.05, ["a1"]), (0.10, []), (0.15, ["a2"])]
    phases = [event.phase for event in play(BayStay(BayStay.Settings(), lapse), looks)]
    assert phases == ["begin", "end", "begin", "end"]


def test_stills_decide_alone() -> None:
    rule = BayStay(BayStay.Settings(), VIEW)
    looks: list[Look] = [(0.0, []), (300.0, ["a1"]), (600.0, []), (900.0, ["a2"])]
    events = play(rule, looks)
    assert told(events) == [
        ("begin", "a1", 300.0),
        ("end", "a1", 300.0),
        ("begin", "a2", 900.0),
        ("end", "a2", 900.0),
    ]
    assert events[0].facts["kept_for"] == ["disabled", "ev"]
    assert events[-1].facts["end_reason"] == "recording_ended"


def test_a_charge_says_when_it_is_not_the_whole_stay() -> None:
    rule = BayStay(BayStay.Settings(tariff=TARIFF), VIEW)
    _, end = play(rule, every_15_s(*["a1"] * 50, "", "", "", ""))
    assert end.facts["already_standing"] is True
    assert end.facts["charge"]["is_complete"] is False


@given(st.lists(st.sampled_from(["", "a1", "a2", "a1 a2"]), min_size=1, max_size=40))
def test_stays_of_one_bay_never_overlap_and_all_end(taken: list[str]) -> None:
    rule = BayStay(BayStay.Settings(), VIEW)
    events = play(rule, every_15_s(*taken))
    for bay in ("a1", "a2"):
        own = [event for event in events if event.zone == bay]
        assert [event.phase for event in own] == ["begin", "end"] * (len(own) // 2)
        spans = [(e.begin_s, e.begin_s + e.facts["dwell_s"]) for e in own if e.phase == "end"]
        assert all(a <= b for a, b in spans)
        assert all(before[1] < after[0] for before, after in pairwise(spans))


@given(st.floats(0, 10 * 86_400), st.floats(0, 86_400))
def test_a_longer_stay_never_costs_less(duration_s: float, more_s: float) -> None:
    longer = TARIFF.charge(duration_s + more_s)["amount_minor"]
    assert TARIFF.charge(duration_s)["amount_minor"] <= longer


@given(
    st.floats(0, 30 * 86_400),
    st.integers(0, 10_000),
    st.integers(1, 86_400),
    st.integers(0, 86_400),
    st.none() | st.integers(0, 10_000),
)
def test_a_charge_is_whole_and_within_its_bounds(
    duration_s: float, per_hour: int, step_s: int, free_s: int, most: int | None
) -> None:
    tariff = Tariff(
        currency="CNY", per_hour=per_hour, step_s=step_s, free_s=free_s, max_per_day=most
    )
    charge = tariff.charge(duration_s)
    amount, charged_s = charge["amount_minor"], charge["charged_s"]
    assert isinstance(amount, int)
    assert amount >= 0
    assert charged_s == pytest.approx(max(0.0, duration_s - free_s), abs=1e-3)
    if duration_s <= free_s:
        assert amount == 0
    days = charged_s // 86_400 + 1
    if most is not None:
        assert amount <= days * most
    # Begun steps are charged in full: at most one more per day, never less than the time itself.
    assert amount <= (charged_s + days * step_s) * per_hour / 3600
    if most is None:
        assert amount >= charged_s * per_hour / 3600 - days - 1


@pytest.mark.parametrize(
    ("duration_s", "amount"),
    [(600, 0), (600.001, 50), (1500, 50), (1501, 100), (8 * 3600, 1500), (600 + 86_400 + 1, 1550)],
)
def test_steps_free_time_and_the_day_s_maximum(duration_s: float, amount: int) -> None:
    assert TARIFF.charge(duration_s)["amount_minor"] == amount


def test_availability_at_changes_and_every_minute() -> None:
    rule = BayAvailability(BayAvailability.Settings(), VIEW)
    events = play(rule, every_15_s("", "", "a1", "a1", "a1", *["a1"] * 4, "", "", "", ""))
    assert [(e.t_s, e.facts["free"], e.facts["occupied_bays"]) for e in events] == [
        (0.0, 2, []),
        (45.0, 1, ["a1"]),
        (105.0, 1, ["a1"]),
        (150.0, 2, []),
    ]
    last = events[-1].facts
    assert last["turnover"] == {
        "span_s": 150.0,
        "arrivals": 1,
        "departures": 1,
        "departures_per_bay": 0.5,
        "mean_stay_s": 90.0,
    }
    assert last["forecast"] == {"occupied": None, "reason": "no history of this time of day"}


@pytest.mark.parametrize(
    ("plate", "is_one"),
    [
        ("京AD12345", True),
        ("粤BF0A123", None),
        ("粤BFA0123", True),
        ("沪A12345D", True),
        ("京A12345", False),
        ("皖AB1C23", False),
        ("BAB123", None),
        ("", None),
    ],
)
def test_what_a_plate_says_about_the_drive(plate: str, is_one: bool | None) -> None:
    assert is_electric(plate) is is_one


def ev_events(plate: str | None, **settings: Any) -> list[Event]:
    rule = EvBay(EvBay.Settings(dwell_s=120, **settings), VIEW)
    events: list[Event] = []
    for i in range(4):
        events += rule.update(scene(0.5 * i, None, plate=plate))
    for i in range(1, 20):
        events += rule.update(scene(15.0 * i, ["a1", "a2"] if i < 16 else []))
    return events


def test_an_ordinary_plate_in_an_ev_bay_is_told_once() -> None:
    begin, end = ev_events("京A12345")
    assert told([begin, end]) == [("begin", "a1", 15.0), ("end", "a1", 15.0)]
    assert begin.facts["basis"] == "ordinary plate"
    assert begin.plate is not None
    assert begin.plate["text"] == "京A12345"


@pytest.mark.parametrize("plate", ["京AD12345", "BAB123", None])
def test_nobody_is_accused_who_may_be_electric(plate: str | None) -> None:
    assert ev_events(plate) == []


def outside_events(looks: Sequence[Sequence[Box]], dwell_s: float = 60.0) -> list[Event]:
    rule = OutsideBay(OutsideBay.Settings(dwell_s=dwell_s), VIEW)
    latest = scene(0.0, None)
    events: list[Event] = []
    for i, boxes in enumerate(looks):
        latest = scene(15.0 * i, ["a1"], outside=boxes)
        events += rule.update(latest)
    return events + list(rule.finish(latest))


AISLE = Box(250, 30, 330, 90)


def test_standing_outside_of_all_bays() -> None:
    looks = [[], *[[AISLE]] * 3, [], *[[AISLE]] * 4, [], [], []]
    begin, end = outside_events(looks)
    assert told([begin, end]) == [("begin", "lot", 15.0), ("end", "lot", 15.0)]
    assert begin.t_s == 75.0
    assert (end.facts["dwell_s"], end.facts["end_reason"]) == (105.0, "left")


def test_vehicles_that_take_each_other_s_place_are_none() -> None:
    rule = OutsideBay(OutsideBay.Settings(dwell_s=60), VIEW)
    for i in range(20):
        queue = scene(15.0 * i, [], outside=[AISLE])
        moving = Track(i, "car", 0.9, AISLE, (30, 0), 15.0 * i, 15.0 * i, None)
        assert list(rule.update(replace(queue, tracks=(moving,)))) == []


def test_driving_waiting_briefly_or_standing_in_a_bay_is_none() -> None:
    driving = [[Box(200 + 30 * i, 30, 280 + 30 * i, 90)] for i in range(6)]
    assert outside_events(driving) == []
    assert outside_events([[AISLE]] * 3 + [[]] * 4) == []
    assert outside_events([[Box(105, 5, 178, 78)]] * 10) == []


def test_what_is_told_fits_its_schema() -> None:
    told_of: list[Event] = [*ev_events("京A12345"), *outside_events([[AISLE]] * 9)]
    looks = every_15_s("", "", *["a1"] * 5, "", "", "", "a2")
    told_of += play(BayStay(BayStay.Settings(tariff=TARIFF), VIEW), looks)
    told_of += play(BayAvailability(BayAvailability.Settings(), VIEW), looks)
    media = Media("clip", "replay", "0" * 64, START, "given")
    cameras = {"c1": CameraOrigin(media, ModelInfo("model", None))}
    origin = Origin({"name": "lot"}, "box", "boot", "0" * 64, "edge-agent 1", cameras)
    known = Registry().with_resources(
        (name, Resource.from_contents(schema)) for name, schema in schemas().items()
    )
    for event in told_of:
        envelope = {**event_envelope(event, origin), "sequence": "0" * 20}
        Draft202012Validator(schema_for(envelope["type"]), registry=known).validate(envelope)
    assert {event.kind for event in told_of} == {
        "parking.bay",
        "parking.availability",
        "parking.ev_bay",
        "parking.outside_bay",
    }
