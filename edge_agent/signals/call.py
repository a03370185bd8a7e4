"""When a call is on: a function of who waits, of what may be wrong, and of time.

No thread, no clock, no line. Delay, extension, pulse and presence as the detectors of traffic
controllers have them (NEMA TS 2, section 6.5.2; NTCIP 1202, detector parameters). Whatever is
unknown makes a call come sooner and stay longer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from statistics import median
from typing import Protocol

from edge_agent.config.signal_io import Call

BOOT, RELOAD = "boot", "reload"
"""Why lines are taken: the box has only just started, or its wiring has been changed."""
HEALTHY_S = 30.0
"""A call that a fault brought is taken back after so much health."""
REST_S = 0.25
"""No contact changes again before that."""
STALL_S = 0.7
"""Who was not asked for so long has been blind meanwhile."""
LATE_S = 0.9
"""A picture that is so much overdue is missed; with a tick and a line, that is within a second."""
PAUSES = 15
"""So many of the latest pauses between pictures tell what is usual."""
OLDEST_S = 10.0
"""Nothing older vouches for an empty zone, however slow the camera."""
FORGET_S = 5.0
"""A vehicle that has not been in the zone for so long comes anew."""
MOST_OWED = 8
"""So many pulses wait for their turn."""


class _Demand(Protocol):
    """What the traffic asks for while nothing is wrong."""

    def see(self, inside: Collection[int], t_s: float, phase: str | None) -> None:
        """Take the tracks that were in the zone at that time."""
        ...

    def wants(self, now_s: float, phase: str | None, is_free: bool) -> bool:
        """True for on; `is_free`: it would be switched on at once."""
        ...

    def forget(self) -> None:
        """The call is on anyway: nothing is owed."""
        ...


class CallLogic:
    """One call. `see` and `advance` are given rising times in seconds of one monotonic clock."""

    def __init__(self, settings: Call, cause: str = BOOT) -> None:
        """cause: why it begins, which is a fault until its camera has been well for a while."""
        self.settings = settings
        self.is_on = True
        self.fault: str | None = cause
        """Why it is on whoever waits; None while the camera can vouch for an empty zone."""
        self.occupied_s: float | None = None
        """Since when somebody has been in the zone."""
        self._cause = cause
        self._demand: _Demand = (Presence if settings.mode == "presence" else Pulses)(settings)
        self._phase: str | None = None
        self._pace = Pace(settings.max_age_s)
        self._asked_s: float | None = None
        self._healthy_s: float | None = None
        self._changed_s: float | None = None

    def see(self, inside: Collection[int], t_s: float) -> None:
        """Take the tracks whose foot was in the zone in the picture of that time."""
        if not self._pace.see(t_s):
            return
        if not inside:
            self.occupied_s = None
        elif self.occupied_s is None:
            self.occupied_s = t_s
        self._demand.see(inside, t_s, self._phase)

    def advance(self, now_s: float, trouble: str | None, phase: str | None) -> bool:
        """Whether the call is on from now on.

        trouble: what is wrong with its camera; phase: what the signal that serves it shows.
        """
        self._phase = phase
        self._judge(trouble or self._own_trouble(now_s), now_s)
        self._asked_s = now_s
        is_free = self.is_on or self._has_rested(now_s)
        if self.fault is not None:
            self._demand.forget()
            wanted = True
        else:
            wanted = self._demand.wants(now_s, phase, is_free)
        if wanted != self.is_on and (self._has_rested(now_s) or self._is_pulse(wanted)):
            self.is_on, self._changed_s = wanted, now_s
        return self.is_on

    def is_overdue(self, now_s: float) -> bool:
        """True when somebody has been in the zone for longer than anybody should."""
        limit_s = self.settings.max_presence_s
        if limit_s is None or self.occupied_s is None:
            return False
        return now_s - self.occupied_s >= limit_s

    def _judge(self, trouble: str | None, now_s: float) -> None:
        if trouble is not None:
            self.fault, self._healthy_s = trouble, None
            return
        if self._healthy_s is None:
            self._healthy_s = now_s
        if now_s - self._healthy_s >= HEALTHY_S:
            self.fault = None

    def _own_trouble(self, now_s: float) -> str | None:
        if self._pace.seen_s is None:
            return self._cause
        if now_s - self._pace.seen_s > self._pace.limit_s:
            return "picture too old"
        if self._asked_s is not None and now_s - self._asked_s > STALL_S:
            return "pipeline stalled"
        return None

    def _has_rested(self, now_s: float) -> bool:
        return self._changed_s is None or now_s - self._changed_s >= REST_S

    def _is_pulse(self, wanted: bool) -> bool:
        """A pulse may be shorter than a presence: it ends when it is over."""
        return not wanted and self.settings.mode == "pulse"


class Pace:
    """How often a camera's pictures come, and so when one is missed.

    A picture is due a usual pause after the last one, and missed when it is 0.9 s overdue, or two
    usual pauses where they are longer: what has fallen silent is noticed within a second, one
    late picture of a slow camera is not. A gap does not change what is usual; many do.
    """

    def __init__(self, configured_s: float | None) -> None:
        self._configured_s = configured_s
        self._pauses_s: deque[float] = deque(maxlen=PAUSES)
        self.seen_s: float | None = None
        """Time of the latest picture."""
        self.limit_s = configured_s or LATE_S
        """How old that may become."""

    def see(self, t_s: float) -> bool:
        """Take note of a picture of that time; False for one that is not newer."""
        if self.seen_s is not None:
            if t_s <= self.seen_s:
                return False
            self._pauses_s.append(t_s - self.seen_s)
            if self._configured_s is None:
                usual_s = median(self._pauses_s)
                self.limit_s = min(usual_s + max(LATE_S, 2 * usual_s), OLDEST_S)
        self.seen_s = t_s
        return True


class Presence:
    """On while the zone is occupied: after the delay, and with the extension."""

    def __init__(self, settings: Call) -> None:
        self._settings = settings
        self._since_s: float | None = None
        self._has_called = False
        self._left_s: float | None = None
        """When the zone became empty, while the extension goes on."""
        self._is_owed = False
        """Somebody came and went before the contact could follow."""

    def see(self, inside: Collection[int], t_s: float, phase: str | None) -> None:
        if inside:
            if self._since_s is None:
                self._since_s = t_s
        elif self._since_s is not None:
            self._settle(t_s, phase)
            if self._has_called:
                self._left_s = t_s
            self._since_s, self._has_called = None, False

    def wants(self, now_s: float, phase: str | None, is_free: bool) -> bool:
        self._settle(now_s, phase)
        if self._left_s is not None and not self._extends(now_s - self._left_s, phase):
            self._left_s = None
        wanted = self._has_called or self._left_s is not None or self._is_owed
        if is_free:
            self._is_owed = False
        return wanted

    def forget(self) -> None:
        self._is_owed = False

    def _settle(self, t_s: float, phase: str | None) -> None:
        if self._since_s is not None and not self._has_called:
            self._has_called = t_s - self._since_s >= delay_s(self._settings, phase)
            self._is_owed = self._has_called

    def _extends(self, empty_s: float, phase: str | None) -> bool:
        is_cut = self._settings.extend_on_green and phase in ("red", "amber")
        return empty_s < self._settings.extend_s and not is_cut


class Pulses:
    """On for a moment for everyone who comes and stays for the delay."""

    def __init__(self, settings: Call) -> None:
        self._settings = settings
        self._entered: dict[int, float] = {}
        """Track -> since when it has been in the zone, before its pulse."""
        self._served: dict[int, float] = {}
        """Track -> when it was last there, after its pulse."""
        self._owed = 0
        self._end_s: float | None = None

    def see(self, inside: Collection[int], t_s: float, phase: str | None) -> None:
        self._settle(t_s, phase)
        self._entered = {track: s for track, s in self._entered.items() if track in inside}
        self._served = {
            track: s for track, s in self._served.items() if track in inside or t_s - s < FORGET_S
        }
        for track in inside:
            if track in self._served:
                self._served[track] = t_s
            else:
                self._entered.setdefault(track, t_s)

    def wants(self, now_s: float, phase: str | None, is_free: bool) -> bool:
        self._settle(now_s, phase)
        if self._end_s is not None and now_s < self._end_s:
            return True
        if self._end_s is not None:  # the contact opens before the next one
            self._end_s = None
            return False
        if self._owed and is_free:
            self._owed -= 1
            self._end_s = now_s + self._settings.pulse_ms / 1000
            return True
        return False

    def forget(self) -> None:
        self._owed, self._end_s = 0, None

    def _settle(self, t_s: float, phase: str | None) -> None:
        wait_s = delay_s(self._settings, phase)
        for track in [track for track, s in self._entered.items() if t_s - s >= wait_s]:
            self._served[track] = t_s
            del self._entered[track]
            self._owed = min(self._owed + 1, MOST_OWED)


def delay_s(settings: Call, phase: str | None) -> float:
    """How long somebody has to be there, with the signal as it is."""
    return settings.delay_s if not settings.delay_on_red or phase == "red" else 0.0
