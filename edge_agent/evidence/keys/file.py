"""Private keys in files, readable by their owner only.

The weakest grade: whoever has the disk has the key; `device.json` in each bundle says so.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge_agent.errors import EvidenceError
from edge_agent.evidence.staging import cannot, make_folder, write_whole
from edge_agent.evidence.trust.dsse import low_s

RETIRED = "retired"
"""Folder of keys and certificates that are not used any more."""

_ES256 = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


@dataclass(frozen=True, slots=True)
class FileKey:
    """A key read into memory."""

    private: ec.EllipticCurvePrivateKey = field(repr=False)
    grade: str

    @property
    def facts(self) -> Mapping[str, str]:
        return {"algorithm": "ES256", "grade": self.grade}

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self.private.public_key()

    def sign(self, data: bytes) -> bytes:
        """Deterministic (RFC 6979), so that replays repeat it."""
        return low_s(self.private.sign(data, _ES256))


@dataclass(frozen=True, slots=True)
class FileKeyring:
    """`<stem>-key.pem` in a folder and, while keys are changed, its successor beside it."""

    folder: Path
    stem: str
    grade: str

    @property
    def where(self) -> str:
        return str(self._current)

    @property
    def _current(self) -> Path:
        return self.folder / f"{self.stem}-key.pem"

    @property
    def _next(self) -> Path:
        return self.folder / f"{self.stem}-key-next.pem"

    def find(self, public: ec.EllipticCurvePublicKey | None) -> FileKey | None:
        """Raises EvidenceError for a file that is readable by others, damaged or of another kind.

        A successor whose certificate is already there takes its place: the power was cut between.
        """
        current = self._read(self._current) if self._current.exists() else None
        if current is not None and public in (None, current.public_key()):
            return current
        if public is None or not self._next.exists():
            return None
        successor = self._read(self._next)
        if successor.public_key() != public:
            return None
        self.replace(successor.public_key(), keep=True)
        return successor

    def create(self) -> FileKey:
        private = ec.generate_private_key(ec.SECP256R1())
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_whole(self._next if self._current.exists() else self._current, pem, 0o600)
        return FileKey(private, self.grade)

    def replace(self, old: ec.EllipticCurvePublicKey, keep: bool) -> None:
        """Without a successor here the old key just goes: the new one is in a token.

        On flash the bytes of a removed file may stay readable until they are overwritten.
        """
        if keep and self._current.exists():
            make_folder(self.folder / RETIRED, 0o700)
            name = public_name(self._read(self._current).public_key())
            write_whole(self.folder / RETIRED / f"{name}-key.pem", _bytes(self._current), 0o600)
        try:
            if self._next.exists():
                self._next.replace(self._current)
            else:
                self._current.unlink(missing_ok=True)
        except OSError as error:
            raise cannot(self._current, "be replaced", error) from error

    def _read(self, path: Path) -> FileKey:
        pem = _bytes(path)
        if path.stat().st_mode & 0o077:
            raise EvidenceError(
                f"{path}: the device key can be read by others, so it proves nothing; "
                f"run `chmod 600 {path}` (or move state_dir to a file system that keeps modes)"
            )
        restore = "restore it from a backup, or move it away to give this device a new identity"
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except TypeError as error:
            raise EvidenceError(
                f"{path}: the device key is encrypted, and nobody is there to type a password; "
                f"decrypt it with `openssl pkcs8 -topk8 -nocrypt`"
            ) from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise EvidenceError(f"{path}: is not a private key in PEM form; {restore}") from error
        if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
            return FileKey(key, self.grade)
        raise EvidenceError(f"{path}: expected an EC key on the curve P-256; {restore}")


def public_name(public: ec.EllipticCurvePublicKey) -> str:
    """16 hex digits that name a key in file names."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(
        public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return digest.finalize().hex()[:16]


def _bytes(path: Path) -> bytes:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would wait for ever
            raise OSError(errno.EINVAL, "not a regular file")
        return path.read_bytes()
    except OSError as error:
        raise cannot(path, "be read", error) from error
