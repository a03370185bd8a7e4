"""Certificates of a bundle: who signed, and whether that leads to somebody we trust."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_agent.errors import EvidenceError
from edge_agent.evidence.trust.dsse import low_s
from edge_agent.text import printable

MAX_CHAIN = 8

_REFUSALS = (
    *(ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.InvalidVersion),
    *(x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)
"""Everything that cryptography raises for what is in a certificate."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The device's certificate, then its issuers."""

    certificates: tuple[x509.Certificate, ...]
    key: ec.EllipticCurvePublicKey
    fingerprint: str
    """SHA-256 (hex) of the device certificate in DER."""
    name: str
    """Whose certificate it is (its common name); empty unless it names exactly one."""

    def covers(self, data: bytes, signature: bytes) -> bool:
        """True when the device's key signed exactly this data (ES256, DER, low s)."""
        try:
            self.key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
            return signature == low_s(signature)
        except (InvalidSignature, ValueError):
            return False

    def flaws(self, when: str | None) -> list[str]:
        """What is wrong with the chain itself; `when` (RFC 3339): it must have been valid then.

        A replay shows the past, so its time says nothing about the certificate: pass None.
        """
        try:
            with undisturbed():
                is_linked = self._is_linked()
                is_valid = when is None or self._is_valid_at(datetime.fromisoformat(when))
        except _REFUSALS:
            return ["holds dates or names that cannot be read"]
        flaws = [] if is_linked else ["its signatures do not form a chain"]
        return flaws if is_valid else [*flaws, f"was not valid at the time of capture, {when}"]

    def _is_linked(self) -> bool:
        last = self.certificates[-1]
        is_self_issued = last.issuer == last.subject
        return all(_is_issued(a, b, True) for a, b in pairwise(self.certificates)) and (
            not is_self_issued or _is_issued(last, last, False)
        )

    def _is_valid_at(self, moment: datetime) -> bool:
        return all(
            certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc
            for certificate in self.certificates
        )

    def leads_to(self, root: bytes) -> bool:
        """True when the last certificate is one of the roots (PEM) or was issued by one."""
        last = self.certificates[-1]
        return any(
            candidate in self.certificates or _is_issued(last, candidate, needs_authority=True)
            for candidate in read_roots(root)
        )


def read_chain(pem: bytes) -> Chain:
    """Parse a bundle's `chain.pem`; raises ValueError, never anything else."""
    certificates = _parse(pem)
    try:
        with undisturbed():
            key = certificates[0].public_key()
            names = certificates[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except _REFUSALS as error:
        raise ValueError("holds a key or a name that nobody can use") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("is for another kind of key than P-256")
    name = printable(str(names[0].value)) if len(names) == 1 else ""
    return Chain(certificates, key, certificates[0].fingerprint(hashes.SHA256()).hex(), name)


def read_roots(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Certificates that somebody chose to trust; raises EvidenceError."""
    try:
        return _parse(pem)
    except ValueError as error:
        raise EvidenceError(f"root: {error}; pass one or more certificates in PEM form") from error


@contextmanager
def undisturbed() -> Iterator[None]:
    """Odd but readable fields (a negative serial number) are the signature's business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _parse(pem: bytes) -> tuple[x509.Certificate, ...]:
    try:
        with undisturbed():
            certificates = tuple(x509.load_pem_x509_certificates(pem))
    except _REFUSALS as error:
        raise ValueError("is not a certificate in PEM form") from error
    if len(certificates) > MAX_CHAIN:
        raise ValueError(f"holds more than {MAX_CHAIN} certificates")
    return certificates


def _is_issued(
    certificate: x509.Certificate, issuer: x509.Certificate, needs_authority: bool
) -> bool:
    try:
        with undisturbed():
            certificate.verify_directly_issued_by(issuer)
            if needs_authority:
                found = issuer.extensions.get_extension_for_class(x509.BasicConstraints)
                return found.value.ca
    except _REFUSALS:
        return False
    return True
