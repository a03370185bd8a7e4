"""Certificates taken back: revocation lists (X.509 CRL, RFC 5280 section 5), checked offline.

One form for both kinds of devices: a CA lists what it issued, and a device with a certificate of
its own making lists itself, signed by its own key. Evidence that was provably there before the
revocation keeps its worth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from edge_agent.clock import utc_text
from edge_agent.errors import EvidenceError
from edge_agent.evidence.staging import cannot
from edge_agent.evidence.trust.certificates import Chain, undisturbed

Revocations = tuple[x509.CertificateRevocationList, ...]

_PEM = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Revocation:
    """When a certificate lost its worth, and why."""

    name: str
    since: datetime
    """The revocation, or the earlier moment from which the key was no longer safe."""
    reason: str

    def __str__(self) -> str:
        return f"the certificate of {self.name} was revoked as of {utc_text(self.since)}{self.why}"

    @property
    def why(self) -> str:
        return f" ({self.reason})" if self.reason else ""


def read_lists(data: bytes) -> Revocations:
    """Lists that somebody chose to heed, PEM (any number) or DER; raises EvidenceError."""
    texts = _PEM.findall(data)
    try:
        with undisturbed():
            read = [x509.load_pem_x509_crl(text) for text in texts]
            lists = tuple(read or [x509.load_der_x509_crl(data)])
            for one in lists:
                one.issuer  # noqa: B018  (is read late, and raises then)
            return lists
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise EvidenceError(
            "crl: is no certificate revocation list; pass one or more in PEM form, or one in DER"
        ) from error


def revocation_flaws(
    chain: Chain, issuers: Sequence[x509.Certificate], lists: Revocations, seen: datetime | None
) -> Iterator[str]:
    """What the lists say against a chain; `issuers` are roots that it may lead to.

    `seen`: when the evidence was there at the latest, by the word of somebody who is trusted. A
    certificate that a CA issued must be covered by one of the lists, or nothing is known of it; one
    of the device's own making has no keeper of lists.
    """
    for certificate in chain.certificates:
        for found in _entries(certificate, _covering(certificate, chain, issuers, lists)):
            if seen is None or seen >= found.since:
                yield f"{found}, and nothing proves that this was there before"
    device = chain.certificates[0]
    if device.issuer != device.subject and not is_covered(chain, issuers, lists):
        yield "cannot be checked: none of the given lists is by the issuer of its certificate"


def is_covered(chain: Chain, issuers: Sequence[x509.Certificate], lists: Revocations) -> bool:
    """True when one of the lists is by whoever issued the device's certificate."""
    return bool(_covering(chain.certificates[0], chain, issuers, lists))


def own_revocation(path: Path, chain: Chain) -> Revocation | None:
    """What a device's own copy of a list says of its certificate; None where there is no list."""
    try:
        if not path.exists():
            return None
        lists = read_lists(path.read_bytes())
    except OSError as error:
        raise cannot(path, "be read", error) from error
    except EvidenceError as error:
        raise EvidenceError(f"{path}: {error}") from error
    return next(_entries(chain.certificates[0], lists), None)


def _covering(
    certificate: x509.Certificate,
    chain: Chain,
    issuers: Sequence[x509.Certificate],
    lists: Revocations,
) -> list[x509.CertificateRevocationList]:
    known = (*chain.certificates, *issuers)
    keepers = [candidate for candidate in known if candidate.subject == certificate.issuer]
    return [
        one
        for one in lists
        if one.issuer == certificate.issuer and any(_signed(one, keeper) for keeper in keepers)
    ]


def _signed(revocations: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        with undisturbed():
            # cryptography's types leave out keys that sign nothing; those raise TypeError
            return revocations.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return False


def _entries(
    certificate: x509.Certificate, lists: Sequence[x509.CertificateRevocationList]
) -> Iterator[Revocation]:
    for revocations in lists:
        if revocations.issuer != certificate.issuer:
            continue
        entry = revocations.get_revoked_certificate_by_serial_number(certificate.serial_number)
        if entry is not None:
            yield _revocation(certificate, entry)


def _revocation(certificate: x509.Certificate, entry: x509.RevokedCertificate) -> Revocation:
    since, reason = entry.revocation_date_utc, ""
    for extension in _extensions(entry):
        if isinstance(extension.value, x509.InvalidityDate):
            since = min(since, extension.value.invalidity_date.replace(tzinfo=UTC))
        elif isinstance(extension.value, x509.CRLReason):
            reason = re.sub("([A-Z])", r" \1", extension.value.reason.value).lower()
    return Revocation(certificate.subject.rfc4514_string(), since, reason)


def _extensions(entry: x509.RevokedCertificate) -> Sequence[x509.Extension[x509.ExtensionType]]:
    """What else is said; an entry that cannot be read whole still revokes."""
    try:
        with undisturbed():
            return list(entry.extensions)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return ()
