"""What a box remembers across restarts: one file, written whole, never in the way of a start."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_agent.clock import utc_ms
from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle.resumed import resumed
from edge_agent.evidence.staging import write_whole
from edge_agent.identity import Origin
from edge_agent.pipeline import Pipeline
from edge_agent.recollection import Moved
from edge_agent.types import JSON

log = logging.getLogger(__name__)

FORMAT = "edge-agent.memory/1"
MAX_BYTES = 8_000_000
"""More is not written, and not read."""
PROGRESS_S = 60.0
"""How far what goes on has come is noted this often; what begins or ends, at once."""
ASIDE = ".set-aside"
UNREADABLE = (
    *(OSError, ValueError, OverflowError, RecursionError),
    *(LookupError, TypeError, AttributeError),
)
"""What reading a file that is none may raise."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment by both clocks."""

    boot_id: str
    mono_s: float
    """CLOCK_MONOTONIC, which live media times are; it begins anew with every boot."""
    wall: datetime

    def moved_to(self, now: Moment) -> Moved:
        """From media times as they were at this moment to those of now.

        Across a reboot by the wall clock; one that runs backwards counts as standing.
        """
        if now.boot_id == self.boot_id:
            return lambda t_s: t_s
        passed_s = max(0.0, (now.wall - self.wall).total_seconds())
        shift_s = now.mono_s - passed_s - self.mono_s
        return lambda t_s: t_s + shift_s


@dataclass(frozen=True, slots=True)
class Recollection:
    """What the file said at the start."""

    moment: Moment
    cameras: Mapping[str, JSON]

    def corrected(self, evidence: Path, origin: Origin) -> Recollection:
        """The same with what lies in the evidence folder, which was written first."""
        cameras = {
            name: {**state, "cases": resumed(state["cases"], evidence, origin)}
            for name, state in self.cameras.items()
        }
        return Recollection(self.moment, cameras)

    def tell(self, camera: str, pipeline: Pipeline, now: Moment) -> None:
        """Let a camera's pipeline go on; what is useless is left out with a warning."""
        state = self.cameras.get(camera)
        if state is None:
            return
        try:
            pipeline.recall(state, self.moment.moved_to(now))
        except UNREADABLE as error:
            log.warning("memory useless", extra={"camera": camera, "why": str(error)})


@dataclass
class MemoryFile:
    """The file of one device."""

    path: Path
    device: str
    _essence: str = field(default="", init=False)
    _written: str = field(default="", init=False)
    _written_s: float = field(default=0.0, init=False)
    _complaint: str = field(default="", init=False)
    _unsound: set[str] = field(default_factory=set, init=False)
    """Cameras of which it was said that what they know cannot be written."""

    def read(self) -> Recollection | None:
        """What there is to go on from; a file that is no such thing is set aside."""
        try:
            if self.path.stat().st_size > MAX_BYTES:
                raise ValueError("too large")
            return self._parsed(json.loads(self.path.read_bytes()))
        except FileNotFoundError:
            return None
        except UNREADABLE as error:
            self._set_aside(str(error) or type(error).__name__)
            return None

    def keep(self, cameras: Mapping[str, JSON], now: Moment, is_last: bool = False) -> bool:
        """Write if something has begun or ended, or if it is time; True when it was written."""
        cameras = {name: state for name, state in cameras.items() if self._is_sound(name, state)}
        text = json.dumps(cameras, sort_keys=True)
        essence = json.dumps([_essence(state) for _, state in sorted(cameras.items())])
        is_due = is_last or now.mono_s - self._written_s >= PROGRESS_S
        if text == self._written or (essence == self._essence and not is_due):
            return False
        state = {
            "format": FORMAT,
            "device": self.device,
            "boot_id": now.boot_id,
            "mono_s": now.mono_s,
            "utc_ms": utc_ms(now.wall),
            "cameras": cameras,
        }
        data = json.dumps(state, sort_keys=True, allow_nan=False).encode()
        self._written_s = now.mono_s
        if len(data) > MAX_BYTES:
            self._complain("memory too large", f"{len(data)} bytes")
            return False
        try:
            write_whole(self.path, data, mode=0o600)
        except EvidenceError as error:
            self._complain("memory not written", str(error))
            return False
        self._complaint = ""
        self._written, self._essence = text, essence
        return True

    def _is_sound(self, camera: str, state: JSON) -> bool:
        """False for one that no file can hold, and whose camera begins anew after a restart."""
        try:
            json.dumps(state, allow_nan=False)
        except (ValueError, TypeError, RecursionError) as error:
            if camera not in self._unsound:
                self._unsound.add(camera)
                log.error("memory useless", extra={"camera": camera, "why": str(error)})
            return False
        return True

    def _complain(self, what: str, why: str) -> None:
        if what != self._complaint:  # once, not every few seconds of a week
            self._complaint = what
            log.error(what, extra={"why": why})

    def _parsed(self, state: JSON) -> Recollection:
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise ValueError(f"is not {FORMAT}")
        if state["device"] != self.device:
            raise ValueError(f"belongs to {state['device']}")
        cameras = state["cameras"]
        for camera in cameras.values():
            _essence(camera)
        wall = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(state["utc_ms"]))
        return Recollection(Moment(str(state["boot_id"]), float(state["mono_s"]), wall), cameras)

    def _set_aside(self, why: str) -> None:
        aside = self.path.with_name(self.path.name + ASIDE)
        text = "what went on before is forgotten: its file cannot be used and is set aside"
        log.warning(text, extra={"path": str(aside), "why": why})
        try:
            os.replace(self.path, aside)
        except OSError as error:
            log.warning("memory stays", extra={"path": str(self.path), "why": error.strerror})


def _essence(state: JSON) -> JSON:
    """What must not be lost by a power cut: what has begun, and what is filed of it."""
    begun = [each["begin"]["subject"] for each in state["open"]]
    return [begun, [[each["first"]["subject"], each["revision"]] for each in state["cases"]]]
