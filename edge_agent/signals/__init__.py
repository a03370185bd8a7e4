"""Signal-controller I/O: what phases show, live or recorded."""

from edge_agent.signals.recorded import RecordedSignals, open_recorded

__all__ = ["RecordedSignals", "open_recorded"]
