"""Signal-controller I/O: what phases show, live or recorded; contacts that are closed."""

from edge_agent.signals.outputs import MockOutputs
from edge_agent.signals.recorded import RecordedSignals, open_recorded
from edge_agent.signals.unwired import Unwired

__all__ = ["MockOutputs", "RecordedSignals", "Unwired", "open_recorded"]
