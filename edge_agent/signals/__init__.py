"""Signal-controller I/O: what phases show, live or recorded; contacts that are closed."""

from edge_agent.signals.cabinet import WiredCabinet, relying
from edge_agent.signals.call import BOOT, RELOAD
from edge_agent.signals.lines import Lines, missing_library
from edge_agent.signals.outputs import MockOutputs
from edge_agent.signals.recorded import RecordedSignals, open_recorded
from edge_agent.signals.unwired import Unwired

__all__ = [
    "BOOT",
    "RELOAD",
    "Lines",
    "MockOutputs",
    "RecordedSignals",
    "Unwired",
    "WiredCabinet",
    "missing_library",
    "open_recorded",
    "relying",
]
