"""A live box whose cases were yesterday: for what the present day matters to, as certificates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_agent.evidence import Report
from tamper.browser import Trust
from tamper.bundles import Device

Judge = Callable[[bytes, Trust], Report]

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def recent_device(folder: Path) -> Device:
    return Device.make(folder, 3, "live", NOW - DAY)


def one(device: Device) -> bytes:
    return next(device.bundles(1)).read_bytes()
