"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from edge_agent.errors import EvidenceError

_CURES = {
    errno.ENOSPC: "free some space or name another folder",
    errno.EDQUOT: "free some space or name another folder",
    errno.EFBIG: "raise the file size limit or name another folder",
    errno.EACCES: "check who owns the folder",
    errno.EPERM: "check who owns the folder",
    errno.EROFS: "name a folder that can be written to",
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class NoSpace(EvidenceError):  # noqa: N818  (less would fit)
    """There is no room on the disk for this much."""


def cannot(path: Path, doing: str, error: OSError) -> EvidenceError:
    """The error to raise when the system refuses what a file should do, e.g. `be written`."""
    cure = _CURES.get(error.errno or 0, "check the folder and the disk")
    kind = NoSpace if error.errno in _FULL else EvidenceError
    return kind(f"{path}: cannot {doing}: {error.strerror or error}; {cure}")


def make_folder(folder: Path, mode: int = 0o755) -> None:
    """Make the folder and its parents, safe from a power cut; raises EvidenceError."""
    try:
        above = [path.parent for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
        for parent in reversed(above):
            sync_folder(parent)
    except OSError as error:
        raise cannot(folder, "be made a folder", error) from error


def write_whole(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace `path` by `data`, or raise EvidenceError and leave what was there untouched.

    The data is on the disk under a temporary name before it takes the real one, and the folder
    entry is on the disk before this returns: a power cut at any moment leaves old or new, whole.
    """
    staged = path.with_name(f".{path.name}.part")
    try:
        staged.unlink(missing_ok=True)
        with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)
        raise cannot(path, "be written", error) from error


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on the disk; raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
