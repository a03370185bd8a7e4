"""Revocation lists: whatever is in them, the answer is a verdict."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from edge_agent.clock import ManualClock
from edge_agent.errors import EvidenceError
from edge_agent.evidence.keys import DeviceKey
from edge_agent.evidence.keys.identity import Home
from edge_agent.evidence.keys.rotation import revoke, rotate
from edge_agent.evidence.trust.certificates import read_chain
from edge_agent.evidence.trust.revocation import (
    is_covered,
    own_revocation,
    read_lists,
    revocation_flaws,
)

NOW = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
CLOCK = ManualClock(NOW)
HOUR = timedelta(hours=1)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    DeviceKey.load_or_create(tmp_path, "box-1", CLOCK)
    return Home.of(tmp_path, "box-1", None)


def flaws(home: Home, crl: bytes, seen: datetime | None = None) -> list[str]:
    chain = read_chain(home.certificate.read_bytes())
    return list(revocation_flaws(chain, (), read_lists(crl), seen))


def test_what_was_there_before_is_honoured_to_the_second(home: Home) -> None:
    crl = revoke(home, CLOCK, "keyCompromise", NOW - HOUR).read_bytes()
    assert flaws(home, crl, NOW - HOUR - timedelta(seconds=1)) == []
    for seen in (NOW - HOUR, NOW, None):
        (said,) = flaws(home, crl, seen)
        assert "CN=box-1 was revoked as of 2026-05-13T08:49:12.000Z (key compromise)" in said


def test_a_revocation_counts_from_its_own_date_at_the_latest(home: Home) -> None:
    crl = revoke(home, CLOCK, "superseded", NOW + HOUR).read_bytes()
    assert flaws(home, crl, NOW - timedelta(seconds=1)) == []
    assert "as of 2026-05-13T09:49:12.000Z (superseded)" in flaws(home, crl, NOW)[0]


def test_another_device_of_the_same_name_revokes_nobody(home: Home, tmp_path: Path) -> None:
    DeviceKey.load_or_create(tmp_path / "thief", "box-1", CLOCK)
    thief = Home.of(tmp_path / "thief", "box-1", None)
    crl = revoke(thief, CLOCK, "keyCompromise", None).read_bytes()
    assert flaws(home, crl) == []
    own = revoke(home, CLOCK, "keyCompromise", None).read_bytes()
    assert "was revoked" in flaws(home, crl + own)[0]


def test_a_list_with_one_flipped_bit_says_the_same_or_nothing(home: Home) -> None:
    (genuine,) = read_lists(revoke(home, CLOCK, "keyCompromise", None).read_bytes())
    chain, der = read_chain(home.certificate.read_bytes()), genuine.public_bytes(Encoding.DER)
    assert is_covered(chain, (), read_lists(der))
    for at in range(len(der) * 8):
        flipped = bytearray(der)
        flipped[at // 8] ^= 1 << at % 8
        try:
            lists = read_lists(bytes(flipped))
            # The name of the algorithm stands outside of what is signed, too, and says nothing new.
            assert list(revocation_flaws(chain, (), lists, None)) or not is_covered(
                chain, (), lists
            )
        except EvidenceError as error:
            assert "is no certificate revocation list" in str(error)


def test_a_device_heeds_its_own_list_until_it_has_another_key(home: Home) -> None:
    path = revoke(home, CLOCK, "keyCompromise", None)
    with pytest.raises(EvidenceError, match="run `edge-agent key rotate`"):
        home.load()
    rotate(home, CLOCK, keep=True)
    assert own_revocation(path, read_chain(home.load().chain_pem)) is None
    path.write_bytes(b"garbage")
    with pytest.raises(EvidenceError, match=str(path)):
        home.load()


def test_a_successor_whose_certificate_never_came_is_not_used(home: Home) -> None:
    before = home.load()
    home.ring.create()  # and the power goes
    assert home.load().fingerprint == before.fingerprint
    after = rotate(home, CLOCK, keep=False).new
    assert home.load().fingerprint == after.fingerprint != before.fingerprint
    assert [path.name for path in home.folder.glob("*key*.pem")] == ["device-key.pem"]
