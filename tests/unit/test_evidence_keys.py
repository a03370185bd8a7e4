"""The device key: made once, never overwritten, never used when it proves nothing."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from edge_agent.clock import ManualClock
from edge_agent.errors import EvidenceError
from edge_agent.evidence.keys import DeviceKey

CLOCK = ManualClock(datetime(2026, 5, 13, tzinfo=UTC))
KEY, CERTIFICATE = "box-1/device-key.pem", "box-1/device-cert.pem"
PLAIN = serialization.NoEncryption()
HALF_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551 // 2
"""Of the curve P-256 (SP 800-186, 3.2.1.3)."""


def load(folder: Path, device: str = "box-1") -> DeviceKey:
    return DeviceKey.load_or_create(folder, device, CLOCK)


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes = b"") -> bytes:
    how = serialization.BestAvailableEncryption(password) if password else PLAIN
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, how)


def place(folder: Path, content: bytes) -> None:
    load(folder)
    (folder / KEY).write_bytes(content)


def test_first_use_makes_a_key_and_a_certificate(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    key = load(folder)
    assert (folder / KEY).stat().st_mode & 0o777 == 0o600
    assert (folder / "box-1").stat().st_mode & 0o777 == 0o700
    assert not list(folder.rglob("*.part"))
    certificate = x509.load_pem_x509_certificate(key.chain_pem)
    assert certificate.subject.rfc4514_string() == "CN=box-1"
    assert certificate.fingerprint(hashes.SHA256()).hex() == key.fingerprint
    assert certificate.not_valid_after_utc.year == 9999
    certificate.verify_directly_issued_by(certificate)


def test_later_uses_find_the_same_key(tmp_path: Path) -> None:
    first, second = load(tmp_path), load(tmp_path)
    assert (first.fingerprint, first.chain_pem) == (second.fingerprint, second.chain_pem)


def test_signatures_are_der_and_repeat(tmp_path: Path) -> None:
    key = load(tmp_path)
    signature = key.sign(b"data")
    assert signature == load(tmp_path).sign(b"data")
    key.key.public_key().verify(signature, b"data", ec.ECDSA(hashes.SHA256()))


def test_signatures_have_a_low_s(tmp_path: Path) -> None:
    key = load(tmp_path)
    for n in range(20):
        _, s = decode_dss_signature(key.sign(b"%d" % n))
        assert s <= HALF_ORDER


def test_openssl_agrees(tmp_path: Path) -> None:
    key = load(tmp_path)
    (tmp_path / "data").write_bytes(b"hello")
    (tmp_path / "sig").write_bytes(key.sign(b"hello"))
    public = key.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "pub").write_bytes(public)
    command = ["openssl", "dgst", "-sha256", "-verify", "pub", "-signature", "sig", "data"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.stdout == b"Verified OK\n"


def test_a_lost_certificate_is_made_again_for_the_same_key(tmp_path: Path) -> None:
    first = load(tmp_path)
    (tmp_path / CERTIFICATE).unlink()
    second = load(tmp_path)
    assert first.key.public_key() == second.key.public_key()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"garbage", "not a private key in PEM form"),
        (b"", "not a private key in PEM form"),
        (pem(rsa.generate_private_key(65537, 2048)), "expected an EC key on the curve P-256"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "expected an EC key on the curve P-256"),
        (pem(ec.generate_private_key(ec.SECP256R1()), b"secret"), "is encrypted"),
    ],
    ids=["garbage", "empty", "rsa", "p384", "encrypted"],
)
def test_a_bad_key_is_refused_and_left_alone(tmp_path: Path, content: bytes, says: str) -> None:
    place(tmp_path, content)
    with pytest.raises(EvidenceError, match=says) as caught:
        load(tmp_path)
    assert str(tmp_path / KEY) in str(caught.value)
    assert (tmp_path / KEY).read_bytes() == content


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / KEY).chmod(0o640)
    with pytest.raises(EvidenceError, match="chmod 600"):
        load(tmp_path)


def test_devices_that_share_a_state_folder_have_keys_of_their_own(tmp_path: Path) -> None:
    first, second = load(tmp_path, "box-1"), load(tmp_path, "box-2")
    assert first.key.public_key() != second.key.public_key()
    assert load(tmp_path, "box-1").fingerprint == first.fingerprint


def test_a_certificate_for_another_device_is_refused(tmp_path: Path) -> None:
    load(tmp_path, "box-1")
    (tmp_path / "box-1").rename(tmp_path / "box-2")
    with pytest.raises(EvidenceError, match="names box-1, but the site file names box-2"):
        load(tmp_path, "box-2")


def test_a_certificate_for_another_key_is_refused(tmp_path: Path) -> None:
    place(tmp_path, pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(EvidenceError, match="certificate for another key"):
        load(tmp_path)


def test_a_bad_certificate_is_refused(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / CERTIFICATE).write_bytes(b"garbage")
    with pytest.raises(EvidenceError, match="not a certificate in PEM form"):
        load(tmp_path)


def test_a_lost_key_is_not_replaced_in_silence(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / KEY).unlink()
    with pytest.raises(EvidenceError, match="restore the key"):
        load(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EvidenceError, match=str(tmp_path / "file" / "state" / "box-1")):
        load(tmp_path / "file" / "state")


def test_all_who_race_for_the_first_use_end_with_one_key(tmp_path: Path) -> None:
    # The lock belongs to the open file, so threads race for it exactly as processes do.
    gate = Barrier(8)

    def race(_: int) -> str:
        gate.wait()
        return load(tmp_path).fingerprint

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(race, range(8))) == {load(tmp_path).fingerprint}
