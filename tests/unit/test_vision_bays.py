"""Windows over a car park, vehicles in bays, and when they are looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config.models import BaySettings
from edge_agent.geometry import Polygon
from edge_agent.types import ArrayPicture, BayLook, Box, Detections, Frame, ModelInfo
from edge_agent.vision.bay_places import Sighting, assign, distinct
from edge_agent.vision.bay_windows import Scale, Window, cover
from edge_agent.vision.bays import WindowedBayWatcher

WIDTH, HEIGHT = 1280, 720


@dataclass
class Painted:
    """A detector that finds what is white in a black picture."""

    model: ModelInfo = field(default_factory=lambda: ModelInfo("painted", None))
    is_ordered: bool = False
    min_score: float = 0.35
    names: tuple[str, ...] = ("car",)
    looks: list[float] = field(default_factory=list)

    def detect(self, frame: Frame) -> Detections:
        self.looks.append(frame.t_s)
        ys, xs = np.nonzero(frame.image[:, :, 0])
        if not len(xs):
            return Detections.none(("car",))
        edges = [[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]]
        boxes = np.array(edges, np.float32)
        return Detections(boxes, np.ones(1, np.float32), np.zeros(1, int), ("car",))


def watcher(every_s: float, lot: bool = False) -> tuple[WindowedBayWatcher, Painted]:
    """Six bays of 100x100 px in a row, 150 px apart."""
    zones = {
        f"a{i}": Polygon([(x / WIDTH, y / HEIGHT) for x, y in corners])
        for i in range(6)
        for x0 in [100 + 150 * i]
        for corners in [[(x0, 300), (x0 + 100, 300), (x0 + 100, 400), (x0, 400)]]
    }
    if lot:
        zones["lot"] = Polygon([(0, 0), (1, 0), (1, 1), (0, 1)])
    settings = BaySettings(
        zones=tuple(f"a{i}" for i in range(6)), every_s=every_s, lot="lot" if lot else None
    )
    detector = Painted()
    return WindowedBayWatcher(detector, (416, 416), zones, settings), detector


def frame(t_s: float, car: Box | None = None) -> Frame:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    if car is not None:
        image[int(car.y1) : int(car.y2), int(car.x1) : int(car.x2)] = 255
    return Frame("c1", 0, t_s, datetime(2026, 1, 1, tzinfo=UTC), ArrayPicture(image))


def stands(look: BayLook | None) -> list[str | None]:
    assert look is not None
    return [vehicle.bay for vehicle in look.vehicles]


def test_a_vehicle_stands_in_its_bay() -> None:
    watch, _ = watcher(0.0)
    assert stands(watch.look(frame(0.0, Box(410, 270, 490, 390)))) == ["a2"]
    assert stands(watch.look(frame(1.0))) == []


def test_in_the_aisle_it_stands_in_none_and_is_seen_with_a_lot() -> None:
    aisle = Box(410, 560, 510, 660)
    assert stands(watcher(0.0)[0].look(frame(0.0, aisle))) == []
    assert stands(watcher(0.0, lot=True)[0].look(frame(0.0, aisle))) == [None]


def test_what_is_much_smaller_than_a_bay_is_no_vehicle() -> None:
    assert stands(watcher(0.0)[0].look(frame(0.0, Box(430, 330, 470, 370)))) == []


def test_stills_are_looked_at_as_a_whole_and_video_bit_by_bit() -> None:
    watch, detector = watcher(10.0)
    assert watch.look(frame(0.0)) is not None
    windows = len(detector.looks)
    assert watch.look(frame(60.0)) is not None
    assert len(detector.looks) == 2 * windows
    detector.looks.clear()
    looks = [watch.look(frame(60.0 + 0.1 * i)) for i in range(1, 301)]
    finished = [i for i, look in enumerate(looks) if look is not None]
    assert len(detector.looks) == pytest.approx(3 * windows, abs=windows)
    assert max(detector.looks.count(t_s) for t_s in detector.looks) == 1
    assert all(90 <= b - a <= 110 for a, b in pairwise(finished))
    assert all(look.since_s < 60.0 + 0.1 * (i + 2) for i, look in enumerate(looks) if look)


@given(
    st.lists(
        st.tuples(st.floats(0, 1200), st.floats(0, 650), st.floats(20, 200), st.floats(20, 200)),
        min_size=1,
        max_size=20,
    )
)
def test_every_bay_is_shown_by_some_window(
    raw: Sequence[tuple[float, float, float, float]],
) -> None:
    bays: Mapping[str, Box] = {
        str(i): Box(x, y, min(x + w, WIDTH), min(y + h, HEIGHT))
        for i, (x, y, w, h) in enumerate(raw)
    }
    windows = cover(bays, (WIDTH, HEIGHT), Scale(3.0, 260.0))
    for bay in bays.values():
        assert any(
            w.left <= bay.x1 + 1
            and w.top <= bay.y1 + 1
            and w.left + w.side >= bay.x2 - 1
            and w.top + w.side >= bay.y2 - 1
            for w in windows
        )
    for window in windows:
        assert 0 <= window.left <= WIDTH - window.side
        assert 0 <= window.top <= HEIGHT - window.side


def test_an_edge_of_the_picture_cuts_nothing() -> None:
    assert Window(0, 0, 400).cuts(Box(300, 10, 400, 90), WIDTH, HEIGHT)
    assert not Window(0, 0, 400).cuts(Box(0, 0, 90, 90), WIDTH, HEIGHT)


def test_a_weak_box_around_two_vehicles_is_no_third() -> None:
    cars = [Sighting(Box(0, 0, 100, 60), 0.9), Sighting(Box(90, 0, 190, 60), 0.8)]
    assert distinct([*cars, Sighting(Box(0, 0, 190, 60), 0.3)]) == cars


@given(st.lists(st.tuples(st.floats(0, 900), st.floats(0.1, 1)), max_size=12), st.randoms())
def test_each_vehicle_takes_one_bay_whatever_the_order(
    found: list[tuple[float, float]], random: Random
) -> None:
    bays = {f"a{i}": Box(100 * i, 0, 100 * i + 90, 100) for i in range(8)}
    sightings = [Sighting(Box(x, 10, x + 85, 110), score) for x, score in found]
    taken = assign(distinct(sightings), bays)
    assert len({id(each) for each in taken.values()}) == len(taken)
    random.shuffle(sightings)
    again = assign(distinct(sightings), bays)
    assert {bay: each.box for bay, each in again.items()} == {b: e.box for b, e in taken.items()}
