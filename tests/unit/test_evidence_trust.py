"""Certificate chains: followed to a root that somebody chose, and no further."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_agent.errors import EvidenceError
from edge_agent.evidence.trust.certificates import read_chain, read_roots

CAPTURE = "2026-05-13T09:49:24.000Z"


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """Issues certificates, its own included."""

    def __init__(self, is_authority: bool = True) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.root = self.issue("root", self.key, is_authority)

    def issue(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        is_authority: bool = False,
        until: int = 2040,
    ) -> bytes:
        certificate = (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named("root"))
            .public_key(key.public_key())
            .serial_number(7)
            .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(until, 1, 1, tzinfo=UTC))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)


DEVICE = ec.generate_private_key(ec.SECP256R1())


def test_a_chain_leads_to_its_root_and_to_no_other() -> None:
    authority, other = Authority(), Authority()
    for pem in (authority.issue("box", DEVICE), authority.issue("box", DEVICE) + authority.root):
        chain = read_chain(pem)
        assert chain.flaws(CAPTURE) == []
        assert chain.leads_to(authority.root)
        assert chain.leads_to(other.root + authority.root)
        assert not chain.leads_to(other.root)


def test_the_device_certificate_itself_may_be_trusted() -> None:
    pem = Authority().issue("box", DEVICE)
    assert read_chain(pem).leads_to(pem)


def test_certificates_that_do_not_belong_together_are_no_chain() -> None:
    pem = Authority().issue("box", DEVICE) + Authority().root
    assert read_chain(pem).flaws(CAPTURE) == ["its signatures do not form a chain"]


def test_an_ordinary_certificate_cannot_certify_another() -> None:
    pretender = Authority(is_authority=False)
    pem = pretender.issue("box", DEVICE)
    assert read_chain(pem + pretender.root).flaws(None) == ["its signatures do not form a chain"]
    assert not read_chain(pem).leads_to(pretender.root)


def test_validity_counts_at_the_time_of_capture() -> None:
    chain = read_chain(Authority().issue("box", DEVICE, until=2025))
    assert chain.flaws(CAPTURE) == [f"was not valid at the time of capture, {CAPTURE}"]
    assert chain.flaws("2024-01-01T00:00:00.000Z") == []
    assert chain.flaws(None) == []
    assert chain.flaws("yesterday") == ["holds dates or names that cannot be read"]


def test_other_kinds_of_keys_are_refused() -> None:
    pem = Authority().issue("box", ec.generate_private_key(ec.SECP384R1()))
    with pytest.raises(ValueError, match="P-256"):
        read_chain(pem)


def test_endless_chains_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 8"):
        read_chain(Authority().root * 9)


def test_a_root_must_be_a_certificate() -> None:
    with pytest.raises(EvidenceError, match="root: is not a certificate in PEM form"):
        read_roots(b"garbage")
