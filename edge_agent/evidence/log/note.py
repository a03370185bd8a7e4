"""Signed notes: a text, and who vouches for it (c2sp.org/signed-note, c2sp.org/tlog-cosignature).

Ed25519 only: a log's own signature over the text, or a witness's over the text and the time at
which it saw it. Signatures by keys that nobody asks for are carried along and mean nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

ED25519, COSIGNATURE = 0x01, 0x04
"""Signature types: a plain signature, and a witness's timestamped one."""
MAX_BYTES = 1 << 18
MAX_SIGNATURES = 64

_ID_BYTES, _KEY_BYTES = 4, 32
_TIME = struct.Struct(">Q")
_SIZES = {ED25519: 64, COSIGNATURE: _TIME.size + 64}
_VKEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")
_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True)
class Vkey:
    """A public key and the name that it signs under."""

    name: str
    public: bytes
    """32 bytes, RFC 8032."""
    algorithm: int = ED25519

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise ValueError(f"`{self.name}` cannot name a key: it is empty or holds a blank or +")
        if self.algorithm not in _SIZES or len(self.public) != _KEY_BYTES:
            raise ValueError("is not an Ed25519 key")

    @property
    def key_id(self) -> bytes:
        """Tells keys of one name apart; no protection against forgery."""
        told = self.name.encode() + b"\n" + self._material
        return hashlib.sha256(told).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode(self._material)}"

    @classmethod
    def parse(cls, text: str) -> Vkey:
        """Read `name+id+key`; raises ValueError."""
        parts = _VKEY.fullmatch(text)
        if parts is None:
            raise ValueError("is not a verifier key (name+id+key)")
        name, key_id, material = parts[1], parts[2], decode(parts[3])
        found = cls(name, material[1:], material[0])
        if found.key_id.hex() != key_id:
            raise ValueError("is a verifier key whose id does not fit: mistyped?")
        return found

    @property
    def _material(self) -> bytes:
        return bytes([self.algorithm]) + self.public


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line."""

    name: str
    key_id: bytes
    data: bytes

    def __str__(self) -> str:
        return f"— {self.name} {encode(self.key_id + self.data)}"

    @property
    def when_s(self) -> int:
        """When a witness saw the text, in POSIX seconds; meaningless in any other signature."""
        return int(_TIME.unpack_from(self.data)[0])


@dataclass(frozen=True, slots=True)
class Note:
    """A text with its signatures; the text counts for nothing until one of them is verified."""

    text: str
    """Ends with a newline."""
    signatures: tuple[Signature, ...] = ()

    def to_bytes(self) -> bytes:
        """The note as it is stored and sent."""
        lines = "".join(f"{signature}\n" for signature in self.signatures)
        return f"{self.text}\n{lines}".encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Note:
        """Parse; raises ValueError for what `to_bytes` would not have written."""
        if len(data) > MAX_BYTES:
            raise ValueError("is larger than any note")
        try:
            whole = data.decode()
        except UnicodeDecodeError as error:
            raise ValueError("is not a note: it is no text") from error
        if any(char < " " and char != "\n" for char in whole):
            raise ValueError("is not a note: it holds a control character")
        text, blank, lines = whole.rpartition("\n\n")
        if not blank or not text or not lines.endswith("\n"):
            raise ValueError("is not a note: its signatures are missing")
        found = tuple(_signature(line) for line in lines[:-1].split("\n"))
        if len(found) > MAX_SIGNATURES:
            raise ValueError(f"holds more than {MAX_SIGNATURES} signatures")
        return cls(text + "\n", found)

    def signed_by(self, key: Vkey) -> Signature | None:
        """The signature that this key made, or None; raises ValueError for one that is wrong."""
        for signature in self.signatures:
            if (signature.name, signature.key_id) == (key.name, key.key_id):
                _check(self.text, signature, key)
                return signature
        return None

    def with_signature(self, signature: Signature) -> Note:
        """The same note with one more signature, or with a newer one by the same key."""
        who = (signature.name, signature.key_id)
        others = [one for one in self.signatures if (one.name, one.key_id) != who]
        return Note(self.text, (*others, signature))


def sign(text: str, name: str, private: Ed25519PrivateKey) -> Signature:
    """Vouch for a text; Ed25519 is deterministic, so that a replay repeats it."""
    key = Vkey(name, private.public_key().public_bytes_raw())
    return Signature(name, key.key_id, private.sign(text.encode()))


def cosign(text: str, name: str, private: Ed25519PrivateKey, when_s: int) -> Signature:
    """Vouch, as a witness, for having seen a checkpoint's text at that time (POSIX seconds)."""
    key = Vkey(name, private.public_key().public_bytes_raw(), COSIGNATURE)
    return Signature(name, key.key_id, _TIME.pack(when_s) + private.sign(_seen(text, when_s)))


def encode(data: bytes) -> str:
    """Base64 of RFC 4648, section 4."""
    return base64.b64encode(data).decode()


def decode(text: str) -> bytes:
    """The bytes that `encode` turns into this very text; raises ValueError."""
    data = base64.b64decode(text, validate=True)
    if not data or encode(data) != text:
        raise ValueError("is not in canonical base64")
    return data


def _check(text: str, signature: Signature, key: Vkey) -> None:
    covered, data = text.encode(), signature.data
    if len(data) != _SIZES[key.algorithm]:
        raise ValueError(f"the signature of {key.name} has another length than its key's")
    if key.algorithm == COSIGNATURE:
        covered, data = _seen(text, signature.when_s), data[_TIME.size :]
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(data, covered)
    except InvalidSignature as error:
        raise ValueError(f"the signature of {key.name} does not fit the text") from error


def _seen(text: str, when_s: int) -> bytes:
    return f"cosignature/v1\ntime {when_s}\n{text}".encode()


def _signature(line: str) -> Signature:
    parts = _LINE.fullmatch(line)
    raw = decode(parts[2]) if parts else b""
    if parts is None or len(raw) <= _ID_BYTES:
        raise ValueError("is not a note: one of its signatures cannot be read")
    return Signature(parts[1], raw[:_ID_BYTES], raw[_ID_BYTES:])


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(c.isspace() or c < " " for c in name)
