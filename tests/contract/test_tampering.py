"""Whatever is done to a bundle is found and named, by the command line and in a browser alike."""

import base64
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyrage import x25519
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from edge_agent.clock import ManualClock
from edge_agent.evidence import EXIT_CODES, DeviceKey, Report, verify
from edge_agent.evidence.log import Vkey, cosign
from edge_agent.evidence.log.note import COSIGNATURE
from edge_agent.evidence.page import verify_page
from edge_agent.evidence.verification.standing import Authorities
from tamper.bundles import START, Device
from tamper.mutations import MUTATIONS, Scene, forked_log

pytestmark = pytest.mark.slow

BUNDLES = 50
CLEAN = 1000
CHECK = """
const [bundles, pem, done] = arguments;
const roots = parsePem(fromBase64(pem));
Promise.all(bundles.map((bundle) => verifyBundle(fromBase64(bundle), roots))).then(
  (reports) => done(reports.map(({ verdict, code, findings }) => ({ verdict, code, findings }))),
  (error) => done(String(error.stack)),
);
"""

Checked = Callable[[Sequence[bytes], bytes], list[tuple[Report, dict[str, Any]]]]
"""Both verdicts on each bundle, trusting this root: the command line's and the browser's."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tampering")


@pytest.fixture(scope="module")
def device(folder: Path) -> Device:
    return Device.make(folder / "box", 7)


@pytest.fixture(scope="module")
def thief(folder: Path) -> DeviceKey:
    return DeviceKey.load_or_create(folder / "thief", "box-1", ManualClock(START))


@pytest.fixture(scope="module")
def bundles(device: Device) -> list[bytes]:
    return [path.read_bytes() for path in device.bundles(BUNDLES)]


@pytest.fixture(scope="module")
def browser(folder: Path) -> Iterator[webdriver.Chrome]:
    """A real browser that has opened the page from the disk."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert binary and driver, "run tools/install_test_needs.sh: chromium or its driver is missing"
    options = Options()
    options.binary_location = binary
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(option)
    page = folder / "verify.html"
    page.write_text(verify_page(), "utf-8")
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    try:
        chrome.set_script_timeout(120)
        chrome.get(page.as_uri())
        yield chrome
        told = chrome.get_log("browser")  # type: ignore[no-untyped-call]
        severe = [entry for entry in told if entry["level"] == "SEVERE"]
        assert severe == []
    finally:
        chrome.quit()


@pytest.fixture
def checked(browser: webdriver.Chrome, tmp_path: Path) -> Checked:
    def check(bundles: Sequence[bytes], root: bytes) -> list[tuple[Report, dict[str, Any]]]:
        path, reports = tmp_path / "case.evb", []
        for bundle in bundles:
            path.write_bytes(bundle)
            reports.append(verify(path, root))
        seen: Any = []
        for at in range(0, len(bundles), 100):
            texts = [base64.b64encode(bundle).decode() for bundle in bundles[at : at + 100]]
            found = browser.execute_async_script(CHECK, texts, base64.b64encode(root).decode())
            assert isinstance(found, list), found
            seen += found
        return list(zip(reports, seen, strict=True))

    return check


def assert_alike(report: Report, seen: dict[str, Any]) -> None:
    """The page says what the command line says, finding by finding."""
    assert seen["verdict"] == report.verdict
    assert seen["code"] == report.exit_code
    ours = [(finding.code, finding.file) for finding in report.findings]
    assert [(finding["code"], finding["file"]) for finding in seen["findings"]] == ours


@pytest.mark.parametrize("name", MUTATIONS)
def test_tampering_is_found_and_named(
    name: str, bundles: list[bytes], thief: DeviceKey, device: Device, checked: Checked
) -> None:
    mutation, keys = MUTATIONS[name], (thief, device.key, device.log_key)
    forged = [
        mutation.apply(Scene.of(bundle, bundles[seed - 1], keys, seed))
        for seed, bundle in enumerate(bundles)
    ]
    assert not any(a == b for a, b in zip(forged, bundles, strict=True))
    for report, seen in checked(forged, device.key.chain_pem):
        assert report.findings, "it was not noticed"
        assert report.findings[0].code in mutation.codes
        assert_alike(report, seen)


@pytest.mark.parametrize("kind", ["replay", "live"])
def test_nothing_is_said_against_genuine_bundles(kind: Any, folder: Path, checked: Checked) -> None:
    box = Device.make(folder / kind, 11, kind)
    genuine = [path.read_bytes() for path in box.bundles(CLEAN // 2)]
    for report, seen in checked(genuine, box.key.chain_pem):
        assert report.verdict == "valid", report.findings
        assert_alike(report, seen)


def test_of_encrypted_originals_the_encrypted_bytes_are_checked(
    folder: Path, checked: Checked
) -> None:
    box = Device.make(folder / "encrypted", 17, "live")
    box.writer.recipients = [x25519.Identity.generate().to_public()]
    genuine = [path.read_bytes() for path in box.bundles(BUNDLES // 5)]
    for report, seen in checked(genuine, box.key.chain_pem):
        assert report.verdict == "valid", report.findings
        assert all(item["path"].endswith(".age") for item in report.facts["media"])
        assert_alike(report, seen)
    marks = [bundle.index(b"age-encryption.org/v1") for bundle in genuine]
    forged = [
        bundle[: at + 200] + bytes([bundle[at + 200] ^ 1]) + bundle[at + 201 :]
        for bundle, at in zip(genuine, marks, strict=True)
    ]
    for report, seen in checked(forged, box.key.chain_pem):
        assert report.findings[0].code == "altered"
        assert report.findings[0].file.endswith(".age")
        assert_alike(report, seen)


def cosigned(device: Device) -> tuple[list[bytes], Authorities]:
    """Fifty bundles that a witness has seen, and that it is believed."""
    paths, witness = list(device.bundles(BUNDLES)), Ed25519PrivateKey.generate()
    assert device.writer.log is not None
    note = device.writer.log.checkpoint()
    seen = cosign(note.text, "city.example/w1", witness, round(START.timestamp()) + 3600)
    device.writer.renew_proofs(note.with_signature(seen))
    vkey = Vkey("city.example/w1", witness.public_key().public_bytes_raw(), COSIGNATURE)
    return [path.read_bytes() for path in paths], Authorities(witnesses=(vkey,))


def test_only_a_witness_tells_a_forked_log(folder: Path, thief: DeviceKey, tmp_path: Path) -> None:
    box = Device.make(folder / "forked", 13, "live")
    genuine, authorities = cosigned(box)
    path, keys = tmp_path / "case.evb", (thief, box.key, box.log_key)
    for seed, bundle in enumerate(genuine):
        path.write_bytes(bundle)
        assert verify(path, box.key.chain_pem, authorities=authorities).verdict == "valid"
        path.write_bytes(forked_log(Scene.of(bundle, genuine[seed - 1], keys, seed)))
        assert verify(path, box.key.chain_pem).verdict == "valid"  # a bundle alone cannot know
        report = verify(path, box.key.chain_pem, authorities=authorities)
        assert report.exit_code == EXIT_CODES["witness"]


def shown(browser: webdriver.Chrome, choice: str, path: Path) -> str:
    """What the page says after a person has chosen a file."""
    before = browser.find_element(By.ID, "reports").text
    browser.find_element(By.ID, choice).send_keys(str(path))
    WebDriverWait(browser, 30).until(
        lambda chrome: chrome.find_element(By.ID, "reports").text not in ("", before)
    )
    return browser.find_element(By.ID, "reports").text


def test_a_person_chooses_files_and_reads_the_verdict(
    browser: webdriver.Chrome, bundles: list[bytes], device: Device, tmp_path: Path
) -> None:
    case, forged, root = tmp_path / "case.evb", tmp_path / "forged.evb", tmp_path / "root.pem"
    case.write_bytes(bundles[0])
    forged.write_bytes(bundles[0].replace(b"JFIF", b"JFIG", 1))
    root.write_bytes(device.key.chain_pem)
    assert "INTACT, SIGNER NOT PROVEN" in shown(browser, "bundles", case)
    text = shown(browser, "root", root)
    assert "VALID" in text and "Not evidence: replay" in text and "parking.illegal" in text
    assert len(browser.find_elements(By.CSS_SELECTOR, ".photos img")) >= 2
    assert "was altered: its hash is another" in shown(browser, "bundles", forged)
