"""What the lamps of a signal phase say, debounced, and what they said a moment ago."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Mapping
from types import MappingProxyType

from edge_agent.config.signal_io import Phase
from edge_agent.types import Signals

DEBOUNCE_S = 0.020
"""Lamps that have stood for so long are believed, as of their last edge."""
CHATTER_S = 1.0
"""Lamps that have not stood still for so long are in conflict."""
LAMPS = ("red", "amber", "green")
CONFLICT = "conflict"
MOST_STATES = 512
"""Kept of each phase: minutes, and frames are judged within seconds."""


class PhaseLogic:
    """One phase: edges of its three lamps in, its states out; no thread, no clock."""

    def __init__(self, settings: Phase) -> None:
        self._has_red_with_amber = settings.red_with_amber
        self.state: str | None = None
        """None until something is known."""
        self._lit: dict[str, bool] = dict.fromkeys(LAMPS, False)
        self._changed_s: float | None = None
        """Time of the latest edge that is not believed yet."""
        self._restless_s = 0.0
        """Since when there has been one."""

    def edge(self, lamp: str, is_lit: bool, t_s: float) -> list[tuple[float, str]]:
        """A lamp is on or off from that time on; returns the states believed before it."""
        if self._lit[lamp] == is_lit and self.state is not None:
            return []
        believed = self.advance(t_s)
        if self._changed_s is None:
            self._restless_s = t_s
        self._lit[lamp], self._changed_s = is_lit, t_s
        return believed

    def advance(self, now_s: float) -> list[tuple[float, str]]:
        """Changes that are believed by now: (since when, state)."""
        if self._changed_s is None:
            return []
        if now_s - self._changed_s >= DEBOUNCE_S:
            since_s, self._changed_s = self._changed_s, None
            return self._become(self._shown(), since_s)
        if now_s - self._restless_s >= CHATTER_S:
            return self._become(CONFLICT, now_s)
        return []

    def _become(self, state: str, since_s: float) -> list[tuple[float, str]]:
        if state == self.state:
            return []
        self.state = state
        return [(since_s, state)]

    def _shown(self) -> str:
        """The one lamp that is lit."""
        lit = [lamp for lamp in LAMPS if self._lit[lamp]]
        if self._has_red_with_amber and lit == ["red", "amber"]:
            return "red"
        return lit[0] if len(lit) == 1 else CONFLICT


class LiveSignals:
    """The states of all phases over the last minutes; implements `ports.SignalFeed`.

    Safe to use from several threads.
    """

    sha256: str | None = None

    def __init__(self) -> None:
        self.phases: Mapping[str, float] = {}
        """Phase -> media time from which on something is known of it."""
        self._lock = threading.Lock()
        self._known: dict[str, tuple[list[float], list[str]]] = {}

    def note(self, phase: str, state: str, since_s: float) -> None:
        """The phase has shown that since then."""
        with self._lock:
            if phase not in self.phases:
                self.phases = {**self.phases, phase: since_s}
            times, states = self._known.setdefault(phase, ([], []))
            times.append(max(since_s, times[-1]) if times else since_s)
            states.append(state)
            del times[:-MOST_STATES], states[:-MOST_STATES]

    def at(self, t_s: float) -> Signals:
        """Phase -> state at that time; a change counts from its own time on."""
        with self._lock:
            found = {}
            for phase, (times, states) in self._known.items():
                index = bisect_right(times, t_s)
                if index:
                    found[phase] = states[index - 1]
        return MappingProxyType(found)
