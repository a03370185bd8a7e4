"""What a disk may hold after a power cut: a recording of file operations, played up to a moment.

The rules are POSIX's own, which are weaker than any file system's: a file's bytes are on the disk
after its `fsync`, its name after the `fsync` of its folder. Of what came after that anything may
be there: nothing, all of it, or some.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True)
class Operation:
    """One call that succeeded."""

    boundary: int
    what: str
    path: str
    to: str
    at: int
    data: bytes


def read_record(path: Path, root: Path) -> Iterator[Operation]:
    """What `faults.so` told, with paths below `root`."""
    record = path.read_bytes()
    position = 0
    while position < len(record):
        end = record.index(b"\n", position)
        number, what, name, to, at, size = record[position:end].decode().split("\t")
        position = end + 1 + int(size)
        data = record[end + 1 : position]
        yield Operation(int(number), what, _below(root, name), _below(root, to), int(at), data)


def _below(root: Path, name: str) -> str:
    return str(PurePosixPath(name).relative_to(root)) if name else ""


@dataclass(eq=False, slots=True)
class File:
    """A file's bytes: on the disk, and what was done to them since."""

    safe: bytes = b""
    pending: list[Operation] = field(default_factory=list)

    def after(self, chosen: list[Operation]) -> bytes:
        data = bytearray(self.safe)
        for each in chosen:
            if each.what == "write":
                data.extend(bytes(max(0, each.at - len(data))))
                data[each.at : each.at + len(each.data)] = each.data
            elif each.what == "truncate":
                del data[each.at :]
                data.extend(bytes(each.at - len(data)))
            else:
                data.extend(bytes(max(0, each.at - len(data))))
        return bytes(data)


Change = dict[str, "File | Folder | None"]
"""Names of one folder that change at once; None: gone."""


@dataclass(eq=False, slots=True)
class Folder:
    """A folder's names: on the disk, and what was done to them since."""

    safe: dict[str, File | Folder] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)

    def after(self, chosen: list[Change]) -> dict[str, File | Folder]:
        names: dict[str, File | Folder | None] = dict(self.safe)
        for change in chosen:
            names |= change
        return {name: each for name, each in names.items() if each is not None}

    def now(self) -> dict[str, File | Folder]:
        return self.after(self.pending)


class Disk:
    """Plays operations, and tells what is left of them when the power goes."""

    def __init__(self) -> None:
        self.root = Folder()

    def play(self, done: Operation) -> None:
        folder, name = self._place(done.path)
        if done.what == "create":
            folder.pending.append({name: File()})
        elif done.what == "mkdir":
            folder.pending.append({name: Folder()})
        elif done.what in ("unlink", "rmdir"):
            folder.pending.append({name: None})
        elif done.what == "rename":
            other, new = self._place(done.to)
            assert other is folder, "only renaming within a folder is known to be atomic"
            folder.pending.append({name: None, new: folder.now()[name]})
        elif done.what == "sync":
            self._sync(done.path)
        else:
            target = folder.now()[name]
            assert isinstance(target, File)
            target.pending.append(done)

    def _sync(self, path: str) -> None:
        each: File | Folder = self.root
        if path != ".":
            folder, name = self._place(path)
            each = folder.now()[name]
        if isinstance(each, File):
            each.safe = each.after(each.pending)
        else:
            each.safe = each.now()
        each.pending.clear()

    def _place(self, path: str) -> tuple[Folder, str]:
        *above, name = PurePosixPath(path).parts or ("",)
        folder = self.root
        for step in above:
            inner = folder.now()[step]
            assert isinstance(inner, Folder)
            folder = inner
        return folder, name

    def leave(self, target: Path, keep: Keep) -> None:
        """Make `target` what the disk holds; shared memory (`-shm`) never survives."""
        self._leave(self.root, target, keep)

    def _leave(self, folder: Folder, target: Path, keep: Keep) -> None:
        target.mkdir()
        for name, each in sorted(folder.after(keep.names(folder.pending)).items()):
            if isinstance(each, Folder):
                self._leave(each, target / name, keep)
            elif not name.endswith("-shm"):
                (target / name).write_bytes(each.after(keep.bytes(each.pending)))


@dataclass
class Keep:
    """What of the unsafe a power cut leaves: shares of names and of writes that reach the disk."""

    name_share: float
    write_share: float
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def names(self, pending: list[Change]) -> list[Change]:
        """Names change in order: a journalling file system keeps a beginning of them."""
        count = sum(self.chance.random() < self.name_share for _ in pending)
        return pending[:count]

    def bytes(self, pending: list[Operation]) -> list[Operation]:
        """Data reaches the disk in any order."""
        return [each for each in pending if self.chance.random() < self.write_share]
