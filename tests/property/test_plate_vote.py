"""Whatever is read in whatever order, a plate is only told when it was read twice."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.plates import Look, decide
from edge_agent.plates.vote import has_moved
from edge_agent.types import PlateRead

SCORES = st.floats(0, 1)


@st.composite
def looks(draw: st.DrawFn) -> Look:
    """Reads of a few similar texts, somewhere along a road, standing or not, sound or not."""
    text = draw(st.sampled_from(["AB12", "A812", "AB1", "AB13", "XY99"]))
    scores = tuple(draw(SCORES) for _ in text)
    x = draw(st.sampled_from([0.0, 6.0, 15.0, 40.0, 90.0, 300.0]))
    corners = ((x, 0.0), (x + 100, 0.0), (x + 100, 20.0), (x, 20.0))
    reason = draw(st.sampled_from([None, None, None, "plate too narrow"]))
    still = draw(st.sampled_from([None, None, 0.0, 3.0]))
    return Look(
        draw(st.integers(0, 12)), PlateRead(1, text, scores, "eu", corners, 0.9, reason), still
    )


MANY = st.lists(looks(), max_size=12)


@given(MANY, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_order_of_looks_does_not_matter(given_looks: list[Look], random: object) -> None:
    shuffled = list(given_looks)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert decide(shuffled) == decide(given_looks)


@given(MANY)
@settings(max_examples=300, deadline=None)
def test_what_is_told_was_soundly_read_twice_in_different_places(given_looks: list[Look]) -> None:
    verdict = decide(given_looks)
    if verdict.text is None:
        assert verdict.reason
        return
    own = [each for each in given_looks if each.read.text == verdict.text and not each.read.reason]
    assert any(has_moved(a, b) for a in own for b in own)
    assert 2 <= verdict.looks <= len(own)
    best = [max(each.read.char_scores[i] for each in own) for i in range(len(verdict.text))]
    assert all(0 <= s <= b + 1e-9 for s, b in zip(verdict.char_scores, best, strict=True))


@given(MANY, looks())
@settings(max_examples=300, deadline=None)
def test_another_read_that_agrees_never_makes_it_less_sure(
    given_looks: list[Look], another: Look
) -> None:
    before = decide(given_looks)
    after = decide([*given_looks, another])
    if before.text == another.read.text and another.read.reason is None:
        assert after.text == before.text
        assert after.looks >= before.looks
        pairs = zip(after.char_scores, before.char_scores, strict=True)
        assert all(now >= then - 1e-9 for now, then in pairs)


@given(MANY)
@settings(max_examples=100, deadline=None)
def test_the_same_picture_again_changes_nothing(given_looks: list[Look]) -> None:
    twice = decide([*given_looks, *given_looks])
    assert replace(twice, reason=None) == replace(decide(given_looks), reason=None)
