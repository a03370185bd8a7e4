"""Time-stamps by a local authority: `openssl ts` behind a small HTTP server."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_agent.cli import cli
from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.evidence import EXIT_CODES, BundleWriter, DeviceKey
from edge_agent.evidence.bundle.container import pack, unpack
from edge_agent.evidence.keys.certificate import lent
from edge_agent.evidence.verification.timestamp import ask, read_stamp
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import ArrayPicture, Box, Case, Event, Frame, Media, ModelInfo, Photo

NOW = datetime.now(UTC).replace(microsecond=0)
TSA = """\
[tsa]
default_tsa = own
[own]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""

Respond = Callable[[bytes], bytes]


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Authority:
    """A time-stamping authority with a root of its own."""

    folder: Path
    until: datetime = NOW + timedelta(days=300)
    """When its certificate ends."""
    root_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        self.folder.mkdir()
        own = ec.generate_private_key(ec.SECP256R1())
        pem = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "tsa.key").write_bytes(pem)
        (self.folder / "tsa.cnf").write_text(TSA)
        (self.folder / "serial").write_text("01\n")
        root = self._certificate("TSA root", self.root_key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        leaf = self._certificate("TSA", own).add_extension(purposes, critical=True)
        for file, made in (("root.pem", root), ("tsa.pem", leaf)):
            signed = made.sign(self.root_key, hashes.SHA256())
            (self.folder / file).write_bytes(signed.public_bytes(Encoding.PEM))

    def _certificate(self, who: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(who))
            .issuer_name(name("TSA root"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=500))
            .not_valid_after(self.until)
        )

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"

    def respond(self, question: bytes) -> bytes:
        query, reply = self.folder / "query", self.folder / "reply"
        query.write_bytes(question)
        command = ["openssl", "ts", "-reply", "-config", "tsa.cnf", "-queryfile", str(query)]
        subprocess.run(
            [*command, "-out", str(reply)], cwd=self.folder, check=True, capture_output=True
        )
        return reply.read_bytes()


@dataclass
class Server:
    """HTTP on a local port."""

    respond: Respond
    asked: int = 0

    def __enter__(self) -> str:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                question = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/timestamp-query"
                outer.asked += 1
                answer = outer.respond(question)
                self.send_response(200 if answer else 503)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}/tsr"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tsa")


@pytest.fixture
def server(authority: Authority) -> Server:
    return Server(authority.respond)


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    with server as address:
        yield address


@pytest.fixture
def device(tmp_path: Path) -> DeviceKey:
    clock = ManualClock(NOW - timedelta(days=365))
    return DeviceKey.load_or_create(tmp_path / "state", "box-1", clock)


def write(folder: Path, device: DeviceKey, at: datetime = NOW - timedelta(hours=2)) -> Path:
    media = Media("camera", "live", None, at, "clock")
    cameras = {"c1": CameraOrigin(media, ModelInfo("yolo", None))}
    origin = Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", cameras)
    frame = Frame("c1", 120, 12.0, at, ArrayPicture(np.zeros((36, 64, 3), np.uint8)))
    begin = Event("c1", "parking.illegal", "s1", "begin", 4.0, 12.0, at, 120, "kerb")
    photo = Photo("wide", frame, Box(4, 4, 8, 7), None, 1.0)
    case = Case("s1", begin, begin, (photo,), None, False, ("vehicle has not left",))
    return Path(BundleWriter(folder, device, origin, Evidence(), {}).write(case, None).path)


@pytest.fixture
def bundle(tmp_path: Path, device: DeviceKey) -> Path:
    return write(tmp_path / "out", device)


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, ["evidence", *map(str, args)])


def told(path: Path, *args: object) -> dict[str, Any]:
    (answer,) = json.loads(run("verify", path, "--json", *args).stdout)
    return dict(answer)


def said(path: Path, *args: object) -> tuple[int, str]:
    answer = told(path, *args)
    return answer["exit_code"], "; ".join(one["text"] for one in answer["findings"])


def members(path: Path) -> dict[str, bytes]:
    return {member.name: member.data or b"" for member in unpack(path.read_bytes())}


def with_token(path: Path, token: bytes) -> Path:
    path.write_bytes(pack({**members(path), "time.tsr": token}.items()))
    return path


def test_a_bundle_is_stamped_once(
    bundle: Path, url: str, server: Server, authority: Authority
) -> None:
    done = run("timestamp", bundle, "--url", url, "--tsa-root", authority.root)
    assert done.stdout == f"stamped  {bundle}\n"
    stamped = bundle.read_bytes()
    done = run("timestamp", bundle, "--url", url, "--json")
    assert json.loads(done.stdout) == [{"path": str(bundle), "stamped": False}]
    assert (bundle.read_bytes(), server.asked) == (stamped, 1)


def test_verify_says_by_when_it_was_there(bundle: Path, url: str, authority: Authority) -> None:
    assert told(bundle, "--tsa-root", authority.root)["there_by"] is None
    run("timestamp", bundle, "--url", url)
    assert said(bundle) == (0, "")
    answer = told(bundle, "--tsa-root", authority.root)
    assert (answer["exit_code"], answer["findings"]) == (0, [])
    there_by = datetime.fromisoformat(answer["there_by"])
    assert NOW <= there_by <= datetime.now(UTC) + timedelta(seconds=2)
    assert "(CN=TSA)" in run("verify", bundle, "--tsa-root", authority.root).stdout


def test_openssl_checks_the_same_files(
    bundle: Path, url: str, authority: Authority, tmp_path: Path
) -> None:
    run("timestamp", bundle, "--url", url)
    for file in ("manifest.dsse", "time.tsr"):
        (tmp_path / file).write_bytes(members(bundle)[file])
    command = ["openssl", "ts", "-verify", "-data", "manifest.dsse", "-in", "time.tsr"]
    done = subprocess.run(
        [*command, "-CAfile", authority.root, "-untrusted", authority.folder / "tsa.pem"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Verification: OK" in done.stdout


def test_the_site_file_may_name_the_authority(bundle: Path, url: str, tmp_path: Path) -> None:
    config = tmp_path / "site.yaml"
    config.write_text("site: {name: plaza}\ndevice: box-1\ncameras: {c1: {}}\n")
    done = run("timestamp", bundle, "--config", config)
    assert "names no authority" in str(done.exception)
    config.write_text(config.read_text() + f"evidence: {{timestamp: {{url: '{url}'}}}}\n")
    assert run("timestamp", bundle, "--config", config).stdout == f"stamped  {bundle}\n"
    assert "name an authority" in str(run("timestamp", bundle).exception)


def test_a_stamp_of_another_bundle_is_told_and_replaced(
    bundle: Path, url: str, authority: Authority, device: DeviceKey, tmp_path: Path
) -> None:
    other = write(tmp_path / "other", device, NOW - timedelta(hours=3))
    run("timestamp", other, "--url", url)
    with_token(bundle, members(other)["time.tsr"])
    code, text = said(bundle, "--tsa-root", authority.root)
    assert (code, text) == (
        EXIT_CODES["timestamp"],
        "is for something else than this manifest.dsse",
    )
    assert run("timestamp", bundle, "--url", url).stdout == f"stamped  {bundle}\n"
    assert said(bundle, "--tsa-root", authority.root) == (0, "")


def test_an_authority_whose_certificate_had_expired_proves_nothing(
    bundle: Path, tmp_path: Path
) -> None:
    expired = Authority(tmp_path / "expired", until=NOW - timedelta(days=1))
    with Server(expired.respond) as url:
        run("timestamp", bundle, "--url", url)
    code, text = said(bundle, "--tsa-root", expired.root)
    assert code == EXIT_CODES["timestamp"] == 26
    assert text.startswith("is not by a trusted authority: ")


def test_another_authority_is_not_trusted(
    bundle: Path, url: str, authority: Authority, tmp_path: Path
) -> None:
    run("timestamp", bundle, "--url", url)
    other = Authority(tmp_path / "other")
    code, text = said(bundle, "--tsa-root", other.root)
    assert code == EXIT_CODES["timestamp"]
    assert text.startswith("is not by a trusted authority")
    done = run("timestamp", bundle, "--url", url, "--tsa-root", other.root)
    assert "is not by a trusted authority" in str(done.exception)
    assert said(bundle, "--tsa-root", authority.root) == (0, "")


def test_what_is_no_stamp_is_told(bundle: Path, url: str, authority: Authority) -> None:
    run("timestamp", bundle, "--url", url)
    genuine = members(bundle)["time.tsr"]
    for token in (b"garbage", b"", genuine[:-1], genuine[:400] + b"\0" + genuine[401:]):
        code, _ = said(with_token(bundle, token), "--tsa-root", authority.root)
        assert code == EXIT_CODES["timestamp"]


def test_a_stamp_with_one_flipped_bit_says_the_same_or_is_refused(authority: Authority) -> None:
    with Server(authority.respond) as url:
        token = ask(url, b"seal")
    root = authority.root.read_bytes()
    genuine = read_stamp(token, b"seal", root)
    for at in range(0, len(token) * 8, 3):
        flipped = bytearray(token)
        flipped[at // 8] ^= 1 << at % 8
        with contextlib.suppress(ValueError):
            assert read_stamp(bytes(flipped), b"seal", root) == genuine


def test_a_stamp_from_before_the_case_is_told(
    device: DeviceKey, tmp_path: Path, url: str, authority: Authority
) -> None:
    path = write(tmp_path / "out", device, NOW + timedelta(hours=1))
    run("timestamp", path, "--url", url)
    code, text = said(path, "--tsa-root", authority.root)
    assert code == EXIT_CODES["timestamp"]
    assert "before what it shows" in text


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"garbage", "cannot be read: it is no RFC 3161 answer in DER"),
        (b"x" * 70_000, "more than 64 KiB"),
        (b"", "no time-stamp: HTTP Error 503"),
        (bytes.fromhex("30053003020102"), "was refused: status 2"),
    ],
    ids=["garbage", "flood", "unavailable", "refused"],
)
def test_an_answer_that_is_no_stamp_changes_nothing(bundle: Path, answer: bytes, says: str) -> None:
    before = bundle.read_bytes()
    with Server(lambda question: answer) as url:
        assert says in str(run("timestamp", bundle, "--url", url).exception)
    assert bundle.read_bytes() == before


def test_an_old_answer_is_not_taken_for_a_new_one(bundle: Path, authority: Authority) -> None:
    kept: list[bytes] = []

    def repeat(question: bytes) -> bytes:
        kept.append(kept[0] if kept else authority.respond(question))
        return kept[0]

    with Server(repeat) as url:
        run("timestamp", bundle, "--url", url)
        with_token(bundle, b"lost")
        said = str(run("timestamp", bundle, "--url", url).exception)
    assert "answers another question (nonce)" in said


@pytest.mark.parametrize("url", ["file:///etc/passwd", "tsa.example.org", "http://127.0.0.1:1/tsr"])
def test_an_address_that_leads_nowhere_is_named(bundle: Path, url: str) -> None:
    assert url in str(run("timestamp", bundle, "--url", url).exception)


def test_without_the_library_the_extra_is_named(
    bundle: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rfc3161_client", None)
    done = run("timestamp", bundle, "--url", "http://127.0.0.1:1")
    assert "pip install 'edge-agent[timestamp]'" in str(done.exception)


def test_a_case_that_went_on_meanwhile_is_left_alone(
    bundle: Path, authority: Authority, device: DeviceKey, tmp_path: Path
) -> None:
    after = write(tmp_path / "after", device, NOW - timedelta(hours=1)).read_bytes()

    def respond(question: bytes) -> bytes:
        bundle.write_bytes(after)
        return authority.respond(question)

    with Server(respond) as url:
        done = run("timestamp", bundle, "--url", url)
    assert "was replaced by a later revision meanwhile" in str(done.exception)
    assert bundle.read_bytes() == after


def test_a_proof_that_was_renewed_meanwhile_stays(bundle: Path, authority: Authority) -> None:
    renewed = {**members(bundle), "proof.tlog-proof": b"renewed"}

    def respond(question: bytes) -> bytes:
        bundle.write_bytes(pack(renewed.items()))
        return authority.respond(question)

    with Server(respond) as url:
        run("timestamp", bundle, "--url", url)
    assert members(bundle) == {**renewed, "time.tsr": members(bundle)["time.tsr"]}


@pytest.mark.parametrize(("hours", "code"), [(1, 0), (-1, EXIT_CODES["revoked"])])
def test_what_was_stamped_before_a_revocation_keeps_its_worth(
    bundle: Path, authority: Authority, device: DeviceKey, hours: int, code: int
) -> None:
    with Server(authority.respond) as url:
        run("timestamp", bundle, "--url", url)
    certificate = x509.load_pem_x509_certificate(device.chain_pem)
    entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
    revocations = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(NOW)
        .next_update(NOW + timedelta(days=1))
        .add_revoked_certificate(entry.revocation_date(NOW + timedelta(hours=hours)).build())
        .sign(lent(device.key), hashes.SHA256())
    )
    crl = bundle.with_name("device.crl")
    crl.write_bytes(revocations.public_bytes(Encoding.PEM))
    assert said(bundle, "--crl", crl, "--tsa-root", authority.root)[0] == code
    assert said(bundle, "--crl", crl)[0] == EXIT_CODES["revoked"]  # nobody vouches for the time
