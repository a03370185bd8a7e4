"""How a read comes about: a glance, a closer look, a verdict; and the geometry below it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from edge_agent.config.models import PlateSettings
from edge_agent.types import ArrayPicture, Box, Frame, Image, ModelInfo, Track
from edge_agent.vision.plates.finder import FoundPlate, PlateFinder
from edge_agent.vision.plates.grammar import load_grammar
from edge_agent.vision.plates.reader import OnnxPlateReader
from edge_agent.vision.plates.recogniser import (
    TREATMENTS,
    Reading,
    Recogniser,
    levelled,
    likeliest,
    sharpened,
    straighten,
    unfold,
)


def plate(x: float = 100, width: float = 120, score: float = 0.8) -> FoundPlate:
    corners = [(x, 50), (x + width, 50), (x + width, 80), (x, 80)]
    return FoundPlate(np.array(corners, np.float32), score, False)


def reading(text: str, score: float = 0.99) -> Reading:
    return Reading(text, (score,) * len(text))


class Finder(PlateFinder):
    """Sees what it is told to, and counts the second looks."""

    def __init__(self, seen: Sequence[FoundPlate], closer: Sequence[FoundPlate] = ()) -> None:
        self.model = ModelInfo("finder", None)
        self.sure_score = 0.25
        self.seen, self.closer, self.zooms = seen, closer, 0

    def find(self, image: Image, area: Box) -> list[FoundPlate]:
        return list(self.seen)

    def zoom(self, image: Image, plate: FoundPlate) -> list[FoundPlate]:
        self.zooms += 1
        return [replace(plate), *self.closer]


class Reads:
    """Reads by where a plate is: x of its left edge -> what the glance and the closer look say."""

    model = ModelInfo("recogniser", None)

    def __init__(self, texts: dict[int, tuple[Reading, Reading]]) -> None:
        self.texts = texts
        self.outlines: Sequence[FoundPlate] = ()

    def knows(self, character: str) -> bool:
        return True

    def glance(self, image: Image, plate: FoundPlate) -> Reading:
        return self.texts[int(plate.corners[0, 0])][0]

    def read(self, image: Image, outlines: Sequence[FoundPlate]) -> Reading:
        self.outlines = outlines
        return self.texts[int(outlines[0].corners[0, 0])][1]


def reader(finder: Finder, *recognisers: tuple[Recogniser, str]) -> OnnxPlateReader:
    pairs = [(recogniser, [load_grammar(region)]) for recogniser, region in recognisers]
    return OnnxPlateReader(PlateSettings(regions=("it",), min_width_px=75), finder, pairs)


def frame(t_s: float = 0.0) -> Frame:
    blank = np.zeros((240, 640, 3), np.uint8)
    return Frame("cam", 0, t_s, datetime(2026, 1, 1, tzinfo=UTC), ArrayPicture(blank))


EVERYWHERE = Box(0, 0, 640, 240)
GOOD, BAD = reading("AB123CD"), reading("AB123CD", 0.6)


def test_a_sure_glance_is_enough() -> None:
    finder = Finder([plate()])
    read = reader(finder, (Reads({100: (GOOD, BAD)}), "it")).look(frame(), EVERYWHERE)
    assert read is not None and finder.zooms == 0
    assert (read.text, read.region, read.reason, read.track_id) == ("AB123CD", "it", None, 0)
    assert read.corners[2] == (220.0, 80.0)


def test_an_unsure_glance_calls_for_a_closer_look() -> None:
    finder = Finder([plate()])
    read = reader(finder, (Reads({100: (BAD, GOOD)}), "it")).look(frame(), EVERYWHERE)
    assert read is not None and read.score == 0.99 and finder.zooms == 1


@pytest.mark.parametrize(
    ("found", "told", "reason"),
    [
        (plate(width=70), GOOD, "plate too narrow"),
        (plate(), reading("AB123CD", 0.4), "unsure"),
        (plate(), reading("HELLO"), "no grammar"),
        (plate(), reading(""), "unsure"),
        (plate(score=0.2), reading("HELLO"), "unsure"),
    ],
)
def test_what_is_not_sound_says_why(found: FoundPlate, told: Reading, reason: str) -> None:
    read = reader(Finder([found]), (Reads({100: (told, told)}), "it")).look(frame(), EVERYWHERE)
    assert read is not None and read.reason == reason


def test_a_faint_plate_is_proved_by_its_text() -> None:
    finder = Finder([plate(score=0.2)])
    read = reader(finder, (Reads({100: (BAD, GOOD)}), "it")).look(frame(), EVERYWHERE)
    assert read is not None and (read.text, read.reason) == ("AB123CD", None)


def test_a_sticker_gives_way_to_the_plate_beside_it() -> None:
    taxi = reading("TAXI", 0.9)
    texts = {100: (taxi, taxi), 300: (GOOD, GOOD)}
    finder = Finder([plate()], closer=[plate(300)])
    read = reader(finder, (Reads(texts), "it")).look(frame(), EVERYWHERE)
    assert read is not None and read.text == "AB123CD"
    assert reader(Finder([]), (Reads(texts), "it")).look(frame(), EVERYWHERE) is None


def test_of_two_alphabets_the_one_with_a_series_wins_in_order() -> None:
    chinese = Reads({100: (reading("皖A195K9", 0.7), reading("皖A195K9", 0.8))})
    latin = Reads({100: (reading("A195KAB"), reading("A195KAB"))})
    both = reader(Finder([plate()]), (chinese, "cn"), (latin, "gb"))
    read = both.look(frame(), EVERYWHERE)
    assert read is not None and (read.text, read.region) == ("皖A195K9", "cn")


def test_a_closer_look_reads_the_plate_in_both_outlines() -> None:
    reads, first = Reads({100: (BAD, GOOD)}), plate()
    reader(Finder([first]), (reads, "it")).look(frame(), EVERYWHERE)
    assert len(reads.outlines) == 2 and reads.outlines[1] is first


@pytest.mark.parametrize(("width", "outlines"), [(100, 2), (55, 1)])
def test_a_cut_out_plate_is_read_whole_and_as_found_in_it(width: int, outlines: int) -> None:
    reads = Reads({0: (BAD, GOOD)})
    crop = np.zeros((30, 120, 3), np.uint8)
    read = reader(Finder([plate(90, width)]), (reads, "it")).spell(crop)
    assert read.text == "AB123CD" and len(reads.outlines) == outlines
    assert read.corners[0] == ((30.0, -10.0) if outlines == 2 else (0.0, 0.0))


def test_reading_takes_turns_and_names_the_track() -> None:
    reads = reader(Finder([plate()]), (Reads({100: (GOOD, GOOD)}), "it"))
    car = Track(7, "car", 0.9, Box(0, 0, 400, 200), (0, 0), 0.0, 0.0, None)
    assert [read.track_id for read in reads.read(frame(), [car])] == [7]
    assert reads.read(frame(0.1), [car]) == ()


def test_a_plate_seen_from_the_side_is_straightened() -> None:
    flat = np.full((60, 240, 3), 255, np.uint8)
    cv2.putText(flat, "AB123CD", (12, 45), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (0, 0, 0), 3)
    corners = np.array([(120, 60), (330, 90), (325, 160), (110, 115)], np.float32)
    square = np.array([(0, 0), (240, 0), (240, 60), (0, 60)], np.float32)
    plane = cv2.getPerspectiveTransform(square, corners)
    street = cv2.warpPerspective(flat, plane, (480, 240))
    seen = straighten(np.asarray(street, np.uint8), FoundPlate(corners, 1.0, False), (0.0, 0.0))
    error = cv2.absdiff(cv2.resize(seen, (240, 60)), flat)
    assert seen.shape[0] < seen.shape[1] and float(error.mean()) < 12


def test_two_rows_become_one_line() -> None:
    plate = np.zeros((120, 200, 3), np.uint8)
    plate[10:45] = 80
    plate[55:110] = 200
    line = unfold(plate)
    assert line.shape == (80, 400, 3)
    assert line[40, 100, 0] == 80 and line[40, 300, 0] == 200


def test_a_text_of_several_croppings_is_one_that_a_cropping_shows() -> None:
    first = [(0.8, 0.1, 0.1), (0.8, 0.1, 0.1)]
    second = [(0.2, 0.6, 0.2), (0.2, 0.2, 0.6)]
    third = [(0.2, 0.6, 0.2), (0.5, 0.2, 0.3)]
    seen = np.array([first, second, third], np.float32)
    assert seen.mean(axis=0).argmax(axis=1).tolist() == [1, 0]  # slot by slot
    assert likeliest(seen).tolist() == [0, 0]


def test_treatments_bring_out_what_is_faint() -> None:
    flat = np.full((60, 180, 3), 100, np.uint8)
    flat[20:40, 60:70] = 110
    soft = np.asarray(cv2.GaussianBlur(flat, (0, 0), 2), np.uint8)
    contrast = float(soft.max()) - float(soft.min())
    for treat in (sharpened, levelled):
        treated = treat(soft)
        assert treated.shape == soft.shape and treated.dtype == np.uint8
        assert float(treated.max()) - float(treated.min()) > contrast
    assert any(np.array_equal(treat(soft), soft) for treat in TREATMENTS)
