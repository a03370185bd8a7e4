"""The file that proves offline that a record is in a log (c2sp.org/tlog-proof)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_agent.evidence.log.checkpoint import Checkpoint
from edge_agent.evidence.log.merkle import HASH_BYTES, leaf_hash, root_of_path
from edge_agent.evidence.log.note import MAX_BYTES, Note, decode, encode

HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Proof:
    """Which entry, its audit path, and the signed checkpoint that the path leads to."""

    index: int
    path: tuple[bytes, ...]
    note: Note
    extra: bytes | None = None
    """Unauthenticated; this project writes none."""

    @property
    def checkpoint(self) -> Checkpoint:
        """What the note says; raises ValueError when that is no checkpoint."""
        return Checkpoint.parse(self.note.text)

    def flaw(self, record: bytes) -> str | None:
        """Why the path does not lead from this record to the checkpoint's root; None: it does."""
        try:
            told = self.checkpoint
            found = root_of_path(leaf_hash(record), self.index, told.size, self.path)
        except ValueError as error:
            return str(error)
        return None if found == told.root else "the audit path does not lead to the root"

    def to_bytes(self) -> bytes:
        """The file's content."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {encode(self.extra)}")
        lines += [f"index {self.index}", *map(encode, self.path), ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.note.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Proof:
        """Parse; raises ValueError for what `to_bytes` would not have written."""
        if len(data) > MAX_BYTES:
            raise ValueError("is larger than any proof")
        head, blank, rest = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise ValueError("is not a proof") from error
        if not blank or lines.pop(0) != HEADER:
            raise ValueError(f"is not a proof of the kind {HEADER}")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode(lines.pop(0).removeprefix("extra "))
        index = _INDEX.fullmatch(lines.pop(0)) if lines else None
        path = tuple(decode(line) for line in lines)
        if index is None or any(len(step) != HASH_BYTES for step in path):
            raise ValueError("is not a proof: its index or its path cannot be read")
        return cls(int(index[1]), path, Note.from_bytes(rest), extra)
