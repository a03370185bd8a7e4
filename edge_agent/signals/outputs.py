"""Contacts that a grant or an alarm closes for a moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from edge_agent.config import Output
from edge_agent.signals.call import REST_S
from edge_agent.types import Pulse

KEPT = 1000
"""So many of the newest pulses are remembered: a box may run for months."""


class MockOutputs:
    """Outputs that only remember what was asked of them: tests, replays, boxes without contacts."""

    def __init__(self, outputs: Mapping[str, Output]) -> None:
        self._outputs = outputs
        self.pulses: list[Pulse] = []

    def pulse(self, name: str, at: datetime) -> Pulse | None:
        """Remember a pulse, unless an earlier one of this output has not come to rest."""
        latest = next((each for each in reversed(self.pulses) if each.output == name), None)
        if latest is not None:
            busy = timedelta(milliseconds=latest.pulse_ms, seconds=REST_S)
            if latest.at <= at < latest.at + busy:
                return None
        pulse = Pulse(name, at, self._outputs[name].pulse_ms, backend="mock")
        self.pulses.append(pulse)
        del self.pulses[:-KEPT]
        return pulse
