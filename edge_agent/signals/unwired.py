"""A box that no signal controller is wired to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edge_agent.config import Output
from edge_agent.ports import LineState
from edge_agent.signals.outputs import MockOutputs
from edge_agent.signals.recorded import RecordedSignals
from edge_agent.types import Event, Scene

NOTHING = RecordedSignals([])


class Unwired(MockOutputs):
    """Takes note of grants, and of nothing else. Implements `ports.Cabinet`."""

    def __init__(self, outputs: Mapping[str, Output] | None = None) -> None:
        super().__init__(outputs or {})

    def see(self, scene: Scene) -> None:
        """There is nobody to call."""

    def fault(self, camera: str, reason: str | None) -> None:
        """There is nobody to warn."""

    def progress(self, now_s: float) -> None:
        """There is no health output."""

    def tick(self, now_s: float) -> Iterable[Event]:
        return ()

    def feed(self, camera: str) -> RecordedSignals:
        return NOTHING

    def states(self) -> list[LineState]:
        return []

    def close(self) -> None:
        """There are no lines."""
