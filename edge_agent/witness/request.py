"""What a log asks a witness: to cosign a checkpoint that extends the one it cosigned last.

The body of `add-checkpoint` (c2sp.org/tlog-witness), here carried by MQTT instead of HTTP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_agent.evidence.log import Note
from edge_agent.evidence.log.merkle import HASH_BYTES
from edge_agent.evidence.log.note import MAX_BYTES, decode, encode

MAX_STEPS = 63
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Request:
    """A checkpoint, and the proof that the older one is how it begins."""

    old_size: int
    """Of the checkpoint that the witness cosigned last, as far as the log knows; 0: of none."""
    steps: tuple[bytes, ...]
    note: Note

    def to_bytes(self) -> bytes:
        """The message's body."""
        lines = [f"old {self.old_size}", *map(encode, self.steps), ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.note.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Request:
        """Parse; raises ValueError for what `to_bytes` would not have written."""
        if len(data) > MAX_BYTES:
            raise ValueError("is larger than any request")
        head, blank, rest = data.partition(b"\n\n")
        try:
            first, *steps = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise ValueError("is not a request for a cosignature") from error
        old = _OLD.fullmatch(first)
        if not blank or old is None or len(steps) > MAX_STEPS:
            raise ValueError("is not a request for a cosignature")
        hashes = tuple(decode(step) for step in steps)
        if any(len(step) != HASH_BYTES for step in hashes):
            raise ValueError("holds a consistency proof that is no list of SHA-256 hashes")
        return cls(int(old[1]), hashes, Note.from_bytes(rest))
