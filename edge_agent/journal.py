"""Where decisions become durable: envelope, outbox, `events.jsonl`, evidence bundles.

Here too a grant closes its contact, and plates are hidden where privacy asks for it: both concern
whatever rule decided, and nothing leaves the box another way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from edge_agent.errors import EvidenceError
from edge_agent.evidence import BundleWriter
from edge_agent.identity import Origin
from edge_agent.plates import hashed
from edge_agent.ports import Outputs
from edge_agent.types import JSON, Bundle, Case, Event, Pulse
from edge_agent.uplink import Outbox, canonical, case_envelope, event_envelope, topic

GRANT = "access.granted"
"""The kind of event that closes the contact which its `output` names."""
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
    outputs: Outputs | None = None
    plate_key: bytes | None = field(default=None, repr=False)
    """Plates are told as a hash with this key; None: in plain text."""
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
            shown = replace(event, plate=self._plate(event.plate))
            self._keep(event_envelope(shown, self.origin))
        if event.kind == GRANT and self.outputs is not None:
            # Told before it is done: what opened a gate is known even if the power fails now.
            pulse = self.outputs.pulse(event.facts["output"], event.wall)
            if pulse is not None:
                self._keep(event_envelope(_pulse_event(event, pulse), self.origin))

    def case(self, case: Case, clip: bytes | None) -> None:
        """Write the bundle, then say that it exists."""
        bundle = self.bundles.write(case, clip)
        self.written[bundle.case_id] = bundle
        latest = replace(case.latest, plate=self._plate(case.latest.plate))
        shown = replace(case, latest=latest, plate=self._plate(case.plate))
        self._keep(case_envelope(bundle, shown, self.origin))

    def _plate(self, plate: Mapping[str, JSON] | None) -> Mapping[str, JSON] | None:
        """What is told of a plate outside of evidence."""
        if plate is None or self.plate_key is None or plate["text"] is None:
            return plate
        return {**plate, "text": None, "hash": hashed(plate["text"], self.plate_key)}

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


def _pulse_event(cause: Event, pulse: Pulse) -> Event:
    """What a contact did, and by which decision."""
    facts = {
        "output": pulse.output,
        "pulse_ms": pulse.pulse_ms,
        "backend": pulse.backend,
        "cause": cause.kind,
    }
    return replace(cause, kind="io.out", track=None, zone=None, plate=None, facts=facts)


def _cannot_write(path: Path, error: OSError) -> EvidenceError:
    return EvidenceError(
        f"{path}: cannot be written ({error.strerror}): free some space or choose another --out; "
        "what was decided so far is kept, and the same command resumes"
    )
