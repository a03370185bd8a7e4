"""Certificates for a device key: one of its own making, or one that an operator's CA issues."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_agent.clock import utc_text
from edge_agent.errors import EvidenceError
from edge_agent.evidence.staging import cannot
from edge_agent.evidence.trust.certificates import Chain, read_chain
from edge_agent.ports import SigningKey

NO_EXPIRY = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""RFC 5280 4.1.2.5: no well-defined end; IEEE 802.1AR gives it to device identities."""
_CLOCK_SLACK = timedelta(days=1)
"""A box without a battery-backed clock may make its key before it knows the time."""
_PURPOSES = [
    x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36"),  # id-kp-documentSigning, RFC 9336
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
]
"""What Content Credentials accept in a signer's certificate (C2PA 2.2, 14.5.1)."""


class _Lent:
    """What x509's builders need of a private key that never leaves its place."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._key.public_key()

    def sign(self, data: bytes, algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        return self._key.sign(data)


ec.EllipticCurvePrivateKey.register(_Lent)


def lent(key: SigningKey) -> ec.EllipticCurvePrivateKey:
    """The key as the builders of certificates, requests and revocation lists take it."""
    return cast("ec.EllipticCurvePrivateKey", _Lent(key))


def self_signed(key: SigningKey, device: str, now: datetime) -> bytes:
    """A certificate (PEM) that the key vouches for itself; it may list its own revocation."""
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(device))
        .issuer_name(_name(device))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SLACK)
        .not_valid_after(NO_EXPIRY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(crl_sign=True), critical=True)
        .sign(lent(key), hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def signing_request(key: SigningKey, device: str) -> bytes:
    """PKCS#10 (PEM): asks a CA for a certificate with which to sign evidence and copies of it."""
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_name(device))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(crl_sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_PURPOSES), critical=False)
        .sign(lent(key), hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM)


def issued_chain(path: Path, device: str, key: SigningKey, now: datetime) -> tuple[bytes, Chain]:
    """A chain that a CA issued for this key, device first; raises EvidenceError for any other."""
    pem, chain = read_certificate(path)
    utc = utc_text(now)
    flaws = [] if chain.key == key.public_key() else ["is a certificate for another key"]
    if chain.name != device:
        flaws.append(f"names {chain.name or 'nobody'}, not {device}")
    flaws += [text.replace("at the time of capture", "now") for text in chain.flaws(utc)]
    if not _may_sign(chain.certificates[0]):
        flaws.append("does not allow digital signatures (key usage)")
    if flaws:
        raise EvidenceError(
            f"{path}: {'; '.join(flaws)}; ask the CA to issue one for the request that "
            "`edge-agent key csr` writes, and pass the device's certificate first, then its issuers"
        )
    return pem, chain


def read_certificate(path: Path) -> tuple[bytes, Chain]:
    """A chain of certificates in PEM form and as it was found; raises EvidenceError."""
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise cannot(path, "be read", error) from error
    try:
        return pem, read_chain(pem)
    except ValueError as error:
        raise EvidenceError(
            f"{path}: {error}; restore it, or remove it to have it made again for the same key"
        ) from error


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound:
        return True
    except (ValueError, x509.DuplicateExtension):
        return False


def _name(device: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)])


def _usage(crl_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
