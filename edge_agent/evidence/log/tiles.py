"""Where the tree's hashes lie: files of 256 hashes each (c2sp.org/tlog-tiles).

`tile/0/000` holds the hashes of the first 256 records, `tile/1/000` the roots of the first 256
such files, and so on. The newest file of each level is partial, `tile/0/004.p/17`. A full tile
never changes. A partial one is replaced by longer ones, and only the newest is kept: the others
are how it begins. What lies there counts as far as a checkpoint reaches, never further.

`minimum` says which records' tiles may have been removed. A proof about one record, and one that
a tree of a certain size is how the log begins, takes from each level only the tile above that
record, or above the last one of that size: so single records can be spared.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection
from pathlib import Path

from edge_agent.errors import EvidenceError
from edge_agent.evidence.log.merkle import HASH_BYTES, fold
from edge_agent.evidence.staging import cannot, make_folder, write_whole

WIDTH_BITS = 8
WIDTH = 1 << WIDTH_BITS
TILE_BYTES = WIDTH * HASH_BYTES
MINIMUM_FILE = "minimum"
_STEP = re.compile(r"x?[0-9]{3}")


def tile_name(level: int, index: int, width: int = WIDTH) -> str:
    """Path of a tile inside its log's folder, e.g. `tile/0/x001/067.p/17`."""
    steps = [f"{index % 1000:03d}"]
    while index := index // 1000:
        steps.insert(0, f"x{index % 1000:03d}")
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(steps)}{partial}"


def widths(size: int) -> list[tuple[int, int]]:
    """Index and number of hashes of each level's newest tile in a tree of that size."""
    found = []
    while size:
        found.append((size >> WIDTH_BITS, size % WIDTH))
        size >>= WIDTH_BITS
    return found


def subtree(tile: bytes, first: int, count: int) -> bytes:
    """Root over `count` (a power of two) hashes of a tile, from the `first` on."""
    starts = range(first * HASH_BYTES, (first + count) * HASH_BYTES, HASH_BYTES)
    return fold([tile[at : at + HASH_BYTES] for at in starts])


class Tiles:
    """The tiles in one log's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, level: int, index: int, width: int = WIDTH) -> Path:
        return self._folder / tile_name(level, index, width)

    def read(self, level: int, index: int, width: int = WIDTH) -> bytes:
        """The first `width` hashes of a tile.

        The exact file is asked first: longer ones may be left over from a checkpoint that a
        power cut prevented.
        """
        whole = self.path(level, index)
        partials = whole.with_name(f"{whole.name}.p")
        longer = [path for path in partials.glob("[1-9]*") if width <= int(path.name) < WIDTH]
        for path in (*sorted(longer, key=lambda path: int(path.name)), whole):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise cannot(path, "be read", error) from error
            if len(data) >= width * HASH_BYTES:
                return data[: width * HASH_BYTES]
        raise EvidenceError(
            f"{whole}: {width} hashes of the log are not there: pruned, lost, or cut short; "
            "restore the folder from a copy"
        )

    def write(self, level: int, index: int, hashes: bytes) -> None:
        """Store a tile, partial or full; whole or not at all."""
        path = self.path(level, index, len(hashes) // HASH_BYTES)
        make_folder(path.parent)
        write_whole(path, hashes)

    def tidy(self, level: int, index: int, width: int) -> None:
        """Remove the partial tiles that this one, which is safely on the disk, has replaced."""
        whole = self.path(level, index)
        partials = whole.with_name(f"{whole.name}.p")
        for path in partials.glob("*"):
            if path.name != str(width):
                with contextlib.suppress(OSError):  # too many is no harm
                    path.unlink()
        if width == WIDTH:
            with contextlib.suppress(OSError):
                partials.rmdir()

    def full(self, level: int) -> list[tuple[int, Path]]:
        """The full tiles of a level that are there, in order."""
        folder = self._folder / f"tile/{level}"
        try:
            found = [(_index(path, folder), path) for path in folder.rglob("[0-9]*")]
        except OSError as error:
            raise cannot(folder, "be read", error) from error
        return sorted((index, path) for index, path in found if index is not None)

    @property
    def minimum(self) -> int:
        """The records before this one may have been forgotten: their tiles need not be there."""
        try:
            return int((self._folder / MINIMUM_FILE).read_text("ascii"))
        except (OSError, ValueError):
            return 0

    def stored_before(self, when_s: float) -> int:
        """How many of the first records lie in full tiles that are older (POSIX seconds).

        By the dates of the files: one that was restored from a copy counts from then on.
        """
        end = 0
        for index, path in self.full(0):
            try:
                if path.stat().st_mtime >= when_s:
                    break
            except OSError as error:
                raise cannot(path, "be read", error) from error
            end = (index + 1) * WIDTH
        return end

    def prune(self, minimum: int, keep: Collection[int] = ()) -> int:
        """Remove every full tile that only proofs about records before `minimum` need.

        Spared are those that lead from the records in `keep` to the root. That it will be done is
        on the disk first, so that a cut leaves nothing that looks lost, and what it left over goes
        the next time. Returns how many were removed.
        """
        if minimum > self.minimum:
            write_whole(self._folder / MINIMUM_FILE, f"{minimum}\n".encode())
        count, level = 0, 0
        while end := minimum >> WIDTH_BITS * (level + 1):
            spared = {index >> WIDTH_BITS * (level + 1) for index in keep}
            for index, path in self.full(level):
                if index < end and index not in spared:
                    _remove(path)
                    count += 1
            level += 1
        return count


def _index(path: Path, folder: Path) -> int | None:
    """Index of a full tile in its level's folder; None for a partial one."""
    steps = path.relative_to(folder).parts
    if not all(_STEP.fullmatch(step) for step in steps) or steps[-1].startswith("x"):
        return None
    return int("".join(step.removeprefix("x") for step in steps))


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot(path, "be removed", error) from error
    with contextlib.suppress(OSError):  # not empty yet
        path.parent.rmdir()
