"""The container: a ZIP with one possible form for given members, down to the last byte.

Stored members, version 2.0, no flags, no extra fields, no comments, dates at the ZIP epoch,
mode 0644, central directory right after the members (APPNOTE.TXT 6.3.10). Any tool opens it, and
because packing the members again must give the same bytes, nothing can hide between them. Written
here rather than with `zipfile` because these bytes are an interface, and a standard library may
change its mind about a header field.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edge_agent.errors import EvidenceError

MAX_BYTES = 1 << 30
"""A larger file is not read; ten minutes of 1080p are a tenth of it."""
MAX_MEMBERS = 256

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION, _UNIX, _EPOCH, _MODE = 20, 3 << 8, 0x21, 0o100644 << 16
_ENCRYPTED, _STREAMED = 0x1, 0x8


class ContainerError(EvidenceError):
    """The container cannot be read, because of the named member if there is one."""

    def __init__(self, member: str, text: str, is_bundle: bool = True) -> None:
        super().__init__(f"{member}: {text}" if member else text)
        self.member = member
        self.text = text
        self.is_bundle = is_bundle
        """False when it looks like something else altogether."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a container, as found."""

    name: str
    data: bytes | None
    """None when it is compressed, which a bundle's members never are."""
    start: int
    """Offset of its header in the container."""
    end: int


def pack(members: Iterable[tuple[str, bytes]]) -> bytes:
    """The one container that holds these (name, content) in this order; names are ASCII."""
    body, directory, count = bytearray(), bytearray(), 0
    for name, data in members:
        label, crc, size = name.encode("ascii"), zlib.crc32(data), len(data)
        fields = (_VERSION, 0, 0, 0, _EPOCH, crc, size, size, len(label), 0)
        at = len(body)
        if at + size > MAX_BYTES:
            raise EvidenceError(f"{name}: the bundle would exceed {MAX_BYTES >> 20} MiB")
        tail = (0, 0, 0, _MODE, at)
        directory += _CENTRAL.pack(b"PK\x01\x02", _UNIX | _VERSION, *fields, *tail) + label
        body += _LOCAL.pack(b"PK\x03\x04", *fields) + label + data
        count += 1
    end = _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + end)


def unpack(data: bytes) -> tuple[Member, ...]:
    """The members in order; raises ContainerError, never anything else.

    Walks the members themselves and ignores the central directory: whether the two agree shows
    when the members are packed again.
    """
    members: dict[str, Member] = {}
    at = 0
    for member in walk(data):
        if member.name in members:
            raise ContainerError(member.name, "is in the container twice")
        members[member.name] = member
        if len(members) > MAX_MEMBERS:
            raise ContainerError("", f"more than {MAX_MEMBERS} files")
        at = member.end
    if not members:
        raise ContainerError("", "is not an evidence bundle: it begins with no file", False)
    if not data.startswith(b"PK\x01\x02", at):
        last = list(members)[-1]
        raise ContainerError(
            last, f"what follows it, at byte {at}, is no file: damaged or cut short"
        )
    return tuple(members.values())


def walk(data: bytes) -> Iterator[Member]:
    """The members in order, up to the first that is none; raises ContainerError."""
    at = 0
    while data.startswith(b"PK\x03\x04", at):
        member = _member_at(data, at)
        yield member
        at = member.end


def directory_start(packed: bytes) -> int:
    """Offset at which the directory of what `pack` made begins."""
    return int(_END.unpack_from(packed, len(packed) - _END.size)[6])


def contents(data: bytes) -> dict[str, bytes]:
    """Name -> content of every member in order; raises ContainerError, for a compressed one too."""
    found = {}
    for member in unpack(data):
        if member.data is None:
            raise ContainerError(member.name, "is compressed: the bundle was repacked")
        found[member.name] = member.data
    return found


def first_member(head: bytes) -> tuple[str, int, int]:
    """Name, offset and end of the first member's content, from a file's first bytes."""
    if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
        raise ContainerError("", "is not an evidence bundle", False)
    *_, size, _plain, name_size, extra_size = _LOCAL.unpack_from(head)
    start = _LOCAL.size + name_size + extra_size
    return _safe(head[_LOCAL.size : _LOCAL.size + name_size]), start, start + size


def _member_at(data: bytes, at: int) -> Member:
    if at + _LOCAL.size > len(data):
        raise ContainerError("", f"the file is cut short at byte {len(data)}")
    fields = _LOCAL.unpack_from(data, at)
    flags, method, size, name_size, extra_size = (fields[i] for i in (2, 3, 7, 9, 10))
    label = at + _LOCAL.size
    name = _safe(data[label : label + name_size])
    start = label + name_size + extra_size
    if flags & (_ENCRYPTED | _STREAMED):
        raise ContainerError(name, "is encrypted or streamed: the bundle was repacked")
    if start + size > len(data):
        raise ContainerError(name, f"reaches past the end: cut short at byte {len(data)}")
    content = data[start : start + size] if method == 0 else None
    return Member(name, content, at, start + size)


def _safe(label: bytes) -> str:
    name = label.decode("ascii", "backslashreplace")
    parts = name.split("/")
    if not label or len(label) > 200 or any(byte < 0x20 or byte > 0x7E for byte in label):
        raise ContainerError(ascii(name[:200]), "is not a file name that a bundle may hold")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name or ":" in name:
        raise ContainerError(name, "points outside the bundle's own folder; refused")
    return name
