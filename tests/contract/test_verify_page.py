"""`verify.html` in a browser: it believes whom it is told to, as the command line does."""

import base64
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from edge_agent.clock import ManualClock, utc_text
from edge_agent.evidence import EXIT_CODES, Report
from edge_agent.evidence.bundle.container import contents, pack
from edge_agent.evidence.keys.identity import Home
from edge_agent.evidence.keys.rotation import install, revoke, rotate
from edge_agent.evidence.log import MerkleLog, Note, Vkey, cosign
from edge_agent.evidence.log.note import COSIGNATURE
from edge_agent.evidence.page import verify_page
from edge_agent.evidence.verification.witnessed import known_before
from tamper.authorities import TIME_STAMPS, YEAR, Authority, Stamper, new_key
from tamper.browser import Browser, Trust
from tamper.bundles import Device

pytestmark = pytest.mark.slow

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SEAL, TOKEN = "manifest.dsse", "time.tsr"


@dataclass(frozen=True)
class Witness:
    """Sees the log of a device."""

    key: Ed25519PrivateKey
    name: str = "city.example/w1"

    @property
    def vkey(self) -> Vkey:
        return Vkey(self.name, self.key.public_key().public_bytes_raw(), COSIGNATURE)

    def see(self, log: MerkleLog, at: datetime) -> Note:
        note = log.checkpoint()
        return note.with_signature(cosign(note.text, self.name, self.key, int(at.timestamp())))


@pytest.fixture
def witness() -> Witness:
    return Witness(Ed25519PrivateKey.generate())


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """A live one, whose cases were yesterday."""
    return Device.make(tmp_path / "box", 3, "live", NOW - DAY)


@pytest.fixture
def home(device: Device, tmp_path: Path) -> Home:
    return Home.of(tmp_path / "box" / "state", "box-1", None)


@pytest.fixture
def judge(browser: Browser, tmp_path: Path) -> Callable[[bytes, Trust], Report]:
    """What both say of a bundle, which must be the same."""

    def both(bundle: bytes, trust: Trust) -> Report:
        return browser.agreed([bundle], trust, tmp_path / "case.evb")[0]

    return both


Judge = Callable[[bytes, Trust], Report]


def one(device: Device) -> bytes:
    return next(device.bundles(1)).read_bytes()


def log_of(device: Device) -> MerkleLog:
    assert device.writer.log is not None
    return device.writer.log


def stamped(bundle: bytes, stamper: Stamper) -> bytes:
    members = contents(bundle)
    return pack([*members.items(), (TOKEN, stamper.stamp(members[SEAL]))])


# Time-stamps


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


# Witnesses


@dataclass(frozen=True)
class Seen:
    """A bundle between two cosignatures, a time-line that a test may bend."""

    device: Device
    witness: Witness

    def between(self, before: datetime, after: datetime) -> bytes:
        log = log_of(self.device)
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
    root, stranger = seen.device.key.chain_pem, Witness(Ed25519PrivateKey.generate())
    namesake = Witness(Ed25519PrivateKey.generate(), "city.example/w2")
    for others in ((stranger.vkey,), (stranger.vkey, namesake.vkey)):
        report = judge(bundle, Trust(root, witnesses=others))
        assert report.exit_code == EXIT_CODES["witness"]
    both = Trust(root, witnesses=(namesake.vkey, seen.witness.vkey))
    assert judge(bundle, both).exit_code == 0


def test_a_cosignature_that_is_no_good_is_named(
    device: Device, witness: Witness, judge: Judge
) -> None:
    path, log = next(device.bundles(1)), log_of(device)
    trust = Trust(device.key.chain_pem, witnesses=(witness.vkey,))
    own, good = witness.see(log, NOW).signatures
    text = log.checkpoint().text
    endless = cosign(text, witness.name, witness.key, 2**63)
    forged = struct.pack(">Q", 1) + good.data[8:]
    for data in (forged, good.data[:-1], good.data[:8], endless.data):
        spoilt = type(good)(good.name, good.key_id, data)
        device.writer.renew_proofs(Note(text, (own, spoilt)))
        report = judge(path.read_bytes(), trust)
        assert {finding.code for finding in report.findings} == {"witness"}
        device.writer._unwitnessed.add(path)


def test_what_is_in_no_log_no_witness_has_seen(
    witness: Witness, judge: Judge, tmp_path: Path
) -> None:
    device = Device.make(tmp_path / "old", 5, "live", NOW - DAY)
    device.writer.log = None
    trust = Trust(device.key.chain_pem, witnesses=(witness.vkey,))
    assert judge(one(device), trust).exit_code == EXIT_CODES["witness"]


# Revocation


def entry(serial: int, since: datetime, reason: str = "", earlier: datetime | None = None) -> Any:
    builder = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
    if reason:
        flag = x509.CRLReason(x509.ReasonFlags(reason))
        builder = builder.add_extension(flag, critical=False)
    if earlier is not None:
        builder = builder.add_extension(x509.InvalidityDate(earlier), critical=False)
    return builder.build()


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
        entry(serial, NOW),
        entry(serial, NOW, "keyCompromise", NOW - 2 * DAY),
        entry(serial, NOW, "cessationOfOperation", NOW + DAY),
    ]
    lists = [pem(authority.revoked([entry(serial + 1, NOW), each])) for each in entries]
    lists += [authority.revoked([entries[1]]).public_bytes(Encoding.DER), lists[0] + lists[1]]
    for each in lists:
        report = judge(bundle, Trust(root, (each,)))
        assert {finding.code for finding in report.findings} == {"revoked"}
        assert "was revoked as of" in report.findings[0].text
    fine = pem(authority.revoked([entry(serial + 1, NOW)]))
    for good in ((), (fine,), (fine, pem(stranger.revoked(entries[:1])))):
        assert judge(bundle, Trust(root, good)).exit_code == 0
    report = judge(bundle, Trust(root, (pem(stranger.revoked([])),)))
    assert "none of the given lists is by the issuer" in report.findings[0].text


@pytest.mark.parametrize(("since", "code"), [(DAY, 0), (-HOUR, EXIT_CODES["revoked"])])
def test_what_was_stamped_or_seen_before_keeps_its_worth(
    certified: Device, authority: Authority, judge: Judge, since: timedelta, code: int
) -> None:
    tsa, witness = Authority("TSA root", NOW), Witness(Ed25519PrivateKey.generate())
    path = next(certified.bundles(1))
    certified.writer.renew_proofs(witness.see(log_of(certified), NOW))
    revoked = (pem(authority.revoked([entry(serial_of(certified), NOW + since)])),)
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
    other = pem(Authority("elsewhere", NOW).revoked([]))
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


@pytest.mark.parametrize("profile", ["cn-ga832", "cn-four-photo", "bj-2014", "uk-2022-71"])
def test_it_is_measured_by_a_profile_that_was_asked_for(
    device: Device, judge: Judge, profile: str
) -> None:
    report = judge(one(device), Trust(device.key.chain_pem, profile=profile))
    assert report.verdict == "valid"
    assert report.exit_code == (EXIT_CODES["profile"] if report.missed else 0)


# A person


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


def test_a_person_chooses_authorities_and_reads_what_they_say(
    person: Person, certified: Device, authority: Authority, tmp_path: Path
) -> None:
    tsa, witness = Authority("TSA root", NOW), Witness(Ed25519PrivateKey.generate())
    path = next(certified.bundles(1))
    certified.writer.renew_proofs(witness.see(log_of(certified), NOW))
    bundle = stamped(path.read_bytes(), Stamper.below(tsa))
    person.chooses("bundles", saved(tmp_path / "case.evb", bundle))
    person.chooses("root", saved(tmp_path / "ca.pem", authority.pem))
    person.chooses("stampers", saved(tmp_path / "tsa.pem", tsa.pem))
    person.chooses("keys-file", saved(tmp_path / "w.vkey", f"{witness.vkey}\n".encode()))
    text = person.chooses("lists", saved(tmp_path / "ca.crl", pem(authority.revoked([]))))
    assert "\nVALID\n" in text
    assert f"by {utc_text(NOW)}" in text
    assert 'CN=TSA,O=Roads\\, \\"A&B\\" \\<Plaza\\>' in text
    assert "say nothing against the certificate" in text
    assert "not checked" not in text
    late = pem(authority.revoked([entry(serial_of(certified), NOW - DAY)]))
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


# Whatever comes


def test_what_is_larger_than_any_bundle_is_not_read(person: Person, tmp_path: Path) -> None:
    large = tmp_path / "large.evb"
    with large.open("wb") as file:
        file.truncate((1 << 30) + 1)
    assert "is larger than any bundle (1073741824 bytes)" in person.chooses("bundles", large)


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
