"""Crashes on hand-made outlines of a road seen from the side, 9 px to the metre."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from edge_agent.analyzers.crash.crash import Crash
from edge_agent.analyzers.view import View
from edge_agent.geometry import Polygon
from edge_agent.types import ArrayPicture, Box, Detections, Event, Frame, Scene, Track

WIDTH, HEIGHT = 320, 180
START = datetime(2026, 5, 13, 9, 0, tzinfo=UTC)
METRE = 9.0
CAR = (4.5 * METRE, 2.4 * METRE)
ROAD = 100.0
ZONES = {"road": Polygon([(0, 0.5), (1, 0.5), (1, 1), (0, 1)])}
TEXTURE = np.random.default_rng(7).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)

Place = tuple[float, float, float, float]
Car = Callable[[float], Place | None]
"""Media time -> outline, or None where it is not seen."""


def box(left: float, foot: float = ROAD, size: tuple[float, float] = CAR) -> Place:
    return left, foot - size[1], left + size[0], foot


def drives(x: float, v_mps: float, foot: float = ROAD) -> Car:
    return lambda t: box(x + v_mps * METRE * t, foot)


def brakes(x: float, v_mps: float, at_s: float, a_mps2: float) -> Car:
    """Goes on until `at_s`, then slows down to a stop."""

    def place(t: float) -> Place:
        slow_s = min(max(0.0, t - at_s), v_mps / a_mps2)
        way = v_mps * min(t, at_s) + v_mps * slow_s - a_mps2 * slow_s**2 / 2
        return box(x + way * METRE)

    return place


def drives_off(x: float, at_s: float) -> Car:
    """Stands until then, and accelerates at 2 m/s^2."""
    return lambda t: box(x + METRE * max(0.0, t - at_s) ** 2)


def pushed(x: float, at_s: float, v_mps: float) -> Car:
    """Stands, is pushed off with that speed at `at_s`, and comes to rest within a second."""

    def place(t: float) -> Place:
        s = min(max(0.0, t - at_s), 1.0)
        return box(x + v_mps * METRE * (s - s**2 / 2))

    return place


def hits(x: float, v_mps: float, at_s: float, rest_mps: float) -> Car:
    """Drives until the impact and goes on with the rest of its speed for a second."""

    def place(t: float) -> Place:
        s = min(max(0.0, t - at_s), 1.0)
        return box(x + METRE * (v_mps * min(t, at_s) + rest_mps * (s - s**2 / 2)))

    return place


def lifted(car: Car) -> Car:
    """The same on another road, farther up in the picture."""

    def place(t: float) -> Place | None:
        at = car(t)
        return at and (at[0], at[1] - 50, at[2], at[3] - 50)

    return place


def paint(places: Sequence[Place], light: int) -> ArrayPicture:
    """Every vehicle has its own texture, on a plain road."""
    image = np.full((HEIGHT, WIDTH, 3), light, np.uint8)
    for number, place in enumerate(places):
        x1, y1, x2, y2 = (max(0, round(edge)) for edge in place)
        patch = np.roll(TEXTURE, 37 * number, axis=1)[: max(0, y2 - y1), : max(0, x2 - x1)]
        target = image[y1:y2, x1:x2]
        target[:] = patch[: target.shape[0], : target.shape[1]]
    return ArrayPicture(image)


def film(  # noqa: PLR0917
    cars: Sequence[Car],
    fps: float = 10,
    end_s: float = 4.0,
    seen: Callable[[float, list[Place]], list[Place]] = lambda _, places: places,
    persons: Mapping[int, float] | None = None,
    light: Callable[[float], int] = lambda _: 90,
) -> Iterator[Scene]:
    """`seen` makes of the outlines what a detector makes of them; persons come beside the road."""
    for seq in range(int(end_s * fps)):
        t_s = seq / fps
        places = [place for car in cars if (place := car(t_s)) is not None]
        frame = Frame("c1", seq, t_s, START + timedelta(seconds=t_s), paint(places, light(t_s)))
        boxes = np.array(seen(t_s, places), np.float32).reshape(-1, 4)
        n = len(boxes)
        detections = Detections(boxes, np.full(n, 0.9, np.float32), np.zeros(n, int), ("car",))
        tracks = tuple(
            Track(k, "person", 0.9, Box(200, 70, 210, 100), (0, 0), first_s, t_s, None)
            for k, first_s in (persons or {}).items()
            if first_s <= t_s
        )
        yield Scene(frame, detections, tracks)


def play(scenes: Iterator[Scene], **settings: object) -> list[Event]:
    rule = Crash(Crash.Settings.model_validate(settings), View("c1", ZONES, {}, ZoneInfo("UTC")))
    events: list[Event] = []
    last = None
    for last in scenes:
        events += rule.update(last)
    assert last is not None
    return events + list(rule.finish(last))


def cues(event: Event) -> set[str]:
    return {cue["cue"] for cue in event.facts["cues"]}


STRIKER = hits(10, 12, 1.2, 3)  # its front is at 180 px when it hits
STRUCK = pushed(180, 1.2, 3)


@pytest.mark.parametrize("fps", [5, 10, 25, 30])
def test_a_rear_end_collision(fps: int) -> None:
    events = play(film([STRIKER, STRUCK], fps, end_s=8))
    begin = events[0]
    assert begin.phase == "begin" and begin.begin_s == pytest.approx(1.2, abs=0.25)
    assert begin.t_s - 1.2 < 1.0
    assert cues(begin) >= {"impulse", "contact"}
    contact = next(cue for cue in begin.facts["cues"] if cue["cue"] == "contact")
    assert contact["closing_sizes_per_s"] > 2 > contact["parting_sizes_per_s"]
    assert "stillness" in cues(events[-1])
    assert (events[-1].phase, events[-1].facts["end_reason"]) == ("end", "recording_ended")
    assert len({event.subject for event in events}) == 1


def test_the_outlines_merge_at_the_impact() -> None:
    def merged(t_s: float, places: list[Place]) -> list[Place]:
        if t_s < 1.2:
            return places
        a, b = places
        return [(min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))]

    events = play(film([STRIKER, STRUCK], seen=merged))
    assert "contact" in cues(events[0])


def test_against_a_pole() -> None:
    """A lone car stops dead and turns."""

    def place(t: float) -> Place:
        if t < 1.2:
            return box(10 + 12 * METRE * t)
        return box(150, ROAD + 4, (CAR[0] * 0.7, CAR[1] * 1.2))

    events = play(film([place]))
    assert [event.phase for event in events][:1] == ["begin"]
    assert cues(events[0]) >= {"impulse", "dead_stop", "turned"}


def test_persons_come_and_the_place_is_cleared() -> None:
    def until(end_s: float, car: Car) -> Car:
        return lambda t: car(t) if t < end_s else None

    cars = [until(6, STRIKER), until(6, STRUCK)]
    events = play(film(cars, end_s=12, persons={5: 0.0, 6: 3.0}), clear_s=4)
    assert [event.phase for event in events if event.phase != "update"] == ["begin", "end"]
    last = events[-1]
    persons = next(cue for cue in last.facts["cues"] if cue["cue"] == "persons")
    assert persons["persons"] == 1, "the other one had stood there before"
    assert last.facts["end_reason"] == "cleared"
    assert 5 < last.facts["end_s"] < 7 and 9 < last.t_s < 11


def test_only_in_its_zone() -> None:
    assert play(film([STRIKER, STRUCK]), zone="road")
    up = [
        lambda t, car=car: tuple(np.subtract(car(t), (0, 50, 0, 50))) for car in (STRIKER, STRUCK)
    ]
    assert not play(film(up), zone="road")
    assert play(film(up))


PASSING = [drives(-20, 12, 100), lambda t: box(320 - 12 * METRE * t, 92)]
"""Two lanes of opposite traffic, the farther one partly hidden by the nearer one."""


def merged_when_close(_: float, places: list[Place]) -> list[Place]:
    a, b = places
    if max(a[0], b[0]) > min(a[2], b[2]):
        return places
    return [(min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))]


def nearer_when_close(_: float, places: list[Place]) -> list[Place]:
    a, b = places
    return places if max(a[0], b[0]) > min(a[2], b[2]) else [a]


def alone(_: float, places: list[Place]) -> list[Place]:
    return places


HARMLESS: Mapping[str, tuple[Sequence[Car], Callable[[float, list[Place]], list[Place]]]] = {
    "hard brake": ([brakes(10, 14, 0.5, 6)], alone),
    "hard brake behind a standing car": (
        [brakes(10, 10, 0.8, 5), lambda _: box(10 + 18 * METRE + CAR[0] + 2)],
        alone,
    ),
    "nudge while parking": (
        [hits(100, 2, 1.5, 0), pushed(100 + 3 * METRE + CAR[0], 1.5, 0.2)],
        alone,
    ),
    "queue that closes up": (
        [brakes(10 - 60 * k, 8, 1.0 + 0.4 * k, 3) for k in range(3)],
        alone,
    ),
    "queue that drives off": (
        [drives_off(200 - 50 * k, 1.0 + k) for k in range(3)],
        alone,
    ),
    "crossing in the picture": (PASSING, alone),
    "merged while crossing": (PASSING, merged_when_close),
    "hidden while crossing": (PASSING, nearer_when_close),
    "passing a standing car": ([lambda _: box(150, 104), drives(-20, 12, 96)], alone),
    "hidden behind a standing car": (
        [lambda _: box(150, 104), drives(-20, 12, 96)],
        nearer_when_close,
    ),
    "lost beside a standing car": (
        [lambda _: box(150, 104), drives(-20, 12, 96)],
        lambda t, p: p if t < 1.5 else p[:1],
    ),
}


@pytest.mark.parametrize("fps", [5, 10, 25])
@pytest.mark.parametrize("name", list(HARMLESS))
def test_traffic_is_no_crash(name: str, fps: int) -> None:
    cars, seen = HARMLESS[name]
    assert not play(film(cars, fps, end_s=5, seen=seen))


def test_a_jump_of_the_picture_is_no_impact() -> None:
    """In a time-lapse, or at a cut, other vehicles stand where some drove."""

    def place(t: float) -> Place:
        return box(10 + 12 * METRE * t) if t < 1.2 else box(150, ROAD + 4, (CAR[0], CAR[1] * 1.6))

    assert play(film([place]))
    assert not play(film([place], light=lambda t: 60 if t < 1.15 else 120))


def test_what_was_there_before_did_not_stop_there() -> None:
    """An outline that flickers over a standing vehicle is no vehicle that stops."""

    def wandering(t: float, _: list[Place]) -> list[Place]:
        return [
            box(min(150.0, 50 + 12 * METRE * t), ROAD, (CAR[0], CAR[1] * (1 if t < 0.9 else 1.4)))
        ]

    still = [lambda _: (40.0, 60.0, 260.0, 110.0)]
    assert not play(film(still, seen=wandering))
