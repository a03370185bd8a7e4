"""What one signal phase shows, and since when."""

from __future__ import annotations

from dataclasses import dataclass

CONFLICT = "io conflict"
"""The doubt about a signal that showed more or less than one lamp."""


@dataclass(slots=True)
class Lamp:
    """The state of one phase over time."""

    phase: str
    state: str | None = None
    """None while nothing is known about it."""
    since_s: float = 0.0
    """Media time from which it was seen to show that; it may have shown it before."""
    is_doubtful: bool = False
    """It was in conflict and has not been green since."""

    def show(self, state: str | None, t_s: float) -> None:
        """Take note of what the phase shows at that time."""
        if state != self.state:
            self.state, self.since_s = state, t_s
        if state == "conflict":
            self.is_doubtful = True
        elif state == "green":
            self.is_doubtful = False

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why what rests on it cannot be evidential."""
        return (CONFLICT,) if self.is_doubtful else ()
