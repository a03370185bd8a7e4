"""A bundle's place in the log: proven by its last member, and missed when anything is swapped."""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.evidence import EXIT_CODES, BundleWriter, DeviceKey, verify
from edge_agent.evidence.bundle.container import pack, unpack
from edge_agent.evidence.log import Checkpoint, LogKey, MerkleLog, Note, Proof, cosign
from edge_agent.evidence.trust.dsse import Envelope
from edge_agent.identity import CameraOrigin, Origin, leaf_hash
from edge_agent.types import ArrayPicture, Box, Case, Event, Frame, Media, ModelInfo, Photo

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
LOG_KEY = LogKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
PROOF = "proof.tlog-proof"

Members = dict[str, bytes]


def case(subject: str = "s1") -> Case:
    wall = START + timedelta(seconds=12)
    begin = Event("c1", "parking.illegal", subject, "begin", 4.0, 12.0, wall, 120, "kerb")
    frame = Frame("c1", 120, 12.0, wall, ArrayPicture(np.zeros((18, 32, 3), np.uint8)))
    photo = Photo("wide", frame, Box(4, 4, 8, 7), None, 1.0)
    return Case(subject, begin, begin, (photo,), None, False, ("vehicle has not left",))


@dataclass
class Bench:
    """A device with one bundle in its log, and what a forger who has its keys could do."""

    folder: Path
    key: DeviceKey
    writer: BundleWriter
    path: Path

    @property
    def log(self) -> MerkleLog:
        assert self.writer.log is not None
        return self.writer.log

    def members(self, path: Path | None = None) -> Members:
        with zipfile.ZipFile(path or self.path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def found(self, members: Members) -> list[str]:
        """Codes of what is wrong with these members, the exit code's first."""
        forged = self.folder / "forged.evb"
        forged.write_bytes(pack(members.items()))
        report = verify(forged)
        if report.findings:
            assert report.exit_code == EXIT_CODES[report.findings[0].code]
        return list(dict.fromkeys(finding.code for finding in report.findings))

    def signed(self, members: Members, change: Callable[[Any], None]) -> Members:
        """The members with another manifest, signed by the device itself."""
        told = json.loads(members["manifest.json"])
        change(told)
        text = rfc8785.dumps(told)
        seal = Envelope(text, b"", self.key.fingerprint)
        seal = replace(seal, signature=self.key.sign(seal.signed))
        return {**members, "manifest.json": text, "manifest.dsse": seal.to_bytes()}

    def proof(self) -> Proof:
        return Proof.from_bytes(self.members()[PROOF])

    def with_proof(self, proof: Proof) -> Members:
        return {**self.members(), PROOF: proof.to_bytes()}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    key = DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))
    media = Media("street.mp4", "replay", "ab" * 32, START, "given")
    cameras = {"c1": CameraOrigin(media, ModelInfo("motion", None, False))}
    origin = Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", cameras)
    writer = BundleWriter(tmp_path / "out", key, origin, Evidence(), {})
    writer.log = MerkleLog(tmp_path / "log", LOG_KEY, origin.log, resumes=False)
    for index in range(5):
        writer.log.append(b"event %d" % index)
    bundle = writer.write(case(), None)
    return Bench(tmp_path, key, writer, Path(bundle.path))


def test_the_proof_is_the_last_member_and_verifies(bench: Bench) -> None:
    members = bench.members()
    told = json.loads(members["manifest.json"])
    assert list(members)[-1] == PROOF and PROOF not in json.dumps(told)
    assert told["log"] == {"origin": "edge/plaza/box-1/replay/boot", "index": 5}
    proof = bench.proof()
    assert (proof.index, proof.checkpoint.size) == (5, 6)
    assert bench.log.leaf(5) == leaf_hash(members["manifest.json"])
    key = json.loads(members["device.json"])["log"]["key"]
    assert key == str(LOG_KEY.vkey("edge/plaza/box-1/replay/boot"))
    assert bench.found(members) == []


def test_a_bundle_of_a_version_without_a_log_is_verified_as_far_as_it_goes(bench: Bench) -> None:
    bench.writer.log = None
    old = bench.members(Path(bench.writer.write(case("s2"), None).path))
    assert PROOF not in old and json.loads(old["manifest.json"])["log"] is None
    assert bench.found(old) == []
    assert bench.found({**old, PROOF: bench.members()[PROOF]}) == ["extra"]


def test_what_is_not_in_the_log_is_found(bench: Bench) -> None:
    members = bench.members()
    first, second = list(members)[:2]
    assert bench.found({n: d for n, d in members.items() if n != PROOF}) == ["missing"]
    assert bench.found({PROOF: members[PROOF], **members})[-1] == "container"
    other = bench.members(Path(bench.writer.write(case("s2"), None).path))
    assert bench.found({**members, PROOF: other[PROOF]}) == ["leaf"]
    swapped = {**members, first: other[first], second: other[second]}
    assert "leaf" in bench.found(swapped)
    proof = bench.proof()
    assert bench.found({**members, PROOF: b"c2sp.org/tlog-proof@v1\n"}) == ["inclusion"]
    assert bench.found(bench.with_proof(replace(proof, path=proof.path[1:]))) == ["inclusion"]
    steps = (bytes(32), *proof.path[1:])
    assert bench.found(bench.with_proof(replace(proof, path=steps))) == ["inclusion"]
    # A device that signs again what it has logged already cannot hide it.
    again = bench.signed(members, lambda told: told["site"].update(responsible="nobody"))
    assert bench.found(again) == ["inclusion"]


def test_a_checkpoint_that_the_log_did_not_sign_is_found(bench: Bench) -> None:
    proof, forger = bench.proof(), LogKey(Ed25519PrivateKey.generate())
    told = proof.checkpoint
    forged = Note(told.text, (forger.sign(told.text, told.origin),))
    assert bench.found(bench.with_proof(replace(proof, note=forged))) == ["checkpoint"]
    larger = replace(told, size=told.size + 1).text
    moved = replace(proof, note=Note(larger, proof.note.signatures))
    assert "checkpoint" in bench.found(bench.with_proof(moved))
    elsewhere = Checkpoint("edge/plaza/box-2", told.size, told.root).text
    note = Note(elsewhere, (LOG_KEY.sign(elsewhere, "edge/plaza/box-2"),))
    assert bench.found(bench.with_proof(replace(proof, note=note))) == ["leaf", "checkpoint"]


@pytest.mark.parametrize("device", [b"{}", b"[]", b'{"log":{"key":"box"}}', b"[" * 10_000])
def test_a_device_that_names_no_log_key_proves_nothing(bench: Bench, device: bytes) -> None:
    def change(told: Any) -> None:
        entry = next(item for item in told["attached"] if item["path"] == "device.json")
        entry |= {"sha256": hashlib.sha256(device).hexdigest(), "bytes": len(device)}

    members = bench.signed({**bench.members(), "device.json": device}, change)
    assert bench.found(members) == ["inclusion", "checkpoint"]


def test_witnesses_and_other_extras_change_nothing(bench: Bench) -> None:
    proof = bench.proof()
    seen = cosign(proof.note.text, "witness.example/w1", LOG_KEY.private, 1_780_000_000)
    note = proof.note.with_signature(seen)
    assert bench.found(bench.with_proof(replace(proof, note=note))) == []


def test_a_log_of_another_device_is_named(bench: Bench) -> None:
    members = bench.signed(
        bench.members(), lambda told: told["log"].update(origin="edge/plaza/box-2")
    )
    assert bench.found(members) == ["leaf", "inconsistent"]


class Cut(BaseException):
    """The power is gone."""


def test_a_bundle_whose_proof_was_half_written_is_completed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(source: Path, target: Path) -> None:
        if Path(source).suffix == ".staged":
            raise Cut
        replaced(source, target)

    replaced = os.replace
    with monkeypatch.context() as patch, pytest.raises(Cut):
        patch.setattr(os, "replace", cut)
        bench.writer.write(case("s2"), None)
    (staged,) = bench.path.parent.glob(".*.staged")
    whole = staged.read_bytes()
    members = unpack(whole)
    expected = (bench.path.parent / staged.name[1:]).with_suffix("")
    for at in (*range(members[-1].start, len(whole), 97), len(whole)):
        for torn in (whole[:at], whole[:at] + bytes(len(whole) - at)):
            staged.write_bytes(torn)
            bench.writer.recover()
            assert expected.read_bytes() == whole and not staged.exists()
            assert verify(expected).findings == ()
    staged.write_bytes(whole[: members[-1].start - 5])
    bench.writer.recover()
    assert staged.exists(), "what cannot be completed is left for somebody to look at"


def test_a_staged_bundle_whose_place_was_taken_is_removed(bench: Bench) -> None:
    staged = bench.path.with_name(f".{bench.path.name}.staged")
    told = bench.signed(bench.members(), lambda told: told["site"].update(responsible="x"))
    del told[PROOF]
    bench.path.unlink()
    staged.write_bytes(pack(told.items()))
    bench.writer.recover()
    assert not staged.exists() and not bench.path.exists()
