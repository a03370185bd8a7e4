"""What docs/log.md says of checking a bundle by hand, done as it says."""

import re
import shutil
import subprocess
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.evidence import BundleWriter, DeviceKey
from edge_agent.evidence.log import LogKey, MerkleLog, Note, cosign
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import ArrayPicture, Box, Case, Event, Frame, Media, ModelInfo, Photo

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "log.md"
START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
KEY = LogKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))


def script() -> str:
    by_hand = DOCUMENT.read_text().partition("## By hand")[2]
    found = re.search(r"```sh\n(.*?)```", by_hand, re.DOTALL)
    assert found is not None
    return found[1]


def unpacked(folder: Path, before: int, after: int) -> Path:
    """A bundle with so many entries before it; its proof is under a checkpoint of more."""
    key = DeviceKey.load_or_create(folder / "state", "box-1", ManualClock(START))
    media = Media("street.mp4", "replay", "ab" * 32, START, "given")
    cameras = {"c1": CameraOrigin(media, ModelInfo("motion", None, False))}
    origin = Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", cameras)
    writer = BundleWriter(folder / "out", key, origin, Evidence(), {})
    writer.log = log = MerkleLog(folder / "log", KEY, origin.log, resumes=False)
    for index in range(before):
        log.append(b"event %d" % index)
    wall = START + timedelta(seconds=12)
    begin = Event("c1", "parking.illegal", "s1", "begin", 4.0, 12.0, wall, 120, "kerb")
    frame = Frame("c1", 120, 12.0, wall, ArrayPicture(np.zeros((18, 32, 3), np.uint8)))
    photo = Photo("wide", frame, Box(4, 4, 8, 7), None, 1.0)
    case = Case("s1", begin, begin, (photo,), None, False, ("vehicle has not left",))
    bundle = writer.write(case, None)
    case_folder = folder / "case"
    with zipfile.ZipFile(bundle.path) as archive:
        archive.extractall(case_folder)
    for index in range(after):
        log.append(b"later %d" % index)
    note = log.checkpoint()
    witnessed = note.with_signature(cosign(note.text, "witness/w1", KEY.private, 1_780_000_000))
    proof = log.prove(before)
    text = type(proof)(proof.index, proof.path, Note(note.text, witnessed.signatures)).to_bytes()
    (case_folder / "proof.tlog-proof").write_bytes(text)
    return case_folder


def by_hand(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-c", script()], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("before", "after"), [(0, 0), (0, 1), (1, 0), (2, 0), (5, 3), (6, 300), (299, 0), (64, 63)]
)
def test_a_bundle_is_found_in_the_log(tmp_path: Path, before: int, after: int) -> None:
    folder = unpacked(tmp_path, before, after)
    done = by_hand(folder)
    assert done.returncode == 0, done.stderr
    assert "the manifest is in the log" in done.stdout
    assert "Signature Verified Successfully" in done.stdout


def test_what_was_changed_is_not(tmp_path: Path) -> None:
    folder = unpacked(tmp_path, 5, 3)
    shutil.copytree(folder, tmp_path / "changed")
    text = (folder / "manifest.json").read_text()
    (tmp_path / "changed/manifest.json").write_text(text.replace("kerb", "lane"))
    assert "is in the log" not in by_hand(tmp_path / "changed").stdout
    proof = (folder / "proof.tlog-proof").read_text()
    (folder / "proof.tlog-proof").write_text(proof.replace("\n9\n", "\n10\n"))
    assert "Verified Successfully" not in by_hand(folder).stdout
