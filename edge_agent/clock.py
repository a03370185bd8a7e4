"""The only place that asks the machine for the time, and what is known of how right it is.

Everything else receives time in frames. `ManualClock` is what replays and tests use.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

MAX_ERROR_MS = 1000.0
"""A clock that may be further off is no clock to a court (GA/T 832-2014, 4.3: 1.0 s)."""
STEP = timedelta(milliseconds=100)
"""A smaller jump moves no decision: ntpd slews up to 128 ms, timesyncd 400 ms, chronyd 1 s."""
SLEW = 500e-6
"""Seconds per second by which a clock may be slewed (Linux, RFC 5905) or drift unwatched."""
UNSYNCED, STEPPED = "clock not synchronised", "clock stepped"
"""Why a live case is not evidential."""

Reference = Literal["nts", "gnss", "ptp", "ntp", "system", "rtc", "none"]
"""What a clock follows; `system`: the kernel vouches for it, by whose word is not known."""


@dataclass(frozen=True, slots=True)
class Sync:
    """Whether the wall clock follows something, and how far it may be off."""

    ref: Reference
    is_synced: bool
    max_error_ms: float | None
    """Upper bound; None when nobody knows."""

    def within(self, error_ms: float) -> Sync:
        """The same for something whose moment is known no better than that."""
        if self.max_error_ms is None:
            return self
        return replace(self, max_error_ms=round(self.max_error_ms + error_ms, 3))

    @property
    def is_trusted(self) -> bool:
        """True when its error is known and small enough for evidence."""
        is_close = self.max_error_ms is not None and self.max_error_ms <= MAX_ERROR_MS
        return self.is_synced and is_close

    @property
    def doubts(self) -> tuple[str, ...]:
        return () if self.is_trusted else (UNSYNCED,)


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What was known of the clock when it gave a frame its `wall`."""

    mono_ns: int
    """CLOCK_MONOTONIC at the same moment: slewed like the wall clock, never stepped."""
    sync: Sync


@dataclass(frozen=True, slots=True)
class ClockStep:
    """A jump of the wall clock against the monotonic one."""

    before: datetime
    """What it would have said had it not been stepped."""
    after: datetime
    """What it said instead."""


@dataclass(frozen=True, slots=True)
class ClockSpan:
    """The clock over the time of a case."""

    sync: Sync
    """At its worst."""
    steps: tuple[ClockStep, ...] = ()

    def joined(self, sync: Sync, step: ClockStep | None) -> ClockSpan:
        """The span with one more moment in it."""
        worst = max(self.sync, sync, key=_badness)
        return ClockSpan(worst, self.steps if step is None else (*self.steps, step))


def _badness(sync: Sync) -> tuple[bool, bool, float]:
    unknown = sync.max_error_ms is None
    return not sync.is_synced, unknown, sync.max_error_ms or 0.0


@dataclass
class StepWatch:
    """Tells steps of the wall clock from slews; a function of the readings that it is given.

    What the wall clock is ahead of the monotonic one may drift by `SLEW`; by more than `STEP`
    beyond that it was stepped, at once or in small jumps.
    """

    _ahead: timedelta | None = field(default=None, init=False)
    """Wall clock minus monotonic clock, as far as slewing explains it."""
    _mono_ns: int = field(default=0, init=False)

    def see(self, mono_ns: int, wall: datetime) -> ClockStep | None:
        """Take the next reading of both clocks; the step since the last one, if there was one."""
        passed = timedelta(microseconds=mono_ns / 1000)
        ahead = wall - (datetime(1970, 1, 1, tzinfo=UTC) + passed)
        known, slew = self._ahead, SLEW * timedelta(microseconds=(mono_ns - self._mono_ns) / 1000)
        self._mono_ns = mono_ns
        if known is None or abs(ahead - known) > STEP + slew:
            self._ahead = ahead
            return None if known is None else ClockStep(wall - (ahead - known), wall)
        self._ahead = known + max(-slew, min(slew, ahead - known))
        return None


class Clock(Protocol):
    """Wall time (UTC) and a monotonic counter in seconds."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    def busy(self) -> float:
        """Seconds for which the calling thread has had a core; other programs do not count."""
        ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def busy(self) -> float:
        return time.thread_time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass
class ManualClock:
    """A clock that moves only when told to; `sleep` advances it at once."""

    wall: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    elapsed_s: float = 0.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.elapsed_s

    def busy(self) -> float:
        return self.elapsed_s

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.elapsed_s += seconds
        self.wall += timedelta(seconds=seconds)


def utc_text(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, e.g. `2026-05-13T09:49:12.123Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_ms(moment: datetime) -> int:
    """Milliseconds since 1970-01-01T00:00:00Z, rounded down, without floating point."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
