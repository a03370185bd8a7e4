"""How many bays will be taken in an hour, from the lot's own history.

The change within the next hour is what it was at this time of day before, on days like this one:
the mean over all days, corrected by what working days (or weekends) do, corrected by what this
weekday does, each with a weight that grows with the days seen (shrinkage; James and Stein, 1961).
Without history it says nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from edge_agent.types import JSON

HORIZON_S = 3600
SLOT_S = 900
STEPS = HORIZON_S // SLOT_S
MEMORY_DAYS = 15.0
"""A habit that changed is unlearnt in about this many days of its kind."""
DOUBT_DAYS = 2.0
"""After so many days, what they say and what is believed without them weigh the same."""
SPREAD = 1.6
"""Half the range that holds 80 % of normally distributed errors, in mean absolute errors."""
ERROR_MEMORY = 400.0
"""Forecasts after which an old error has lost most of its weight."""

Slot = tuple[str, int]
"""Kind of day, and quarter of an hour since local midnight."""


@dataclass(slots=True)
class Mean:
    """A mean that forgets."""

    value: float = 0.0
    count: float = 0.0

    def add(self, value: float, memory: float) -> None:
        self.count = min(self.count + 1.0, memory)
        self.value += (value - self.value) / self.count


@dataclass(frozen=True, slots=True)
class Forecast:
    """Taken bays an hour from now."""

    taken: float
    low: float | None
    high: float | None
    """The range in which four of five forecasts came true; None while too few were checked."""
    days: int
    """Days of history at this time of day."""


@dataclass(slots=True)
class OccupancyForecast:
    """Learns how a lot fills and empties. Its state is plain JSON, in and out."""

    bays: int
    changes: dict[Slot, Mean] = field(default_factory=dict)
    """By how much the number of taken bays changed within the hour after a slot."""
    error: Mean = field(default_factory=Mean)
    """Mean absolute error of the forecasts that could be checked."""
    error_as_now: Mean = field(default_factory=Mean)
    """The same, had each forecast been that nothing changes."""
    _slot: int = -1
    _current: Mean = field(default_factory=Mean)
    _recent: deque[tuple[int, float, float | None]] = field(
        default_factory=lambda: deque(maxlen=STEPS)
    )
    """The latest slots: number, taken bays, and what was foretold for an hour later."""

    def observe(self, local: datetime, taken: int) -> None:
        """Take a look into account; `local` is aware and in the time zone of the lot."""
        slot = int(local.timestamp()) // SLOT_S
        if slot != self._slot:
            if self._current.count:
                self._close(self._slot, self._current.value, local)
            self._slot, self._current = slot, Mean()
        self._current.add(float(taken), float("inf"))

    def forecast(self, local: datetime, taken: int) -> Forecast | None:
        """What the next hour brings; None while nothing is known of this time of day."""
        change = self._change(local)
        if change is None:
            return None
        value = self._within(taken + change)
        low = high = None
        if self.error.count >= STEPS * 6:
            margin = SPREAD * self.error.value
            low, high = self._within(value - margin), self._within(value + margin)
        return Forecast(value, low, high, int(self.changes["all", _quarter(local)].count))

    def to_json(self) -> dict[str, JSON]:
        """What was learnt; the hour that is going on is not part of it."""
        changes = {f"{day} {quarter}": [m.value, m.count] for (day, quarter), m in
                   sorted(self.changes.items())}  # fmt: skip
        errors = {"error": [self.error.value, self.error.count],
                  "error_as_now": [self.error_as_now.value, self.error_as_now.count]}  # fmt: skip
        return {"bays": self.bays, "changes": changes, **errors}

    @classmethod
    def from_json(cls, state: dict[str, JSON]) -> OccupancyForecast:
        """Goes on from what `to_json` gave."""
        changes: dict[Slot, Mean] = {}
        for key, (value, count) in state["changes"].items():
            day, _, quarter = key.partition(" ")
            changes[day, int(quarter)] = Mean(value, count)
        errors = Mean(*state["error"]), Mean(*state["error_as_now"])
        return cls(int(state["bays"]), changes, *errors)

    def _close(self, slot: int, taken: float, now: datetime) -> None:
        """A quarter of an hour is over: compare it with the one an hour before."""
        local = datetime.fromtimestamp(slot * SLOT_S, now.tzinfo)
        for number, before, foretold in self._recent:
            if number != slot - STEPS:
                continue
            if foretold is not None:
                self.error.add(abs(taken - foretold), ERROR_MEMORY)
                self.error_as_now.add(abs(taken - before), ERROR_MEMORY)
            earlier = datetime.fromtimestamp(number * SLOT_S, now.tzinfo)
            for day in _days(earlier):
                mean = self.changes.setdefault((day, _quarter(earlier)), Mean())
                mean.add(taken - before, MEMORY_DAYS)
        change = self._change(local)
        foretold = None if change is None else self._within(taken + change)
        self._recent.append((slot, taken, foretold))

    def _change(self, local: datetime) -> float | None:
        quarter = _quarter(local)
        if ("all", quarter) not in self.changes:
            return None
        believed = 0.0
        for day in _days(local):
            mean = self.changes.get((day, quarter), Mean())
            believed += (mean.value - believed) * mean.count / (mean.count + DOUBT_DAYS)
        return believed

    def _within(self, taken: float) -> float:
        return min(max(taken, 0.0), float(self.bays))


def _quarter(local: datetime) -> int:
    return (local.hour * 3600 + local.minute * 60) // SLOT_S


def _days(local: datetime) -> Iterator[str]:
    """What kind of day it is, from the general to the particular."""
    yield "all"
    yield "weekend" if local.weekday() >= 5 else "working"
    yield f"weekday{local.weekday()}"
