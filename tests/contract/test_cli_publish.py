"""Copies that are handed out, with Content Credentials and without."""

import contextlib
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from edge_agent.cli import cli
from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.errors import EvidenceError
from edge_agent.evidence import EXIT_CODES, BundleWriter, DeviceKey
from edge_agent.evidence.derivatives.credentials import read_credentials
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.privacy import Redacted
from edge_agent.types import (
    ArrayPicture,
    Box,
    Case,
    Event,
    Frame,
    Image,
    Media,
    ModelInfo,
    Photo,
    PlateRead,
)

NOW = datetime.now(UTC).replace(microsecond=0)
SITE = "site: {name: plaza}\ndevice: box-1\nstate_dir: state\ncameras: {c1: {}}\n"


class Authority:
    """An operator's CA, which copies into the certificate what the request asks for."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Operator CA")])
        self.builder = x509.CertificateBuilder().issuer_name(name)
        root = self.builder.subject_name(name).public_key(self.key.public_key())
        self.root = self._sign(root.add_extension(x509.BasicConstraints(True, None), critical=True))

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        dated = builder.not_valid_before(NOW - timedelta(days=9)).not_valid_after(
            NOW + timedelta(days=9)
        )
        signed = dated.serial_number(x509.random_serial_number()).sign(self.key, hashes.SHA256())
        return signed.public_bytes(Encoding.PEM)

    def issue(self, pem: bytes, with_purposes: bool = True) -> bytes:
        request = x509.load_pem_x509_csr(pem)
        builder = self.builder.subject_name(request.subject).public_key(request.public_key())
        for asked in request.extensions:
            if with_purposes or not isinstance(asked.value, x509.ExtendedKeyUsage):
                builder = builder.add_extension(asked.value, asked.critical)
        named = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return self._sign(builder.add_extension(named, critical=False))


class Blank:
    """Hides everything."""

    models: tuple[ModelInfo, ...] = ()

    def redact(self, photo: Photo, plate: PlateRead | None, may_guess: bool = True) -> Redacted:
        image: Image = np.zeros_like(photo.frame.image)
        return Redacted(image, ())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    return path


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def root(tmp_path: Path, authority: Authority) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(authority.root)
    return path


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, [*map(str, args)])


def install(config: Path, authority: Authority, with_purposes: bool = True) -> None:
    request = json.loads(run("key", "csr", "--config", config, "--json").stdout)["request"]
    chain = config.with_name("chain.pem")
    chain.write_bytes(authority.issue(request.encode(), with_purposes) + authority.root)
    assert run("key", "install", chain, "--config", config).exit_code == 0


def write(config: Path, redactor: Blank | None, kind: Any = "live") -> Path:
    device = DeviceKey.load_or_create(config.with_name("state"), "box-1", ManualClock(NOW))
    media = Media("camera", kind, None if kind == "live" else "ab" * 32, NOW, "clock")
    cameras = {"c1": CameraOrigin(media, ModelInfo("yolo", None))}
    origin = Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", cameras)
    noise = np.random.default_rng(1).integers(0, 255, (360, 640, 3), np.uint8)
    frame = Frame("c1", 120, 12.0, NOW, ArrayPicture(noise))
    begin = Event("c1", "parking.illegal", "s1", "begin", 4.0, 12.0, NOW, 120, "kerb")
    photo = Photo("wide", frame, Box(40, 40, 80, 70), None, 1.0)
    case = Case("s1", begin, begin, (photo,), None, False, ("vehicle has not left",))
    writer = BundleWriter(config.with_name("out"), device, origin, Evidence(), {})
    writer.redactor = redactor
    return Path(writer.write(case, None).path)


def published(config: Path, *args: object) -> dict[str, Path]:
    path = write(config, Blank())
    done = run("evidence", "publish", path, "--out", config.with_name("copies"), "--json", *args)
    assert done.exit_code == 0, done.exception
    return {Path(one).name: Path(one) for one in json.loads(done.stdout)}


def told(path: Path, *args: object) -> dict[str, Any]:
    return dict(json.loads(run("evidence", "credentials", path, "--json", *args).stdout))


def test_only_redacted_copies_leave_the_bundle(config: Path) -> None:
    copies = published(config)
    assert "wide-redacted.jpg" in copies
    notice = json.loads(copies.pop("notice.json").read_bytes())
    assert [each["file"] for each in notice["copies"]] == list(copies)
    for each in notice["copies"]:
        data = copies[each["file"]].read_bytes()
        assert each["sha256"] == hashlib.sha256(data).hexdigest()
        assert each["derived_from"].startswith("media/")
        assert each["redaction"]["method"] == "pixelation"
    assert notice["bundle"]["manifest_sha256"]
    for path in copies.values():
        picture = cv2.imread(str(path))
        assert picture is not None
        assert picture[100:200, 100:300].std() < 60  # of the noise nothing shows
    done = run("evidence", "publish", write(config, None), "--out", config.with_name("none"))
    assert "holds no redacted copies" in str(done.exception)
    assert not config.with_name("none").exists()


def test_an_altered_bundle_is_not_published(config: Path) -> None:
    path = write(config, Blank())
    data = bytearray(path.read_bytes())
    data[data.index(b"\xff\xd8\xff") + 200] ^= 1
    path.write_bytes(data)
    done = run("evidence", "publish", path, "--out", config.with_name("copies"))
    assert "is not published: media/wide.jpg was altered" in str(done.exception)


def test_credentials_tell_who_signed_and_from_which_bundle(
    config: Path, authority: Authority, root: Path
) -> None:
    install(config, authority)
    copy = published(config, "--config", config)["wide-redacted.jpg"]
    answer = told(copy, "--root", root)
    assert (answer["state"], answer["signer"], answer["problems"]) == ("Trusted", "box-1", [])
    facts = answer["facts"]
    assert (facts["device"], facts["file"]) == ("box-1", "derived/wide-redacted.jpg")
    report = json.loads(run("evidence", "show", write(config, Blank()), "--json").stdout)
    assert facts["case"] == report["case"]["id"]
    line = run("evidence", "credentials", copy, "--root", root)
    assert line.stdout.startswith(f"VALID  {copy}: box-1; case {facts['case']}, derived/")
    assert run("evidence", "credentials", copy).stdout.startswith("INTACT")


def test_credentials_cost_few_bytes(config: Path, authority: Authority) -> None:
    install(config, authority)
    plain = published(config)["wide-redacted.jpg"].stat().st_size
    signed = published(config, "--config", config)["wide-redacted.jpg"].stat().st_size
    assert 0 < signed - plain < 20_000


def test_one_flipped_bit_is_told(config: Path, authority: Authority, root: Path) -> None:
    install(config, authority)
    copy = published(config, "--config", config)["wide-redacted.jpg"]
    genuine = copy.read_bytes()
    for at in (len(genuine) - 300, len(genuine) - 30):
        flipped = bytearray(genuine)
        flipped[at] ^= 1
        copy.write_bytes(flipped)
        done = run("evidence", "credentials", copy, "--root", root)
        assert done.exit_code == EXIT_CODES["c2pa"] == 27
        assert "INVALID" in done.stdout
        assert "assertion.dataHash.mismatch" in done.stdout


def test_a_damaged_manifest_is_a_verdict(config: Path, authority: Authority) -> None:
    install(config, authority)
    genuine = published(config, "--config", config)["wide-redacted.jpg"].read_bytes()
    begin = genuine.index(b"jumb")
    for at in range(begin, begin + 12_000, 97):
        flipped = bytearray(genuine)
        flipped[at] ^= 1 << at % 8
        with contextlib.suppress(EvidenceError):
            found = read_credentials(bytes(flipped), authority.root)
            assert found.state == "Invalid" or found == read_credentials(genuine, authority.root)


def test_another_authority_is_not_trusted(config: Path, authority: Authority) -> None:
    install(config, authority)
    copy = published(config, "--config", config)["wide-redacted.jpg"]
    other = config.with_name("other.pem")
    other.write_bytes(Authority().root)
    done = run("evidence", "credentials", copy, "--root", other)
    assert done.exit_code == EXIT_CODES["c2pa"]
    assert "signingCredential.untrusted" in done.stdout


def test_a_certificate_of_its_own_making_is_not_enough(config: Path) -> None:
    path = write(config, Blank())
    done = run("evidence", "publish", path, "--out", config.with_name("c"), "--config", config)
    assert "must be issued by a CA, with key usage" in str(done.exception)


def test_a_certificate_for_other_purposes_is_not_enough(config: Path, authority: Authority) -> None:
    install(config, authority, with_purposes=False)
    path = write(config, Blank())
    done = run("evidence", "publish", path, "--out", config.with_name("c"), "--config", config)
    assert "extended key usage emailProtection" in str(done.exception)


def test_what_has_no_credentials_is_told(config: Path) -> None:
    copy = published(config)["wide-redacted.jpg"]
    done = run("evidence", "credentials", copy)
    assert f"{copy}: holds no Content Credentials" in str(done.exception)
    done = run("evidence", "credentials", config.with_name("absent.jpg"))
    assert "cannot be read" in str(done.exception)


def test_without_the_library_the_extra_is_named(
    config: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(config, authority)
    path = write(config, Blank())
    monkeypatch.setitem(__import__("sys").modules, "c2pa", None)
    done = run("evidence", "publish", path, "--out", config.with_name("c"), "--config", config)
    assert "pip install 'edge-agent[c2pa]'" in str(done.exception)


def test_an_authority_that_is_not_there_is_told(config: Path, authority: Authority) -> None:
    install(config, authority)
    config.write_text(SITE + "evidence: {timestamp: {url: 'http://127.0.0.1:1/tsr'}}\n")
    path, folder = write(config, Blank()), config.with_name("c")
    done = run("evidence", "publish", path, "--out", folder, "--config", config)
    assert "see `evidence: timestamp:`" in str(done.exception)
    assert not folder.exists()
