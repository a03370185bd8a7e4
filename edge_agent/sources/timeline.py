"""Media times that strictly rise from 0, whatever a file says about its pictures."""

from __future__ import annotations

import math
from fractions import Fraction

_BACK_S = 1.0
_AHEAD_S = 24 * 3600.0


class Timeline:
    """Presentation times in, media times out; one per stream.

    Exact times pass through. A missing, repeated or slightly late one becomes the last time plus
    the nominal frame duration. A jump back by more than a second (concatenated or wrapped
    streams), or ahead by more than a day (a damaged field), starts a new count at that point, if
    the next picture confirms it: a damaged stream may show single pictures out of their turn.
    """

    def __init__(self, nominal_s: float) -> None:
        self.nominal_s = nominal_s
        self.zero: Fraction | None = None
        """Presentation time (s) of media time 0; None until one is known."""
        self.broken_s: float | None = None
        """Media time of the first jump that was bridged: `zero` may have moved since."""
        self._last_s: float | None = None
        self._is_suspect = False

    def at(self, stamp: Fraction | None) -> float:
        """Media time in s of the next picture, whose presentation time is `stamp` s or unknown."""
        last_s = self._last_s
        if last_s is None:
            next_s = 0.0
        else:
            next_s = max(last_s + self.nominal_s, math.nextafter(last_s, math.inf))
        t_s = next_s if stamp is None else self._from_stamp(stamp, next_s)
        if last_s is not None and t_s <= last_s:
            t_s = next_s
        self._last_s = t_s
        return t_s

    def _from_stamp(self, stamp: Fraction, next_s: float) -> float:
        if self.zero is None:
            self.zero = stamp - Fraction(next_s)
        t_s = float(stamp - self.zero)
        if -_BACK_S <= t_s - (self._last_s or 0.0) <= _AHEAD_S:
            self._is_suspect = False
            return t_s
        if self._is_suspect:
            self.zero = stamp - Fraction(next_s)
        self._is_suspect = not self._is_suspect
        self.broken_s = next_s if self.broken_s is None else self.broken_s
        return next_s
