"""Where decisions become durable: envelope, outbox, `events.jsonl`, evidence bundles.

Here too a grant closes its contact, and plates are hidden where privacy asks for it: both concern
whatever rule decided, and nothing leaves the box another way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from edge_agent.errors import EvidenceError, UplinkError
from edge_agent.evidence import BundleWriter
from edge_agent.evidence.bundle import tombstone
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.bundle.retold import case_of
from edge_agent.evidence.log import Note
from edge_agent.evidence.storage import Storage
from edge_agent.identity import LogPlace, Origin, leaf_hash
from edge_agent.plates import PlateKey
from edge_agent.ports import Outputs
from edge_agent.types import JSON, Bundle, Case, Event, Pulse
from edge_agent.uplink import (
    Outbox,
    canonical,
    case_envelope,
    deletion_envelope,
    event_envelope,
    topic,
)

logger = logging.getLogger(__name__)

Plate = Mapping[str, JSON] | None

T = TypeVar("T")

GRANT = "access.granted"
"""The kind of event that closes the contact which its `output` names."""
RETOLD = 16
"""So many bundles may lie untold after a power cut: one, and those that waited for the disk."""
INTERNAL = frozenset({"suspect", "dismissed"})
"""Phases that only the case collector needs; a suspicion is nobody else's business."""
LOGGED = ("phase", "zone", "reason", "end_reason", "output", "outputs")
"""What a log line says of an envelope's data; whom it is about stays out of logs."""
FAULT = "edge.io.fault.v1"


@dataclass
class Journal:
    """The sink of a replay; what it has written survives whatever happens next.

    The order matters: the bundle is on disk before anything speaks of it, and an envelope is in
    the outbox before it is a line in `events.jsonl`.
    """

    origin: Origin
    outbox: Outbox
    bundles: BundleWriter
    lines: Path | None = None
    """`events.jsonl` of a replay; a live box tells its broker and keeps no second copy."""
    on_envelope: Callable[[], None] = lambda: None
    """Called whenever an envelope has been stored: wakes the uplink."""
    outputs: Outputs | None = None
    storage: Storage | None = None
    """Gives up what the disk has no room for; None: a full disk is an error."""
    plate_key: Callable[[datetime], PlateKey] | None = field(default=None, repr=False)
    """Plates are told as a hash with the key of their time; None: in plain text."""
    envelopes: list[dict[str, Any]] = field(default_factory=list, init=False)
    """Of a replay, as `written` is."""
    written: dict[str, Bundle] = field(default_factory=dict, init=False)
    _untold: dict[tuple[str, str, int], Bundle] = field(default_factory=dict, init=False)
    """By camera, subject and revision: written, but not yet said to be."""

    def __enter__(self) -> Journal:
        if self.bundles.log is not None:
            self.bundles.log.keep = self._keep_leaf
        if self.origin.resumes:
            self._recover()
        if self.lines is not None:
            try:  # unbuffered: nothing is left over to fail on closing
                self._file = self.lines.open("wb", buffering=0)
            except OSError as error:
                raise _cannot_write(self.lines, error) from error
        if self.origin.resumes:
            self._tell_filed()
            self.tell_deletions()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.lines is not None:
            self._file.close()
        if kind is None:
            self.checkpoint()

    def change(self, bundles: BundleWriter, storage: Storage | None) -> None:
        """From now on speak, and write evidence, by another site file.

        What waits may still be of a camera that is no more.
        """
        cameras = {**self.origin.cameras, **bundles.origin.cameras}
        bundles.origin = replace(bundles.origin, cameras=cameras)
        self.origin, self.bundles, self.storage = bundles.origin, bundles, storage
        if bundles.log is not None:
            bundles.log.keep = self._keep_leaf

    def checkpoint(self) -> Note | None:
        """Put the log on the disk and sign it; returns the checkpoint, None without a log."""
        log = self.bundles.log
        if log is None:
            return None
        signed = log.checkpoint()
        self.outbox.forget_leaves(log.size)
        return signed

    def event(self, event: Event, is_late: bool = False) -> None:
        """Store one event, unless it is a mere suspicion; one that comes late moves nothing."""
        if event.phase not in INTERNAL:
            shown = replace(event, plate=self._plate(event.plate, event.wall))
            self._keep(event_envelope(shown, self.origin))
        if event.kind == GRANT and self.outputs is not None and not is_late:
            # Told before it is done: what opened a gate is known even if the power fails now.
            pulse = self.outputs.pulse(event.facts["output"], event.wall)
            if pulse is not None:
                self._keep(event_envelope(_pulse_event(event, pulse), self.origin))

    def case(self, case: Case, clip: bytes | None) -> None:
        """Write the bundle, then say that it exists; tried again, it is not written again."""
        key = (case.begin.camera, case.subject, case.revision)
        if key not in self._untold:
            self._untold[key] = (self.storage or self.bundles).write(case, clip)
        bundle = self._untold[key]
        if self.lines is not None:
            self.written[bundle.case_id] = bundle
        self._tell(bundle, case)
        del self._untold[key]

    def _tell(self, bundle: Bundle, case: Case) -> None:
        at = case.latest.wall
        latest = replace(case.latest, plate=self._plate(case.latest.plate, at))
        shown = replace(case, latest=latest, plate=self._plate(case.plate, at))
        if "shed" in bundle.manifest:
            self._keep(event_envelope(_shed_event(latest, bundle.manifest["shed"]), self.origin))
        # Last, so that what fails before it can be done again without telling the case twice.
        self._keep(case_envelope(bundle, shown, self.origin))

    def _tell_filed(self) -> None:
        """Say of the newest bundles that they exist where a power cut kept that from being said."""
        for bundle in self.bundles.newest(RETOLD):
            case = case_of(Manifest.model_validate(bundle.manifest))
            if not self.outbox.knows(case_envelope(bundle, case, self.origin)["id"]):
                self._tell(bundle, case)

    def tell_deletions(self) -> None:
        """Say of every deleted bundle of which no event speaks yet that it was deleted."""
        for path in tombstone.untold(self.bundles.folder):
            grave, _ = tombstone.read(path)
            event = tombstone.as_event(grave, list(self.origin.cameras))
            self._keep(deletion_envelope(event, grave.case, self.origin))
            tombstone.mark_told(path)

    def _plate(self, plate: Plate, at: datetime) -> Plate:
        """What is told of a plate outside of evidence."""
        if plate is None or self.plate_key is None or plate["text"] is None:
            return plate
        return {**plate, "text": None, **self.plate_key(at).hide(plate["text"])}

    def _keep(self, envelope: dict[str, Any]) -> None:
        log = self.bundles.log
        place = None if log is None else LogPlace(log.origin, log.size)
        stored = self._with_room(lambda: self.outbox.add(envelope, topic(envelope), place))
        record = canonical(stored)
        # What is told again, after a kill or by a resumed replay, has its old place already.
        if log is not None and place is not None and stored["data"].get("log") == place.as_json():
            log.append_leaf(leaf_hash(record))
        if self.lines is not None:
            self._append(self.lines, record + b"\n")
            self.envelopes.append(stored)
        logger.log(_level(stored), "told", extra=_log_fields(stored))
        self.on_envelope()

    def _keep_leaf(self, index: int, leaf: bytes) -> None:
        self._with_room(lambda: self.outbox.keep_leaf(index, leaf))

    def _with_room(self, store: Callable[[], T]) -> T:
        try:
            return store()
        except UplinkError:
            if self.storage is None or not self.storage.ballast.release():
                raise
            return store()

    def _recover(self) -> None:
        """Append what the outbox and the evidence folder know and a power cut kept from the log."""
        log = self.bundles.log
        if log is None:
            return
        for index, leaf in self.outbox.leaves(log.size):
            if index == log.size:
                log.append_leaf(leaf)
        if self.outbox.last_leaf >= log.size:
            raise EvidenceError(
                f"{log.folder}: the log ends before entry {self.outbox.last_leaf}, which the "
                "outbox has: an older copy was restored, or it was lost; restore the newest one"
            )
        self.bundles.recover()
        self.checkpoint()

    def _append(self, path: Path, line: bytes) -> None:
        """Write a whole line, or raise EvidenceError and leave the whole lines before it."""
        end = self._file.tell()
        try:
            while line:  # a disk that fills up takes the part that fits
                line = line[self._file.write(line) :]
        except OSError as error:
            self._file.truncate(end)
            raise _cannot_write(path, error) from error


def _level(envelope: Mapping[str, Any]) -> int:
    """A camera that cannot vouch for its zones is for whoever keeps the box well."""
    is_fault = envelope["type"] == FAULT and envelope["data"]["phase"] == "begin"
    return logging.WARNING if is_fault else logging.INFO


def _log_fields(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """What happened where: the `extra` of a log line."""
    data = envelope["data"]
    told = {"type": envelope["type"], "camera": data["source"]["camera"]}
    for name in LOGGED:
        if name in data:
            value = data[name]
            told[name] = ",".join(value) if isinstance(value, list) else value
    return {**told, "subject": envelope["subject"]}


def _pulse_event(cause: Event, pulse: Pulse) -> Event:
    """What a contact did, and by which decision."""
    facts = {
        "output": pulse.output,
        "pulse_ms": pulse.pulse_ms,
        "backend": pulse.backend,
        "cause": cause.kind,
    }
    return replace(cause, kind="io.out", track=None, zone=None, plate=None, facts=facts)


def _shed_event(cause: Event, shed: Mapping[str, JSON]) -> Event:
    """What the disk had no room for."""
    return replace(cause, kind="storage.shed", track=None, zone=None, plate=None, facts=shed)


def _cannot_write(path: Path, error: OSError) -> EvidenceError:
    return EvidenceError(
        f"{path}: cannot be written ({error.strerror}): free some space or choose another --out; "
        "what was decided so far is kept, and the same command resumes"
    )
