"""The machine itself: clock, disk, temperature, power."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

from edge_agent.clock import Sync
from edge_agent.doctor.finding import Finding, Grade, Patient
from edge_agent.evidence.storage import free_bytes
from edge_agent.live.machine import temperature_c

WARM_C, HOT_C = 75.0, 82.0
"""A Pi's firmware throttles from 80 to 85 degrees; 7 below that there is a summer to come."""
_UNDERVOLTAGE, _SLOWED, _SINCE_START = 0x1, 0xE, 16


def look_at_clock(patient: Patient) -> Iterator[Finding]:
    sync: Sync | None = patient.sync.state()
    if sync is None or not sync.is_trusted:
        found = "nobody knows how right it is" if sync is None else "not synchronised"
        text = "no case will be evidential: install chrony, open 123/udp and 4460/tcp (NTS)"
        yield Finding("clock", "fail", found, text)
        return
    yield Finding("clock", "pass", f"{sync.ref}, at most {sync.max_error_ms:.0f} ms off")


def look_at_disk(patient: Patient) -> Iterator[Finding]:
    settings, folder = patient.site.evidence, patient.folder
    there = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        text = "is the card worn out (read-only), or does the folder belong to somebody else?"
        yield Finding("disk", "fail", f"{there}: {error.strerror}", text)
        return
    free_mb = (free_bytes(there) or 0) / 1e6
    found = f"{free_mb / 1000:.1f} GB free"
    if free_mb < settings.min_free_mb:
        text = f"below evidence.min_free_mb: free some at {there}"
        yield Finding("disk", "fail", found, text)
    elif settings.disk_budget_mb is not None and free_mb < settings.disk_budget_mb:
        text = f"evidence may take {settings.disk_budget_mb} MB: lower evidence.disk_budget_mb"
        yield Finding("disk", "warn", found, text)
    else:
        yield Finding("disk", "pass", found)


def look_at_temperature(patient: Patient) -> Iterator[Finding]:
    celsius = temperature_c()
    if celsius is None:
        return
    grade: Grade = "fail" if celsius >= HOT_C else "warn" if celsius >= WARM_C else "pass"
    text = "" if grade == "pass" else "a heat sink, shade, a lighter model or fewer frames"
    yield Finding("temperature", grade, f"{celsius:.0f} C", text)


def look_at_power(patient: Patient) -> Iterator[Finding]:
    """Only a Raspberry Pi tells."""
    try:
        bits = int(patient.throttled.read_text(), 16)
    except (OSError, ValueError):
        return
    since = bits >> _SINCE_START
    if bits & _UNDERVOLTAGE or since & _UNDERVOLTAGE:
        grade: Grade = "fail" if bits & _UNDERVOLTAGE else "warn"
        text = "a stronger supply (Pi 4: 5.1 V 3 A, Pi 5: 5 A) or a shorter, thicker cable"
        yield Finding("power", grade, "voltage too low", text)
    elif bits & _SLOWED or since & _SLOWED:
        yield Finding("power", "warn", "slowed down by heat", "a heat sink, shade or a fan")
    else:
        yield Finding("power", "pass", "enough, never slowed down")
