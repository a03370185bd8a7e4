"""Whose plate is looked at when: bounded in media time, the best chance first."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.types import Box, PlateRead, Track
from edge_agent.vision.plates.turns import AGREED, REST_S, Turns


def car(number: int, t_s: float, width: float = 400, cls: str = "car") -> Track:
    box = Box(0, 0, width, width)
    return Track(number, cls, 0.9, box, (0, 0), 0.0, t_s, None, seen=box)


def plate(text: str = "AB123CD", reason: str | None = None) -> PlateRead:
    return PlateRead(1, text, (0.9,) * len(text), "it", (), 0.9, reason)


def test_the_widest_comes_first_and_then_the_one_without_a_read() -> None:
    turns = Turns(2.0, 75)
    near, far = car(1, 0.0, 600), car(2, 0.0, 400)
    chosen = turns.next(0.0, [far, near])
    assert chosen is near
    turns.note(0.0, near, plate())
    assert turns.next(0.2, [car(1, 0.2, 600), car(2, 0.2)]) is None, "half a second is not over"
    chosen = turns.next(0.5, [car(1, 0.5, 600), car(2, 0.5)])
    assert chosen is not None and chosen.id == 2


def test_no_turn_for_the_hidden_the_small_and_what_bears_no_plate() -> None:
    turns = Turns(2.0, 75)
    assert turns.next(1.0, [car(1, 0.9), car(2, 1.0, 240), car(3, 1.0, cls="person")]) is None
    assert turns.next(1.0, [car(2, 1.0, 260)]) is not None, "a plate of 75 px may be on it"


def test_an_agreed_plate_rests() -> None:
    turns = Turns(10.0, 75)
    for look in range(AGREED):
        track = turns.next(look * 0.1, [car(1, look * 0.1)])
        assert track is not None
        turns.note(look * 0.1, track, plate())
    assert turns.next(5.0, [car(1, 5.0, 900)]) is None
    assert turns.next(REST_S + 1, [car(1, REST_S + 1)]) is not None


def test_looks_in_vain_become_rarer_until_the_vehicle_comes_nearer() -> None:
    turns = Turns(10.0, 75)
    looks = []
    for tick in range(100):
        t_s = tick / 10
        if track := turns.next(t_s, [car(1, t_s)]):
            looks.append(t_s)
            turns.note(t_s, track, plate("", "unsure"))
    gaps = [b - a for a, b in pairwise(looks)]
    assert gaps == sorted(gaps) and len(looks) <= 6
    assert turns.next(10.0, [car(1, 10.0, 500)]) is not None, "now it is a quarter wider"


@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(100, 900), st.booleans()), max_size=12),
    st.sampled_from([0.5, 1.0, 2.0, 5.0]),
)
def test_never_more_looks_than_allowed(
    crowd: list[tuple[int, int, bool]], max_per_s: float
) -> None:
    turns = Turns(max_per_s, 75)
    looks = []
    for tick in range(200):
        t_s = tick / 25
        tracks = [car(number, t_s, width) for number, width, _ in crowd]
        if track := turns.next(t_s, tracks):
            looks.append(t_s)
            is_read = next(ok for number, _, ok in crowd if number == track.id)
            turns.note(t_s, track, plate() if is_read else None)
    assert all(b - a >= 1 / max_per_s - 1e-9 for a, b in pairwise(looks))
