"""The key that signs checkpoints: Ed25519, certified by the device's own P-256 key.

Two keys, because every secure element does P-256 and every witness wants Ed25519.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import rfc8785
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, ValidationError

from edge_agent.errors import EvidenceError
from edge_agent.evidence.keys import DeviceKey
from edge_agent.evidence.log.note import ED25519, Signature, Vkey, decode, encode, sign
from edge_agent.evidence.staging import cannot, make_folder, write_whole
from edge_agent.evidence.trust.certificates import Chain
from edge_agent.evidence.trust.dsse import Envelope

KEY_FILE = "log-key.pem"
STATEMENT_TYPE = "application/vnd.edge-agent.log-key+json"


@dataclass(frozen=True, slots=True)
class LogKey:
    """Signs the checkpoints of a device's log and of its replays' logs."""

    private: Ed25519PrivateKey = field(repr=False)

    def sign(self, text: str, origin: str) -> Signature:
        """Vouch for a checkpoint's text in the name of the log."""
        return sign(text, origin, self.private)

    def vkey(self, origin: str) -> Vkey:
        """What verifies the signatures made in that log's name."""
        return Vkey(origin, self.private.public_key().public_bytes_raw())

    @classmethod
    def load_or_create(cls, folder: Path) -> LogKey:
        """The key in the device's state folder, made on first use and never overwritten."""
        path = folder / KEY_FILE
        if not path.exists():
            make_folder(folder, 0o700)
            with _locked(folder):
                if not path.exists():
                    write_whole(path, _new_key(), 0o600)
        return cls(_read(path))


@dataclass(frozen=True, slots=True)
class Statement:
    """By which a device says which key signs its logs."""

    device: str
    public: bytes

    @classmethod
    def verified(cls, data: bytes, chain: Chain) -> Statement:
        """Read a statement that this certificate's key signed; raises ValueError."""
        envelope = Envelope.from_bytes(data)
        if envelope.payload_type != STATEMENT_TYPE:
            raise ValueError("is a statement about something else than a log key")
        if not chain.covers(envelope.signed, envelope.signature):
            raise ValueError("was not signed by the device's key")
        try:
            said = _Said.model_validate_json(envelope.payload)
        except ValidationError as error:
            raise ValueError("is not a statement about a log key") from error
        material = decode(said.key)
        return cls(said.device, Vkey("log", material[1:], material[0]).public)


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    device: str
    key: str


def certify(key: DeviceKey, log_key: LogKey, device: str) -> bytes:
    """The device's signed statement (DSSE) that this key signs its logs; deterministic."""
    material = bytes([ED25519]) + log_key.private.public_key().public_bytes_raw()
    payload = rfc8785.dumps({"device": device, "key": encode(material)})
    return Envelope.sealed(payload, key, STATEMENT_TYPE).to_bytes()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _read(path: Path) -> Ed25519PrivateKey:
    restore = "restore it from a backup, or move it away to give the log a new key"
    try:
        mode, pem = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise cannot(path, "be read", error) from error
    if mode & 0o077:
        raise EvidenceError(
            f"{path}: the log's key can be read by others, so it proves nothing; "
            f"run `chmod 600 {path}`"
        )
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise EvidenceError(f"{path}: is not a private key in PEM form; {restore}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise EvidenceError(f"{path}: expected an Ed25519 key; {restore}")
    return key
