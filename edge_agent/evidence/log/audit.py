"""Is a log on the disk what its checkpoint says, and are the given records entries of it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from edge_agent.errors import EvidenceError
from edge_agent.evidence.log.checkpoint import Checkpoint
from edge_agent.evidence.log.log import CACHED_TILES, CHECKPOINT_FILE
from edge_agent.evidence.log.merkle import HASH_BYTES, leaf_hash, root
from edge_agent.evidence.log.note import Note, Vkey
from edge_agent.evidence.log.tiles import WIDTH, WIDTH_BITS, Tiles, subtree, widths
from edge_agent.evidence.staging import cannot

Flaw = tuple[str, str]
"""Kind of failure (`leaf`, `inclusion`, `checkpoint`) and what is wrong."""


@dataclass
class LogAudit:
    """A log in a folder, read as somebody reads it who does not trust whoever wrote it."""

    folder: Path
    note: Note
    told: Checkpoint
    pruned: int = 0
    """Records at the beginning of which only what later proofs need, or was spared, is left."""
    shown: set[int] = field(default_factory=set)
    """Entries whose record was given."""

    def __post_init__(self) -> None:
        self._tiles = Tiles(self.folder)
        self._stored = lru_cache(CACHED_TILES)(self._tiles.read)
        self._newest = widths(self.told.size)

    @classmethod
    def open(cls, folder: Path) -> LogAudit:
        """Read the checkpoint; raises EvidenceError where there is none."""
        path = folder / CHECKPOINT_FILE
        try:
            note = Note.from_bytes(path.read_bytes())
            return cls(folder, note, Checkpoint.parse(note.text))
        except OSError as error:
            raise cannot(path, "be read", error) from error
        except ValueError as error:
            raise EvidenceError(f"{path}: {error}") from error

    def prune(self, minimum: int) -> None:
        """As `MerkleLog.prune`, for a log that nobody has opened or that goes on meanwhile."""
        if not 0 <= minimum <= self.told.size:
            raise EvidenceError(
                f"{self.folder}: has {self.told.size} entries, so {minimum} cannot be forgotten"
            )
        self._tiles.prune(minimum)

    def signature_flaws(self, key: Vkey) -> Iterator[Flaw]:
        """What is wrong with the log's own signature."""
        if key.name != self.told.origin:
            yield "checkpoint", f"the key is that of {key.name}, the log is {self.told.origin}"
            return
        try:
            if self.note.signed_by(key) is None:
                yield "checkpoint", "the checkpoint is not signed with this key"
        except ValueError as error:
            yield "checkpoint", str(error)

    def tree_flaws(self) -> Iterator[Flaw]:
        """Every hash in every tile that leads to another root than the checkpoint's."""
        for level, (full, _) in enumerate(self._newest):
            yield from self._level_flaws(level, full)
        try:
            found = root(self._node, 0, self.told.size)
        except EvidenceError as error:
            yield "inclusion", str(error)
            return
        if found != self.told.root:
            yield "inclusion", "the tiles do not lead to the root that the checkpoint names"

    def _level_flaws(self, level: int, full: int) -> Iterator[Flaw]:
        """Of a level's full tiles: those that are there, or were not pruned."""
        bits = WIDTH_BITS * (level + 1)
        forgotten = self._tiles.minimum >> bits
        for index in range(full):
            path = self._tiles.path(level, index)
            may_lack = index < forgotten
            if may_lack and not path.exists():
                self.pruned = max(self.pruned, (index + 1) << bits)
                continue
            if may_lack and not self._is_there(level + 1, index >> WIDTH_BITS):
                continue  # a cut left it over
            try:
                fits = subtree(self._tile(level, index), 0, WIDTH) == self._node(bits, index)
            except EvidenceError as error:
                yield "inclusion", str(error)
                continue
            if not fits:
                yield "inclusion", f"{path}: does not lead to the hash above it"

    def remembers(self, index: int) -> bool:
        """False for an entry of which nothing can be told any more, since it was pruned."""
        return index >= self.pruned or self._is_there(0, index >> WIDTH_BITS)

    def _is_there(self, level: int, index: int) -> bool:
        """The newest tile of a level always is."""
        is_newest = level >= len(self._newest) or index >= self._newest[level][0]
        return is_newest or self._tiles.path(level, index).exists()

    def record_flaw(self, index: int, record: bytes) -> Flaw | None:
        """Why this record is not the entry of that index; None: it is."""
        if not 0 <= index < self.told.size:
            return "leaf", f"would be entry {index} of {self.told.size}: cut off, or never there"
        if not self.remembers(index):
            return None
        try:
            found = self._node(0, index)
        except EvidenceError as error:
            return "inclusion", str(error)
        if found != leaf_hash(record):
            return "leaf", f"is not what entry {index} says: it was altered, or the log was"
        if index in self.shown:
            return "leaf", f"was given twice: it is entry {index}"
        self.shown.add(index)
        return None

    def earlier_flaw(self, earlier: Checkpoint) -> Flaw | None:
        """Why this log does not begin as an earlier checkpoint says; None: it does."""
        if earlier.origin != self.told.origin:
            return "checkpoint", f"is of another log: {earlier.origin}"
        if earlier.size > self.told.size:
            return "checkpoint", f"has {earlier.size} entries, the log {self.told.size}: cut off"
        try:
            found = root(self._node, 0, earlier.size)
        except EvidenceError as error:
            return "inclusion", str(error)
        same = found == earlier.root
        return None if same else ("checkpoint", "is of another history: the log was forked")

    def _tile(self, level: int, index: int) -> bytes:
        newest, width = self._newest[level]
        return self._stored(level, index, width if index == newest else WIDTH)

    def _node(self, level: int, index: int) -> bytes:
        tile_level, height = divmod(level, WIDTH_BITS)
        tile, first = divmod(index << height, WIDTH)
        count = 1 << height
        data = self._tile(tile_level, tile)
        if len(data) < (first + count) * HASH_BYTES:
            raise EvidenceError(f"{self.folder}: tile {tile} of level {tile_level} is cut short")
        return subtree(data, first, count)
