"""Plates that are told and gates that are opened, on hand-made scenes."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from edge_agent.analyzers.plates.access import AccessGranted
from edge_agent.analyzers.plates.reading import PlateReading
from edge_agent.analyzers.standing.illegal_parking import IllegalParking
from edge_agent.analyzers.view import View
from edge_agent.config import Camera, PlateSettings, SiteInfo
from edge_agent.geometry import Polygon
from edge_agent.plates import Entry, PlateBook, PlateList
from edge_agent.ports import Analyzer
from edge_agent.types import (
    ArrayPicture,
    Box,
    Detections,
    Event,
    Frame,
    PlateRead,
    Scene,
    Track,
)

PICTURE = ArrayPicture(np.zeros((360, 640, 3), np.uint8))
START = datetime(2026, 5, 31, 21, 30, tzinfo=UTC)  # 23:30 in Berlin
LISTS = (
    PlateList.of("staff", "allow", [Entry("AB12"), Entry("BAD1")]),
    PlateList.of(
        "may", "permit", [Entry("CD34", None, datetime.fromisoformat("2026-06-01T00:00"))]
    ),
    PlateList.of("banned", "deny", [Entry("BAD1")]),
)
VIEW = View(
    "gate",
    {"entry": Polygon([(0.25, 0), (1, 0), (1, 1), (0.25, 1)])},
    {},
    ZoneInfo("Europe/Berlin"),
    plates=PlateSettings(regions=("eu",), min_width_px=40),
    book=PlateBook(LISTS),
)


def scene(
    t_s: float, *tracks: Track, reads: Iterable[PlateRead] = (), ended: tuple[Track, ...] = ()
) -> Scene:
    frame = Frame("gate", round(t_s * 10), t_s, START + timedelta(seconds=t_s), PICTURE)
    return Scene(frame, Detections.none(), tracks, ended, plates=tuple(reads))


def car(t_s: float, x: float, *, ident: int = 1, width: float = 200) -> Track:
    box = Box(x, 100, x + width, 300)
    return Track(ident, "car", 0.9, box, (50.0, 0.0), 0.0, t_s, None)


def plate(x: float, text: str = "AB12", reason: str | None = None, ident: int = 1) -> PlateRead:
    corners = ((x, 250.0), (x + 50, 250.0), (x + 50, 262.0), (x, 262.0))
    return PlateRead(ident, text, (0.95,) * len(text), "eu", corners, 0.9, reason)


def drive(
    *reads: tuple[float, str | None], until_s: int = 8, width: float = 200, pace: float = 60
) -> list[Scene]:
    """A car drives to the right, is in the zone from 1 s on, and is gone after `until_s`.

    `reads` are times and what was read then; None is a read that was too narrow.
    """
    told = dict(reads)
    scenes = []
    for step in range(until_s * 2):
        t_s = step / 2
        x = pace * t_s
        found = []
        if t_s in told:
            text = told[t_s]
            found = [plate(x, text or "AB12", None if text else "plate too narrow")]
        scenes.append(scene(t_s, car(t_s, x, width=width), reads=found))
    return [*scenes, scene(until_s, ended=(car(until_s - 0.5, 0),)), scene(until_s + 1)]


def play(rule: Analyzer, scenes: Iterable[Scene]) -> list[Event]:
    events: list[Event] = []
    for each in scenes:
        events += rule.update(each)
    return events + list(rule.finish(each))


def reading(**settings: object) -> PlateReading:
    return PlateReading(PlateReading.Settings.model_validate(settings), VIEW)


def access(**settings: object) -> AccessGranted:
    values = {"zone": "entry", "lists": ["staff", "may"], "output": "barrier", **settings}
    return AccessGranted(AccessGranted.Settings.model_validate(values), VIEW)


def test_a_vehicle_is_told_of_once_when_it_has_gone() -> None:
    (event,) = play(reading(zone="entry"), drive((0.5, "AB12"), (2, "AB12"), (3, "AB12")))
    assert (event.kind, event.phase, event.zone, event.t_s) == ("plate.read", "end", "entry", 8)
    assert event.begin_s == 1.0 and event.track is not None and event.track.id == 1
    assert event.plate == {
        "text": "AB12",
        "confidence": 0.95,
        "region": "eu",
        "reads": 3,
        "chars": [0.95] * 4,
    }
    assert (event.facts["list"], event.facts["list_meaning"]) == ("staff", "allow")


def test_lists_are_asked_in_local_time_and_denial_comes_first() -> None:
    until = [(2.0, "CD34"), (3.0, "CD34")]
    (event,) = play(reading(), drive(*until))
    assert event.facts["list_meaning"] == "permit"
    late = [Scene(_later(s.frame), s.detections, s.tracks, s.ended, plates=s.plates)
            for s in drive(*until)]  # fmt: skip
    (event,) = play(reading(), late)
    assert "list" not in event.facts
    (event,) = play(reading(lists=["staff"]), drive((2, "BAD1"), (3, "BAD1")))
    assert (event.facts["list"], event.facts["list_meaning"]) == ("banned", "deny")
    (event,) = play(reading(), drive((2, "XY99"), (3, "XY99")))
    assert "list" not in event.facts and event.plate and event.plate["text"] == "XY99"


def _later(frame: Frame) -> Frame:
    return Frame(frame.camera, frame.seq, frame.t_s, frame.wall + timedelta(hours=1), PICTURE)


@pytest.mark.parametrize(
    ("reads", "reason"),
    [
        ([], "no plate found"),
        ([(2.0, "AB12")], "one look only"),
        ([(2.0, "AB12"), (3.0, "XY99")], "reads disagree"),
        ([(2.0, None), (3.0, None)], "plate too narrow"),
    ],
)
def test_a_near_vehicle_that_could_not_be_read_says_why(
    reads: list[tuple[float, str | None]], reason: str
) -> None:
    (event,) = play(reading(zone="entry"), drive(*reads))
    assert event.plate is not None
    assert (event.plate["text"], event.plate["reason"]) == (None, reason)
    assert "list" not in event.facts


def test_nobody_asks_vehicles_that_are_far_away() -> None:
    assert play(reading(zone="entry"), drive((2, None), width=130)) == []
    (event,) = play(reading(zone="entry"), drive((2, None), width=140))
    assert event.plate is not None and event.plate["reason"] == "plate too narrow"
    (event,) = play(reading(), drive((2, "AB12"), (3, "AB12"), width=130))
    assert event.plate is not None and event.plate["text"] == "AB12"  # it was read all the same


def test_where_no_zone_asks_for_plates_none_is_missed() -> None:
    assert play(reading(), drive()) == []
    (event,) = play(reading(), drive((2, None)))
    assert event.plate is not None and event.plate["reason"] == "plate too narrow"


def test_a_vehicle_that_never_moved_is_not_read_twice() -> None:
    scenes = [scene(t, car(t, 300), reads=[plate(300)]) for t in range(9)]
    (event,) = play(reading(zone="entry"), scenes)
    assert event.plate is not None and event.plate["reason"] == "vehicle did not move"


def test_what_passes_outside_the_zone_is_nobodys_business() -> None:
    assert play(reading(zone="entry"), drive((1, "AB12"), (2, "AB12"), pace=5)) == []


def test_coming_back_is_another_visit() -> None:
    xs = [300, 400, 300, -150, -150, -150, -150, -150, -150, -150, -150, 300, 400, 300]
    scenes = [scene(t, car(t, x), reads=[plate(x)]) for t, x in enumerate(xs)]
    events = play(reading(zone="entry"), scenes)
    assert [(e.begin_s, e.t_s) for e in events] == [(0, 6), (11, 13)]
    assert len({event.subject for event in events}) == 2


def test_two_vehicles_do_not_share_their_reads() -> None:
    scenes = [
        scene(
            t,
            car(t, 60 * t),
            car(t, 60 * t, ident=2),
            reads=[plate(60 * t, "AB12") if t % 2 else plate(60 * t, "CD34", ident=2)],
        )
        for t in range(8)
    ]
    told = {e.track.id: e.plate["text"] for e in play(reading(), scenes) if e.track and e.plate}
    assert told == {1: "AB12", 2: "CD34"}


def test_a_gate_opens_as_soon_as_the_plate_is_known_and_once() -> None:
    reads = [(2.0, "AB12"), (3.0, "AB12"), (4.0, "AB12")]
    (event,) = play(access(), drive(*reads))
    assert (event.kind, event.phase, event.t_s) == ("access.granted", "end", 3.0)
    assert event.plate is not None and event.plate["text"] == "AB12"
    expected = {"output": "barrier", "list": "staff", "list_meaning": "allow"}
    assert expected.items() <= event.facts.items()


def test_reads_on_the_way_to_the_zone_count_when_it_is_reached() -> None:
    (event,) = play(access(), drive((0, "AB12"), (0.5, "AB12")))
    assert event.t_s == 1.0


@pytest.mark.parametrize(
    "reads",
    [
        [(2.0, "AB12")],
        [(2.0, "A812"), (3.0, "A812")],  # looks like AB12, and is not
        [(2.0, "AB12"), (3.0, "A812"), (4.0, "AB12")],  # known, but not well enough
        [(2.0, "BAD1"), (3.0, "BAD1")],  # in the list, and in one that denies
        [(2.0, "XY99"), (3.0, "XY99")],
        [(2.0, None), (3.0, None), (4.0, None)],
    ],
)
def test_a_gate_stays_shut(reads: list[tuple[float, str | None]]) -> None:
    assert play(access(), drive(*reads)) == []


def test_a_list_that_denies_never_opens() -> None:
    assert play(access(lists=["banned"]), drive((2, "BAD1"), (3, "BAD1"))) == []


def test_rules_about_plates_need_a_camera_that_reads_them() -> None:
    camera, site = Camera(), SiteInfo(name="x")
    for settings in (
        PlateReading.Settings(),
        AccessGranted.Settings(zone="z", lists=("a",), output="o"),
    ):
        ((key, text),) = settings.problems(camera, site)
        assert key == "kind" and "plates: {regions: [eu]}" in text
        assert not list(settings.problems(Camera(plates=VIEW.plates), site))


def test_an_offence_ends_with_its_plate() -> None:
    arriving = [scene(t, car(t, 100 * t), reads=[plate(100 * t)]) for t in range(3)]
    standing = [
        scene(t, Track(1, "car", 0.9, Box(250, 100, 450, 300), (0.0, 0.0), 0.0, t, 3.0))
        for t in range(3, 20)
    ]
    gone = [scene(t, ended=(car(19, 250),)) for t in range(20, 30)]
    settings = IllegalParking.Settings(zone="entry", dwell_s=5)
    events = play(IllegalParking(settings, VIEW), [*arriving, *standing, *gone])
    assert [event.phase for event in events] == ["suspect", "begin", "end"]
    assert [event.plate and event.plate["text"] for event in events] == [None, None, "AB12"]
