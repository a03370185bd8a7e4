"""Flashing lights on pictures that are painted here."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pytest

from edge_agent.analyzers.traffic.emergency import EmergencyVehicle
from edge_agent.analyzers.view import View
from edge_agent.types import ArrayPicture, Box, Detections, Event, Frame, Scene, Track

BLUE, RED, AMBER, GREY = (255, 60, 20), (30, 30, 255), (0, 140, 255), (120, 120, 120)
Colour = tuple[int, int, int]
Lamps = Callable[[float], list[tuple[tuple[int, int, int, int], Colour]]]
"""Media time -> what shines: x1, y1, x2, y2 from the vehicle's corner, and its colour."""


def scenes(
    lamps: Lamps, fps: float, body: Colour = GREY, until_s: float = 6.0, scale: int = 1
) -> Iterator[Scene]:
    """A vehicle of 140x100 px that drives by, seen with noise and a trembling box."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 8, (160, 320, 3)).astype(np.int16)
    for i in range(round(fps * until_s)):
        t_s = i / fps
        x, y = 10 + round(15 * t_s), 40
        image = np.full(noise.shape, (90, 95, 90), np.uint8)
        cv2.rectangle(image, (x, y + 22), (x + 140, y + 95), body, -1)
        cv2.rectangle(image, (x + 30, y + 4), (x + 110, y + 30), body, -1)
        cv2.rectangle(image, (x + 40, y + 9), (x + 100, y + 25), (45, 45, 40), -1)
        for (x1, y1, x2, y2), colour in lamps(t_s):
            cv2.rectangle(image, (x + x1, y + y1), (x + x2, y + y2), colour, -1)
        noisy = np.clip(image + np.roll(noise, 7919 * i), 0, 255).astype(np.uint8)
        noisy = noisy.repeat(scale, axis=0).repeat(scale, axis=1)
        box = Box(*((np.array((x, y, x + 140, y + 100)) + rng.normal(0, 1.5, 4)) * scale))
        track = Track(1, "car", 0.9, box, (15, 0), 0.0, t_s, None)
        wall = datetime(2026, 5, 13, tzinfo=UTC) + timedelta(seconds=t_s)
        frame = Frame("c1", i, t_s, wall, ArrayPicture(noisy))
        yield Scene(frame, Detections.none(), (track,))


def play(
    lamps: Lamps, fps: float = 15, body: Colour = GREY, until_s: float = 6.0, scale: int = 1
) -> list[Event]:
    view = View("c1", {}, {}, ZoneInfo("UTC"))
    rule = EmergencyVehicle(EmergencyVehicle.Settings(), view)
    events: list[Event] = []
    last = None
    for last in scenes(lamps, fps, body, until_s, scale):
        events += rule.update(last)
    assert last is not None
    return events + list(rule.finish(last))


def bar(hz: float, colour: Colour, duty: float = 0.5, until_s: float = 99) -> Lamps:
    """A light bar on the roof."""

    def lamps(t_s: float) -> list[tuple[tuple[int, int, int, int], Colour]]:
        return [((45, 0, 95, 5), colour)] if (t_s * hz) % 1 < duty and t_s < until_s else []

    return lamps


def sides(hz: float, left: Colour, right: Colour) -> Lamps:
    """Two lamps that take turns."""

    def lamps(t_s: float) -> list[tuple[tuple[int, int, int, int], Colour]]:
        is_left = (t_s * hz) % 1 < 0.5
        return [((45, 0, 67, 5), left)] if is_left else [((73, 0, 95, 5), right)]

    return lamps


def beside(hz: float, colour: Colour) -> Lamps:
    """One lamp, on its right."""

    def lamps(t_s: float) -> list[tuple[tuple[int, int, int, int], Colour]]:
        return [((100, 2, 114, 8), colour)] if (t_s * hz) % 1 < 0.5 else []

    return lamps


def low(hz: float, colour: Colour) -> Lamps:
    """An indicator or a brake light."""

    def lamps(t_s: float) -> list[tuple[tuple[int, int, int, int], Colour]]:
        return [((2, 55, 16, 70), colour)] if (t_s * hz) % 1 < 0.5 else []

    return lamps


@pytest.mark.parametrize("hz", [1.2, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("fps", [12, 15, 25])
def test_flashing_blue_is_advice(fps: float, hz: float) -> None:
    begin, end = play(bar(hz, BLUE), fps)
    assert (begin.phase, end.phase) == ("begin", "end")
    assert begin.facts["advisory"] is True and begin.facts["colour"] == "blue"
    assert begin.facts["flash_hz"] == pytest.approx(hz, rel=0.1)
    assert begin.t_s == pytest.approx(max(2.0, 3 / hz), abs=0.4)


@pytest.mark.parametrize(
    ("lamps", "colour"),
    [
        (bar(2, RED), "red"),
        (sides(2, BLUE, BLUE), "blue"),
        (sides(1.5, RED, BLUE), None),
        (beside(2, BLUE), "blue"),
        (bar(2.2, BLUE, duty=0.25), "blue"),
    ],
)
def test_red_and_alternating_lamps(lamps: Lamps, colour: str | None) -> None:
    begin, _ = play(lamps)
    assert begin.facts["colour"] == colour or colour is None


@pytest.mark.parametrize("hz", [1.2, 2.0, 4.0])
def test_a_vehicle_near_by_is_looked_at_in_less_detail(hz: float) -> None:
    begin, _ = play(sides(hz, BLUE, BLUE), 12.5, scale=4)
    assert begin.facts["flash_hz"] == pytest.approx(hz, rel=0.1)
    assert play(low(hz, RED), 12.5, scale=4) == []


def test_it_ends_when_the_lights_go_off() -> None:
    _, end = play(bar(2, BLUE, until_s=4), until_s=10)
    assert end.facts["end_reason"] == "lights off"
    assert 3.5 <= end.facts["end_s"] <= 6.5


@pytest.mark.parametrize(
    "lamps",
    [
        low(1.5, AMBER),
        low(1.5, RED),
        low(3.5, RED),
        bar(1.5, AMBER),
        bar(0.0, BLUE),
        bar(0.3, RED),
        lambda t_s: [],
    ],
    ids=["indicator", "brake", "braking hard", "roof indicator", "steady", "slow", "dark"],
)
def test_other_lights_are_none(lamps: Lamps) -> None:
    assert play(lamps, until_s=10) == []


@pytest.mark.parametrize("body", [(200, 60, 20), (30, 30, 220)], ids=["blue", "red"])
def test_a_coloured_vehicle_is_none(body: Colour) -> None:
    assert play(lambda t_s: [], body=body) == []


def test_random_glare_is_no_rhythm() -> None:
    rng = np.random.default_rng(5)
    lit = rng.random(1000) < 0.5
    assert play(lambda t_s: [((45, 0, 95, 5), BLUE)] if lit[round(t_s * 15)] else []) == []


def test_below_the_nyquist_rate_it_says_nothing() -> None:
    assert play(bar(2, BLUE), fps=8) == []
