"""The append-only log of one device, or of one replay.

Appending costs a hash and no I/O; `checkpoint` makes everything durable: first the tiles, then
the signed checkpoint, which is what counts. Cut anywhere, the log opens at its latest checkpoint,
and whoever keeps the records (the outbox, the staged bundle) appends what came after it again.
Nothing signed is handed out before it is on the disk, so no two checkpoints ever contradict.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from functools import lru_cache
from pathlib import Path

from edge_agent.errors import EvidenceError
from edge_agent.evidence.log import merkle
from edge_agent.evidence.log.checkpoint import Checkpoint
from edge_agent.evidence.log.key import LogKey
from edge_agent.evidence.log.note import Note, Vkey
from edge_agent.evidence.log.proof import Proof
from edge_agent.evidence.log.tiles import (
    MINIMUM_FILE,
    TILE_BYTES,
    WIDTH,
    WIDTH_BITS,
    Tiles,
    subtree,
    widths,
)
from edge_agent.evidence.staging import cannot, make_folder, write_whole

CHECKPOINT_FILE = "checkpoint"
CACHED_TILES = 64


class MerkleLog:
    """Appends records, signs checkpoints, and proves what is in it.

    Single-threaded, like the journal that owns it. With `resumes` False it begins anew, whatever
    the folder holds. Raises EvidenceError for a folder that contradicts its own checkpoint.
    """

    size: int
    _edge: list[bytearray]
    """Per level, the hashes of its newest tile."""
    _full: dict[tuple[int, int], bytes]
    """Tiles that became full since the newest checkpoint."""
    _signed: Note | None
    _signed_size: int

    def __init__(self, folder: Path, key: LogKey, origin: str, resumes: bool = True) -> None:
        make_folder(folder)
        self.folder = folder
        self.origin = origin
        self.keep: Callable[[int, bytes], None] = lambda index, leaf: None
        """Keeps a new entry's leaf safe until the next checkpoint; may refuse it by raising."""
        self._key = key
        self._tiles = Tiles(folder)
        self._stored = lru_cache(CACHED_TILES)(self._tiles.read)
        self._begin()
        if resumes:
            self._resume()
        else:
            self.restart()

    @property
    def vkey(self) -> Vkey:
        """What verifies this log's checkpoints."""
        return self._key.vkey(self.origin)

    @property
    def signed(self) -> Note | None:
        """The newest signed checkpoint; None before the first."""
        return self._signed

    @property
    def signed_size(self) -> int:
        """Number of records under the newest checkpoint: what a power cut cannot take."""
        return self._signed_size

    def append(self, record: bytes) -> int:
        """Add a record; returns its index."""
        leaf = merkle.leaf_hash(record)
        self.keep(self.size, leaf)
        return self.append_leaf(leaf)

    def append_leaf(self, leaf: bytes) -> int:
        """As `append`, for a record whose leaf is kept safe already; returns its index."""
        index, found = self.size, leaf
        for level in range(len(self._edge) + 1):
            if level == len(self._edge):
                self._edge.append(bytearray())
            newest = self._edge[level]
            newest += found
            if len(newest) < TILE_BYTES:
                break
            full = bytes(newest)
            self._full[level, index >> WIDTH_BITS * (level + 1)] = full
            found = subtree(full, 0, WIDTH)
            newest.clear()
        self.size += 1
        return index

    def leaf(self, index: int) -> bytes:
        """The leaf hash of a record."""
        return self._node(0, index)

    def root(self, size: int | None = None) -> bytes:
        """Root of the tree, or of what it was at that size."""
        return merkle.root(self._node, 0, self.size if size is None else size)

    def checkpoint(self) -> Note:
        """Make everything durable, and sign it; does nothing when nothing was added."""
        if self._signed is not None and self._signed_size == self.size:
            return self._signed
        newest = widths(self.size)
        for (level, index), full in self._full.items():
            self._tiles.write(level, index, full)
        for level, (index, width) in enumerate(newest):
            if width:
                self._tiles.write(level, index, bytes(self._edge[level]))
        text = Checkpoint(self.origin, self.size, self.root()).text
        signed = Note(text, (self._key.sign(text, self.origin),))
        write_whole(self.folder / CHECKPOINT_FILE, signed.to_bytes())
        for level, index in self._full:
            self._tiles.tidy(level, index, WIDTH)
        for level, (index, width) in enumerate(newest):
            self._tiles.tidy(level, index, width)
        self._full.clear()
        self._signed, self._signed_size = signed, self.size
        return signed

    def prove(self, index: int) -> Proof:
        """That a record is under the newest checkpoint, which must have been signed after it."""
        if self._signed is None or not 0 <= index < self._signed_size:
            raise ValueError(f"entry {index} is under no checkpoint yet")
        return Proof(index, self.inclusion(index, self._signed_size), self._signed)

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """Audit path of a record in the tree, or in what it was at that size."""
        return merkle.inclusion(self._node, index, self.size if size is None else size)

    def consistency(self, old: int, new: int | None = None) -> tuple[bytes, ...]:
        """Proof that the tree of the old size is how the newer one begins."""
        return merkle.consistency(self._node, old, self.size if new is None else new)

    @property
    def minimum(self) -> int:
        """Of the records before this one proofs may have become impossible."""
        return self._tiles.minimum

    def stored_before(self, when_s: float) -> int:
        """How many of the first records were on the disk before that time (POSIX seconds)."""
        return self._tiles.stored_before(when_s)

    def prune(self, minimum: int, keep: Collection[int] = ()) -> int:
        """Forget what only proofs about records before `minimum` need, those in `keep` excepted.

        Proofs that were handed out stay valid, the log goes on, and every record from `minimum`
        on can still be proven (c2sp.org/tlog-tiles, Pruning). Returns how many tiles were removed;
        raises ValueError beyond the newest checkpoint.
        """
        if not 0 <= minimum <= self._signed_size:
            raise ValueError(f"cannot forget {minimum} records: {self._signed_size} are signed")
        self._stored.cache_clear()
        return self._tiles.prune(minimum, keep)

    def restart(self) -> None:
        """Forget everything; without its checkpoint, what lies in the folder counts no more."""
        try:
            (self.folder / CHECKPOINT_FILE).unlink(missing_ok=True)
            (self.folder / MINIMUM_FILE).unlink(missing_ok=True)
            shutil.rmtree(self.folder / "tile", ignore_errors=True)
        except OSError as error:
            raise cannot(self.folder, "be cleared", error) from error
        self._begin()

    def _begin(self) -> None:
        self.size = 0
        self._edge = []
        self._full = {}
        self._signed = None
        self._signed_size = 0
        self._stored.cache_clear()

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT_FILE
        try:
            signed = Note.from_bytes(path.read_bytes())
            told = Checkpoint.parse(signed.text)
            if told.origin != self.origin or signed.signed_by(self.vkey) is None:
                raise ValueError(
                    f"is not a checkpoint of {self.origin} by this device's log key; "
                    "run as the user (and with the home) that wrote it"
                )
        except FileNotFoundError:
            return
        except OSError as error:
            raise cannot(path, "be read", error) from error
        except ValueError as error:
            raise EvidenceError(
                f"{path}: {error}; restore it from a copy, or move the folder away to begin a new "
                "log, which witnesses will notice"
            ) from error
        for level, (index, width) in enumerate(widths(told.size)):
            newest = self._tiles.read(level, index, width) if width else b""
            self._edge.append(bytearray(newest))
        self.size = self._signed_size = told.size
        self._signed = signed
        if self.root() != told.root:
            raise EvidenceError(
                f"{self.folder}: the tiles do not lead to the root that the checkpoint names: "
                "damaged or tampered with; restore the folder from a copy"
            )

    def _node(self, level: int, index: int) -> bytes:
        """Root of a complete subtree, from the newest tiles in memory or from the disk."""
        tile_level, height = divmod(level, WIDTH_BITS)
        tile, first = divmod(index << height, WIDTH)
        held = self._full.get((tile_level, tile))
        if held is None and tile == self.size >> WIDTH_BITS * (tile_level + 1):
            held = bytes(self._edge[tile_level])
        data = self._stored(tile_level, tile) if held is None else held
        return subtree(data, first, 1 << height)
