"""Encrypted originals: unreadable for the box, verifiable for all, whole for the operator."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyrage
import pytest
import rfc8785
from click.testing import CliRunner
from pydantic import ValidationError
from pyrage import x25519

from edge_agent.cli import cli
from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.config.privacy import Privacy
from edge_agent.evidence import BundleWriter, DeviceKey, verify, verify_chain
from edge_agent.evidence.bundle import container
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.privacy import Redacted
from edge_agent.types import (
    ArrayPicture,
    Box,
    Case,
    Event,
    Frame,
    Media,
    ModelInfo,
    Photo,
    PlateRead,
    Track,
)

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
CAR = Track(1, "car", 0.9, Box(80, 90, 160, 140), (0.0, 0.0), 0.1, 9.0, 4.0)
IMAGE = np.full((180, 320, 3), 99, np.uint8)


class Nothing:
    """A redactor that finds nobody."""

    models: tuple[ModelInfo, ...] = ()

    def redact(self, photo: Photo, plate: PlateRead | None, may_guess: bool = True) -> Redacted:
        return Redacted(photo.frame.image, ())


def case(revision: int = 1) -> Case:
    facts = {"dwell_s": 8.0, "picture": [320, 180]}
    begin = Event("c1", "parking.illegal", "s", "begin", 4.0, 12.0, START, 120, "kerb", CAR, facts)
    wide = Photo("wide", Frame("c1", 120, 12.0, START, ArrayPicture(IMAGE)), CAR.box, None, 1.0)
    reasons = ("vehicle has not left",)
    return Case("s", begin, begin, (wide,), (7.0, 17.0), False, reasons, revision)


@pytest.fixture
def operator(tmp_path: Path) -> Path:
    """A file as `age-keygen` writes it."""
    secret = x25519.Identity.generate()
    path = tmp_path / "operator.key"
    path.write_text(f"# public key: {secret.to_public()}\n{secret}\n")
    return path


@pytest.fixture
def writer(tmp_path: Path, operator: Path) -> BundleWriter:
    key = DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))
    camera = CameraOrigin(
        Media("rtsp://camera", "live", None, START, "given"), ModelInfo("y", None)
    )
    origin = Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", {"c1": camera})
    made = BundleWriter(tmp_path / "out", key, origin, Evidence(), {})
    made.redactor = Nothing()
    public = operator.read_text().split()[3]
    made.recipients = [x25519.Recipient.from_str(public)]
    return made


def members(path: str | Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def run(*args: object) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["evidence", *map(str, args)])
    return done.exit_code, done.output


def test_nothing_but_what_may_be_seen_is_readable(writer: BundleWriter) -> None:
    bundle = writer.write(case(), b"the clip")
    found = members(bundle.path)
    assert [name for name in found if name.startswith(("media/", "derived/"))] == [
        "media/wide.jpg.age",
        "media/clip.mp4.age",
        "derived/wide-redacted.jpg",
        "derived/wide-overlay.jpg",
        "derived/sheet.jpg",
    ]
    assert found["media/clip.mp4.age"].startswith(b"age-encryption.org/v1")
    assert b"the clip" not in Path(bundle.path).read_bytes()
    assert verify(Path(bundle.path)).is_valid
    told = json.loads(found["manifest.json"])
    assert told["privacy"]["encrypted_to"] == [str(each) for each in writer.recipients]
    assert {item["derived_from"] for item in told["derived"]} == {
        "media/wide.jpg.age",
        "derived/wide-redacted.jpg",
    }
    clip = next(item for item in told["media"] if item["role"] == "clip")
    assert clip["plain"] == {"sha256": hashlib.sha256(b"the clip").hexdigest(), "bytes": 8}


def test_without_redacted_copies_every_picture_is_encrypted(writer: BundleWriter) -> None:
    writer.redactor = None
    found = members(writer.write(case(), None).path)
    pictures = [name for name in found if name.startswith(("media/", "derived/"))]
    assert pictures and all(name.endswith(".age") for name in pictures)


def test_a_later_revision_keeps_the_clip_that_the_box_cannot_read(
    writer: BundleWriter, operator: Path, tmp_path: Path
) -> None:
    first = members(writer.write(case(), b"the clip").path)
    bundle = writer.write(replace(case(2)), None)
    assert members(bundle.path)["media/clip.mp4.age"] == first["media/clip.mp4.age"]
    assert verify(Path(bundle.path)).is_valid
    assert verify_chain([Path(bundle.path)]).is_valid
    assert run("verify", bundle.path, "--identity", operator)[0] == 0


def test_the_operator_gets_the_originals_back(
    writer: BundleWriter, operator: Path, tmp_path: Path
) -> None:
    bundle = writer.write(case(), b"the clip")
    out = tmp_path / "open"
    code, said = run("decrypt", bundle.path, "--identity", operator, "--out", out)
    assert (code, said.count("decrypted")) == (0, 2)
    assert (out / "media/clip.mp4").read_bytes() == b"the clip"
    photo = next(item for item in bundle.manifest["media"] if item["role"] == "wide")
    data = (out / "media/wide.jpg").read_bytes()
    assert hashlib.sha256(data).hexdigest() == photo["plain"]["sha256"]
    assert run("decrypt", bundle.path, "--identity", operator, "--out", out)[0] != 0


def test_another_key_opens_nothing_and_that_has_a_code(
    writer: BundleWriter, tmp_path: Path
) -> None:
    bundle = writer.write(case(), b"the clip")
    wrong = tmp_path / "wrong.key"
    wrong.write_text(str(x25519.Identity.generate()))
    code, said = run("verify", bundle.path, "--identity", wrong)
    assert code == 28
    assert "[encrypted]" in said
    assert run("decrypt", bundle.path, "--identity", wrong, "--out", tmp_path / "x")[0] == 28
    assert not (tmp_path / "x").exists()
    wrong.write_text("nothing")
    assert run("verify", bundle.path, "--identity", wrong)[0] == 1


def test_a_box_that_encrypts_something_else_is_found_out(
    writer: BundleWriter, operator: Path
) -> None:
    """The signature covers the encrypted bytes; the identity shows that they hold what they say."""
    bundle = writer.write(case(), b"the clip")
    manifest = json.loads(json.dumps(bundle.manifest))
    clip = next(item for item in manifest["media"] if item["role"] == "clip")
    clip["plain"]["sha256"] = "00" * 32
    rewrite(writer, bundle.path, manifest)
    assert verify(Path(bundle.path)).is_valid
    code, said = run("verify", bundle.path, "--identity", operator)
    assert code == 14
    assert "media/clip.mp4.age holds something else than what was signed" in said


@pytest.mark.parametrize("lie", ["plain", "encrypted_to"])
def test_what_is_said_of_encryption_must_fit(writer: BundleWriter, lie: str) -> None:
    bundle = writer.write(case(), None)
    manifest = json.loads(json.dumps(bundle.manifest))
    del (manifest["media"][0] if lie == "plain" else manifest["privacy"])[lie]
    rewrite(writer, bundle.path, manifest)
    assert "inconsistent" in {finding.code for finding in verify(Path(bundle.path)).findings}


def rewrite(writer: BundleWriter, path: str, manifest: Mapping[str, Any]) -> None:
    """The bundle with another manifest, signed by the same device."""
    text = rfc8785.dumps(dict(manifest))
    rest = {name: data for name, data in members(path).items() if not name.startswith("manifest.")}
    sealed = writer._sealed(text)
    Path(path).write_bytes(container.pack([*sealed.items(), *rest.items()]))


@pytest.mark.parametrize("key", ["age1nonsense", "AGE-SECRET-KEY-1", ""])
def test_a_site_names_public_keys_or_is_told(key: str) -> None:
    with pytest.raises(ValidationError, match="age-keygen"):
        Privacy.model_validate({"encrypt_to": key})


def test_one_public_key_may_stand_alone() -> None:
    public = str(x25519.Identity.generate().to_public())
    assert Privacy.model_validate({"encrypt_to": public}).encrypt_to == (public,)


def test_every_recipient_can_read(writer: BundleWriter) -> None:
    second = x25519.Identity.generate()
    writer.recipients = [*writer.recipients, second.to_public()]
    found = members(writer.write(case(), b"the clip").path)
    assert pyrage.decrypt(found["media/clip.mp4.age"], [second]) == b"the clip"
