"""Rules that go on in another process: as if nothing had been, but for what nobody saw."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.analyzers.bays.availability import BayAvailability
from edge_agent.analyzers.bays.outside import OutsideBay
from edge_agent.analyzers.bays.stays import BayStay
from edge_agent.analyzers.bays.tariff import Tariff
from edge_agent.analyzers.camera.health import CameraHealth
from edge_agent.analyzers.standing.illegal_parking import IllegalParking
from edge_agent.analyzers.standing.stopped_vehicle import StoppedVehicle
from edge_agent.analyzers.view import View
from edge_agent.config import BaySettings
from edge_agent.geometry import Polygon
from edge_agent.ports import Analyzer, Memory
from edge_agent.types import (
    ArrayPicture,
    BayLook,
    BayVehicle,
    Box,
    Detections,
    Event,
    Frame,
    Scene,
    Track,
)

PICTURE = ArrayPicture(np.zeros((100, 400, 3), np.uint8))
START = datetime(2026, 5, 13, 9, 0, tzinfo=UTC)
EVERYWHERE = Polygon([(0, 0), (1, 0), (1, 1), (0, 1)])
BAYS = BaySettings(zones=("a1",), lot="lot", every_s=15)
BAY = Polygon([(0.0, 0.2), (0.2, 0.2), (0.2, 0.8), (0.0, 0.8)])
VIEW = View("c1", {"lot": EVERYWHERE, "a1": BAY}, {}, ZoneInfo("UTC"), bays=BAYS)
TARIFF = Tariff(currency="EUR", per_hour=200, step_s=60, free_s=0, max_per_day=1500)
CAR = Box(0, 20, 80, 80)
PLACE = Box(200, 20, 280, 80)

Make = Callable[[], Any]


def parking() -> IllegalParking:
    values = {"zone": "lot", "dwell_s": 10, "update_s": 1000}
    return IllegalParking(IllegalParking.Settings.model_validate(values), VIEW)


def stopped() -> StoppedVehicle:
    values = {"zone": "lot", "dwell_s": 10, "update_s": 1000}
    return StoppedVehicle(StoppedVehicle.Settings.model_validate(values), VIEW)


def bay() -> BayStay:
    return BayStay(BayStay.Settings(tariff=TARIFF), VIEW)


def outside() -> OutsideBay:
    return OutsideBay(OutsideBay.Settings(dwell_s=60), VIEW)


def standing(t_s: float, ident: int = 1, first_s: float = 0.0, x: float = 200) -> Scene:
    box = Box(x, 20, x + 80, 80)
    return _scene(t_s, Track(ident, "car", 0.9, box, (0, 0), first_s, t_s, first_s))


def empty(t_s: float) -> Scene:
    return _scene(t_s)


def look(t_s: float, *vehicles: BayVehicle) -> Scene:
    return _scene(t_s, bays=BayLook(t_s, vehicles))


def _scene(t_s: float, *tracks: Track, bays: BayLook | None = None) -> Scene:
    frame = Frame("c1", round(t_s * 10), t_s, START + timedelta(seconds=t_s), PICTURE)
    return Scene(frame, Detections.none(), tracks, bays=bays)


def play(rule: Analyzer, scenes: Iterable[Scene]) -> list[Event]:
    return [event for scene in scenes for event in rule.update(scene)]


def told(events: Iterable[Event]) -> list[tuple[str, float]]:
    return [(e.phase, e.t_s) for e in events if e.phase in ("begin", "end")]


def succeed(old: Memory, make: Make, shift_s: float = 0.0) -> Any:
    """Another process's rule: the memory goes through a file."""
    rule = make()
    rule.recall(json.loads(json.dumps(old.remember(), allow_nan=False)), lambda t: t + shift_s)
    return rule


@pytest.mark.parametrize("make", [parking, stopped])
@given(stop_s=st.integers(1, 39), shift_s=st.sampled_from([0.0, -1000.0, 1e5]))
def test_a_stay_goes_on_as_if_nothing_had_been(make: Make, stop_s: int, shift_s: float) -> None:
    """A restart between two scenes, at any moment, into any clock: the same begin, the same end."""
    whole = play(make(), [*map(standing, range(40)), *map(empty, range(40, 90))])
    first = make()
    before = play(first, map(standing, range(stop_s)))
    rule = succeed(first, make, shift_s)
    here = range(stop_s, 40)
    after = play(rule, [standing(t + shift_s, 1, stop_s + shift_s) for t in here])
    after += play(rule, [empty(t + shift_s) for t in range(40, 90)])
    assert len({e.subject for e in [*before, *after] if e.phase in ("begin", "end")}) == 1
    moved = [(phase, t + shift_s) for phase, t in told(whole)]
    # The second between the last scene before and the first one after was seen by nobody.
    assert told(before) + [(p, t - shift_s) for p, t in told(after)] in (
        told(whole),
        [(p, t + (p == "begin")) for p, t in told(whole)],
    ), moved
    end = next(e for e in after if e.phase == "end")
    expected = next(e for e in whole if e.phase == "end")
    assert expected.facts["dwell_s"] - end.facts["dwell_s"] == 1.0
    assert end.begin_s - shift_s == pytest.approx(expected.begin_s)


def test_a_vehicle_that_is_gone_after_the_restart_ends_when_it_was_last_seen() -> None:
    first = parking()
    play(first, map(standing, range(21)))
    rule = succeed(first, parking)
    assert told(play(rule, [empty(50), empty(79)])) == []
    (end,) = play(rule, [empty(80)])
    assert (end.phase, end.facts["end_s"], end.facts["end_reason"]) == ("end", 20, "lost")
    assert end.facts["dwell_s"] == 20


def test_after_a_long_restart_it_is_another_vehicle() -> None:
    first = parking()
    (begin,) = [e for e in play(first, map(standing, range(21))) if e.phase == "begin"]
    rule = succeed(first, parking)
    events = play(rule, [standing(t, 1, 700.0) for t in range(700, 715)])
    assert told(events) == [("end", 700), ("begin", 710)]
    assert len({begin.subject, *(e.subject for e in events if e.phase == "begin")}) == 2


def test_another_place_is_another_vehicle() -> None:
    first = parking()
    play(first, map(standing, range(21)))
    rule = succeed(first, parking)
    events = play(rule, [standing(t, 1, 25.0, x=120) for t in range(25, 60)])
    assert told(events) == [("begin", 35), ("end", 55)]


def test_who_is_seen_to_arrive_in_the_same_place_is_another_vehicle() -> None:
    first = parking()
    play(first, map(standing, range(21)))
    rule = succeed(first, parking)
    play(rule, [empty(22)])
    arriving = [_scene(t, Track(1, "car", 0.9, CAR, (50, 0), 23.0, t, None)) for t in (23, 24, 25)]
    parked = [_scene(t, Track(1, "car", 0.9, PLACE, (0, 0), 23.0, t, 26.0)) for t in range(26, 60)]
    assert told(play(rule, [*arriving, *parked])) == [("begin", 36), ("end", 52)]


def test_no_new_subject_is_one_that_goes_on() -> None:
    first = parking()
    before = play(first, [standing(float(t)) for t in range(21)])
    # The clock of the new boot shows the same time, the new tracker begins to count at one.
    rule = succeed(first, parking, -21.0)
    events = play(rule, [standing(float(t), 1, 0.0, x=20) for t in range(15)])
    assert not {e.subject for e in before} & {e.subject for e in events if e.phase == "begin"}


def test_a_plate_of_a_new_track_is_not_the_recalled_vehicles() -> None:
    first = parking()
    play(first, map(standing, range(21)))
    rule = succeed(first, parking)
    play(rule, [standing(25, 1, 25.0, x=20)])
    end = next(e for e in play(rule, map(empty, range(26, 60))) if e.phase == "end")
    assert end.track is not None and end.track.id == 0


IN_BAY = BayVehicle(CAR, 0.9, "a1")


def bays(times: Sequence[float], *vehicles: BayVehicle) -> list[Scene]:
    return [look(t, *vehicles) for t in times]


def test_a_session_goes_on_and_nobody_pays_for_what_nobody_saw() -> None:
    first = bay()
    (begin,) = play(first, [*bays([0, 15]), *bays([30, 45, 60, 75], IN_BAY)])
    rule = succeed(first, bay)
    events = play(rule, [*bays([300, 315, 330], IN_BAY), *bays([345, 360])])
    (end,) = events
    assert end.subject == begin.subject and end.facts["end_reason"] == "left"
    assert end.facts["dwell_s"] == 330 - 30 - (300 - 75)
    assert end.facts["charge"]["is_complete"] is False


def test_a_session_across_a_restart_shorter_than_looks_may_be_apart_is_whole() -> None:
    first = bay()
    play(first, [*bays([0, 15]), *bays([30, 45, 60, 75], IN_BAY)])
    rule = succeed(first, bay, -80.0)  # a reboot: times before it are negative
    (end,) = play(rule, [*bays([20, 35], IN_BAY), *bays([50, 65])])
    assert end.facts["dwell_s"] == 35 + 80 - 30
    assert end.facts["charge"]["is_complete"] is True
    assert end.subject.endswith("a1@30.000")


@pytest.mark.parametrize(
    ("vehicle", "at_s", "expected"),
    [
        (None, 300, [("end", 300)]),
        (BayVehicle(Box(40, 20, 120, 80), 0.9, "a1"), 300, [("end", 300), ("begin", 300)]),
        (IN_BAY, 800, [("end", 800), ("begin", 800)]),
    ],
)
def test_a_session_whose_vehicle_may_be_another_ends_when_it_was_last_seen(
    vehicle: BayVehicle | None, at_s: float, expected: list[tuple[str, float]]
) -> None:
    first = bay()
    play(first, [*bays([0, 15]), *bays([30, 45, 60, 75], IN_BAY)])
    events = play(succeed(first, bay), bays([at_s], *([vehicle] if vehicle else [])))
    assert told(events) == expected
    assert events[0].facts["end_reason"] == "lost"
    assert events[0].facts["dwell_s"] == 45
    assert events[0].facts["charge"]["is_complete"] is False


def test_outside_of_bays() -> None:
    car = BayVehicle(Box(200, 20, 280, 80), 0.9, None)
    first = outside()
    (begin,) = play(first, [*bays([0]), *bays(range(15, 95, 15), car)])
    rule = succeed(first, outside, 1000.0)
    (end,) = play(rule, [*bays([1300, 1315], car), *bays([1330, 1345])])
    assert end.subject == begin.subject
    assert end.facts["dwell_s"] == 75 + 15
    gone = succeed(first, outside)
    (end,) = play(gone, bays([300, 315]))
    assert (end.facts["end_reason"], end.facts["dwell_s"]) == ("lost", 75)


def test_the_lots_history_is_kept() -> None:
    def make() -> BayAvailability:
        return BayAvailability(BayAvailability.Settings(), VIEW)

    first = make()
    play(first, bays(range(0, 3 * 86_400, 900), IN_BAY))
    rule = succeed(first, make)
    assert rule.remember() == first.remember()
    (event,) = play(rule, bays([3 * 86_400], IN_BAY))
    assert event.facts["forecast"]["days"] == 3


RNG = np.random.default_rng(7)
HOUSES = np.asarray(np.kron(RNG.integers(40, 220, (9, 18, 3)), np.ones((20, 20, 1))), np.uint8)


def seen(t_s: float, by_px: int = 0) -> Scene:
    """The houses with a sensor's noise, in a view that has moved to the left by so much."""
    noise = np.random.default_rng(round(t_s * 10)).normal(0, 2, (180, 320, 3))
    image = np.clip(HOUSES[:, by_px : by_px + 320] + noise, 0, 255).astype(np.uint8)
    frame = Frame("c1", round(t_s), t_s, START + timedelta(seconds=t_s), ArrayPicture(image))
    return Scene(frame, Detections.none(), ())


def health() -> CameraHealth:
    return CameraHealth(CameraHealth.Settings(), VIEW)


def test_a_camera_that_was_moved_during_a_restart_is_noticed() -> None:
    first = health()
    assert play(first, [seen(float(t)) for t in range(30)]) == []
    assert play(succeed(first, health, -20.0), [seen(float(t)) for t in range(15, 40)]) == []
    rule = succeed(first, health)
    (begin,) = play(rule, [seen(float(t), 30) for t in range(35, 50)])
    assert (begin.kind, begin.phase, begin.begin_s) == ("camera.moved", "begin", 35)
    # Another restart later it is still moved, until it is back.
    (end,) = play(succeed(rule, health, 100.0), [seen(float(t)) for t in range(160, 170)])
    assert (end.phase, end.subject) == ("end", begin.subject)


@pytest.mark.parametrize("data", ["", "AAAA", "eJwDAAAAAAE="])
def test_a_view_that_is_none_is_refused(data: str) -> None:
    first = health()
    play(first, [seen(float(t)) for t in range(30)])
    state = first.remember()
    assert len(json.dumps(state)) < 60_000
    state["view"]["structure"]["mean"]["fine"]["data"] = data
    with pytest.raises(ValueError, match=r"structure|reshape|buffer"):
        health().recall(state, float)
