"""The lines to the signal controller."""

from __future__ import annotations

from collections.abc import Iterator

from edge_agent.config import Site
from edge_agent.config.coherence import unfed
from edge_agent.config.signal_io import Contact, Gpio, Output
from edge_agent.doctor.finding import Finding, Patient
from edge_agent.doctor.service import service_state
from edge_agent.errors import ConfigError, SignalError
from edge_agent.signals import Lines, missing_library

LAMPS = ("red", "amber", "green")


def look_at_lines(patient: Patient) -> Iterator[Finding]:
    """Opened at rest, as the service begins: every call on, no alarm."""
    for name in patient.site.cameras:
        for silent in unfed(patient.site, name):
            what, _, remedy = silent.rpartition(": ")
            yield Finding(f"phases of {name}", "warn", what, remedy)
    gpio = patient.site.gpio
    if gpio is None:
        return
    if (text := missing_library(gpio)) is not None:
        yield Finding("lines", "fail", "cannot be opened", f"gpio.factory {gpio.factory}: {text}")
    elif gpio.factory == "mock":
        text = "gpio.factory: libgpiod, or the controller hears of nothing"
        yield Finding("lines", "warn", "mock: nothing moves", text)
    elif service_state().get("ActiveState") == "active":
        yield Finding("lines", "pass", f"{gpio.chip}, in use by the service")
    else:
        try:
            count = open_lines(patient.site, gpio)
        except (ConfigError, SignalError) as error:
            yield Finding("lines", "fail", "cannot be opened", str(error))
        else:
            yield Finding("lines", "pass", f"{count} of {gpio.chip} can be opened")


def open_lines(site: Site, gpio: Gpio) -> int:
    """Take every line that the site file names and give it back; returns how many.

    Raises SignalError for the first that is not there or somebody else's.
    """
    contacts: dict[str, Contact | Output] = {f"calls.{n}": each for n, each in site.calls.items()}
    contacts |= {f"outputs.{name}": each for name, each in site.outputs.items()}
    contacts |= {"health_output": site.health_output} if site.health_output else {}
    lines, count = Lines(gpio), 0
    try:
        for where, contact in contacts.items():
            if contact.line is not None:
                lines.output(where, contact.line, contact.active_low)
                count += 1
        for name, phase in site.phases.items():
            for lamp in LAMPS:
                line = getattr(phase, lamp)
                lines.input(f"phases.{name}.{lamp}", line, phase.active_low, phase.pull)
                count += 1
    finally:
        lines.close()
    return count
