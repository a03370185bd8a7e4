"""`verify.html` and the command line alike: who has seen a bundle, and who is not believed now."""

import base64
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from edge_agent.clock import ManualClock
from edge_agent.evidence import EXIT_CODES
from edge_agent.evidence.bundle.container import contents, pack
from edge_agent.evidence.bundle.logged import PROOF
from edge_agent.evidence.keys.identity import Home
from edge_agent.evidence.keys.rotation import install, revoke, rotate
from edge_agent.evidence.log import Note, Proof, cosign
from edge_agent.evidence.verification.witnessed import known_before
from tamper.authorities import (
    Authority,
    Stamper,
    Witness,
    stamped,
    taken_back,
)
from tamper.browser import Browser, Trust
from tamper.bundles import Device
from tamper.recent import DAY, HOUR, NOW, Judge, one

pytestmark = pytest.mark.slow


@pytest.fixture
def witness() -> Witness:
    return Witness()


@dataclass(frozen=True)
class Seen:
    """A bundle between two cosignatures, a time-line that a test may bend."""

    device: Device
    witness: Witness

    def between(self, before: datetime, after: datetime) -> bytes:
        log = self.device.writer.log
        one(self.device)
        earlier = self.witness.see(log, before)
        self.device.writer.witnessed = lambda: known_before(earlier, [self.witness.vkey])
        path = next(self.device.bundles(1))
        self.device.writer.renew_proofs(self.witness.see(log, after))
        return path.read_bytes()


@pytest.fixture
def seen(device: Device, witness: Witness) -> Seen:
    return Seen(device, witness)


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (-DAY - HOUR, HOUR, 0),
        (-DAY - HOUR, -DAY - HOUR, EXIT_CODES["time"]),  # seen before it happened
        (HOUR, 2 * HOUR, EXIT_CODES["time"]),  # knows of what came later
    ],
)
def test_a_bundle_lies_between_two_cosignatures(
    seen: Seen, judge: Judge, before: timedelta, after: timedelta, code: int
) -> None:
    bundle, root = seen.between(NOW + before, NOW + after), seen.device.key.chain_pem
    report = judge(bundle, Trust(root, witnesses=(seen.witness.vkey,)))
    assert report.exit_code == code
    assert report.bracket is not None
    assert report.bracket.not_before == NOW + before
    assert report.bracket.not_after == NOW + after
    assert judge(bundle, Trust(root)).exit_code == 0  # nobody was asked


def test_only_the_witnesses_that_were_named_count(seen: Seen, judge: Judge) -> None:
    bundle = seen.between(NOW - DAY - HOUR, NOW)
    root, stranger = seen.device.key.chain_pem, Witness()
    namesake = Witness("city.example/w2")
    for others in ((stranger.vkey,), (stranger.vkey, namesake.vkey)):
        report = judge(bundle, Trust(root, witnesses=others))
        assert report.exit_code == EXIT_CODES["witness"]
    both = Trust(root, witnesses=(namesake.vkey, seen.witness.vkey))
    assert judge(bundle, both).exit_code == 0


def test_a_cosignature_that_is_no_good_is_named(
    device: Device, witness: Witness, judge: Judge
) -> None:
    members, trust = contents(one(device)), Trust(device.key.chain_pem, witnesses=(witness.vkey,))
    proof = Proof.from_bytes(members[PROOF])
    note = witness.see(device.writer.log, NOW)
    text, (own, good) = note.text, note.signatures
    endless = cosign(text, witness.name, witness.key, 2**63)
    forged = struct.pack(">Q", 1) + good.data[8:]
    for data in (forged, good.data[:-1], good.data[:8], endless.data):
        spoilt = type(good)(good.name, good.key_id, data)
        worse = replace(proof, note=Note(text, (own, spoilt))).to_bytes()
        report = judge(pack({**members, PROOF: worse}.items()), trust)
        assert {finding.code for finding in report.findings} == {"witness"}


def test_what_is_in_no_log_no_witness_has_seen(
    witness: Witness, judge: Judge, tmp_path: Path
) -> None:
    device = Device.make(tmp_path / "old", 5, "live", NOW - DAY)
    device.writer.log = None
    trust = Trust(device.key.chain_pem, witnesses=(witness.vkey,))
    assert judge(one(device), trust).exit_code == EXIT_CODES["witness"]


PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
AUTHORITIES: dict[str, Callable[[], Authority]] = {
    "P-256": lambda: Authority("CA", NOW),
    "P-521": lambda: Authority("CA", NOW, ec.generate_private_key(ec.SECP521R1())),
    "RSA": lambda: Authority("CA", NOW, rsa.generate_private_key(65537, 2048)),
    "PSS": lambda: Authority("CA", NOW, rsa.generate_private_key(65537, 2048), None, PSS),
}


@pytest.fixture(params=AUTHORITIES)
def authority(request: pytest.FixtureRequest) -> Authority:
    """Who certified the device."""
    return AUTHORITIES[request.param]()


@pytest.fixture
def certified(home: Home, authority: Authority, tmp_path: Path) -> Device:
    """A live device with a certificate by the authority."""
    chain = tmp_path / "chain.pem"
    own = authority.issue("box-1", home.load().key.public_key(), [])
    chain.write_bytes(own.public_bytes(Encoding.PEM))
    install(home, chain, ManualClock(NOW))
    return Device.make(tmp_path / "box", 6, "live", NOW - DAY)


def serial_of(device: Device) -> int:
    return x509.load_pem_x509_certificate(device.key.chain_pem).serial_number


def pem(revocations: x509.CertificateRevocationList) -> bytes:
    return revocations.public_bytes(Encoding.PEM)


def test_a_list_takes_back_what_it_names(
    certified: Device, authority: Authority, judge: Judge
) -> None:
    bundle, root, serial = one(certified), authority.pem, serial_of(certified)
    stranger = Authority("CA", NOW)  # of the same name
    entries = [
        taken_back(serial, NOW),
        taken_back(serial, NOW, "keyCompromise", NOW - 2 * DAY),
        taken_back(serial, NOW, "cessationOfOperation", NOW + DAY),
    ]
    lists = [pem(authority.revoked(taken_back(serial + 1, NOW), each)) for each in entries]
    lists += [authority.revoked(entries[1]).public_bytes(Encoding.DER), lists[0] + lists[1]]
    for each in lists:
        report = judge(bundle, Trust(root, (each,)))
        assert {finding.code for finding in report.findings} == {"revoked"}
        assert "was revoked as of" in report.findings[0].text
    fine = pem(authority.revoked(taken_back(serial + 1, NOW)))
    for good in ((), (fine,), (fine, pem(stranger.revoked(entries[0])))):
        assert judge(bundle, Trust(root, good)).exit_code == 0
    report = judge(bundle, Trust(root, (pem(stranger.revoked()),)))
    assert "none of the given lists is by the issuer" in report.findings[0].text


@pytest.mark.parametrize(("since", "code"), [(DAY, 0), (-HOUR, EXIT_CODES["revoked"])])
def test_what_was_stamped_or_seen_before_keeps_its_worth(
    certified: Device, authority: Authority, judge: Judge, since: timedelta, code: int
) -> None:
    tsa, witness = Authority("TSA root", NOW), Witness()
    path = next(certified.bundles(1))
    certified.writer.renew_proofs(witness.see(certified.writer.log, NOW))
    revoked = (pem(authority.revoked(taken_back(serial_of(certified), NOW + since))),)
    root, cosigned = authority.pem, path.read_bytes()
    both = stamped(cosigned, Stamper.below(tsa))
    assert judge(both, Trust(root, revoked, stampers=tsa.pem)).exit_code == code
    assert judge(cosigned, Trust(root, revoked, witnesses=(witness.vkey,))).exit_code == code
    assert judge(both, Trust(root, revoked)).exit_code == EXIT_CODES["revoked"]


def test_a_device_that_revoked_itself_is_not_believed(
    device: Device, home: Home, judge: Judge
) -> None:
    bundle, root = one(device), device.key.chain_pem
    revoked = revoke(home, ManualClock(NOW), "keyCompromise", NOW - DAY).read_bytes()
    assert judge(bundle, Trust(root, (revoked,))).exit_code == EXIT_CODES["revoked"]
    other = pem(Authority("elsewhere", NOW).revoked())
    report = judge(bundle, Trust(root, (other,)))  # it has no keeper of lists
    assert report.exit_code == 0
    assert report.standing is not None
    assert not report.standing.is_covered


STANDINGS = """
const [pem, lists, done] = arguments;
const standing = async (text) => {
  const chain = await readChain(fromBase64(pem));
  try {
    return (await standingOf(chain, [], parseLists(fromBase64(text)), null)).isCovered;
  } catch (error) {
    return error.message;
  }
};
Promise.all(lists.map(standing)).then(done, (error) => done(String(error.stack)));
"""


def test_a_list_with_one_flipped_bit_counts_for_nothing(
    device: Device, home: Home, browser: Browser
) -> None:
    der = x509.load_pem_x509_crl(
        revoke(home, ManualClock(NOW), "keyCompromise", NOW - DAY).read_bytes()
    ).public_bytes(Encoding.DER)
    lists = [base64.b64encode(der).decode()]
    for at in range(0, 8 * len(der), 3):
        flipped = bytearray(der)
        flipped[at // 8] ^= 1 << at % 8
        lists.append(base64.b64encode(flipped).decode())
    root = base64.b64encode(device.key.chain_pem).decode()
    whole, *others = browser.chrome.execute_async_script(STANDINGS, root, lists)
    assert whole is True
    assert {said for said in others if said is not False} == {
        "is no certificate revocation list; choose one in PEM or DER form"
    }


def test_the_next_key_is_followed(device: Device, home: Home, judge: Judge, tmp_path: Path) -> None:
    root = device.key.chain_pem
    statement = rotate(home, ManualClock(NOW), keep=False).statement
    assert statement is not None
    bundle = one(Device.make(tmp_path / "box", 8, "live", NOW - DAY))
    assert judge(bundle, Trust(root)).exit_code == EXIT_CODES["certificate"]
    followed = Trust(root, successors=(statement.read_bytes(),))
    assert judge(bundle, followed).verdict == "valid"
