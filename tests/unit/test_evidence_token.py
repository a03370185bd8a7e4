"""A device key in a token (SoftHSM): the same identity, and clear words when something is amiss."""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from edge_agent.clock import ManualClock
from edge_agent.config import Evidence, Pkcs11
from edge_agent.errors import ConfigError, EvidenceError
from edge_agent.evidence import BundleWriter, extract, verify
from edge_agent.evidence.keys import DeviceKey
from edge_agent.evidence.keys.identity import Home
from edge_agent.evidence.keys.rotation import rotate
from edge_agent.evidence.trust.succession import with_successors
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import Case, Event, Media, ModelInfo

CLOCK = ManualClock(datetime(2026, 5, 13, tzinfo=UTC))
MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
HALF_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551 // 2
"""Of the curve P-256 (SP 800-186, 3.2.1.3)."""


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of software tokens; the library asks once per process where that is."""
    if not MODULE.exists():
        text = "SOFTHSM ABSENT: run tools/install_test_needs.sh"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    conf = folder / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(conf)
    for label in ("box", "locked"):
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "5678"]
        subprocess.run([*command, "--pin", "1234"], check=True, capture_output=True)
    yield folder
    del os.environ["SOFTHSM2_CONF"]


@pytest.fixture
def token(tokens: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Pkcs11:
    """A token, with a key for each test; SoftHSM sees only those made before its first use."""
    pin = tmp_path / "pin"
    pin.write_text("1234\n")
    pin.chmod(0o600)
    return Pkcs11(module=MODULE, token="box", label=request.node.name, pin_file=pin)


def load(folder: Path, token: Pkcs11) -> DeviceKey:
    return DeviceKey.load_or_create(folder, "box-1", CLOCK, token)


def test_first_use_makes_the_key_inside_the_token(token: Pkcs11, tmp_path: Path) -> None:
    key = load(tmp_path, token)
    assert not list(tmp_path.rglob("*key*.pem"))
    certificate = x509.load_pem_x509_certificate(key.chain_pem)
    certificate.verify_directly_issued_by(certificate)
    assert key.facts == {
        "algorithm": "ES256",
        "grade": "pkcs11",
        "token": "SoftHSM project SoftHSM v2",
    }
    assert load(tmp_path, token).chain_pem == key.chain_pem


def test_signatures_are_as_those_of_a_file(token: Pkcs11, tmp_path: Path) -> None:
    key = load(tmp_path, token)
    for n in range(10):
        signature = key.sign(b"%d" % n)
        key.key.public_key().verify(signature, b"%d" % n, ec.ECDSA(SHA256()))
        assert decode_dss_signature(signature)[1] <= HALF_ORDER


def test_bundles_are_verified_like_any_other_and_name_the_grade(
    token: Pkcs11, tmp_path: Path
) -> None:
    key = load(tmp_path, token)
    media = Media("camera", "live", None, CLOCK.now(), "clock")
    cameras = {"c1": CameraOrigin(media, ModelInfo("yolo", None))}
    origin = Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", cameras)
    begin = Event("c1", "parking.illegal", "s1", "begin", 4.0, 12.0, CLOCK.now(), 120, "kerb")
    case = Case("s1", begin, begin, (), None, False, ("vehicle has not left",))
    bundle = BundleWriter(tmp_path / "out", key, origin, Evidence(), {}).write(case, None)
    report = verify(Path(bundle.path), key.chain_pem)
    assert (report.verdict, report.findings) == ("valid", ())
    extract(Path(bundle.path), tmp_path / "case")
    device = json.loads((tmp_path / "case" / "device.json").read_text())
    assert device["key"] == key.facts


def test_replays_repeat_and_need_no_token(tmp_path: Path) -> None:
    absent = Pkcs11(module=Path("/absent.so"), token="none", pin_file=Path("/absent"))
    first, second = (DeviceKey.for_replays(tmp_path, "box-1", CLOCK, absent) for _ in range(2))
    assert first.facts["grade"] == "replay"
    assert first.sign(b"x") == second.sign(b"x")
    assert first.chain_pem == second.chain_pem


def test_replays_are_signed_with_the_device_key_where_it_is_a_file(tmp_path: Path) -> None:
    device = DeviceKey.load_or_create(tmp_path, "box-1", CLOCK)
    assert DeviceKey.for_replays(tmp_path, "box-1", CLOCK).fingerprint == device.fingerprint


@pytest.mark.filterwarnings("ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning")
def test_a_lost_session_is_opened_again(token: Pkcs11, tmp_path: Path) -> None:
    key: Any = load(tmp_path, token)
    with key.key.login.session() as session:
        session.close()
    assert key.sign(b"x")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"token": "other"}, r"token `other` is not there .found: `box`, `locked`"),
        ({"module": Path("/no/such.so")}, "/no/such.so: cannot be loaded"),
        (
            {"module": Path("/etc/passwd")},
            r"cannot be loaded .*install the token's PKCS#11 library",
        ),
        ({"pin_file": Path("/no/pin")}, "pin_file /no/pin: No such file"),
    ],
    ids=["token", "module", "garbage", "pin"],
)
def test_what_is_missing_is_named(
    token: Pkcs11, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        load(tmp_path, token.model_copy(update=change))


def test_a_wrong_pin_is_refused(token: Pkcs11, tmp_path: Path) -> None:
    token.pin_file.write_text("0000")
    locked = token.model_copy(update={"token": "locked"})
    with pytest.raises(ConfigError, match=r"refuses the PIN in .*most tokens lock themselves"):
        load(tmp_path, locked)


def test_a_pin_that_others_can_read_is_refused(token: Pkcs11, tmp_path: Path) -> None:
    token.pin_file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load(tmp_path, token)


def test_without_the_library_the_extra_is_named(
    token: Pkcs11, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pkcs11", None)
    with pytest.raises(ConfigError, match=r"pip install 'edge-agent\[hsm\]'"):
        load(tmp_path, token)


def test_an_emptied_token_gets_no_new_identity_in_silence(token: Pkcs11, tmp_path: Path) -> None:
    load(tmp_path, token)
    with pytest.raises(EvidenceError, match=r"key `other`: is missing, but .*restore the key"):
        load(tmp_path, token.model_copy(update={"label": "other"}))


def test_without_a_certificate_two_keys_are_one_too_many(token: Pkcs11, tmp_path: Path) -> None:
    load(tmp_path / "a", token)
    home = Home.of(tmp_path / "a", "box-1", token)
    home.ring.create()
    assert load(tmp_path / "a", token).sign(b"x")
    with pytest.raises(EvidenceError, match="there are 2 with this label"):
        load(tmp_path / "b", token)


@pytest.mark.parametrize("keep", [True, False])
def test_rotation_makes_the_new_key_inside(token: Pkcs11, tmp_path: Path, keep: bool) -> None:
    old = load(tmp_path, token)
    home = Home.of(tmp_path, "box-1", token)
    new = rotate(home, CLOCK, keep).new
    assert load(tmp_path, token).fingerprint == new.fingerprint != old.fingerprint
    new.key.public_key().verify(new.sign(b"x"), b"x", ec.ECDSA(SHA256()))
    assert (home.ring.find(old.key.public_key()) is not None) == keep


@pytest.mark.parametrize("keep", [True, False])
def test_a_rotation_moves_the_key_from_a_file_into_the_token(
    token: Pkcs11, tmp_path: Path, keep: bool
) -> None:
    old = DeviceKey.load_or_create(tmp_path, "box-1", CLOCK)
    with pytest.raises(EvidenceError, match=r"is for the key in .*device-key.pem; run `edge-agent"):
        load(tmp_path, token)
    done = rotate(Home.of(tmp_path, "box-1", token), CLOCK, keep)
    assert done.new.facts["grade"] == "pkcs11"
    assert load(tmp_path, token).fingerprint == done.new.fingerprint
    assert done.statement is not None
    trusted = with_successors(old.chain_pem, [done.statement.read_bytes()], ())
    assert trusted == old.chain_pem + done.new.chain_pem
    assert not (tmp_path / "box-1" / "device-key.pem").exists()
    assert len(list(tmp_path.rglob("*-key.pem"))) == keep
