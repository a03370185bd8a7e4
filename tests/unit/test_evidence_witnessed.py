"""When a bundle was made, by the word of witnesses: not earlier, not later, and nothing else."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.checkpoints import CheckpointFeed
from edge_agent.evidence import verify
from edge_agent.evidence.log import MerkleLog, Note, Vkey, cosign
from edge_agent.evidence.log.note import COSIGNATURE
from edge_agent.evidence.verification.standing import Authorities
from edge_agent.uplink.session import Received
from tamper.bundles import START, Device

NAME = "city.example/w1"
NOON_S = int(START.timestamp())


@dataclass(frozen=True)
class Witness:
    key: Ed25519PrivateKey

    @property
    def vkey(self) -> Vkey:
        return Vkey(NAME, self.key.public_key().public_bytes_raw(), COSIGNATURE)

    def see(self, note: Note, when_s: int) -> Note:
        return note.with_signature(cosign(note.text, NAME, self.key, when_s))


@pytest.fixture
def witness() -> Witness:
    return Witness(Ed25519PrivateKey.generate())


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device.make(tmp_path, 5, "live")


def log_of(device: Device) -> MerkleLog:
    assert device.writer.log is not None
    return device.writer.log


def feed_of(device: Device, witness: Witness) -> CheckpointFeed:
    feed = CheckpointFeed(log_of(device), "edge/v1/plaza/box-1", lambda _: None, [witness.vkey])
    feed.on_cosigned = device.writer.renew_proofs
    device.writer.witnessed = feed.known_before
    return feed


def judged(device: Device, path: Path, *keys: Vkey) -> list[str]:
    report = verify(path, device.key.chain_pem, authorities=Authorities(witnesses=keys))
    return [f"{finding.code}: {finding}" for finding in report.findings]


def test_a_bundle_lies_between_two_cosignatures(device: Device, witness: Witness) -> None:
    feed = feed_of(device, witness)
    log = log_of(device)
    first = next(device.bundles(1))
    assert "no witness that is trusted has cosigned" in judged(device, first, witness.vkey)[0]
    feed.hear(Received("t", witness.see(log.checkpoint(), NOON_S + 600).to_bytes()))
    feed.tick(0)
    assert judged(device, first, witness.vkey) == []
    before = first.read_bytes()
    second = next(device.bundles(1))
    feed.hear(Received("t", witness.see(log.checkpoint(), NOON_S + 1200).to_bytes()))
    feed.tick(1)
    assert first.read_bytes() == before  # it has its witness
    report = verify(
        second, device.key.chain_pem, authorities=Authorities(witnesses=(witness.vkey,))
    )
    assert report.bracket is not None
    assert report.bracket.not_before == START + timedelta(seconds=600)
    assert report.bracket.not_after == START + timedelta(seconds=1200)


@pytest.mark.parametrize(
    ("seen_s", "complaint"),
    [(-60, "time: proof.tlog-proof a witness saw it at"), (600, None)],
)
def test_what_a_witness_saw_before_it_happened_did_not_happen(
    device: Device, witness: Witness, seen_s: int, complaint: str | None
) -> None:
    feed = feed_of(device, witness)
    path = next(device.bundles(1))
    feed.hear(Received("t", witness.see(log_of(device).checkpoint(), NOON_S + seen_s).to_bytes()))
    feed.tick(0)
    found = judged(device, path, witness.vkey)
    assert found == [] if complaint is None else found[0].startswith(complaint)


def test_a_backdated_bundle_knows_of_what_came_later(device: Device, witness: Witness) -> None:
    feed = feed_of(device, witness)
    next(device.bundles(1))
    feed.hear(Received("t", witness.see(log_of(device).checkpoint(), NOON_S + 86_400).to_bytes()))
    backdated = next(device.bundles(1))
    feed.hear(Received("t", witness.see(log_of(device).checkpoint(), NOON_S + 90_000).to_bytes()))
    feed.tick(0)
    assert "time: manifest.json knows of 2026-05-14" in judged(device, backdated, witness.vkey)[0]


def test_a_bundle_that_was_repacked_is_not_emptied(device: Device, witness: Witness) -> None:
    path = next(device.bundles(1))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            is_photo = name.startswith("media/")
            archive.writestr(name, data, zipfile.ZIP_DEFLATED if is_photo else zipfile.ZIP_STORED)
    before = path.read_bytes()
    device.writer.renew_proofs(witness.see(log_of(device).checkpoint(), NOON_S + 600))
    assert path.read_bytes() == before


def forge_time(note: Note) -> Note:
    own, cosignature = note.signatures
    data = bytearray(cosignature.data)
    data[7] ^= 1
    return Note(note.text, (own, type(own)(NAME, cosignature.key_id, bytes(data))))


def strip(note: Note) -> Note:
    return Note(note.text, note.signatures[:1])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [(forge_time, "does not fit the text"), (strip, "no witness that is trusted")],
)
def test_a_forged_or_missing_cosignature_is_named(
    device: Device, witness: Witness, change: Callable[[Note], Note], complaint: str
) -> None:
    path = next(device.bundles(1))
    device.writer.renew_proofs(change(witness.see(log_of(device).checkpoint(), NOON_S + 600)))
    found = judged(device, path, witness.vkey)
    assert any(text.startswith("witness: ") and complaint in text for text in found)
    assert judged(device, path) == []  # nobody was asked


def test_whoever_keeps_the_leaves_hears_that_the_log_has_them(device: Device) -> None:
    list(device.bundles(3))
    sizes: list[int] = []
    feed = CheckpointFeed(log_of(device), "edge/v1/plaza/box-1", lambda _: None)
    feed.on_signed = sizes.append
    log_of(device).append(b"an event")
    feed.tick(0)
    feed.tick(30)
    assert sizes == [4]
