"""How long a replay waits for a broker."""

from typing import Any

import pytest

from edge_agent.app import _delivers
from edge_agent.uplink.mqtt import Status


class Link:
    """A connection on which one photo is on its way; a part of it is taken every so often."""

    def __init__(self, part_s: float, needs_s: float) -> None:
        self.part_s, self.needs_s = part_s, needs_s
        self.passed_s = 0.0

    def status(self) -> Status:
        is_through = self.passed_s >= self.needs_s
        return Status("online", None, int(not is_through), int(self.passed_s / self.part_s))

    def flush(self, timeout_s: float) -> bool:
        self.passed_s += timeout_s
        return self.passed_s >= self.needs_s


@pytest.mark.parametrize(("part_s", "delivers"), [(2.0, True), (1e9, False)])
def test_a_photo_that_takes_minutes_is_waited_for_while_its_parts_are_taken(
    part_s: float, delivers: bool
) -> None:
    link: Any = Link(part_s, needs_s=300.0)
    assert _delivers(link) is delivers
    assert link.passed_s <= 300.0
