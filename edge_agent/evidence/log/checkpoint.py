"""What a log says of itself: so many records, under this root (c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_agent.evidence.log.merkle import HASH_BYTES
from edge_agent.evidence.log.note import decode, encode

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One state of one log."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    """Further lines, which this project neither writes nor heeds."""

    @property
    def text(self) -> str:
        """What is signed."""
        lines = (self.origin, str(self.size), encode(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a note's text; raises ValueError for what `text` would not have written."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() or not all(lines):
            raise ValueError("is not a checkpoint: it has fewer than three lines, or empty ones")
        origin, size, root, *extensions = lines
        if _SIZE.fullmatch(size) is None:
            raise ValueError("is not a checkpoint: its second line is not a number of records")
        hashed = decode(root)
        if len(hashed) != HASH_BYTES:
            raise ValueError("is not a checkpoint: its third line is not a SHA-256 hash")
        return cls(origin, int(size), hashed, tuple(extensions))
