"""Who sets the machine's clock, and how far off it may be: chrony, systemd-timesyncd, the kernel.

`sleep` and time itself stay in `clock`; this only asks daemons what they know.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from edge_agent.clock import SLEW, Clock, ClockReading, Reference, Sync
from edge_agent.ports import ClockSync

PATIENCE_S = 2.0
"""A daemon that has not answered by then does not answer."""
APART_S = 0.005
"""Both clocks are read anew when more time than this passed between them ..."""
READINGS = 4
"""... so many times at most: on a busy machine the last one has to do."""

_UNSYNC, _TIME_ERROR = 0x0040, 5
_REFCLOCKS: tuple[tuple[str, Reference], ...] = (
    ("PHC", "ptp"),
    ("PTP", "ptp"),
    ("", "gnss"),
)
"""Beginning of a reference clock's name in chrony -> what it is; PPS, GPS, NMEA are satellites."""
_TRACKING_FIELDS = 14
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "min": 60_000.0}


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2); the kernel's own layout for the platform's `long`."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),  # more than any of them has left
    )


class KernelSync:
    """What the kernel was told by whichever daemon steers it; knows of every one, names none.

    Its error bound grows by 500 ppm from the daemon's last word on, so that it is never stale.
    """

    def state(self) -> Sync | None:
        if not sys.platform.startswith("linux"):
            return None
        timex = _Timex()
        answer = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
        if answer in (-1, _TIME_ERROR) or timex.status & _UNSYNC:
            return Sync("rtc" if _was_set_from_rtc() else "none", False, None)
        return Sync("system", True, timex.maxerror / 1000)


@dataclass(frozen=True, slots=True)
class ChronySync:
    """What chronyd knows; whether NTS protects it is told to root and chrony's own group only."""

    command: Sequence[str] = ("chronyc",)

    def state(self) -> Sync | None:
        return read_tracking(_answer([*self.command, "-n", "-c", "-m", "tracking", "authdata"]))


@dataclass(frozen=True, slots=True)
class TimesyncSync:
    """What systemd-timesyncd knows, the kernel's own bound added: it starts that at zero."""

    kernel: ClockSync = field(default_factory=KernelSync)

    def state(self) -> Sync | None:
        distance_ms = read_timesync(_answer(["timedatectl", "show-timesync", "-p", "NTPMessage"]))
        grown = self.kernel.state() if distance_ms is not None else None
        if distance_ms is None or grown is None or grown.max_error_ms is None:
            return None
        return Sync("ntp", grown.is_synced, grown.max_error_ms + distance_ms)


@dataclass(frozen=True, slots=True)
class FirstToKnow:
    """Asks one after the other."""

    others: Sequence[ClockSync] = field(
        default_factory=lambda: (ChronySync(), TimesyncSync(), KernelSync())
    )

    def state(self) -> Sync | None:
        return next((state for each in self.others if (state := each.state()) is not None), None)


class ScriptedSync:
    """Says what it was told to, one after the other, then the last again: for tests and trials."""

    def __init__(self, states: Iterable[Sync | None]) -> None:
        self._states = deque(states)

    def state(self) -> Sync | None:
        return self._states.popleft() if len(self._states) > 1 else self._states[0]


class Timekeeper:
    """Stamps live frames: both clocks read together, and what was last known of their error.

    `refresh` asks daemons and takes its time: call it now and then, from no camera's thread.
    """

    def __init__(self, clock: Clock, sync: ClockSync) -> None:
        self._clock = clock
        self._sync = sync
        self._known: tuple[Sync, float] | None = None

    def refresh(self) -> None:
        """Ask how right the clock is."""
        state = self._sync.state()
        self._known = None if state is None else (state, self._clock.monotonic())

    def read(self) -> tuple[datetime, ClockReading]:
        """UTC and the monotonic clock at the same moment; the error grows with age."""
        for _ in range(READINGS):
            before_s = self._clock.monotonic()
            wall = self._clock.now()
            after_s = self._clock.monotonic()
            if after_s - before_s <= APART_S:
                break
        middle_s = (before_s + after_s) / 2
        return wall, ClockReading(round(middle_s * 1e9), self._sync_at(middle_s))

    def _sync_at(self, now_s: float) -> Sync:
        if self._known is None:
            return Sync("none", False, None)
        sync, asked_s = self._known
        if sync.max_error_ms is None:
            return sync
        grown_ms = sync.max_error_ms + SLEW * 1000 * (now_s - asked_s)
        return replace(sync, max_error_ms=round(grown_ms, 3))


def boot_id() -> str:
    """The kernel's name for the time since it was started: `mono_ns` counts within it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def read_tracking(text: str) -> Sync | None:
    """From `chronyc -n -c -m tracking authdata`; None when chronyd has not said anything.

    Its error is |offset| + root dispersion + half the root delay (chronyc(1), "tracking").
    """
    rows = [line.split(",") for line in text.splitlines()]
    tracking = next((row for row in rows if len(row) == _TRACKING_FIELDS), None)
    if tracking is None:
        return None
    identity, name, stratum, leap = tracking[0], tracking[1], tracking[2], tracking[13]
    if leap == "Not synchronised" or identity == "7F7F0101":  # its own clock, `local stratum`
        return Sync("none", False, None)
    try:
        offset_s, delay_s, dispersion_s = (float(tracking[n]) for n in (4, 10, 11))
    except ValueError:
        return None
    error_ms = 1000 * (abs(offset_s) + dispersion_s + delay_s / 2)
    if stratum == "1":  # it follows a reference clock of its own
        ref = next(kind for start, kind in _REFCLOCKS if name.upper().startswith(start))
    else:
        ref = "nts" if any(row[:2] == [name, "NTS"] for row in rows) else "ntp"
    return Sync(ref, True, round(error_ms, 3))


def read_timesync(text: str) -> float | None:
    """ms to the root of the time, from `timedatectl show-timesync`; None without an answer yet.

    Half the root delay and the root dispersion of the server's last answer (RFC 5905).
    """
    told = dict(re.findall(r"(RootDelay|RootDispersion)=([^,}]*)", text))
    if len(told) < 2:
        return None
    return _span_ms(told["RootDelay"]) / 2 + _span_ms(told["RootDispersion"])


def _span_ms(text: str) -> float:
    """systemd's way to write time spans, e.g. `1s 37.2ms`, `991us` (systemd.time(7))."""
    parts = re.findall(r"([0-9.]+)(us|ms|s|min)\b", text)
    return sum(float(number) * _UNITS_MS[unit] for number, unit in parts)


def _answer(command: Sequence[str]) -> str:
    """What a program prints; nothing if it is not there, fails or takes too long."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _was_set_from_rtc() -> bool:
    """True when the kernel took its time from a hardware clock at boot."""
    for flag in sorted(Path("/sys/class/rtc").glob("*/hctosys")):
        try:
            if flag.read_text().strip() == "1":
                return True
        except OSError:
            continue
    return False
