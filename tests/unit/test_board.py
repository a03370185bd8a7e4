"""The board: newest wins, nobody starves, a change once seen stays seen."""

import threading
from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.live.board import Board, Post
from edge_agent.types import ArrayPicture, Frame

WALL = datetime(2026, 5, 13, tzinfo=UTC)
PICTURE = ArrayPicture(np.zeros((8, 8, 3), np.uint8))


def post(camera: str, seq: int, admission: str = "see") -> Post:
    frame = Frame(camera, seq, float(seq), WALL, PICTURE)
    return Post(camera, frame, "see" if admission == "see" else "hold")


def test_the_newest_frame_wins_and_the_replaced_one_is_counted() -> None:
    replaced: list[str] = []
    board = Board(replaced.append)
    board.put(post("a", 1))
    board.put(post("a", 2))
    taken = board.take(0)
    assert taken is not None and taken.frame.seq == 2
    assert replaced == ["a"]


def test_what_the_gate_saw_outlives_the_frame_in_which_it_did() -> None:
    replaced: list[str] = []
    board = Board(replaced.append)
    board.put(post("a", 1, "see"))
    board.put(post("a", 2, "hold"))
    taken = board.take(0)
    assert taken is not None and (taken.frame.seq, taken.admission) == (2, "see")
    board.done(taken)
    board.put(post("a", 3, "hold"))
    board.put(post("a", 4, "hold"))
    taken = board.take(0)
    assert taken is not None and taken.admission == "hold"
    assert replaced == ["a"], "a frame that nobody had to look at is not missed"


def test_a_camera_is_with_one_worker_at_a_time() -> None:
    board = Board()
    board.put(post("a", 1))
    first = board.take(0)
    assert first is not None
    board.put(post("a", 2))
    assert board.take(0) is None and not board.is_empty
    board.done(first)
    second = board.take(0)
    assert second is not None and second.frame.seq == 2
    board.put(post("a", 3))
    board.done(first)
    assert board.take(0) is None, "who says it late, or twice, frees nobody else's camera"
    board.done(second)
    third = board.take(0)
    assert third is not None
    board.done(third)
    assert board.is_empty


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60))
def test_whoever_waits_is_served_before_anybody_is_served_twice(arrivals: list[str]) -> None:
    """However fast one camera is: between two turns of it every waiting one has had its own."""
    board, served = Board(), list[str]()
    for seq, camera in enumerate(arrivals):
        for name in ("a", "b", "c"):  # all of them have something new
            board.put(post(name, 3 * seq))
        board.put(post(camera, 3 * seq + 1))
        taken = board.take(0)
        assert taken is not None
        served.append(taken.camera)
        board.done(taken)
    for turn in range(len(served) - 2):
        assert len(set(served[turn : turn + 3])) == 3


def test_a_worker_that_waits_is_woken() -> None:
    board, taken = Board(), list[Post | None]()
    worker = threading.Thread(target=lambda: taken.append(board.take(30)))
    worker.start()
    board.put(post("a", 1))
    worker.join(30)
    assert taken and taken[0] is not None


def test_a_camera_that_was_removed_leaves_nothing() -> None:
    board = Board()
    board.put(post("a", 1))
    board.remove("a")
    assert board.take(0) is None and board.is_empty


def test_a_camera_that_is_there_again_is_served_again() -> None:
    board = Board()
    board.put(post("a", 1))
    old = board.take(0)
    assert old is not None
    board.remove("a")
    board.put(post("a", 2))
    new = board.take(0)
    assert new is not None and new.frame.seq == 2
    board.put(post("a", 3))
    board.done(old)
    assert board.take(0) is None, "a worker is busy with it"
    board.done(new)
    assert board.take(0) is not None
