"""What holds the output lines, without a process around it."""

from __future__ import annotations

import pytest
from gpiozero.pins.mock import MockFactory

from edge_agent.gpio.factory import line_errors
from edge_agent.gpio.guard import Keeper

CALL, ALARM, LOW = 5, 6, 7
"""Two relays that are energised by high, and one by low."""


class Rig:
    """A keeper of three lines; `energise` is asked of it by level."""

    def __init__(self) -> None:
        self.factory = MockFactory()
        self.keeper = Keeper(self.factory, line_errors("mock"))
        for line, rest in ((CALL, False), (ALARM, False), (LOW, True)):
            self.ask("take", line, rest)

    def ask(self, do: str, line: int, level: bool, is_held: bool = False) -> dict[str, object]:
        return self.keeper.answer({"do": do, "line": line, "level": level, "is_held": is_held})

    def levels(self) -> list[int]:
        return [int(self.factory.pin(line).state) for line in (CALL, ALARM, LOW)]


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_lines_begin_at_rest_and_follow(rig: Rig) -> None:
    assert rig.levels() == [0, 0, 1]
    states = rig.factory.pin(LOW).states
    assert all(state.state for state in states[1:]), "never low on the way"
    rig.ask("set", CALL, True)
    rig.ask("set", LOW, False)
    assert rig.levels() == [1, 0, 0]
    assert rig.ask("read", CALL, False)["level"] is True


def test_a_silent_owners_lines_stay_at_rest_until_it_asks_for_that(rig: Rig) -> None:
    rig.ask("set", CALL, True)
    rig.ask("set", LOW, False)
    rig.keeper.lapse()
    assert rig.levels() == [0, 0, 1]
    assert rig.ask("set", CALL, True) == {"lapses": 1}, "it is told"
    assert rig.levels() == [0, 0, 1], "what it wants is from before"
    rig.ask("set", CALL, False)
    rig.ask("set", CALL, True)
    rig.ask("set", LOW, False)
    assert rig.levels() == [1, 0, 1], "each line by itself"


def test_a_line_that_is_taken_again_is_held(rig: Rig) -> None:
    rig.ask("take", CALL, False, is_held=True)
    rig.ask("set", CALL, True)
    assert rig.levels() == [0, 0, 1]


def test_what_cannot_be_done_is_answered(rig: Rig) -> None:
    assert "not a valid pin" in str(rig.ask("take", 99, False)["error"])
