"""Whatever is done to a bundle is found and named, by the command line and in a browser alike."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyrage import x25519

from edge_agent.clock import ManualClock
from edge_agent.evidence import EXIT_CODES, DeviceKey
from edge_agent.evidence.log import Vkey, cosign
from edge_agent.evidence.log.note import COSIGNATURE
from tamper.browser import Browser, Trust
from tamper.bundles import START, Device
from tamper.mutations import MUTATIONS, Keys, Scene, forked_log

pytestmark = pytest.mark.slow

BUNDLES = 50
CLEAN = 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tampering")


@pytest.fixture(scope="module")
def device(folder: Path) -> Device:
    return Device.make(folder / "box", 7)


@pytest.fixture(scope="module")
def thief(folder: Path) -> DeviceKey:
    return DeviceKey.load_or_create(folder / "thief", "box-1", ManualClock(START))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "case.evb"


@pytest.fixture
def keys(thief: DeviceKey, device: Device) -> Keys:
    return thief, device.key, device.log_key


@pytest.fixture(scope="module")
def bundles(device: Device) -> list[bytes]:
    return [path.read_bytes() for path in device.bundles(BUNDLES)]


@pytest.mark.parametrize("name", MUTATIONS)
def test_tampering_is_found_and_named(
    name: str, bundles: list[bytes], keys: Keys, browser: Browser, scratch: Path
) -> None:
    mutation = MUTATIONS[name]
    forged = [
        mutation.apply(Scene.of(bundle, bundles[seed - 1], keys, seed))
        for seed, bundle in enumerate(bundles)
    ]
    assert not any(a == b for a, b in zip(forged, bundles, strict=True))
    for report in browser.agreed(forged, Trust(keys[1].chain_pem), scratch):
        assert report.findings, "it was not noticed"
        assert report.findings[0].code in mutation.codes


@pytest.mark.parametrize("kind", ["replay", "live"])
def test_nothing_is_said_against_genuine_bundles(
    kind: Any, folder: Path, browser: Browser, scratch: Path
) -> None:
    box = Device.make(folder / kind, 11, kind)
    genuine = [path.read_bytes() for path in box.bundles(CLEAN // 2)]
    for report in browser.agreed(genuine, Trust(box.key.chain_pem), scratch):
        assert report.verdict == "valid", report.findings


def test_of_encrypted_originals_the_encrypted_bytes_are_checked(
    folder: Path, browser: Browser, scratch: Path
) -> None:
    box = Device.make(folder / "encrypted", 17, "live")
    box.writer.recipients = [x25519.Identity.generate().to_public()]
    genuine = [path.read_bytes() for path in box.bundles(BUNDLES // 5)]
    trust = Trust(box.key.chain_pem)
    for report in browser.agreed(genuine, trust, scratch):
        assert report.verdict == "valid", report.findings
        assert all(item["path"].endswith(".age") for item in report.facts["media"])
    marks = [bundle.index(b"age-encryption.org/v1") for bundle in genuine]
    forged = [
        bundle[: at + 200] + bytes([bundle[at + 200] ^ 1]) + bundle[at + 201 :]
        for bundle, at in zip(genuine, marks, strict=True)
    ]
    for report in browser.agreed(forged, trust, scratch):
        assert report.findings[0].code == "altered"
        assert report.findings[0].file.endswith(".age")


def cosigned(device: Device) -> tuple[list[bytes], Vkey]:
    """Fifty bundles that a witness has seen, and its key."""
    paths, witness = list(device.bundles(BUNDLES)), Ed25519PrivateKey.generate()
    assert device.writer.log is not None
    note = device.writer.log.checkpoint()
    seen = cosign(note.text, "city.example/w1", witness, round(START.timestamp()) + 3600)
    device.writer.renew_proofs(note.with_signature(seen))
    vkey = Vkey("city.example/w1", witness.public_key().public_bytes_raw(), COSIGNATURE)
    return [path.read_bytes() for path in paths], vkey


def test_only_a_witness_tells_a_forked_log(
    folder: Path, thief: DeviceKey, browser: Browser, scratch: Path
) -> None:
    box = Device.make(folder / "forked", 13, "live")
    genuine, vkey = cosigned(box)
    keys = (thief, box.key, box.log_key)
    forged = [
        forked_log(Scene.of(bundle, genuine[seed - 1], keys, seed))
        for seed, bundle in enumerate(genuine)
    ]
    alone, witnessed = Trust(box.key.chain_pem), Trust(box.key.chain_pem, witnesses=(vkey,))
    assert {report.verdict for report in browser.agreed(genuine, witnessed, scratch)} == {"valid"}
    assert {report.verdict for report in browser.agreed(forged, alone, scratch)} == {"valid"}
    codes = {report.exit_code for report in browser.agreed(forged, witnessed, scratch)}
    assert codes == {EXIT_CODES["witness"]}
