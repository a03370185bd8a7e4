"""What the machine says of itself: temperature and memory."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_M_ARENA_MAX = -8
"""malloc.h"""
_ARENAS = 2
_THERMAL = Path("/sys/class/thermal")


def temperature_c() -> float | None:
    """Of the hottest sensor of the processor's; None where there is none."""
    found = []
    for zone in sorted(_THERMAL.glob("thermal_zone*/temp")):
        try:
            found.append(int(zone.read_text()) / 1000)
        except (OSError, ValueError):  # a sensor that is switched off
            continue
    return max(found, default=None)


def memory_bytes() -> int:
    """Resident memory of this process (proc(5), statm)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def share_heaps() -> None:
    """Let all threads of this process share two heaps; to be called before there are any.

    glibc gives eight per core away. Pictures that one thread makes and another lets go of leave
    holes in all of them, and a box seems to grow for months (mallopt(3), M_ARENA_MAX).
    """
    if sys.platform.startswith("linux"):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, nor the problem
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, _ARENAS)
