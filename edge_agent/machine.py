"""What the machine says of itself: temperature, memory, room on its disks."""

from __future__ import annotations

import os
from pathlib import Path

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


def free_bytes(folder: Path) -> int | None:
    """What this user may still write there; None where the disk does not answer."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize
