"""How reads of labelled photos are counted."""

from pathlib import Path

from edge_agent.types import PlateRead
from edge_agent.vision.plates.grammar import judge, load_grammar
from evaluate.plates import MISLABELLED, Photo, count


def photo(name: str, label: str) -> Photo:
    return Photo(Path(name), label, "eu", is_wide=True)


def read(text: str, reason: str | None = None) -> PlateRead:
    corners = ((0.0, 0.0), (90.0, 0.0), (90.0, 20.0), (0.0, 20.0))
    return PlateRead(0, text, (0.9,) * len(text), "eu", corners, 0.8, reason)


def test_a_wrong_label_counts_as_an_error_and_is_told_with_what_is_printed() -> None:
    photos = [photo("test_006.jpg", "RKO99AN"), photo("a.jpg", "RK755AJ"), photo("b.jpg", "B1")]
    told = count(photos, [read("RK099AN"), read("RK755AJ"), None])
    assert (told["photos"], told["ours"], told["ours as printed"]) == (3, 1, 2)
    assert told["errors"] == {"test_006.jpg": ["RKO99AN", "RK099AN"], "b.jpg": ["B1", ""]}
    (listed,) = told["label errors"].values()
    assert listed[:2] == ["RKO99AN", "RK099AN"] and listed[2]


def test_only_a_wrong_read_that_looked_sound_is_dangerous() -> None:
    photos = [photo(name, "RK755AJ") for name in "abc"]
    told = count(photos, [read("RK755AJ"), read("RK766AJ"), read("RK7", "unsure")])
    assert (told["ours"], told["ours sound and wrong"]) == (1, 1)


def test_what_is_said_to_be_printed_belongs_to_a_series() -> None:
    for printed, _ in MISLABELLED.values():
        assert judge(printed, [load_grammar("eu")]).is_series, printed
