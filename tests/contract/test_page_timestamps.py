"""`verify.html` and the command line judge time-stamps alike, whoever made them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from edge_agent.evidence import EXIT_CODES
from edge_agent.evidence.bundle.container import contents, pack
from tamper.authorities import TIME_STAMPS, YEAR, Authority, Stamper, new_key, stamped
from tamper.browser import Browser, Trust
from tamper.bundles import Device
from tamper.recent import DAY, NOW, Judge, one

pytestmark = pytest.mark.slow


TOKEN = "time.tsr"


@dataclass(frozen=True)
class Stamps:
    """Authorities of several kinds below one root."""

    root: Authority

    def ordinary(self) -> Stamper:
        return Stamper.below(self.root)

    def to_the_microsecond(self) -> Stamper:
        return Stamper.below(self.root, digits=6)

    def rsa(self) -> Stamper:
        return Stamper.below(self.root, rsa.generate_private_key(65537, 2048), digest="sha512")

    def long_curve(self) -> Stamper:
        key = ec.generate_private_key(ec.SECP521R1())
        return Stamper.below(self.root, key, digest="sha384")

    def in_between(self) -> Stamper:
        """By an authority below the root, whose certificate the stamp carries."""
        between = Authority("between", NOW, rsa.generate_private_key(65537, 2048), self.root)
        return Stamper.below(between, chain=[between.certificate])

    def nobody_between(self) -> Stamper:
        """The same, but the stamp does not carry it."""
        return Stamper.below(Authority("between", NOW, above=self.root))

    def not_an_authority(self) -> Stamper:
        """By somebody with an ordinary certificate of that root."""
        key = new_key()
        basic = x509.BasicConstraints(ca=False, path_length=None)
        someone = self.root.issue("someone", key.public_key(), [basic])
        return Stamper.below(Authority("someone", NOW, key), chain=[someone])

    def another_root(self) -> Stamper:
        return Stamper.below(Authority(self.root.name, NOW))

    def expired(self) -> Stamper:
        key = new_key()
        valid = (NOW - YEAR, NOW - DAY)
        return Stamper(self.root.issue("TSA", key.public_key(), [TIME_STAMPS], valid), key)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        *((good, 0) for good in ("ordinary", "to_the_microsecond", "rsa", "long_curve")),
        ("in_between", 0),
        *((bad, 26) for bad in ("nobody_between", "not_an_authority", "another_root", "expired")),
    ],
)
def test_time_stamps_count_by_whoever_made_them(
    kind: str, code: int, device: Device, judge: Judge
) -> None:
    root = Authority("TSA root", NOW)
    stamper: Stamper = getattr(Stamps(root), kind)()
    before = datetime.now(UTC)
    report = judge(stamped(one(device), stamper), Trust(device.key.chain_pem, stampers=root.pem))
    assert report.exit_code == code
    if code == 0:
        assert report.stamp is not None
        assert before <= report.stamp.latest <= datetime.now(UTC) + timedelta(seconds=1.5001)


def test_a_time_stamp_is_of_this_bundle_and_of_this_time(
    device: Device, judge: Judge, tmp_path: Path
) -> None:
    root = Authority("TSA root", NOW)
    stamper, trust = Stamper.below(root), Trust(device.key.chain_pem, stampers=root.pem)
    bundle, other = one(device), stamped(one(device), stamper)
    token = contents(other)[TOKEN]
    for wrong in (token, b"", b"garbage", token[:-1], bytes.fromhex("30053003020102")):
        report = judge(pack([*contents(bundle).items(), (TOKEN, wrong)]), trust)
        assert [finding.code for finding in report.findings] == ["timestamp"]
    tomorrow = Device.make(tmp_path / "tomorrow", 4, "live", NOW + DAY)
    early = Trust(tomorrow.key.chain_pem, stampers=root.pem)
    report = judge(stamped(one(tomorrow), stamper), early)
    assert "before what it shows" in report.findings[0].text
    assert judge(stamped(one(tomorrow), stamper), Trust(tomorrow.key.chain_pem)).exit_code == 0


def test_a_stamp_with_one_flipped_bit_is_judged_alike(
    device: Device, browser: Browser, tmp_path: Path
) -> None:
    root = Authority("TSA root", NOW)
    members = contents(stamped(one(device), Stamper.below(root)))
    token, bundles = members[TOKEN], []
    for at in range(0, 8 * len(token), 61):
        flipped = bytearray(token)
        flipped[at // 8] ^= 1 << at % 8
        bundles.append(pack({**members, TOKEN: bytes(flipped)}.items()))
    trust = Trust(device.key.chain_pem, stampers=root.pem)
    reports = browser.agreed(bundles, trust, tmp_path / "case.evb")
    codes = {report.exit_code for report in reports}
    assert codes <= {0, EXIT_CODES["timestamp"]}
