"""What was found in the evidence folder before, so that a start need not read every bundle again.

It is a cache, never evidence: it counts for a file only as long as that has the same size, date
and inode, and anybody may remove it. `evidence verify` does not know it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_agent.errors import EvidenceError
from edge_agent.evidence.staging import cannot, write_whole

log = logging.getLogger(__name__)

REGISTER_FILE = ".register.json"


@dataclass(frozen=True, slots=True)
class Link:
    """One bundle's place in the chain, and in the log."""

    index: int
    manifest_sha256: str
    entry: int | None = None
    """None: it is in no log."""


@dataclass(frozen=True, slots=True)
class Known:
    """What one file was when it was read."""

    stamp: str
    """Its size, date and inode."""
    case: str | None = None
    """None: a tombstone, which keeps its place in the chain and nothing else."""
    link: Link | None = None
    """None: it is none of this chain's, or cannot be read."""


class Register(BaseModel):
    """The files of one chain, by their names."""

    model_config = ConfigDict(extra="forbid", strict=True)
    origin: str
    files: dict[str, Known]

    @classmethod
    def read(cls, folder: Path, origin: str) -> Register:
        """What is known; nothing where that is another chain's, or cannot be read."""
        path = folder / REGISTER_FILE
        try:
            found = cls.model_validate_json(path.read_bytes())
            return found if found.origin == origin else cls(origin=origin, files={})
        except FileNotFoundError:
            pass
        except (OSError, ValidationError):
            log.warning("register unreadable: every bundle is read", extra={"path": str(path)})
        return cls(origin=origin, files={})

    def write(self, folder: Path) -> None:
        """Keep it for the next start, which is only slower where the disk does not take it."""
        try:
            write_whole(folder / REGISTER_FILE, self.model_dump_json().encode())
        except EvidenceError as error:
            log.warning("register not stored", extra={"why": str(error)})


def stamps(folder: Path, ending: str) -> Iterator[tuple[str, str]]:
    """Name and stamp of every such file, by name; raises EvidenceError."""
    try:
        if not folder.exists():
            return
        with os.scandir(folder) as entries:
            found = [
                (entry.name, entry.stat(follow_symlinks=False))
                for entry in entries
                if entry.name.endswith(ending)
            ]
    except OSError as error:
        raise cannot(folder, "be read", error) from error
    for name, stat in sorted(found, key=lambda pair: pair[0]):
        yield name, f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"
