"""Choosing the photos of a case, on a drawn street where the right answers are known."""

import gc
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest

from edge_agent.config import Evidence
from edge_agent.evidence.case.collector import CaseCollector
from edge_agent.types import (
    ArrayPicture,
    Box,
    Case,
    Detections,
    Event,
    Frame,
    Image,
    Phase,
    Photo,
    Scene,
    Track,
)

WIDTH, HEIGHT, FPS = 640, 360, 10
START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
CAR_W, CAR_H, ROAD_Y = 90, 60, 240
PARKED_X = 280.0
SETTINGS = Evidence(clip_before_s=2, clip_after_s=3)

RNG = np.random.default_rng(7)
ASPHALT = RNG.integers(90, 120, (HEIGHT, WIDTH, 3), np.uint8)
PAINT = np.asarray(
    cv2.resize(RNG.integers(0, 255, (15, 22, 3), np.uint8), (CAR_W, CAR_H)), np.uint8
)
BUS = np.full((160, 260, 3), (60, 60, 200), np.uint8)


@dataclass
class Street:
    """A car comes from the left at 0 s, parks from 3 s to 20 s and leaves to the right."""

    blurred: frozenset[int] = frozenset()
    """Frame numbers that are out of focus."""
    bus_s: tuple[float, float] | None = None
    """A bus passes in front of the car between these times, hiding it."""
    arrive_s: float = 3.0
    leave_s: float = 20.0
    seen_from_s: float = 0.0
    first_id: int = 1
    frames: list[Frame] = field(default_factory=list)

    def car_x(self, t: float) -> float:
        if t < self.arrive_s:
            return PARKED_X - 130.0 * (self.arrive_s - t)
        return PARKED_X + max(0.0, t - self.leave_s) * 100.0

    def car(self, t: float) -> Box:
        x = self.car_x(t)
        return Box(x, ROAD_Y - CAR_H, x + CAR_W, float(ROAD_Y))

    def bus(self, t: float) -> Box | None:
        if self.bus_s is None or not self.bus_s[0] <= t <= self.bus_s[1]:
            return None
        x = PARKED_X + CAR_W / 2 - 130.0
        return Box(x, 120.0, x + 260.0, 280.0)

    def scene(self, n: int) -> Scene:
        t = n / FPS
        image = ASPHALT.copy()
        _paste(image, PAINT, self.car(t))
        bus = self.bus(t)
        if bus is not None:
            _paste(image, BUS, bus)
        if n in self.blurred:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), 4), np.uint8)
        frame = Frame("c1", n, t, START + timedelta(seconds=t), ArrayPicture(image))
        return Scene(frame, Detections.none(), tuple(self.tracks(t)))

    def tracks(self, t: float) -> Iterator[Track]:
        car, bus = self.car(t), self.bus(t)
        inside = Box(max(car.x1, 0), car.y1, min(car.x2, WIDTH), car.y2)
        if inside.width > 10 and t >= self.seen_from_s:
            since = max(self.arrive_s, self.seen_from_s)
            is_still = since + 0.6 <= t < self.leave_s
            last = t if bus is None or self.bus_s is None else self.bus_s[0] - 1 / FPS
            moving = (130.0 if t < self.arrive_s else 100.0, 0.0)
            yield Track(
                id=self.first_id,
                cls="car",
                score=0.9,
                box=inside,
                velocity=(0.0, 0.0) if is_still else moving,
                first_s=max(self.seen_from_s, 0.1),
                last_s=last,
                still_since_s=since if is_still else None,
            )
        if bus is not None:
            yield Track(99, "bus", 0.9, bus, (100.0, 0.0), t - 1, t, None)

    def event(self, phase: Phase, t: float, **facts: object) -> Event:
        car = next((track for track in self.tracks(t) if track.id not in (77, 99)), None)
        wall = START + timedelta(seconds=t)
        return Event(
            camera="c1",
            kind="parking.illegal",
            subject="parking.illegal/kerb/1@1.000",
            phase=phase,
            begin_s=3.0,
            t_s=t,
            wall=wall,
            frame=round(t * FPS),
            zone="kerb",
            track=car,
            facts={"dwell_s": round(max(0.0, t - 3.0), 3), **facts},
        )


def _paste(image: Image, patch: Image, box: Box) -> None:
    x, y = round(box.x1), round(box.y1)
    left, right = max(0, -x), min(patch.shape[1], WIDTH - x)
    if right > left:
        image[y : y + patch.shape[0], x + left : x + right] = patch[:, left:right]


def play(
    street: Street,
    events: Iterable[Event],
    until_s: float = 26.0,
    collector: CaseCollector | None = None,
) -> list[Case]:
    """Feed the street to a collector; never more than four frames may be held per subject."""
    collector = collector or CaseCollector(SETTINGS)
    due: dict[int, list[Event]] = {}
    for event in events:
        due.setdefault(event.frame, []).append(event)
    cases: list[Case] = []
    for n in range(round(until_s * FPS)):
        cases += collector.update(street.scene(n), due.get(n, []))
        assert len(collector.held) <= 4
    return cases


def ordinary(street: Street) -> list[Event]:
    return [
        street.event("suspect", 1.0),
        street.event("begin", 8.0),
        street.event("update", 15.0),
        street.event("end", 24.0, end_reason="left"),
    ]


def photo(case: Case, role: str) -> Photo:
    return next(photo for photo in case.photos if photo.role == role)


def test_a_whole_visit_yields_a_partial_and_a_complete_case() -> None:
    street = Street()
    first, last = play(street, ordinary(street))
    assert (first.revision, first.is_complete) == (1, False)
    assert first.reasons == ("vehicle has not left",)
    assert [p.role for p in first.photos] == ["enter", "wide", "close"]
    assert (last.revision, last.is_complete, last.reasons) == (2, True, ())
    assert [p.role for p in last.photos] == ["enter", "wide", "close", "leave"]
    assert last.begin.phase == "begin" and last.latest.phase == "end"
    assert last.clip_s == (6.0, 11.0)


def test_each_photo_shows_its_moment() -> None:
    street = Street()
    case = play(street, ordinary(street))[-1]
    enter, wide, leave = (photo(case, role) for role in ("enter", "wide", "leave"))
    assert 1.0 <= enter.frame.t_s <= 2.6
    assert enter.subject.x1 > 2
    assert 8.0 <= wide.frame.t_s <= 9.0
    assert 20.0 < leave.frame.t_s < 24.0
    assert leave.subject.x2 < WIDTH - 2
    assert leave.subject.x1 - PARKED_X > CAR_W / 2
    assert all(p.crop is None for p in (enter, wide, leave))


def test_close_is_a_crop_grown_by_the_margin_and_kept_inside() -> None:
    street = Street()
    close = photo(play(street, ordinary(street))[-1], "close")
    assert close.crop is not None
    assert close.crop.x1 == round(close.subject.x1 - 0.12 * CAR_W)
    assert close.crop.x2 == round(close.subject.x2 + 0.12 * CAR_W)
    assert 0 <= close.crop.x1 < close.crop.x2 <= WIDTH


def test_blurred_frames_lose_against_sharp_ones() -> None:
    sharp = {13, 84, 85, 212, 213, 214, 230, 231}
    street = Street(blurred=frozenset(range(260)) - sharp)
    case = play(street, ordinary(street))[-1]
    # Every fourth of a second is measured, so a lone sharp frame may be passed by; runs are not.
    assert photo(case, "close").frame.seq in sharp
    assert photo(case, "leave").frame.seq in sharp


def test_a_vehicle_behind_a_bus_is_never_the_close_up() -> None:
    street = Street(bus_s=(8.5, 19.0))
    for case in play(street, ordinary(street)):
        for chosen in case.photos:
            assert street.bus(chosen.frame.t_s) is None


def test_wide_waits_for_the_bus_to_pass() -> None:
    street = Street(bus_s=(7.5, 12.0))
    first = play(street, ordinary(street))[0]
    assert 12.0 < photo(first, "wide").frame.t_s < 12.6
    assert first.reasons == ("vehicle has not left",)


def test_a_bus_that_the_tracker_did_not_hide_the_car_behind_still_counts() -> None:
    street = Street(bus_s=(7.5, 12.0))

    class SeesThrough(Street):
        def tracks(self, t: float) -> Iterator[Track]:
            return (replace(track, last_s=t) for track in super().tracks(t))

    through = SeesThrough(bus_s=street.bus_s)
    case = play(through, ordinary(through))[-1]
    assert all(through.bus(chosen.frame.t_s) is None for chosen in case.photos)


def test_standing_from_the_start_has_no_arrival() -> None:
    street = Street(arrive_s=-10.0)
    events = [
        street.event("suspect", 0.0),
        street.event("begin", 5.0, already_standing=True),
        street.event("end", 24.0, end_reason="left"),
    ]
    case = play(street, events)[-1]
    assert [p.role for p in case.photos] == ["wide", "close", "leave"]
    assert case.reasons == ("arrival not seen",)


def test_first_seen_standing_has_no_arrival_even_if_nobody_says_so() -> None:
    street = Street(seen_from_s=5.0)
    events = [street.event("suspect", 5.0), street.event("begin", 12.0)]
    case = play(street, events, 16.0)[-1]
    assert "enter" not in [p.role for p in case.photos]
    assert case.reasons == ("arrival not seen", "vehicle has not left")


@pytest.mark.parametrize("reason", ["recording_ended", "no_longer_watched"])
def test_never_leaving_ends_in_a_partial_case(reason: str) -> None:
    street = Street(leave_s=1e9)
    collector = CaseCollector(SETTINGS)
    cases = play(street, ordinary(street)[:3], 18.0, collector)
    assert [case.revision for case in cases] == [1]
    end = street.event("end", 17.9, end_reason=reason)
    (last,) = collector.finish(street.scene(179), [end])
    assert (last.revision, last.reasons) == (2, ("vehicle has not left",))
    assert not collector.held
    assert list(collector.finish(street.scene(179), [])) == []


def test_lost_from_sight_says_departure_not_seen() -> None:
    street = Street(bus_s=(18.0, 30.0), leave_s=19.0)
    events = [*ordinary(street)[:2], street.event("end", 24.0, end_reason="lost")]
    case = play(street, events)[-1]
    assert case.reasons == ("departure not seen",)


def test_a_short_offence_yields_one_case_when_its_clip_is_over() -> None:
    street = Street(leave_s=9.5)
    events = [*ordinary(street)[:2], street.event("end", 10.5, end_reason="left")]
    (case,) = play(street, events)
    assert (case.revision, case.is_complete) == (1, True)
    assert photo(case, "leave").frame.t_s <= 10.5


def test_dismissed_suspicions_let_go_of_their_frames() -> None:
    street = Street()
    collector = CaseCollector(SETTINGS)
    scene = street.scene(15)
    picture = weakref.ref(scene.frame.picture)
    collector.update(scene, [street.event("suspect", 1.5)])
    assert len(collector.held) == 2
    collector.update(street.scene(16), [street.event("dismissed", 1.6)])
    del scene
    gc.collect()
    assert picture() is None and not collector.held


def test_a_new_track_in_the_old_place_is_the_same_vehicle() -> None:
    class Swapped(Street):
        def tracks(self, t: float) -> Iterator[Track]:
            for track in super().tracks(t):
                if track.id == 1 and t >= 15.0:
                    yield replace(track, id=5, first_s=15.0)
                else:
                    yield track

    street = Swapped()
    events = [
        street.event("suspect", 1.0),
        street.event("begin", 8.0),
        street.event("end", 24.0, end_reason="left"),
    ]
    case = play(street, events)[-1]
    assert case.is_complete
    assert photo(case, "leave").frame.t_s > 20


@dataclass
class Passed(Street):
    """A second car (77) drives through the place of the first, which is not seen meanwhile."""

    unseen_s: tuple[float, float] = (10.0, 14.0)
    passing_s: float = 10.5
    """When the second car comes from the left ..."""
    stops_s: float = 1e9
    """... and when it parks in the same place."""
    seen_still_only: bool = False
    """It is first seen when it has parked."""
    ids_from_s: float = 1e9
    """The first car is found under the id 5 from here on."""

    def other_x(self, t: float) -> float:
        return -60.0 + 150.0 * (min(t, self.stops_s) - self.passing_s)

    def tracks(self, t: float) -> Iterator[Track]:
        for track in super().tracks(t):
            if not self.unseen_s[0] <= t <= self.unseen_s[1]:
                is_found_again = t >= self.ids_from_s
                yield replace(track, id=5, first_s=self.ids_from_s) if is_found_again else track
            elif track.still_since_s is not None:
                yield replace(track, last_s=self.unseen_s[0] - 1 / FPS)
        x = self.other_x(t)
        if t >= self.passing_s and -60 < x < WIDTH:
            first_s = self.stops_s if self.seen_still_only else self.passing_s
            box = Box(max(x, 0.0), ROAD_Y - CAR_H + 5.0, min(x + CAR_W, WIDTH), ROAD_Y + 5.0)
            still_s = self.stops_s if t >= self.stops_s + 0.5 else None
            if t >= first_s + 0.5 or not self.seen_still_only:
                yield Track(77, "car", 0.9, box, (150.0, 0.0), first_s, t, still_s)


def shows_the_car(street: Street, case: Case) -> bool:
    """The other car drives a little nearer to the camera."""
    shown = [(p.subject.x1 - street.car_x(p.frame.t_s), p.subject.y2 - ROAD_Y) for p in case.photos]
    return all(abs(x) < 1 and abs(y) < 1 for x, y in shown)


def test_a_car_that_drives_through_while_the_vehicle_is_hidden_is_not_it() -> None:
    street = Passed()
    case = play(street, [*ordinary(street)[:2], street.event("end", 24.0, end_reason="left")])[-1]
    assert case.is_complete and shows_the_car(street, case)
    assert photo(case, "leave").frame.t_s > 20


def test_a_car_that_drives_through_after_the_vehicle_has_left_is_not_it() -> None:
    street = Passed(unseen_s=(22.0, 99.0), passing_s=22.1)
    case = play(street, [*ordinary(street)[:2], street.event("end", 26.0, end_reason="left")], 28)[
        -1
    ]
    assert case.is_complete and shows_the_car(street, case)


@pytest.mark.parametrize("seen_still_only", [False, True])
def test_a_car_that_takes_the_place_of_one_seen_leaving_is_not_it(seen_still_only: bool) -> None:
    stops_s = 22.1 + (PARKED_X + 60) / 150
    street = Passed(
        unseen_s=(20.9, 99.0), passing_s=22.1, stops_s=stops_s, seen_still_only=seen_still_only
    )
    end = street.event("end", 30.0, end_reason="left")
    case = play(street, [*ordinary(street)[:2], end], 33.0)[-1]
    assert shows_the_car(street, case)


def test_a_car_seen_driving_into_the_place_of_one_lost_from_sight_is_not_it() -> None:
    stops_s = 19.0 + (PARKED_X + 60) / 150
    street = Passed(unseen_s=(18.0, 99.0), passing_s=19.0, stops_s=stops_s)
    end = street.event("end", 26.0, end_reason="lost")
    case = play(street, [*ordinary(street)[:2], end], 30.0)[-1]
    assert case.reasons == ("departure not seen",) and shows_the_car(street, case)


def test_the_vehicle_itself_counts_again_as_soon_as_it_is_seen() -> None:
    stops_s = 10.5 + (PARKED_X + 60) / 150
    street = Passed(unseen_s=(10.0, 16.0), stops_s=stops_s, seen_still_only=True)
    case = play(street, [*ordinary(street)[:2], street.event("end", 24.0, end_reason="left")])[-1]
    assert case.is_complete and shows_the_car(street, case)


def test_what_stood_in_for_the_vehicle_leaves_no_picture_when_it_is_seen_again() -> None:
    class Lost(Passed):
        def tracks(self, t: float) -> Iterator[Track]:
            return (track for track in super().tracks(t) if track.last_s == t)

    stops_s = 10.5 + (PARKED_X + 60) / 150
    street = Lost(unseen_s=(8.5, 16.0), stops_s=stops_s, seen_still_only=True)
    case = play(street, [*ordinary(street)[:2], street.event("end", 24.0, end_reason="left")])[-1]
    assert case.is_complete and shows_the_car(street, case)


def test_the_rule_says_which_track_the_vehicle_is() -> None:
    street = Passed(unseen_s=(20.1, 20.4), passing_s=1e8, ids_from_s=20.5)
    begun, end = ordinary(street)[:2], street.event("end", 24.0, end_reason="left")
    assert play(street, [*begun, end])[-1].reasons == ("departure not seen",)
    assert play(street, [*begun, street.event("update", 20.5), end])[-1].is_complete


def test_moving_up_a_little_is_no_departure() -> None:
    class Creeps(Street):
        def car_x(self, t: float) -> float:
            return super().car_x(t) + 30.0 * min(1.0, max(0.0, t - 12.0))

        def tracks(self, t: float) -> Iterator[Track]:
            for track in super().tracks(t):
                creeping = 12.0 <= t < 14.0
                yield replace(track, still_since_s=None) if creeping else track

    street = Creeps(leave_s=1e9)
    collector = CaseCollector(SETTINGS)
    play(street, ordinary(street)[:2], 18.0, collector)
    end = street.event("end", 18.0, end_reason="lost")
    (last,) = collector.finish(street.scene(180), [end])
    assert last.reasons == ("departure not seen",)


def test_room_is_made_by_shedding_suspicions_never_cases() -> None:
    street = Street()
    collector = CaseCollector(SETTINGS, max_open=2)

    def named(phase: Phase, n: int) -> Event:
        return replace(street.event(phase, 1.5), subject=str(n))

    collector.update(street.scene(15), [named("begin", 0), named("suspect", 1)])
    collector.update(street.scene(16), [named("suspect", 2), named("begin", 2)])
    collector.update(street.scene(17), [named("suspect", 3), named("begin", 4)])
    cases = collector.finish(street.scene(18), [named("begin", 1)])
    assert sorted(case.subject for case in cases) == ["0", "1", "2", "4"]


def crowd(max_open: int, names: Iterable[str]) -> dict[str, Case]:
    """The last cases of one visit that is watched as so many subjects at once."""
    street, collector = Street(), CaseCollector(SETTINGS, max_open=max_open)
    cases: dict[str, Case] = {}
    phases: dict[int, Phase] = {80: "begin", 240: "end"}
    for n in range(260):
        events = []
        if n in phases:
            event = street.event(phases[n], n / FPS, end_reason="left")
            events = [replace(event, subject=name) for name in names]
        cases |= {case.subject: case for case in collector.update(street.scene(n), events)}
        assert len(collector.held) <= 4 * max_open
    return cases


@pytest.mark.parametrize("count", [3, 20])
def test_frames_held_are_bounded_however_many_cases_have_begun(count: int) -> None:
    names = [str(n) for n in range(count)]
    cases = crowd(2, names)
    assert set(cases) == set(names), "no case is lost for it"
    assert all(case.latest.phase == "end" for case in cases.values())


def test_cases_whose_photos_were_shed_say_so() -> None:
    cases = crowd(1, "abc")
    assert {name: [p.role for p in case.photos] for name, case in cases.items()} == {
        "a": ["wide"],
        "b": ["wide"],
        "c": ["wide", "leave"],
    }
    for case in cases.values():
        assert case.reasons == ("arrival not seen", "shed for memory")


def test_other_kinds_and_cameras_are_left_alone() -> None:
    street = Street()
    collector = CaseCollector(SETTINGS)
    event = street.event("begin", 8.0)
    foreign = [replace(event, kind="incident.stopped_vehicle"), replace(event, camera="c2")]
    collector.update(street.scene(80), foreign)
    assert not collector.held
    assert list(collector.finish(street.scene(81), [])) == []


@pytest.mark.parametrize("phase", ["update", "end"])
def test_phases_of_unknown_cases_are_ignored(phase: Phase) -> None:
    street = Street()
    collector = CaseCollector(SETTINGS)
    assert list(collector.update(street.scene(80), [street.event(phase, 8.0)])) == []
    assert list(collector.finish(street.scene(81), [])) == []


def test_the_native_picture_is_not_converted_before_it_is_needed() -> None:
    class Counting(ArrayPicture):
        native = grey_count = 0

        def bgr(self) -> Image:
            Counting.native += 1
            return super().bgr()

        def grey(self, width: int, height: int) -> Image:
            Counting.grey_count += 1
            return super().grey(width, height)

    class Counted(Street):
        def scene(self, n: int) -> Scene:
            scene = super().scene(n)
            picture = Counting(scene.frame.picture.bgr())
            return replace(scene, frame=replace(scene.frame, picture=picture))

    street = Counted()
    play(street, ordinary(street))
    # 4/s for 2 s of arrival, 1 s around the limit and 4 s of departure; every 2 s in between.
    assert Counting.native == 0
    assert Counting.grey_count < 50


def test_photos_know_what_else_was_there_and_not_the_vehicle_itself() -> None:
    person, stranger = Box(500, 100, 520, 160), Box(20, 100, 110, 160)

    class Busy(Street):
        def scene(self, n: int) -> Scene:
            scene, car = super().scene(n), self.car(n / FPS)
            boxes = [(b.x1, b.y1, b.x2, b.y2) for b in (car, person, stranger)]
            names = ("car", "person")
            seen = Detections(
                np.array(boxes, np.float32), np.full(3, 0.4, np.float32), np.array([0, 1, 0]), names
            )
            hidden = Track(50, "person", 0.9, Box(5, 5, 9, 19), (0.0, 0.0), 0.1, 1.0, None)
            return replace(scene, detections=seen, tracks=(*scene.tracks, hidden))

    street = Busy()
    *_, case = play(street, ordinary(street))
    assert len(case.photos) == 4
    for each in case.photos:
        assert {cls for cls, _ in each.beside} == {"car", "person"}
        assert (("person", person) in each.beside) and (("car", stranger) in each.beside)
        assert ("person", Box(5, 5, 9, 19)) in each.beside, "remembered, though not seen"
        assert len(each.beside) == 3
