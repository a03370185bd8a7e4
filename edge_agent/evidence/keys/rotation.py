"""The life of a device key after it was made: certified, replaced, taken back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from edge_agent.clock import Clock, utc_text
from edge_agent.errors import EvidenceError
from edge_agent.evidence.keys.certificate import NO_EXPIRY, issued_chain, lent, self_signed
from edge_agent.evidence.keys.file import RETIRED
from edge_agent.evidence.keys.identity import DeviceKey, Home
from edge_agent.evidence.staging import cannot, make_folder, write_whole
from edge_agent.evidence.trust.certificates import read_chain
from edge_agent.evidence.trust.dsse import Envelope
from edge_agent.evidence.trust.revocation import own_revocation, read_lists, revocation_flaws
from edge_agent.evidence.trust.succession import STATEMENT_TYPE


@dataclass(frozen=True, slots=True)
class Rotation:
    """A key that took the place of another."""

    old_fingerprint: str
    new: DeviceKey
    statement: Path | None
    """In which the old key names the new one; None when the old key's word counts no more."""
    retired: Path
    """The old certificate, kept for whoever checks old evidence."""


def install(home: Home, chain: Path, clock: Clock) -> DeviceKey:
    """Replace the device's certificate by a chain that a CA issued for its key."""
    with home.locked():
        before = home.load()
        pem, _ = issued_chain(chain, home.device, before.key, clock.now())
        if pem != before.chain_pem:
            _retire(home, before)
            write_whole(home.certificate, pem)
        return home.load()


def rotate(home: Home, clock: Clock, keep: bool) -> Rotation:
    """Give the device a new key and a certificate of its own making for it.

    This is also how the key gets from a file into a token.
    The certificate is what counts: until it is replaced, the old key is in use, whatever happens.
    """
    with home.locked():
        before = home.before()
        old = before.load(even_revoked=True)
        is_trusted = own_revocation(home.revocation, read_chain(old.chain_pem)) is None
        key = home.ring.create()
        pem, now = self_signed(key, home.device, clock.now()), clock.now()
        retired = _retire(home, old)
        statement = None
        if is_trusted:
            statement = retired.with_name(retired.name.replace("-cert.pem", "-successor.dsse"))
            write_whole(statement, _statement(old, home.device, pem, now))
        write_whole(home.certificate, pem)
        before.ring.replace(old.key.public_key(), keep)
        return Rotation(old.fingerprint, home.load(), statement, retired)


def revoke(home: Home, clock: Clock, reason: str, since: datetime | None) -> Path:
    """Have the device take back its own certificate; returns the list that says so.

    From then on the key signs nothing more. Raises EvidenceError for a certificate that a CA
    issued: only the CA can take it back.
    """
    with home.locked():
        key = home.load()
        certificate = read_chain(key.chain_pem).certificates[0]
        if certificate.issuer != certificate.subject:
            raise EvidenceError(
                f"{home.certificate}: was issued by {certificate.issuer.rfc4514_string()}, which "
                f"alone can revoke it: ask for the serial number {certificate.serial_number:x}, "
                "then pass its list: `edge-agent key revoke --crl FILE`"
            )
        write_whole(home.revocation, _own_list(key, certificate, clock.now(), (reason, since)))
        return home.revocation


def heed(home: Home, crl: Path) -> Path:
    """Take over a CA's list that revokes the device's certificate; the key signs no more."""
    try:
        data = crl.read_bytes()
    except OSError as error:
        raise cannot(crl, "be read", error) from error
    with home.locked():
        chain = read_chain(home.load(even_revoked=True).chain_pem)
        flaws = list(revocation_flaws(chain, (), read_lists(data), None))
        if not any("was revoked" in flaw for flaw in flaws):
            why = flaws[0] if flaws else "does not name this device's certificate"
            raise EvidenceError(f"--crl {crl}: {why}; nothing was changed")
        write_whole(home.revocation, data)
        return home.revocation


def _retire(home: Home, key: DeviceKey) -> Path:
    folder = home.folder / RETIRED
    make_folder(folder, 0o700)
    path = folder / f"{key.fingerprint[:16]}-cert.pem"
    write_whole(path, key.chain_pem)
    return path


def _statement(old: DeviceKey, device: str, new_pem: bytes, now: datetime) -> bytes:
    payload = rfc8785.dumps(
        {"device": device, "successor": new_pem.decode(), "when": utc_text(now)}
    )
    return Envelope.sealed(payload, old, STATEMENT_TYPE).to_bytes()


def _own_list(
    key: DeviceKey,
    certificate: x509.Certificate,
    now: datetime,
    why: tuple[str, datetime | None],
) -> bytes:
    reason, since = why
    entry = (
        x509.RevokedCertificateBuilder()
        .serial_number(certificate.serial_number)
        .revocation_date(now)
        .add_extension(x509.CRLReason(x509.ReasonFlags(reason)), critical=False)
    )
    if since is not None:
        entry = entry.add_extension(x509.InvalidityDate(since), critical=False)
    revocations = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(now)
        .next_update(NO_EXPIRY)
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_revoked_certificate(entry.build())
        .sign(lent(key.key), hashes.SHA256())
    )
    return revocations.public_bytes(serialization.Encoding.PEM)
