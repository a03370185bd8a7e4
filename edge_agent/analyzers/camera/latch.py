"""A condition that has to last before it counts, and to be gone as long before it ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Latch:
    """Adds up the time for which a condition holds and takes off the time for which it does not.

    So an interruption delays what it does not disprove. Times are media seconds.
    """

    after_s: float
    is_on: bool = False
    since_s: float = 0.0
    """Since when the condition has held; of use while `is_on` or rising."""
    level_s: float = 0.0

    def update(self, holds: bool, t_s: float, step_s: float) -> bool:
        """Advance by `step_s` to `t_s`; True when it has just switched on or off."""
        if holds:
            if self.level_s == 0.0:
                self.since_s = t_s
            self.level_s = min(self.level_s + step_s, self.after_s)
        else:
            self.level_s = max(self.level_s - step_s, 0.0)
        turns = self.level_s == 0.0 if self.is_on else self.level_s >= self.after_s
        if turns:
            self.is_on = not self.is_on
        return turns
