"""The device's identity: a P-256 key on disk and a certificate for it.

ES256 because every secure element that these boxes may get later does P-256. A key in a file is
the weakest grade: whoever has the disk has the key; `device.json` in each bundle says so.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_agent.clock import Clock
from edge_agent.errors import EvidenceError
from edge_agent.evidence.dsse import low_s
from edge_agent.evidence.staging import cannot, make_folder, write_whole
from edge_agent.evidence.trust import Chain, read_chain

KEY_FILE, CERTIFICATE_FILE = "device-key.pem", "device-cert.pem"
GRADE = "file"

_ES256 = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_SIGNS_ONLY = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
_NO_EXPIRY = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""RFC 5280 4.1.2.5: no well-defined end; IEEE 802.1AR gives it to device identities."""
_CLOCK_SLACK = timedelta(days=1)
"""A box without a battery-backed clock may make its key before it knows the time."""


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """Signs with the device's private key."""

    private: ec.EllipticCurvePrivateKey
    chain_pem: bytes
    """The device's certificate, then its issuers if it has any."""
    fingerprint: str
    """SHA-256 (hex) of the device certificate in DER."""
    certificate: Path
    """Where the certificate lies, for whoever has to trust it."""

    def sign(self, data: bytes) -> bytes:
        """ES256 over `data`: ASN.1 DER, low s; deterministic (RFC 6979), so replays repeat it."""
        return low_s(self.private.sign(data, _ES256))

    @classmethod
    def load_or_create(cls, state_dir: Path, device: str, clock: Clock) -> DeviceKey:
        """The key in `state_dir/device`, made on first use; an existing one is never overwritten.

        Processes that race for the first use end with the same key. Raises EvidenceError for a
        key file that is readable by others, damaged, encrypted or of another kind, and for a
        certificate of another key or device.
        """
        folder = state_dir / device
        key_path, certificate_path = folder / KEY_FILE, folder / CERTIFICATE_FILE
        if not (key_path.exists() and certificate_path.exists()):
            make_folder(folder, 0o700)
            with _locked(folder):
                if not key_path.exists():
                    _refuse_orphan(certificate_path, key_path)
                    write_whole(key_path, _new_key(), 0o600)
                if not certificate_path.exists():
                    made = _self_signed(_read_key(key_path), device, clock.now())
                    write_whole(certificate_path, made)
        private = _read_key(key_path)
        chain_pem, chain = _read_certificate(certificate_path, private)
        if chain.name != device:
            raise EvidenceError(
                f"{certificate_path}: names {chain.name}, but the site file names {device}; "
                "install a certificate for this device, or remove it to have one made"
            )
        return cls(private, chain_pem, chain.fingerprint, certificate_path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    path = folder / ".device-key.lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise cannot(path, "be written", error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _refuse_orphan(certificate: Path, key: Path) -> None:
    if certificate.exists():
        raise EvidenceError(
            f"{key}: is missing, but {certificate.name} beside it belongs to some key; "
            "restore the key, or remove the certificate to give this device a new identity"
        )


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _self_signed(key: ec.EllipticCurvePrivateKey, device: str, now: datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SLACK)
        .not_valid_after(_NO_EXPIRY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SIGNS_ONLY, critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _read(path: Path) -> bytes:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would wait for ever
            raise OSError(errno.EINVAL, "not a regular file")
        return path.read_bytes()
    except OSError as error:
        raise cannot(path, "be read", error) from error


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    pem = _read(path)
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
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise EvidenceError(f"{path}: expected an EC key on the curve P-256; {restore}")
    return key


def _read_certificate(path: Path, key: ec.EllipticCurvePrivateKey) -> tuple[bytes, Chain]:
    pem = _read(path)
    try:
        chain = read_chain(pem)
    except ValueError as error:
        raise EvidenceError(
            f"{path}: {error}; restore it, or remove it to have it made again for the same key"
        ) from error
    if chain.key != key.public_key():
        raise EvidenceError(
            f"{path}: is a certificate for another key than {KEY_FILE}; "
            "restore the one that belongs to the key, or remove it to have it made again"
        )
    return pem, chain
