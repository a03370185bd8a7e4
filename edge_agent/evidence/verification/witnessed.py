"""What witnesses say of a bundle: not earlier than one cosignature, not later than another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from edge_agent.clock import utc_text
from edge_agent.evidence.bundle.logged import PROOF, Flaw
from edge_agent.evidence.bundle.manifest import Cosigned, Manifest
from edge_agent.evidence.log import Checkpoint, Note, Proof, Signature, Vkey
from edge_agent.evidence.log.note import decode, encode
from edge_agent.evidence.verification.standing import SLACK
from edge_agent.text import printable


def known_before(note: Note, witnesses: Sequence[Vkey]) -> Cosigned | None:
    """What a manifest says of a cosigned checkpoint that is older than itself."""
    told = Checkpoint.parse(note.text)
    for key in witnesses:
        signature = note.signed_by(key)
        if signature is not None:
            return Cosigned(
                size=told.size,
                root=told.root.hex(),
                witness=key.name,
                utc=utc_text(_when(signature)),
                signature=encode(signature.key_id + signature.data),
            )
    return None


@dataclass
class TimeBracket:
    """When a bundle was made, by the word of witnesses whom a verifier believes."""

    witnesses: Sequence[Vkey]
    not_before: datetime | None = field(default=None, init=False)
    not_after: datetime | None = field(default=None, init=False)

    def __str__(self) -> str:
        words = [] if self.not_before is None else [f"after {utc_text(self.not_before)}"]
        words += [] if self.not_after is None else [f"by {utc_text(self.not_after)}"]
        return "made " + " and ".join(words) + ", as witnessed"

    def as_json(self) -> dict[str, str | None]:
        """Both ends in RFC 3339; null: nobody knows."""
        ends = {"not_before": self.not_before, "not_after": self.not_after}
        return {name: None if at is None else utc_text(at) for name, at in ends.items()}

    def flaws(self, manifest: Manifest, proof: bytes) -> Iterator[Flaw]:
        """Find both ends; what is wrong with the cosignatures or with the times that they prove."""
        if manifest.log is None:
            yield "witness", "", "is in no log, so that no witness can have seen it"
            return
        yield from self._later(proof)
        yield from self._earlier(manifest)
        if manifest.source.kind == "replay":
            return  # a replay shows the past
        shown = manifest.case.latest.utc
        moment = datetime.fromisoformat(shown)
        if self.not_after is not None and self.not_after + SLACK < moment:
            when = utc_text(self.not_after)
            yield "time", PROOF, f"a witness saw it at {when}, before what it shows: {shown}"
        if self.not_before is not None and moment + SLACK < self.not_before:
            when = utc_text(self.not_before)
            yield "time", "manifest.json", f"knows of {when}, later than what it shows: {shown}"

    def _later(self, proof: bytes) -> Iterator[Flaw]:
        try:
            note = Proof.from_bytes(proof).note
        except ValueError:
            return  # said already
        for key in self.witnesses:
            try:
                signature = note.signed_by(key)
                found = None if signature is None else _when(signature)
            except ValueError as error:
                yield "witness", PROOF, printable(str(error))
                continue
            if found is not None:
                self.not_after = min(self.not_after or found, found)
        if self.not_after is None:
            yield "witness", PROOF, "no witness that is trusted has cosigned its checkpoint"

    def _earlier(self, manifest: Manifest) -> Iterator[Flaw]:
        known = manifest.log and manifest.log.after
        if not known or not manifest.log:
            return
        text = Checkpoint(manifest.log.origin, known.size, bytes.fromhex(known.root)).text
        try:
            raw = decode(known.signature)
            note = Note(text, (Signature(known.witness, raw[:4], raw[4:]),))
            signature = next(filter(None, map(note.signed_by, self.witnesses)), None)
            self.not_before = None if signature is None else _when(signature)
        except ValueError as error:
            yield "witness", "manifest.json", f"log.after: {printable(str(error))}"
            return
        if self.not_before is None:
            return  # by a witness whom nobody asks
        if utc_text(self.not_before) != known.utc or known.size > manifest.log.index:
            yield "witness", "manifest.json", "log.after is not what the witness signed"


def _when(signature: Signature) -> datetime:
    try:
        return datetime.fromtimestamp(signature.when_s, UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise ValueError("a cosignature's time is out of all range") from error
