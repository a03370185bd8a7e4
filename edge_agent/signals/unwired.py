"""A box that no signal controller is wired to."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from edge_agent.signals.recorded import RecordedSignals
from edge_agent.types import Event, Scene

NOTHING = RecordedSignals([])


class Unwired:
    """Takes note of nothing. Implements `ports.Cabinet`."""

    phases = MappingProxyType[str, float]({})

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

    def close(self) -> None:
        """There are no lines."""
