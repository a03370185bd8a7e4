"""Plates that are known by their keyed hash only, where privacy asks for it.

HMAC-SHA-256 (RFC 2104). There are so few plates that a hash without a key is undone by trying them
all; with it, whoever has the key can still do that, so it stays on the box.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge_agent.errors import ConfigError

HASH: Final = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class PlateKey:
    """What plates are hashed with."""

    secret: bytes = field(repr=False)
    name: str | None = None
    """Of one that is followed by others: the first day of its period."""

    def hide(self, text: str) -> dict[str, str]:
        """What is told in place of the text."""
        told = {"hash": hashed(text, self.secret)}
        return told if self.name is None else {**told, "key": self.name}


def hashed(text: str, key: bytes) -> str:
    """64 hex digits that stand for a plate, spelled as reads are."""
    return hmac.digest(key, text.encode(), "sha256").hex()


def make_key(path: Path) -> None:
    """Write a new random key that only its owner may read; never replaces one."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
    except FileExistsError as error:
        raise ConfigError(
            f"{path}: exists already; another key would make every list that was hashed with it "
            "worthless: name a new file"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def read_key(path: Path) -> bytes:
    """The key in the file; ConfigError when there is none or others may read it."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_MOST_BYTES).decode("ascii").strip()
        key = bytes.fromhex(text)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: no such file; make one: edge-agent plates key {path}"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError:
        key = b""
    if len(key) < 32:
        raise ConfigError(
            f"{path}: holds no key: expected 64 hex digits or more; make one: "
            "edge-agent plates key NEW_FILE"
        )
    if mode & 0o077:
        raise ConfigError(
            f"{path}: others may read this key (mode {mode & 0o777:04o}); take that right from "
            f"them: chmod 600 {path}"
        )
    return key
