"""A file of an evidence bundle, cut into messages that a broker takes.

A JPEG that fits is the message itself. Anything else comes in chunks: one line of JSON, then a
part of the file. The line says all that is needed to put the parts together, so that it makes no
difference which version of MQTT, or which bridge, a message has been through.
"""

from __future__ import annotations

import errno
import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from edge_agent.errors import UplinkError
from edge_agent.uplink.envelope import canonical

JPEG: Final = "image/jpeg"
JPEG_START: Final = b"\xff\xd8"
CHUNK: Final = "application/octet-stream"
"""Content type of a message that is only a part."""
LEAST: Final = 1024
"""Bytes that a message must be allowed to have: the line takes some 350 of them."""
_MANY: Final = 10**7
_TYPES: Final = {".jpg": JPEG, ".dsse": "application/json"}
_SEALED: Final = "manifest.dsse"
_DAMAGE: Final = (
    *(zipfile.BadZipFile, zlib.error, EOFError, RuntimeError),
    *(ValueError, KeyError, TypeError),
)


class NothingToSend(UplinkError):  # noqa: N818  (an event more than an error)
    """The bundle or the file in it is not there, or not what was signed: it never will be."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One file as it lies in a bundle."""

    role: str
    name: str
    """Where in the bundle."""
    data: bytes
    sha256: str
    manifest_sha256: str
    """Of the manifest that answers for it."""
    delete_after: datetime | None

    @classmethod
    def read(cls, bundle: Path, role: str, originals: bool) -> Parcel:
        """The photo of that role, its redacted copy unless `originals`, or the signed manifest.

        Raises NothingToSend for what is not there, OSError for a disk that fails.
        """
        try:
            with zipfile.ZipFile(bundle) as found:
                text = found.read("manifest.json")
                facts = json.loads(text)
                name, wanted = _place(facts, role, originals)
                data = found.read(name)
            until = facts["privacy"]["delete_after"]
            delete_after = None if until is None else _moment(until)
        except FileNotFoundError as error:
            raise NothingToSend(f"{bundle}: is not there any more") from error
        except OSError as error:
            if error.errno not in (None, errno.EINVAL):  # else of what was read, not of the disk
                raise
            raise NothingToSend(f"{bundle}: is damaged: {error}") from error
        except _DAMAGE as error:
            raise NothingToSend(f"{bundle}: is damaged: {error}") from error
        sha256 = hashlib.sha256(data).hexdigest()
        if wanted not in (None, sha256):
            raise NothingToSend(f"{bundle}: {name} is not what was signed")
        return cls(role, name, data, sha256, hashlib.sha256(text).hexdigest(), delete_after)

    def cut(self, limit: int) -> list[tuple[bytes, str]]:
        """The messages that it makes, each of at most `limit` bytes, and their content types."""
        if self.data.startswith(JPEG_START) and len(self.data) <= limit:
            return [(self.data, JPEG)]
        if limit < LEAST:
            raise ValueError(f"a message of {limit} bytes is no room for a chunk")
        size = limit - len(self._line(_MANY, _MANY))
        parts = [self.data[at : at + size] for at in range(0, len(self.data), size)] or [b""]
        return [(self._line(i, len(parts)) + part, CHUNK) for i, part in enumerate(parts)]

    def _line(self, index: int, count: int) -> bytes:
        facts = {
            "role": self.role,
            "name": self.name,
            "content_type": _TYPES.get(Path(self.name).suffix, CHUNK),
            "bytes": len(self.data),
            "sha256": self.sha256,
            "manifest_sha256": self.manifest_sha256,
            "index": index,
            "count": count,
        }
        return canonical(facts) + b"\n"


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment


def _place(facts: Mapping[str, Any], role: str, originals: bool) -> tuple[str, str | None]:
    """Where it lies in the bundle, and the hash that was signed; the manifest has none."""
    if role == "manifest":
        return _SEALED, None
    copy = f"derived/{role}-redacted.jpg"
    listed = [each for each in facts["media"] if each["role"] == role] if originals else []
    listed += [] if originals else [each for each in facts["derived"] if each["path"] == copy]
    if not listed:
        was_taken = any(each["role"] == role for each in facts["media"])
        what = "redacted copy" if was_taken else "photo"
        raise NothingToSend(f"case {facts['case']['id']}: has no {what} of the role {role}")
    return str(listed[0]["path"]), str(listed[0]["sha256"])
