"""What a witness knows of every log: the newest checkpoint that it cosigned, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.errors import EvidenceError
from edge_agent.evidence.log import Checkpoint, Note, Vkey, cosign
from edge_agent.evidence.log.merkle import is_consistent
from edge_agent.evidence.log.note import COSIGNATURE
from edge_agent.evidence.staging import cannot, make_folder, write_whole
from edge_agent.witness.request import Request

Why = Literal["unknown", "unsigned", "malformed", "behind", "fork", "truncated"]
ALARMING: frozenset[Why] = frozenset({"fork", "truncated"})
"""What a faultless log never does, signed by its own key: proof of a break-in or a restored box."""


class Refusal(Exception):  # noqa: N818  (an answer, not a failure of ours)
    """Why a checkpoint was not cosigned."""

    def __init__(self, why: Why, origin: str, text: str) -> None:
        super().__init__(f"{origin}: {text}")
        self.why = why
        self.origin = origin

    @property
    def is_alarming(self) -> bool:
        return self.why in ALARMING


class WitnessBook:
    """Cosigns checkpoints of the logs that it was told of; what it has cosigned is on the disk.

    Single-threaded. Follows c2sp.org/tlog-witness.
    """

    def __init__(
        self, folder: Path, name: str, key: Ed25519PrivateKey, logs: Mapping[str, Vkey]
    ) -> None:
        make_folder(folder)
        self._folder = folder
        self._key = key
        self._logs = dict(logs)
        self.vkey = Vkey(name, key.public_key().public_bytes_raw(), COSIGNATURE)
        self._newest = {origin: self._stored(origin) for origin in logs}

    def newest(self, origin: str) -> Note | None:
        """The newest checkpoint of a log that it cosigned, with its cosignature."""
        return self._newest.get(origin)

    def cosign(self, request: Request, when_s: int) -> Note:
        """Vouch for a checkpoint at that time (POSIX seconds), or raise Refusal.

        The answer is safe on the disk before it is given. A request about the same checkpoint
        again is answered with a new time: the log has not changed since.
        """
        told = self._told(request.note)
        self._check(request, told)
        signature = cosign(request.note.text, self.vkey.name, self._key, when_s)
        own = request.note.signed_by(self._logs[told.origin])
        signatures = (own, signature) if own is not None else (signature,)
        answer = Note(request.note.text, signatures)
        write_whole(self._path(told.origin), answer.to_bytes())
        self._newest[told.origin] = answer
        return answer

    def observe(self, note: Note) -> Checkpoint:
        """Take note of a published checkpoint; raises Refusal for one that contradicts the book."""
        told = self._told(note)
        known = self._known(told.origin)
        if known is not None and told.size < known.size:
            raise self._truncated(told, known)
        if known is not None and told.size == known.size and told.root != known.root:
            raise self._fork(told, known)
        return told

    def _told(self, note: Note) -> Checkpoint:
        """What the note says, once a log that we know of has signed it."""
        try:
            told = Checkpoint.parse(note.text)
        except ValueError as error:
            raise Refusal("malformed", "a note", str(error)) from error
        vkey = self._logs.get(told.origin)
        if vkey is None:
            raise Refusal("unknown", told.origin, "no log of this name is in the witness's file")
        try:
            signature = note.signed_by(vkey)
        except ValueError as error:
            raise Refusal("unsigned", told.origin, str(error)) from error
        if signature is None:
            raise Refusal("unsigned", told.origin, "its checkpoint is signed by another key")
        return told

    def _check(self, request: Request, told: Checkpoint) -> None:
        known = self._known(told.origin)
        old_size, old_root = (known.size, known.root) if known else (0, b"")
        if known is not None and told.size < known.size:
            raise self._truncated(told, known)
        if request.old_size != old_size:
            text = f"extends {request.old_size} records, but {old_size} are cosigned already"
            raise Refusal("behind", told.origin, text)
        if known is None:
            if request.steps:
                raise Refusal("malformed", told.origin, "a first checkpoint needs no proof")
            return
        if not is_consistent((old_size, old_root), (told.size, told.root), request.steps):
            raise self._fork(told, known)

    def _known(self, origin: str) -> Checkpoint | None:
        note = self._newest.get(origin)
        return None if note is None else Checkpoint.parse(note.text)

    def _truncated(self, told: Checkpoint, known: Checkpoint) -> Refusal:
        text = f"its log had {known.size} records and now has {told.size}: cut back or set up anew"
        return Refusal("truncated", told.origin, text)

    def _fork(self, told: Checkpoint, known: Checkpoint) -> Refusal:
        text = (
            f"its log of {told.size} records does not continue the {known.size} that were "
            "cosigned: forked, or the device's key is used elsewhere"
        )
        return Refusal("fork", told.origin, text)

    def _path(self, origin: str) -> Path:
        return self._folder / f"{hashlib.sha256(origin.encode()).hexdigest()}.checkpoint"

    def _stored(self, origin: str) -> Note | None:
        path = self._path(origin)
        try:
            note = Note.from_bytes(path.read_bytes())
            is_ours = note.signed_by(self.vkey) is not None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise cannot(path, "be read", error) from error
        except ValueError as error:
            raise EvidenceError(f"{path}: {error}; restore it from a copy") from error
        if not is_ours:
            raise EvidenceError(
                f"{path}: was not cosigned by {self.vkey.name} with the present key; "
                "restore the key that belongs to this folder"
            )
        return note
