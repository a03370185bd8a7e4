"""What looks at one plate agree on."""

from dataclasses import replace

import pytest

from edge_agent.plates import Look, PlateVote, contradict, decide
from edge_agent.plates.vote import MAX_LOOKS, has_moved
from edge_agent.types import PlateRead

MIXED = ("AB127", "AB127", "AB123", "AB123", "XB127")


def look(
    t_s: float,
    text: str = "AB123",
    *,
    x: float | None = None,
    score: float = 0.9,
    reason: str | None = None,
    still: float | None = None,
) -> Look:
    """A plate 100 x 20 px at x, which by default moves its own width every second."""
    left = 100 * t_s if x is None else x
    corners = ((left, 0.0), (left + 100, 0.0), (left + 100, 20.0), (left, 20.0))
    read = PlateRead(1, text, (score,) * len(text), "eu", corners, 0.9, reason)
    return Look(t_s, read, still)


def test_two_looks_of_a_vehicle_that_moved_agree() -> None:
    verdict = decide([look(1), look(2, score=0.8)])
    assert (verdict.text, verdict.looks, verdict.region) == ("AB123", 2, "eu")
    assert verdict.char_scores == (0.9,) * 5  # the best read's, as nothing speaks against it
    assert verdict.as_json() == {
        "text": "AB123",
        "confidence": 0.9,
        "region": "eu",
        "reads": 2,
        "chars": [0.9] * 5,
    }


@pytest.mark.parametrize(
    ("looks", "reason"),
    [
        ([], "no plate found"),
        ([look(1)], "one look only"),
        ([look(1, x=0), look(2, x=0)], "vehicle did not move"),
        ([look(1, x=0), look(2, x=15), look(3, x=5)], "vehicle did not move"),  # a mast that sways
        ([look(1, x=0, still=0.5), look(9, x=300, still=0.5)], "vehicle did not move"),
        ([look(1), look(1, x=300)], "one look only"),
        ([look(1), look(2, "XY987")], "reads disagree"),
        ([look(1), look(2, "AB1234")], "reads disagree"),
        ([look(1), look(2), look(3, "AB128"), look(4, "AB128")], "reads disagree"),
        (
            [look(t, text, score=1.0) for t, text in enumerate(MIXED)],
            "reads disagree",  # its every character wins, but most looks say something else
        ),
        ([look(1, score=0.5), look(2, score=0.5)], "reads disagree"),  # hardly agree
        ([look(1, reason="a"), look(2, reason="a")], "a"),
        ([look(1, reason="b"), look(2, reason="a"), look(3, reason="b")], "b"),
        ([look(1), look(2, reason="plate too narrow")], "one look only"),
        ([look(1, "")], "plate not legible"),
    ],
)  # fmt: skip
def test_unread_says_why(looks: list[Look], reason: str) -> None:
    verdict = decide(looks)
    assert verdict.text is None and verdict.confidence == 0 and verdict.char_scores == ()
    assert verdict.as_json()["reason"] == reason


def test_more_reads_than_two_may_be_asked_for() -> None:
    assert decide([look(1), look(2)], min_reads=3).reason == "too few reads"
    assert decide([look(1), look(2), look(3)], min_reads=3).text == "AB123"


def test_a_majority_wins_by_position_and_is_less_sure_for_it() -> None:
    verdict = decide([look(1), look(2), look(3), look(4, "A8123")])
    assert verdict.text == "AB123"
    assert verdict.char_scores == pytest.approx((0.9, 0.9 * 3 / 4, 0.9, 0.9, 0.9))
    shorter = decide([look(1), look(2), look(3), look(4, "B123")])
    assert shorter.char_scores == pytest.approx((0.9 * 3 / 4,) * 5)


def test_what_was_never_read_as_a_whole_is_not_made_up() -> None:
    # By position AB123 wins everywhere, but nobody read it twice.
    looks = [look(1, "AB124"), look(2, "AB153"), look(3, "A8123"), look(4, "XB123")]
    assert decide(looks).reason == "reads disagree"


def test_a_parked_vehicle_counts_once_however_often_it_is_looked_at() -> None:
    parked = [look(10 + i, "A8123", x=1000, still=9) for i in range(20)]
    verdict = decide([look(1), look(2), look(3), *parked])
    assert verdict.text == "AB123" and verdict.char_scores[1] == pytest.approx(0.9 * 3 / 4)


def test_arriving_and_leaving_are_two_looks() -> None:
    stay = [look(1, x=0, still=1), look(50, x=0, still=1), look(60, x=200)]
    assert decide(stay[:2]).text is None
    assert (decide(stay).text, decide(stay).looks) == ("AB123", 2)


def test_an_approach_straight_ahead_moves_the_corners() -> None:
    near = look(2, x=-60)
    grown = ((-60.0, -12.0), (160.0, -12.0), (160.0, 32.0), (-60.0, 32.0))
    assert has_moved(look(1, x=0), replace(near, read=replace(near.read, corners=grown)))


def test_memory_is_bounded_and_keeps_what_counts() -> None:
    vote = PlateVote()
    for i in range(500):
        vote.add(look(1 + i / 10, x=0, still=0.5, score=0.8 + i / 5000))
    vote.add(look(60, x=500))
    assert len(vote.looks) <= MAX_LOOKS
    assert vote.verdict().text == "AB123"


@pytest.mark.parametrize(
    ("a", "b", "scores", "does"),
    [
        ("AB123", "AB123", (0.99, 0.99), False),
        ("AB123", "AB124", (0.99, 0.99), True),
        ("AB123", "AB124", (0.99, 0.4), False),  # one of them hardly saw it
        ("AB123", "A8123", (0.99, 0.7), False),  # look alike
        ("AB123", "A8123", (0.95, 0.95), True),  # both are sure
        ("AB123", "AB1234", (0.5, 0.5), True),
    ],
)
def test_contradictions(a: str, b: str, scores: tuple[float, float], does: bool) -> None:
    first, second = (a, [scores[0]] * len(a)), (b, [scores[1]] * len(b))
    assert contradict(first, second) is does
    assert contradict(second, first) is does
