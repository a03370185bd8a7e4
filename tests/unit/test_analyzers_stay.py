"""Illegal parking and stopped vehicles on hand-made scenes."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from edge_agent.analyzers.schedule import Hours, is_active
from edge_agent.analyzers.standing.illegal_parking import IllegalParking
from edge_agent.analyzers.standing.stopped_vehicle import StoppedVehicle
from edge_agent.analyzers.view import View
from edge_agent.geometry import Polygon
from edge_agent.ports import Analyzer
from edge_agent.types import ArrayPicture, Box, Detections, Event, Frame, Scene, Track

PICTURE = ArrayPicture(np.zeros((100, 200, 3), np.uint8))
START = datetime(2026, 5, 13, 9, 0, tzinfo=UTC)  # a Wednesday
VIEW = View(
    "c1", {"kerb": Polygon([(0.25, 0.5), (0.75, 0.5), (0.75, 1), (0.25, 1)])}, {}, ZoneInfo("UTC")
)


def scene(t_s: float, *tracks: Track, ended: tuple[Track, ...] = ()) -> Scene:
    frame = Frame("c1", round(t_s * 10), t_s, START + timedelta(seconds=t_s), PICTURE)
    return Scene(frame, Detections.none(), tracks, ended)


def car(  # noqa: PLR0917
    t_s: float, x: float, still: float | None, first: float = 0.0, ident: int = 1, cls: str = "car"
) -> Track:
    return Track(ident, cls, 0.9, Box(x - 10, 70, x + 10, 90), (0, 0), first, t_s, still)


def play(rule: Analyzer, scenes: Iterable[Scene]) -> list[Event]:
    events: list[Event] = []
    last = None
    for last in scenes:
        events += rule.update(last)
    assert last is not None
    return events + list(rule.finish(last))


def phases(events: Iterable[Event]) -> list[tuple[str, float]]:
    return [(event.phase, event.t_s) for event in events]


def parking(**settings: object) -> IllegalParking:
    values = {"zone": "kerb", "dwell_s": 10, "update_s": 1000, **settings}
    return IllegalParking(IllegalParking.Settings.model_validate(values), VIEW)


def arrives_parks_leaves(until: int = 30) -> list[Scene]:
    scenes = [scene(t, car(t, 20 + 20 * t, None)) for t in range(4)]  # x = 20 .. 80
    scenes += [scene(t, car(t, 100, 4.0)) for t in range(4, until)]
    scenes += [scene(t, car(t, 100 + 30 * (t - until), None)) for t in range(until, until + 4)]
    return scenes + [scene(t) for t in range(until + 4, until + 10)]


def test_parks_and_leaves() -> None:
    events = play(parking(), arrives_parks_leaves())
    # It is in the zone from x = 50 on, stands from 4 s, and is out of the zone (x > 150) at 32 s;
    # the end is reported once it has not come back for 3 s.
    assert phases(events) == [("suspect", 2), ("begin", 14), ("end", 34)]
    begin, end = events[1:]
    assert begin.begin_s == 4.0 and begin.facts["dwell_s"] == 10.0
    assert begin.facts["already_standing"] is False
    assert end.facts["end_reason"] == "left"
    # At 29 s it was last seen where it stood: more is not claimed.
    assert (end.facts["end_s"], end.facts["dwell_s"]) == (29, 25)
    assert len({event.subject for event in events}) == 1


def test_grace_is_tolerance_on_top_of_the_limit() -> None:
    events = play(parking(grace_s=5), arrives_parks_leaves())
    assert phases(events)[1] == ("begin", 19)


def test_leaving_in_time_is_dismissed() -> None:
    events = play(parking(), arrives_parks_leaves(until=13))
    assert [event.phase for event in events] == ["suspect", "dismissed"]


def test_standing_when_the_recording_starts() -> None:
    events = play(parking(), [scene(t, car(t, 100, 0.0)) for t in range(15)])
    assert phases(events) == [("suspect", 0), ("begin", 10), ("end", 14)]
    assert events[1].facts["already_standing"] is True
    assert events[2].facts["end_reason"] == "recording_ended"


def test_a_slow_queue_is_not_parking() -> None:
    # Moves up by more than half its length every 6 s: stands for 54 s in all, never for 10.
    scenes = [scene(t, car(t, 60 + 12 * (t // 6), 6.0 * (t // 6))) for t in range(54)]
    assert {event.phase for event in play(parking(), scenes)} == {"suspect", "dismissed"}


def test_nobody_is_accused_while_hidden() -> None:
    scenes = arrives_parks_leaves()
    hidden = [scene(s.frame.t_s, car(7.0, 100, 4.0)) for s in scenes[8:20]]
    events = play(parking(), scenes[:8] + hidden + scenes[20:])
    assert phases(events)[1] == ("begin", 20), "reported when it is seen again"
    assert events[1].facts["dwell_s"] == 16.0


def test_a_new_track_at_the_same_place_is_the_same_vehicle() -> None:
    scenes = arrives_parks_leaves()
    for i in range(15, 34):
        track = scenes[i].tracks[0]
        replaced = car(track.last_s, track.box.centre[0], track.still_since_s, 15.0, ident=2)
        scenes[i] = scene(scenes[i].frame.t_s, replaced)
    events = play(parking(), scenes)
    told = [event for event in events if event.phase in ("begin", "end")]
    assert [event.phase for event in told] == ["begin", "end"]
    assert len({event.subject for event in told}) == 1
    assert told[1].facts["end_reason"] == "left"


def test_moving_within_the_zone_continues_an_offence() -> None:
    scenes = [scene(t, car(t, 100, 0.0)) for t in range(12)]
    scenes += [scene(t, car(t, 130, None)) for t in range(12, 14)]
    scenes += [scene(t, car(t, 130, 14.0)) for t in range(14, 40)]
    events = play(parking(), scenes)
    assert [event.phase for event in events] == ["suspect", "begin", "end"]
    assert events[-1].facts["dwell_s"] == 11 + 25, "the way between does not count"


def test_a_flicker_of_the_outline_counts_no_time_twice() -> None:
    """Out of the zone for half a second, by a lorry's shadow perhaps, it never moved."""
    tracks = [car(t / 10, 180 if 200 <= t < 205 else 100, 0.0) for t in range(400)]
    end = play(parking(), [scene(track.last_s, track) for track in tracks])[-1]
    assert (end.phase, end.begin_s, end.facts["end_s"]) == ("end", 0.0, 39.9)
    assert end.facts["dwell_s"] == pytest.approx(39.4), "of the flicker nothing is claimed"


def test_what_it_stood_outside_of_the_zone_is_no_time_in_it() -> None:
    tracks = [car(t, 180 if t < 20 else 100, 0.0) for t in range(40)]
    events = play(parking(), [scene(track.last_s, track) for track in tracks])
    assert phases(events) == [("suspect", 20), ("begin", 30), ("end", 39)]
    assert (events[1].begin_s, events[2].facts["dwell_s"]) == (20.0, 19.0)


def test_no_time_is_in_two_offences() -> None:
    """Out of the zone for longer than a stay waits, it is accused anew: of the time since."""
    tracks = [car(t, 180 if 20 <= t < 26 else 100, 0.0) for t in range(50)]
    events = play(parking(), [scene(track.last_s, track) for track in tracks])
    begins = [event.begin_s for event in events if event.phase == "begin"]
    ends = [event.facts["end_s"] for event in events if event.phase == "end"]
    assert (begins, ends) == ([0.0, 26.0], [20, 49])


def test_who_pulls_in_behind_another_starts_anew() -> None:
    first = [car(t, 100, 4.0) for t in range(4, 14)]
    waits = [car(t, 60, None, ident=2) for t in range(4, 14)]
    scenes = [scene(t, a, b) for t, a, b in zip(range(4, 14), first, waits, strict=True)]
    scenes += [scene(14, car(14, 170, None), car(14, 95, None, ident=2))]
    scenes += [scene(t, car(t, 100, 15.0, ident=2)) for t in range(15, 40)]
    events = play(parking(dwell_s=12), scenes)
    (begin,) = (event for event in events if event.phase == "begin")
    assert begin.track is not None and (begin.track.id, begin.t_s, begin.begin_s) == (2, 27, 15)


def test_a_passer_by_does_not_take_over_from_a_hidden_vehicle() -> None:
    scenes = [scene(t, car(t, 100, 4.0)) for t in range(4, 18)]
    passing = [car(t, 85 + 10 * (t - 18), None, first=18, ident=9) for t in range(18, 22)]
    scenes += [scene(t, car(17, 100, 4.0), p) for t, p in zip(range(18, 22), passing, strict=True)]
    scenes += [scene(t, car(t, 100, 4.0)) for t in range(22, 30)]
    events = play(parking(), scenes)
    told = [(event.phase, event.subject) for event in events if event.phase in ("begin", "end")]
    assert len(told) == 2 and len({subject for _, subject in told}) == 1


def test_time_away_is_not_time_standing() -> None:
    scenes = [scene(t, car(t, 100, 0.0)) for t in range(8)]
    scenes += [scene(t, car(t, 190, None)) for t in range(8, 48)]
    scenes += [scene(t, car(t, 100, 48.0)) for t in range(48, 70)]
    events = play(parking(reentry_s=60), scenes)
    (begin,) = (event for event in events if event.phase == "begin")
    assert (begin.t_s, begin.begin_s, begin.facts["dwell_s"]) == (58, 48, 10)


def test_nobody_is_charged_for_time_in_which_he_was_not_seen() -> None:
    scenes = [scene(t, car(t, 100, 4.0)) for t in range(4, 20)]
    scenes += [scene(t, car(19, 100, 4.0)) for t in range(20, 70)]
    end = play(parking(), scenes)[-1]
    assert (end.phase, end.facts["end_s"], end.facts["dwell_s"]) == ("end", 19, 15)


def test_two_rules_on_one_zone_are_two_happenings() -> None:
    scenes = arrives_parks_leaves()
    subjects = {
        event.subject for dwell_s in (5, 10) for event in play(parking(dwell_s=dwell_s), scenes)
    }
    assert len(subjects) == 2


def test_a_weak_sighting_accuses_nobody() -> None:
    scenes = [scene(t, replace(car(t, 100, 0.0), is_sure=t >= 15)) for t in range(18)]
    assert phases(play(parking(), scenes))[1] == ("begin", 15)


def test_only_the_named_classes() -> None:
    scenes = [scene(t, car(t, 100, 0.0, cls="person")) for t in range(15)]
    assert play(parking(), scenes) == []
    assert play(parking(classes=["person"]), scenes)


def test_hours_end_an_offence_and_standing_counts_from_their_start() -> None:
    hours = [{"days": "mon-fri", "from": "09:01", "to": "09:02"}]
    events = play(parking(schedule=hours), [scene(t, car(t, 100, 0.0)) for t in range(0, 130)])
    assert phases(events) == [("suspect", 60), ("begin", 70), ("end", 120)]
    assert events[2].facts["end_reason"] == "schedule"


def test_updates_while_it_goes_on() -> None:
    events = play(parking(update_s=5), [scene(t, car(t, 100, 0.0)) for t in range(23)])
    assert phases(events)[2:4] == [("update", 15), ("update", 20)]


def test_stopped_vehicle_is_cleared_when_its_place_is_free() -> None:
    settings = StoppedVehicle.Settings(zone="kerb", dwell_s=10)
    events = play(StoppedVehicle(settings, VIEW), arrives_parks_leaves())
    assert phases(events) == [("begin", 14), ("end", 31)]
    assert events[1].facts["clearance_s"] == 27.0


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-05-15T21:59", False),
        ("2026-05-15T22:00", True),  # Friday night
        ("2026-05-16T05:59", True),  # ... reaches into Saturday
        ("2026-05-16T06:00", False),
        ("2026-05-17T05:00", False),  # Saturday night is not listed
    ],
)
def test_hours_round_midnight(when: str, expected: bool) -> None:
    hours = Hours.model_validate({"days": "mon-fri", "from": "22:00", "to": "06:00"})
    moment = datetime.fromisoformat(when).replace(tzinfo=ZoneInfo("Europe/Berlin"))
    assert is_active([hours], moment.astimezone(UTC), ZoneInfo("Europe/Berlin")) is expected


def test_hours_follow_daylight_saving() -> None:
    hours = [Hours.model_validate({"from": "08:00", "to": "09:00"})]
    berlin = ZoneInfo("Europe/Berlin")
    assert is_active(hours, datetime(2026, 1, 14, 7, 30, tzinfo=UTC), berlin)
    assert is_active(hours, datetime(2026, 7, 14, 6, 30, tzinfo=UTC), berlin)
    assert not is_active(hours, datetime(2026, 7, 14, 7, 30, tzinfo=UTC), berlin)


@pytest.mark.parametrize("days", ["mo", "mon-", "mon-xyz", ["monday"], []])
def test_bad_days_are_refused(days: object) -> None:
    with pytest.raises(ValueError, match="day"):
        Hours.model_validate({"days": days})


def test_days_go_round_the_weekend() -> None:
    assert Hours.model_validate({"days": "sat-mon"}).days == ("sat", "sun", "mon")


@pytest.mark.parametrize("moment", [7, 7.5, "7", "25:00", "07:60", "noon"])
def test_bad_times_of_day_are_refused(moment: object) -> None:
    with pytest.raises(ValueError, match="07:30"):
        Hours.model_validate({"from": moment})
