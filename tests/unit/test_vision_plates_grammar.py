"""What grammars decide between characters that look alike, and what they leave alone."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config.models import Region
from edge_agent.vision.plates.grammar import ALIKE, EUROPE, expand, judge, load_grammar

REGIONS = get_args(Region)
PLATE_LIKE = st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ京皖粤港", max_size=9)


@pytest.mark.parametrize(
    ("region", "read", "meant"),
    [
        ("sk", "RKO99AN", "RK099AN"),
        ("sk", "8B1238O", "BB123BO"),
        ("cz", "4BO4979", "4B04979"),
        ("cz", "4C0498S", "4C04985"),
        ("gb", "OYO9FEU", "OY09FEU"),
        ("ar", "AD0S4JI", "AD054JI"),
        ("br", "BRA2EI9", "BRA2E19"),
        ("us", "SHOR7X", "SH0R7X"),
        ("cn", "皖AOC911", "皖A0C911"),
        ("cn", "粤8D12345", "粤BD12345"),
    ],
)
def test_look_alikes_yield_where_only_one_series_fits(region: str, read: str, meant: str) -> None:
    verdict = judge(read, [load_grammar(region)])
    assert (verdict.text, verdict.region, verdict.is_series) == (meant, region, True)


@pytest.mark.parametrize(
    ("region", "text", "fits"),
    [
        ("de", "M5XSX", False),  # a personal one of no German form
        ("de", "GXY123", True),
        ("ro", "B089414", True),
        ("ro", "QQ12ABC", False),
        ("bg", "CB1234AB", True),
        ("bg", "CB1234AD", False),  # no D in the shared letters
        ("it", "AB123CO", False),
        ("pl", "SG47471", True),
        ("es", "1234BCD", True),
        ("cn", "粤ZP560港", True),
        ("cn", "苏ED51712", True),
        ("cn", "苏E5171212", False),
        ("us", "8FV480", True),
    ],
)
def test_formats(region: str, text: str, fits: bool) -> None:
    assert load_grammar(region).fits(text) is fits


def test_a_personal_plate_is_not_bent_into_a_series() -> None:
    verdict = judge("8FV480", [load_grammar("us")])
    assert (verdict.text, verdict.region, verdict.is_series) == ("8FV480", "us", False)


def test_a_text_that_fits_nowhere_stays_and_has_no_region() -> None:
    assert judge("0440", [load_grammar("eu")]).text == "0440"
    assert judge("0440", [load_grammar("eu")]).region is None


def test_two_ways_to_put_it_right_decide_nothing() -> None:
    # O, D and Q would all do where a letter must stand
    assert judge("0BC123", [load_grammar("ar")]).text == "0BC123"
    assert judge("IB19839", [load_grammar("cz")]).text == "IB19839", "1B1 9839 or IBI 9839"


@given(PLATE_LIKE, st.sampled_from(REGIONS))
def test_no_character_is_invented_and_what_fits_never_changes(text: str, region: str) -> None:
    grammar = load_grammar(region)
    verdict = judge(text, [grammar])
    assert len(verdict.text) == len(text)
    for old, new in zip(text, verdict.text, strict=True):
        assert old == new or new in ALIKE[old]
    if grammar.is_series(text):
        assert verdict.text == text
    assert verdict.is_series == grammar.is_series(verdict.text)
    assert judge(verdict.text, [grammar]) == verdict


@given(st.data())
def test_every_series_fits_its_own_grammar(data: st.DataObject) -> None:
    grammar = load_grammar(data.draw(st.sampled_from(REGIONS)))
    pattern = data.draw(st.sampled_from(grammar.series))
    text = "".join(data.draw(st.sampled_from(sorted(chars))) for chars in pattern)
    assert judge(text, [grammar]).text == text


def test_every_country_of_europe_can_be_named_alone() -> None:
    assert set(EUROPE) < set(REGIONS)


def test_patterns_are_written_out() -> None:
    assert ["".join(sorted(chars)) for chars in next(iter(expand("9A[XY]", "AB")))] == [
        "0123456789",
        "AB",
        "XY",
    ]
    lengths = sorted(len(pattern) for pattern in expand("(A|BC)9{1,2}X?"))
    assert lengths == [2, 3, 3, 3, 4, 4, 4, 5]
