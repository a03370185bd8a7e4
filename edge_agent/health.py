"""How the daemon is doing: counters that its threads keep, and what is told of them.

Data only: who measures disks and temperatures is the supervisor.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

CameraState = Literal["starting", "online", "lost", "stopped"]

RATE_S = 10.0
"""Rates are those of the last so many seconds."""
LAGS = 512
"""Delays of so many frames are kept for their percentiles."""


@dataclass(frozen=True, slots=True)
class CameraHealth:
    """One camera now."""

    state: CameraState
    reason: str | None
    """Why it is not online, and what to do; no credentials in it."""
    frames: int
    """Decoded since the start."""
    inferred: int
    dropped: int
    """Frames worth a look that a newer one replaced before a worker was free."""
    losses: int
    """How often the link was lost."""
    rate_fps: float
    """Decoded frames per second, lately."""
    age_s: float | None
    """Since the latest frame; None before the first."""
    lag_ms: tuple[float, float] | None
    """p50 and p99 from taking a frame to having decided on it, lately."""
    rules_off: tuple[str, ...] = ()
    """Rules that were switched off because they failed or hung."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The daemon now."""

    cameras: Mapping[str, CameraHealth]
    uptime_s: float
    waiting: int
    """Events that the broker has not acknowledged."""
    backlog: int
    """Events and cases that the disk has not taken yet."""
    disk_free_bytes: int | None
    memory_bytes: int
    """Resident memory of the process."""
    temperature_c: float | None
    clock_synced: bool
    uplink: str
    """`online`, or why not."""
    shedding: Literal["disk budget", "disk full"] | None = None
    """Why new cases go without clip or photos; None while there is room for them."""

    @property
    def is_well(self) -> bool:
        """True while every camera delivers, every rule runs and the disk takes every case whole."""
        cameras = self.cameras.values()
        are_seeing = all(c.state == "online" and not c.rules_off for c in cameras)
        has_disk = self.disk_free_bytes is not None
        return are_seeing and has_disk and not self.backlog and self.shedding is None


@dataclass
class CameraVitals:
    """What a camera's reader and the workers count; safe to use from several threads."""

    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    state: CameraState = field(default="starting", init=False)
    reason: str | None = field(default=None, init=False)
    frames: int = field(default=0, init=False)
    inferred: int = field(default=0, init=False)
    dropped: int = field(default=0, init=False)
    losses: int = field(default=0, init=False)
    rules_off: tuple[str, ...] = field(default=(), init=False)
    failure: str | None = field(default=None, init=False)
    """Why nothing is decided on its pictures; None while it is."""
    latest_s: float | None = field(default=None, init=False)
    """Monotonic time at which the latest frame was taken."""
    _arrivals: deque[float] = field(default_factory=deque, init=False, repr=False)
    _lags: deque[float] = field(default_factory=lambda: deque(maxlen=LAGS), init=False, repr=False)

    def arrived(self, t_s: float) -> None:
        """A frame was decoded."""
        with self._lock:
            self.frames += 1
            self.state, self.reason, self.latest_s = "online", None, t_s
            self._arrivals.append(t_s)
            self._forget(t_s)

    def decided(self, lag_s: float, is_inferred: bool) -> None:
        """A frame has been through the rules so long after it was taken."""
        with self._lock:
            self.failure = None
            self.inferred += is_inferred
            self._lags.append(lag_s)

    def failed(self, reason: str) -> None:
        """Its pictures come, but nothing can be decided on them."""
        with self._lock:
            self.failure = reason

    def replaced(self) -> None:
        """A newer frame took the place of one that waited."""
        with self._lock:
            self.dropped += 1

    def lost(self, reason: str) -> None:
        """The link broke or never was."""
        with self._lock:
            self.losses += self.state == "online"
            self.state, self.reason = "lost", reason

    def stopped(self, reason: str) -> None:
        """Nothing more will come."""
        with self._lock:
            self.state, self.reason = "stopped", reason

    def at(self, now_s: float) -> CameraHealth:
        """The camera at that monotonic time."""
        with self._lock:
            self._forget(now_s)
            lags = sorted(self._lags)
            is_blind = self.state == "online" and self.failure is not None
            return CameraHealth(
                state="lost" if is_blind else self.state,
                reason=self.failure if is_blind else self.reason,
                frames=self.frames,
                inferred=self.inferred,
                dropped=self.dropped,
                losses=self.losses,
                rate_fps=round(len(self._arrivals) / RATE_S, 1),
                age_s=None if self.latest_s is None else max(0.0, now_s - self.latest_s),
                lag_ms=(_percentile(lags, 0.5), _percentile(lags, 0.99)) if lags else None,
                rules_off=self.rules_off,
            )

    def _forget(self, now_s: float) -> None:
        while self._arrivals and now_s - self._arrivals[0] > RATE_S:
            self._arrivals.popleft()


def _percentile(ordered: list[float], share: float) -> float:
    """In ms."""
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)
