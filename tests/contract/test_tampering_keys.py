"""Keys that must not be believed, on fifty bundles each: expired, revoked, and time borrowed.

Command line and page are asked alike.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from edge_agent.checkpoints import CheckpointFeed
from edge_agent.clock import ManualClock
from edge_agent.evidence import EXIT_CODES, DeviceKey, Report
from edge_agent.evidence.keys.identity import Home
from edge_agent.evidence.keys.rotation import install, revoke, rotate
from edge_agent.evidence.log import Vkey, cosign
from edge_agent.evidence.log.note import COSIGNATURE
from edge_agent.uplink.session import Received
from tamper.browser import Browser, Trust
from tamper.bundles import START, Device

BUNDLES = 50
CLOCK = ManualClock(START)

Judge = Callable[[list[Path], Trust], list[Report]]
"""What both say of bundles, which must be the same."""


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Of a box that has a key."""
    DeviceKey.load_or_create(tmp_path / "box" / "state", "box-1", CLOCK)
    return Home.of(tmp_path / "box" / "state", "box-1", None)


@pytest.fixture
def judge(browser: Browser, tmp_path: Path) -> Judge:
    def both(paths: list[Path], trust: Trust) -> list[Report]:
        return browser.agreed([path.read_bytes() for path in paths], trust, tmp_path / "case.evb")

    return both


def bundles(home: Home) -> list[Path]:
    device = Device.make(home.folder.parent.parent, 5, "live")
    return list(device.bundles(BUNDLES))


def certify(home: Home, until: datetime) -> bytes:
    """Install a certificate by a CA that ends then; returns the CA's."""
    ca, years = ec.generate_private_key(ec.SECP256R1()), timedelta(days=3650)

    def issue(who: str, key: ec.EllipticCurvePublicKey, end: datetime) -> bytes:
        builder = x509.CertificateBuilder().subject_name(name(who)).issuer_name(name("CA"))
        dated = builder.not_valid_before(START - years).not_valid_after(end).public_key(key)
        basic = x509.BasicConstraints(ca=who == "CA", path_length=None)
        signed = dated.serial_number(7).add_extension(basic, critical=True)
        return signed.sign(ca, hashes.SHA256()).public_bytes(Encoding.PEM)

    root = issue("CA", ca.public_key(), START + years)
    chain = home.folder / "chain.pem"
    chain.write_bytes(issue("box-1", home.load().key.public_key(), until) + root)
    install(home, chain, CLOCK)
    return root


def test_a_chain_that_had_expired_is_found(home: Home, judge: Judge) -> None:
    root = certify(home, START + timedelta(seconds=1))  # cases begin some seconds later
    for report in judge(bundles(home), Trust(root)):
        assert [finding.code for finding in report.findings] == ["certificate"]
        assert "was not valid at the time of capture" in report.findings[0].text


def test_a_chain_that_had_not_is_fine(home: Home, judge: Judge) -> None:
    root = certify(home, START + timedelta(days=1))
    assert all(report.verdict == "valid" for report in judge(bundles(home), Trust(root)))


def test_a_revoked_key_is_found(home: Home, judge: Judge) -> None:
    written, root = bundles(home), home.load().chain_pem
    revoked = revoke(home, CLOCK, "keyCompromise", None).read_bytes()
    for report in judge(written, Trust(root, lists=(revoked,))):
        assert [finding.code for finding in report.findings] == ["revoked"]
    assert all(report.verdict == "valid" for report in judge(written, Trust(root)))


def test_what_the_next_key_signs_is_fine(home: Home, judge: Judge) -> None:
    root = home.load().chain_pem
    statement = rotate(home, CLOCK, keep=False).statement
    assert statement is not None
    written, followed = bundles(home), Trust(root, successors=(statement.read_bytes(),))
    codes = {report.exit_code for report in judge(written, Trust(root))}
    assert codes == {EXIT_CODES["certificate"]}
    assert all(report.verdict == "valid" for report in judge(written, followed))


@pytest.mark.parametrize(("since_s", "code"), [(1200, 0), (300, EXIT_CODES["revoked"])])
def test_what_a_witness_saw_before_a_revocation_keeps_its_worth(
    home: Home, since_s: int, code: int, judge: Judge
) -> None:
    device = Device.make(home.folder.parent.parent, 5, "live")
    witness = Ed25519PrivateKey.generate()
    path, log = next(device.bundles(1)), device.writer.log
    assert log is not None
    vkey = Vkey("city.example/w1", witness.public_key().public_bytes_raw(), COSIGNATURE)
    note = log.checkpoint()
    seen = cosign(note.text, vkey.name, witness, int(START.timestamp()) + 600)
    feed = CheckpointFeed(log, "edge/v1/plaza/box-1", lambda _: None, [vkey])
    feed.on_cosigned = device.writer.renew_proofs
    feed.hear(Received("t", note.with_signature(seen).to_bytes()))
    feed.tick(0)
    since = START + timedelta(seconds=since_s)
    revoked = revoke(home, ManualClock(since), "keyCompromise", None).read_bytes()
    root = device.key.chain_pem
    (told,) = judge([path], Trust(root, lists=(revoked,), witnesses=(vkey,)))
    assert told.exit_code == code
    (alone,) = judge([path], Trust(root, lists=(revoked,)))
    assert alone.exit_code == EXIT_CODES["revoked"]
