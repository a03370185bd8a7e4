"""The log on the disk: it repeats, resumes, proves, forgets, and survives being cut anywhere."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.clock import ManualClock
from edge_agent.errors import EvidenceError
from edge_agent.evidence import DeviceKey
from edge_agent.evidence.log import Checkpoint, LogKey, MerkleLog, Statement, certify
from edge_agent.evidence.log.audit import LogAudit
from edge_agent.evidence.log.merkle import is_consistent, leaf_hash, node_hash, root_of_path
from edge_agent.evidence.trust.certificates import read_chain

ORIGIN = "edge/plaza/box-1"
KEY = LogKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))


def record(index: int) -> bytes:
    return f'{{"n":{index}}}'.encode()


def naive(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(naive(leaves[:k]), naive(leaves[k:]))


def opened(folder: Path) -> MerkleLog:
    return MerkleLog(folder, KEY, ORIGIN)


def grown(folder: Path, size: int, every: int = 10**9) -> MerkleLog:
    log = opened(folder)
    for index in range(log.size, size):
        assert log.append(record(index)) == index
        if index % every == every - 1:
            log.checkpoint()
    log.checkpoint()
    return log


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700])
def test_how_often_it_is_signed_leaves_no_trace(tmp_path: Path, size: int) -> None:
    grown(tmp_path / "once", size)
    grown(tmp_path / "often", size, every=25)
    assert files(tmp_path / "once") == files(tmp_path / "often")
    for _ in range(2):
        for index in range(opened(tmp_path / "opened").size, size, 97):
            grown(tmp_path / "opened", min(size, index + 40))
    grown(tmp_path / "opened", size)
    assert files(tmp_path / "opened") == files(tmp_path / "once")


def test_every_record_is_proven_and_every_state_follows_from_the_one_before(tmp_path: Path) -> None:
    leaves = [leaf_hash(record(index)) for index in range(700)]
    log = grown(tmp_path, 700)
    signed = Checkpoint.parse(log.checkpoint().text)
    assert signed == Checkpoint(ORIGIN, 700, naive(leaves))
    assert log.checkpoint().signed_by(log.vkey) is not None
    for index in (0, 1, 255, 256, 511, 512, 698, 699):
        assert log.prove(index).flaw(record(index)) is None
        assert log.prove(index).flaw(record(index + 1)) == (
            "the audit path does not lead to the root"
        )
        assert log.leaf(index) == leaves[index]
    for old in (1, 2, 255, 256, 257, 600, 700):
        before, after = (old, naive(leaves[:old])), (700, signed.root)
        assert log.root(old) == before[1]
        assert is_consistent(before, after, log.consistency(old))
    with pytest.raises(ValueError, match="no checkpoint yet"):
        log.prove(log.append(b"more"))


def test_only_the_newest_partial_tiles_are_kept(tmp_path: Path) -> None:
    grown(tmp_path, 600, every=40)
    expected = ["checkpoint", "tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"]
    assert sorted(files(tmp_path)) == expected


def test_it_begins_anew_when_told(tmp_path: Path) -> None:
    grown(tmp_path, 300)
    log = MerkleLog(tmp_path, KEY, ORIGIN, resumes=False)
    assert (log.size, log.signed, files(tmp_path)) == (0, None, {})
    grown(tmp_path / "other", 20)
    for index in range(20):
        log.append(record(index))
    log.checkpoint()
    shutil.move(tmp_path / "other", tmp_path.parent / "other")
    assert files(tmp_path) == files(tmp_path.parent / "other")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 70,000 records: three levels of tiles."""
    folder = tmp_path_factory.mktemp("large")
    grown(folder, 70_000)
    return folder


@pytest.mark.parametrize("minimum", [1, 255, 256, 300, 512, 66_000, 70_000])
def test_pruned_it_goes_on_and_proves_the_rest(tmp_path: Path, large: Path, minimum: int) -> None:
    shutil.copytree(large, tmp_path, dirs_exist_ok=True)
    log = opened(tmp_path)
    handed_out = log.prove(17)
    indexes = [i for i in (minimum, minimum + 1, 65_535, 65_536, 69_999) if minimum <= i < 70_000]
    expected = [log.prove(index) for index in indexes]
    steps = log.consistency(minimum)
    before = len(files(tmp_path))
    gone = minimum // 256 + minimum // 65_536
    assert log.prune(minimum) == gone
    assert len(files(tmp_path)) == before - gone + 1
    assert (tmp_path / "minimum").read_text() == f"{minimum}\n"
    log = opened(tmp_path)
    assert [log.prove(index) for index in indexes] == expected
    assert log.consistency(minimum) == steps
    assert handed_out.flaw(record(17)) is None
    if minimum >= 256:
        with pytest.raises(EvidenceError, match="pruned, lost"):
            log.prove(17)
    log.append(b"more")
    log.checkpoint()
    whole = opened(large)
    whole.append(b"more")
    assert log.root() == whole.root()
    with pytest.raises(ValueError, match="70001 are signed"):
        log.prune(70_002)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_however_it_is_pruned_what_is_needed_can_be_proven(
    tmp_path_factory: pytest.TempPathFactory, large: Path, data: st.DataObject
) -> None:
    """Single entries are spared, the log is pruned twice, cut in between, and grows."""
    folder = tmp_path_factory.mktemp("pruned")
    shutil.copytree(large, folder, dirs_exist_ok=True)
    log, entries = opened(folder), st.integers(0, 69_999)
    keep = data.draw(st.sets(entries, max_size=6))
    handed_out = [(index, log.prove(index)) for index in sorted(keep)]
    first, second = sorted((data.draw(entries), data.draw(entries)))
    before = files(folder)
    log.prune(first, keep)
    log.prune(second, keep)
    gone = sorted(before.keys() - files(folder).keys())
    for name in data.draw(st.lists(st.sampled_from(gone), unique=True)) if gone else []:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(before[name])  # its removal was not on the disk yet
    log = opened(folder)
    assert list(LogAudit.open(folder).tree_flaws()) == []
    log.append(b"more")
    now = Checkpoint.parse(log.checkpoint().text)
    for index in {*keep, second, 69_999}:
        assert log.prove(index).flaw(record(index)) is None
        old = Checkpoint(ORIGIN, index + 1, log.root(index + 1))
        steps = log.consistency(old.size)
        assert is_consistent((old.size, old.root), (now.size, now.root), steps)
    for index, proof in handed_out:
        assert proof.flaw(record(index)) is None
    before_it = (70_000, Checkpoint.parse(handed_out[0][1].note.text).root) if handed_out else None
    assert before_it is None or is_consistent(
        before_it, (now.size, now.root), log.consistency(70_000)
    )


def test_what_is_lost_is_told_from_what_was_pruned(tmp_path: Path, large: Path) -> None:
    shutil.copytree(large, tmp_path, dirs_exist_ok=True)
    opened(tmp_path).prune(30_000, {513})
    audit = LogAudit.open(tmp_path)
    assert list(audit.tree_flaws()) == [] and audit.pruned == 29_952
    assert audit.record_flaw(513, record(513)) is None
    assert audit.record_flaw(514, b"forged") is not None
    assert audit.record_flaw(5, b"forgotten") is None
    for lost in ("tile/0/200", "tile/0/117"):  # the second is the first that was not pruned
        kept = (tmp_path / lost).read_bytes()
        (tmp_path / lost).unlink()
        assert [code for code, _ in LogAudit.open(tmp_path).tree_flaws()] == ["inclusion"]
        (tmp_path / lost).write_bytes(kept)
    whole = shutil.copytree(large, tmp_path / "whole")
    (whole / "tile/0/000").unlink()
    assert [code for code, _ in LogAudit.open(whole).tree_flaws()] == ["inclusion"]


def test_by_the_dates_of_its_files_a_log_knows_how_old_it_is(tmp_path: Path) -> None:
    log = grown(tmp_path, 1_100)
    for index, day in enumerate((1, 2, 9, 3)):
        os.utime(tmp_path / f"tile/0/{index:03d}", (0, 86_400 * day))
    found = [log.stored_before(86_400 * day) for day in (1, 2, 3, 10)]
    assert found == [0, 256, 512, 1_024]
    log.prune(512, {3})
    assert log.stored_before(86_400 * 5) == 256, "what was spared is old, the rest is not"


def damage(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[20] ^= 1
    (folder / name).write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "text"),
    [
        (lambda folder: damage(folder, "tile/0/001.p/44"), "do not lead to the root"),
        (lambda folder: damage(folder, "tile/1/000.p/1"), "do not lead to the root"),
        (lambda folder: (folder / "tile/0/001.p/44").unlink(), "44 hashes of the log are not"),
        (lambda folder: damage(folder, "checkpoint"), "checkpoint"),
        (lambda folder: (folder / "checkpoint").write_bytes(b""), "is not a note"),
        (
            lambda folder: (folder / "checkpoint").write_text(
                (folder / "checkpoint").read_text().replace("box-1", "box-2")
            ),
            "is not a checkpoint of edge/plaza/box-1",
        ),
    ],
)
def test_a_damaged_log_is_not_continued(
    tmp_path: Path, harm: Callable[[Path], object], text: str
) -> None:
    grown(tmp_path, 300)
    harm(tmp_path)
    with pytest.raises(EvidenceError, match=text):
        opened(tmp_path)


def test_another_devices_log_is_not_continued(tmp_path: Path) -> None:
    grown(tmp_path, 3)
    with pytest.raises(EvidenceError, match="by this device's log key"):
        MerkleLog(tmp_path, LogKey(Ed25519PrivateKey.generate()), ORIGIN)


def test_the_key_is_made_once_and_guarded(tmp_path: Path) -> None:
    key = LogKey.load_or_create(tmp_path / "state")
    path = tmp_path / "state/log-key.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    again = LogKey.load_or_create(tmp_path / "state")
    assert again.vkey(ORIGIN) == key.vkey(ORIGIN)
    path.chmod(0o644)
    with pytest.raises(EvidenceError, match="chmod 600"):
        LogKey.load_or_create(tmp_path / "state")
    path.chmod(0o600)
    path.write_text("nonsense")
    with pytest.raises(EvidenceError, match="not a private key in PEM form"):
        LogKey.load_or_create(tmp_path / "state")


def test_the_device_says_which_key_signs_its_log(tmp_path: Path) -> None:
    device = DeviceKey.load_or_create(tmp_path, "box-1", ManualClock())
    said = certify(device, KEY, "box-1")
    assert said == certify(device, KEY, "box-1")
    found = Statement.verified(said, read_chain(device.chain_pem))
    assert found == Statement("box-1", KEY.vkey(ORIGIN).public)
    other = DeviceKey.load_or_create(tmp_path, "box-2", ManualClock())
    with pytest.raises(ValueError, match="not signed by the device"):
        Statement.verified(said, read_chain(other.chain_pem))


def test_a_checkpoint_reaches_no_further_than_what_is_on_the_disk(tmp_path: Path) -> None:
    log = grown(tmp_path, 250)
    kept = files(tmp_path)
    for index in range(20):
        log.append(f"lost {index}".encode())
    log.checkpoint()
    # The power failed before the checkpoint took its place: all tiles are there already.
    (tmp_path / "checkpoint").write_bytes(kept["checkpoint"])
    (tmp_path / "tile/0/000.p").mkdir(exist_ok=True)
    (tmp_path / "tile/0/000.p/250").write_bytes(kept["tile/0/000.p/250"])
    log = grown(tmp_path, 251)
    assert opened(tmp_path).root() == log.root()
    log = grown(tmp_path, 300)
    assert opened(tmp_path).root() == log.root()
    grown(tmp_path / "undisturbed", 300)
    assert files(tmp_path / "undisturbed").items() <= files(tmp_path).items()
    path = log.inclusion(255)
    assert root_of_path(leaf_hash(record(255)), 255, 300, path) == log.root()
