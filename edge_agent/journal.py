"""Where decisions become durable: envelope, outbox, `events.jsonl`, evidence bundles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from edge_agent.errors import EvidenceError
from edge_agent.evidence import BundleWriter
from edge_agent.identity import Origin
from edge_agent.types import Bundle, Case, Event
from edge_agent.uplink import Outbox, canonical, case_envelope, event_envelope, topic

INTERNAL = frozenset({"suspect", "dismissed"})
"""Phases that only the case collector needs; a suspicion is nobody else's business."""


@dataclass
class Journal:
    """The sink of a replay; what it has written survives whatever happens next.

    The order matters: the bundle is on disk before anything speaks of it, and an envelope is in
    the outbox before it is a line in `events.jsonl`.
    """

    origin: Origin
    outbox: Outbox
    bundles: BundleWriter
    lines: Path
    on_envelope: Callable[[], None] = lambda: None
    """Called whenever an envelope has been stored: wakes the uplink."""
    envelopes: list[dict[str, Any]] = field(default_factory=list, init=False)
    written: dict[str, Bundle] = field(default_factory=dict, init=False)

    def __enter__(self) -> Journal:
        try:
            self._file = self.lines.open("wb", buffering=0)  # nothing left over to fail on closing
        except OSError as error:
            raise _cannot_write(self.lines, error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def event(self, event: Event) -> None:
        """Store one event, unless it is a mere suspicion."""
        if event.phase not in INTERNAL:
            self._keep(event_envelope(event, self.origin))

    def case(self, case: Case, clip: bytes | None) -> None:
        """Write the bundle, then say that it exists."""
        bundle = self.bundles.write(case, clip)
        self.written[bundle.case_id] = bundle
        self._keep(case_envelope(bundle, case, self.origin))

    def _keep(self, envelope: dict[str, Any]) -> None:
        stored = self.outbox.add(envelope, topic(envelope))
        self.envelopes.append(stored)
        self._append(canonical(stored) + b"\n")
        self.on_envelope()

    def _append(self, line: bytes) -> None:
        """Write a whole line, or raise EvidenceError and leave the whole lines before it."""
        end = self._file.tell()
        try:
            while line:  # a disk that fills up takes the part that fits
                line = line[self._file.write(line) :]
        except OSError as error:
            self._file.truncate(end)
            raise _cannot_write(self.lines, error) from error


def _cannot_write(path: Path, error: OSError) -> EvidenceError:
    return EvidenceError(
        f"{path}: cannot be written ({error.strerror}): free some space or choose another --out; "
        "what was decided so far is kept, and the same command resumes"
    )
