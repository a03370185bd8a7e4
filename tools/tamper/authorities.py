"""Certificates, revocation lists and time-stamps by authorities that exist for tests alone."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_agent.evidence.bundle.container import contents, pack
from edge_agent.evidence.log import MerkleLog, Note, Vkey, cosign
from edge_agent.evidence.log.note import COSIGNATURE

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
YEAR = timedelta(days=365)
TIME_STAMPS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])

_TSA = """\
[tsa]
default_tsa = own
[own]
serial = serial
signer_cert = own.pem
{certs}
signer_key = own.key
signer_digest = {digest}
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1, millisecs:500, microsecs:100
clock_precision_digits = {digits}
ess_cert_id_alg = sha256
"""


def new_key() -> PrivateKey:
    """The usual one, P-256."""
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Authority:
    """A certification authority, its own root or below another."""

    name: str
    now: datetime
    key: PrivateKey = field(default_factory=new_key)
    above: Authority | None = None
    padding: padding.PSS | None = None
    """Of its signatures, if it has an RSA key and signs in that way."""

    @cached_property
    def certificate(self) -> x509.Certificate:
        """For itself."""
        basic = x509.BasicConstraints(ca=True, path_length=None)
        return (self.above or self).issue(self.name, self.key.public_key(), [basic])

    @property
    def pem(self) -> bytes:
        """The same as a file."""
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        who: str,
        key: PublicKey,
        extensions: Sequence[x509.ExtensionType],
        valid: tuple[datetime, datetime] | None = None,
    ) -> x509.Certificate:
        """A certificate, valid for a year before and after now unless said otherwise."""
        begin, end = valid or (self.now - YEAR, self.now + YEAR)
        builder = x509.CertificateBuilder().subject_name(named(who)).public_key(key)
        builder = builder.issuer_name(named(self.name)).serial_number(x509.random_serial_number())
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        dated = builder.not_valid_before(begin).not_valid_after(end)
        return dated.sign(self.key, hashes.SHA256(), rsa_padding=self.padding)

    def revoked(self, *entries: x509.RevokedCertificate) -> x509.CertificateRevocationList:
        """The list of what it takes back."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(named(self.name))
        builder = builder.last_update(self.now).next_update(self.now + YEAR)
        for entry in entries:
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256(), rsa_padding=self.padding)


@dataclass(frozen=True)
class Stamper:
    """A time-stamping authority: `openssl ts` with a certificate of its own."""

    certificate: x509.Certificate
    key: PrivateKey
    chain: Sequence[x509.Certificate] = ()
    """Put into every stamp beside its own."""
    digest: str = "sha256"
    digits: int = 0
    """Of fractions of a second."""

    @classmethod
    def below(cls, authority: Authority, key: PrivateKey | None = None, **more: object) -> Stamper:
        """One with an ordinary certificate by that authority."""
        own = key or new_key()
        certificate = authority.issue("TSA", own.public_key(), [TIME_STAMPS])
        return cls(certificate, own, **more)  # type: ignore[arg-type]

    def stamp(self, data: bytes) -> bytes:
        """The answer (DER) for these bytes, of this moment."""
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        certs = "certs = chain.pem" if self.chain else ""
        files = {
            "own.pem": self.certificate.public_bytes(Encoding.PEM),
            "own.key": pem,
            "chain.pem": b"".join(each.public_bytes(Encoding.PEM) for each in self.chain),
            "own.cnf": _TSA.format(certs=certs, digest=self.digest, digits=self.digits).encode(),
            "serial": b"01\n",
            "data": data,
        }
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            ask = "ts -query -data data -sha256 -cert -out query"
            reply = "ts -reply -config own.cnf -queryfile query -out reply"
            for command in (ask, reply):
                run = ["openssl", *command.split()]
                subprocess.run(run, cwd=folder, check=True, capture_output=True)
            return (Path(folder) / "reply").read_bytes()


@dataclass(frozen=True)
class Witness:
    """Cosigns what it sees of a log, as at any time."""

    name: str = "city.example/w1"
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def vkey(self) -> Vkey:
        """For those who believe it."""
        return Vkey(self.name, self.key.public_key().public_bytes_raw(), COSIGNATURE)

    def see(self, log: MerkleLog | None, at: datetime) -> Note:
        """The newest checkpoint with its cosignature."""
        assert log is not None
        note = log.checkpoint()
        return note.with_signature(cosign(note.text, self.name, self.key, int(at.timestamp())))


def stamped(bundle: bytes, stamper: Stamper) -> bytes:
    """The bundle with the authority's answer in it."""
    members = contents(bundle)
    return pack([*members.items(), ("time.tsr", stamper.stamp(members["manifest.dsse"]))])


def taken_back(
    serial: int, since: datetime, reason: str = "", earlier: datetime | None = None
) -> x509.RevokedCertificate:
    """An entry of a revocation list."""
    builder = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
    if reason:
        flag = x509.CRLReason(x509.ReasonFlags(reason))
        builder = builder.add_extension(flag, critical=False)
    if earlier is not None:
        builder = builder.add_extension(x509.InvalidityDate(earlier), critical=False)
    return builder.build()


def named(text: str) -> x509.Name:
    """A name with all that has to be escaped."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, 'Roads, "A&B" <Plaza>'),
            x509.NameAttribute(NameOID.COMMON_NAME, text),
        ]
    )
