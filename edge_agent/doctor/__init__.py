"""What a technician has looked at before leaving: everything that the site file asks the box for.

Each check tries the real thing and says what to do about what it found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from edge_agent.app import load
from edge_agent.clock import Clock
from edge_agent.doctor.finding import Finding, Patient
from edge_agent.doctor.machine import (
    look_at_clock,
    look_at_disk,
    look_at_power,
    look_at_temperature,
)
from edge_agent.doctor.service import look_at_metrics, look_at_service
from edge_agent.doctor.sight import look_at_cameras, look_at_models
from edge_agent.doctor.uplink import look_at_broker, look_at_certificates, look_at_secrets
from edge_agent.doctor.wires import look_at_lines

__all__ = ["Finding", "Patient", "examine"]


def examine(config: Path, clock: Clock) -> Iterator[Finding]:
    """Look at everything; raises ConfigError when the site file itself is wrong."""
    patient = Patient(load(config), clock)
    return chain.from_iterable(check(patient) for check in CHECKS)


CHECKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    look_at_service,
    look_at_metrics,
    look_at_cameras,
    look_at_models,
    look_at_lines,
    look_at_broker,
    look_at_certificates,
    look_at_secrets,
    look_at_clock,
    look_at_disk,
    look_at_temperature,
    look_at_power,
)
"""In the order in which a technician reads them."""
