"""`verify.html` as a person uses it, in a real browser; and whatever comes in a file."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from edge_agent.clock import ManualClock, utc_text
from edge_agent.evidence import EXIT_CODES, verify_chain
from edge_agent.evidence.bundle.container import contents, pack
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.bundle.tombstone import FOLDER, SUFFIX, Tombstone
from edge_agent.evidence.keys.identity import Home
from edge_agent.evidence.keys.rotation import install
from edge_agent.evidence.page import verify_page
from edge_agent.evidence.trust.dsse import Envelope
from tamper.authorities import (
    Authority,
    Stamper,
    Witness,
    stamped,
    taken_back,
)
from tamper.browser import Browser, Trust
from tamper.bundles import Device
from tamper.recent import DAY, NOW, Judge, one

pytestmark = pytest.mark.slow


@pytest.fixture
def authority() -> Authority:
    """Who certified the device."""
    return Authority("CA", NOW)


@pytest.fixture
def certified(home: Home, authority: Authority, tmp_path: Path) -> Device:
    """A live device with a certificate by the authority."""
    chain = tmp_path / "chain.pem"
    own = authority.issue("box-1", home.load().key.public_key(), [])
    chain.write_bytes(own.public_bytes(Encoding.PEM))
    install(home, chain, ManualClock(NOW))
    return Device.make(tmp_path / "box", 6, "live", NOW - DAY)


@pytest.mark.parametrize("profile", ["cn-ga832", "cn-four-photo", "bj-2014", "uk-2022-71"])
def test_it_is_measured_by_a_profile_that_was_asked_for(
    device: Device, judge: Judge, profile: str
) -> None:
    report = judge(one(device), Trust(device.key.chain_pem, profile=profile))
    assert report.verdict == "valid"
    assert report.exit_code == (EXIT_CODES["profile"] if report.missed else 0)


@dataclass(frozen=True)
class Person:
    """Somebody who has opened the page, chooses files and reads."""

    chrome: webdriver.Chrome

    def chooses(self, place: str, *files: Path) -> str:
        """What the page says when it is done."""
        chooser = self.chrome.find_element(By.ID, place)
        self.chrome.execute_script("arguments[0].value = ''", chooser)
        chooser.send_keys("\n".join(map(str, files)))
        return self.reads()

    def reads(self) -> str:
        done = "return document.getElementById('reports').ariaBusy === 'false'"
        WebDriverWait(self.chrome, 60).until(lambda chrome: chrome.execute_script(done))
        parts = [self.chrome.find_element(By.ID, name).text for name in ("trouble", "reports")]
        return "\n".join(parts)


@pytest.fixture
def person(browser: Browser) -> Iterator[Person]:
    browser.chrome.refresh()
    browser.chrome.execute_script("document.querySelector('details').open = true")
    yield Person(browser.chrome)
    browser.chrome.refresh()


def saved(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_person_chooses_files_and_reads_the_verdict(
    person: Person, device: Device, tmp_path: Path
) -> None:
    bundle = one(device)
    case, root = saved(tmp_path / "case.evb", bundle), tmp_path / "root.pem"
    assert "INTACT, SIGNER NOT PROVEN" in person.chooses("bundles", case)
    text = person.chooses("root", saved(root, device.key.chain_pem))
    assert "\nVALID\n" in text
    assert "not checked: no witness was chosen" in text
    pictures = "return [...document.images].every((each) => each.naturalWidth > 0)"
    assert person.chrome.execute_script(pictures)
    assert len(person.chrome.find_elements(By.CSS_SELECTOR, ".photos img")) >= 2
    Select(person.chrome.find_element(By.ID, "profile")).select_by_value("cn-ga832")
    assert "It misses the profile cn-ga832" in person.reads()
    forged = saved(tmp_path / "forged.evb", bundle.replace(b"JFIF", b"JFIG", 1))
    text = person.chooses("bundles", forged)
    assert "INVALID" in text
    assert "was altered: its hash is another [altered]" in text
    captions = [each.text for each in person.chrome.find_elements(By.TAG_NAME, "figcaption")]
    (marked,) = (each for each in captions if "ALTERED" in each)
    first = Manifest.from_bytes(contents(bundle)["manifest.json"]).media[0]
    assert marked.startswith("ALTERED: not the file that was recorded")
    assert f"SHA-256 expected: {first.sha256}" in marked


DROP = """
const [place, name, text] = arguments;
const dropped = new DataTransfer();
dropped.items.add(new File([fromBase64(text)], name));
const how = { dataTransfer: dropped, bubbles: true, cancelable: true };
document.getElementById(`${place}-drop`).dispatchEvent(new DragEvent("drop", how));
"""


def test_files_may_be_dropped(person: Person, device: Device) -> None:
    for place, name, data in (
        ("bundles", "case.evb", one(device)),
        ("root", "root.pem", device.key.chain_pem),
    ):
        person.chrome.execute_script(DROP, place, name, base64.b64encode(data).decode())
    assert "\nVALID\n" in person.reads()


def test_a_person_chooses_authorities_and_reads_what_they_say(
    person: Person, certified: Device, authority: Authority, tmp_path: Path
) -> None:
    tsa, witness = Authority("TSA root", NOW), Witness()
    path = next(certified.bundles(1))
    certified.writer.renew_proofs(witness.see(certified.writer.log, NOW))
    bundle = stamped(path.read_bytes(), Stamper.below(tsa))
    person.chooses("bundles", saved(tmp_path / "case.evb", bundle))
    person.chooses("root", saved(tmp_path / "ca.pem", authority.pem))
    person.chooses("stampers", saved(tmp_path / "tsa.pem", tsa.pem))
    person.chooses("keys-file", saved(tmp_path / "w.vkey", f"{witness.vkey}\n".encode()))
    text = person.chooses(
        "lists", saved(tmp_path / "ca.crl", authority.revoked().public_bytes(Encoding.PEM))
    )
    assert "\nVALID\n" in text
    assert f"by {utc_text(NOW)}" in text
    assert 'CN=TSA,O=Roads\\, \\"A&B\\" \\<Plaza\\>' in text
    assert "say nothing against the certificate" in text
    assert "not checked" not in text
    serial = x509.load_pem_x509_certificate(certified.key.chain_pem).serial_number
    late = authority.revoked(taken_back(serial, NOW - DAY)).public_bytes(Encoding.DER)
    text = person.chooses("lists", saved(tmp_path / "ca.crl", late))
    assert "INVALID" in text
    assert "nothing proves that this was there before [revoked]" in text


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("root", "is not a certificate in PEM form"),
        ("stampers", "is not a certificate in PEM form"),
        ("lists", "is no certificate revocation list"),
        ("keys-file", "is not a verifier key"),
    ],
)
def test_a_file_at_the_wrong_place_is_named_and_nothing_is_checked(
    person: Person, device: Device, tmp_path: Path, place: str, says: str
) -> None:
    person.chooses("bundles", saved(tmp_path / "case.evb", one(device)))
    text = person.chooses(place, saved(tmp_path / "wrong.pem", b"wrong"))
    assert says in text
    assert "VALID" not in text
    assert "INTACT" not in text


ORDER = """
const [bundles, graves, done] = arguments;
const entry = ([name, text]) => entryOf(name, fromBase64(text));
const grave = ([name, text]) => ({ name, bytes: fromBase64(text) });
Promise.all(bundles.map(entry))
  .then((entries) => orderOf(entries, graves.map(grave)))
  .then(done, (error) => done(String(error.stack)));
"""


def in_order(browser: Browser, paths: list[Path]) -> list[str]:
    """What both say of the order of these bundles, which must be the same."""
    ours, folder = verify_chain(paths), paths[0].parent / FOLDER
    graves = sorted(folder.glob(f"*{SUFFIX}"))
    told = [
        [[str(path), base64.b64encode(path.read_bytes()).decode()] for path in each]
        for each in (paths, graves)
    ]
    seen = browser.chrome.execute_async_script(ORDER, *told)
    assert seen["chains"] == ours.facts["chains"]
    assert seen["deleted"] == ours.facts.get("deleted", {})
    findings = [(each["code"], each["file"], each["text"]) for each in seen["findings"]]
    assert findings == [(each.code, each.file, each.text) for each in ours.findings]
    return [f"{code} {text}" for code, _, text in findings]


def test_gaps_forks_and_changed_places_are_told(
    browser: Browser, device: Device, tmp_path: Path
) -> None:
    paths = list(device.bundles(5))
    assert in_order(browser, paths[::-1]) == []
    assert "numbers 1 to 2 are missing" in in_order(browser, [paths[0], *paths[3:]])[0]
    other = Device.make(tmp_path / "other", 9, "live", NOW - DAY)
    assert in_order(browser, [*paths, *other.bundles(2)]) == []  # another box of that name
    members = contents(paths[2].read_bytes())
    manifest = json.loads(members["manifest.json"])
    manifest["chain"]["index"] = 1
    members["manifest.json"] = rfc8785.dumps(manifest)
    fork = saved(paths[2].with_name("fork.evb"), pack(members.items()))
    assert any("the chain forks" in each for each in in_order(browser, [*paths, fork]))


def test_a_tombstone_by_the_device_fills_a_gap(
    browser: Browser, device: Device, tmp_path: Path
) -> None:
    paths = list(device.bundles(4))
    bundle = paths[1].read_bytes()
    text = contents(bundle)["manifest.json"]
    why = (utc_text(NOW), "its time was over", "30 days")
    grave = Tombstone.of(Manifest.from_bytes(text), text, len(bundle), why)
    rest = [paths[0], *paths[2:]]
    lies = grave.write(paths[0].parent, Device.make(tmp_path / "other", 9).key)
    assert in_order(browser, rest)[0].startswith("signature is not signed by the device")
    lies.unlink()
    assert "number 1 is missing" in in_order(browser, rest)[0]
    grave.write(paths[0].parent, device.key)
    assert in_order(browser, rest) == []


def test_a_person_is_told_of_the_order_of_several(person: Person, device: Device) -> None:
    paths = list(device.bundles(3))
    assert "IN ORDER" in person.chooses("bundles", *paths)
    text = person.chooses("bundles", paths[0], paths[2])
    assert "NOT IN ORDER" in text
    assert "the chain has a gap: number 1 is missing before it [chain]" in text


def test_what_is_larger_than_any_bundle_is_not_read(person: Person, tmp_path: Path) -> None:
    large = tmp_path / "large.evb"
    with large.open("wb") as file:
        file.truncate((1 << 30) + 1)
    assert "is larger than any bundle (1073741824 bytes)" in person.chooses("bundles", large)


def test_more_files_are_listed_than_a_bundle_holds(device: Device, judge: Judge) -> None:
    members = contents(one(device))
    manifest = json.loads(members["manifest.json"])
    manifest["media"] *= 300
    members["manifest.json"] = rfc8785.dumps(manifest)
    members["manifest.dsse"] = Envelope.sealed(members["manifest.json"], device.key).to_bytes()
    report = judge(pack(members.items()), Trust(device.key.chain_pem))
    assert report.exit_code == EXIT_CODES["inconsistent"]


def test_a_bundle_that_never_ends_is_given_up(
    person: Person, device: Device, tmp_path: Path
) -> None:
    person.chrome.execute_script("PATIENCE_MS.always = 0; PATIENCE_MS.perMegabyte = 0;")
    text = person.chooses("bundles", saved(tmp_path / "case.evb", one(device)))
    assert "NOT CHECKED" in text
    assert "which no honest bundle does" in text
    person.chrome.execute_script("PATIENCE_MS.always = 30000")
    assert "INTACT" in person.chooses("bundles", tmp_path / "case.evb")


def test_a_browser_that_lacks_ed25519_is_told_so_first(browser: Browser) -> None:
    lacking = """
        const importKey = crypto.subtle.importKey.bind(crypto.subtle);
        crypto.subtle.importKey = (...all) =>
            all[2] === "Ed25519" ? Promise.reject(new Error("unknown")) : importKey(...all);
    """
    chrome, before = browser.chrome, browser.chrome.current_window_handle
    page = chrome.current_url
    chrome.switch_to.new_window("tab")
    try:
        chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": lacking})
        chrome.get(page)
        trouble = chrome.find_element(By.ID, "trouble")
        WebDriverWait(chrome, 30).until(lambda _: trouble.text)
        assert "too old to check a device's log" in trouble.text
    finally:
        chrome.close()
        chrome.switch_to.window(before)


def test_the_page_is_one_file_that_asks_nobody() -> None:
    page = verify_page()
    for outside in ("http://", "https://", "src=", "@import", "fetch(", "XMLHttpRequest"):
        assert outside not in page.replace("blob:", ""), outside
    assert "default-src 'none'" in page
