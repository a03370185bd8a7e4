"""Who is looked at, and what is found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge_agent.app import state_dir
from edge_agent.clock import Clock
from edge_agent.config import Site
from edge_agent.live.timekeeping import FirstToKnow
from edge_agent.ports import ClockSync

Grade = Literal["pass", "warn", "fail"]

THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
"""Of a Pi's firmware; the bits are those of `vcgencmd get_throttled`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    grade: Grade
    found: str
    remedy: str = ""
    """What to do; empty where nothing has to be done."""


@dataclass(frozen=True)
class Patient:
    """The box as its site file describes it."""

    site: Site
    clock: Clock
    sync: ClockSync = field(default_factory=FirstToKnow)
    throttled: Path = THROTTLED

    @property
    def folder(self) -> Path:
        """Where it keeps evidence."""
        return self.site.data_dir or state_dir(self.site) / self.site.device
