"""When a picture was taken, from when its packet arrived and what the stream says of its time."""

from __future__ import annotations

from collections import deque
from statistics import median

WINDOW_S = 60.0
"""Of the packets of the last so many seconds, the one that came through fastest tells."""
LATEST_S = 5.0
"""A packet later than that against the others has a new count of time."""
WORDS = 9
"""So many of the camera's own wall-clock times are heard before they are believed."""
MAX_TRANSIT_S = 0.5
"""A picture that seems to have been under way longer comes from a camera with a wrong clock; so a
clock that is wrong by less misleads by that at most."""


class Pace:
    """The time base of one connection: presentation times in, CLOCK_MONOTONIC out.

    Networks delay packets by changing amounts, never by less than nothing: arrival minus
    presentation time, at its smallest, is the difference of the two clocks and the constant part
    of the delay. That part is known where the camera tells its wall-clock time (RTCP sender
    reports, RFC 3550 6.4.1) and its clock agrees with ours; otherwise it is taken for zero.
    Cameras on the machine itself stamp their pictures with our clock.
    """

    def __init__(self, is_monotonic: bool = False) -> None:
        self._is_monotonic = is_monotonic
        self._least: deque[tuple[float, float]] = deque()
        """(arrival, lateness), both rising: the first is the smallest of the window."""
        self._skews: list[float] = []
        self.skew_s: float | None = None
        """How late packets arrive by the camera's own clock; None where it does not tell."""

    @property
    def transit_s(self) -> float:
        """Constant part of the delay."""
        skew_s = self.skew_s
        return skew_s if skew_s is not None and 0 <= skew_s <= MAX_TRANSIT_S else 0.0

    def at(self, pts_s: float | None, arrived_s: float) -> float:
        """When the picture was taken; never later than it arrived."""
        if pts_s is None:
            return arrived_s - self.transit_s
        late_s = arrived_s - pts_s
        if self._is_monotonic and 0 <= late_s <= MAX_TRANSIT_S:
            return pts_s
        if self._least and late_s - self._least[0][1] > LATEST_S:
            self._least.clear()
        while self._least and self._least[-1][1] >= late_s:
            self._least.pop()
        self._least.append((arrived_s, late_s))
        while arrived_s - self._least[0][0] > WINDOW_S:
            self._least.popleft()
        return pts_s + self._least[0][1] - self.transit_s

    def hear(self, sent: float, t_s: float, arrived: float, arrived_s: float) -> None:
        """Take the camera's own wall-clock time of a picture that `at` has just placed.

        `sent` and `arrived` are wall clocks (Unix time, in s), `t_s` and `arrived_s` monotonic.
        """
        if self.skew_s is not None:
            return
        smoothed = arrived - (arrived_s - t_s - self.transit_s)
        self._skews.append(smoothed - sent)
        if len(self._skews) == WORDS:
            self.skew_s = median(self._skews)
