"""Retention: what is due goes and leaves a tombstone, and nothing else goes, ever."""

import errno
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from referencing import Registry

from edge_agent.cli import cli
from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.config.privacy import Privacy, jurisdictions
from edge_agent.errors import EvidenceError
from edge_agent.evidence import BundleWriter, DeviceKey, verify_chain
from edge_agent.evidence.bundle.chain import manifest_bytes
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.bundle.tombstone import find, read, untold
from edge_agent.evidence.custody import holds, retention
from edge_agent.evidence.log import LogKey, MerkleLog
from edge_agent.identity import CameraOrigin, Origin, leaf_hash
from edge_agent.journal import Journal
from edge_agent.plates import RotatingKeys
from edge_agent.types import Box, Case, Event, Media, ModelInfo, Track
from edge_agent.uplink import Outbox, canonical, schema_for, schemas

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
CAR = Track(1, "car", 0.9, Box(80, 90, 160, 140), (0.0, 0.0), 0.1, 9.0, 4.0)
LU = Privacy(retention="lu").policy
assert LU is not None
DAY = timedelta(days=1)


def case(number: int, wall: datetime) -> Case:
    facts = {"dwell_s": 8.0, "picture": [320, 180]}
    subject = f"parking.illegal/kerb/{number}"
    event = Event(
        "c1", "parking.illegal", subject, "begin", 4.0, 12.0, wall, 120, "kerb", CAR, facts
    )
    return Case(subject, event, event, (), None, False, ("arrival not seen",))


@pytest.fixture
def key(tmp_path: Path) -> DeviceKey:
    return DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))


def origin() -> Origin:
    media = Media("rtsp://camera", "live", None, START, "given")
    camera = CameraOrigin(media, ModelInfo("yolo", "cd" * 32))
    return Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", {"c1": camera})


def writer(folder: Path, key: DeviceKey) -> BundleWriter:
    made = BundleWriter(folder, key, origin(), Evidence(), {})
    made.policy = LU
    return made


Fill = Callable[..., list[Path]]


@pytest.fixture
def fill(tmp_path: Path, key: DeviceKey) -> Fill:
    """Writes one bundle per age in days, the oldest first."""

    def write(*ages: float) -> list[Path]:
        made = writer(tmp_path / "evidence", key)
        cases = [case(number, START - age * DAY) for number, age in enumerate(ages)]
        return [Path(made.write(each, None).path) for each in cases]

    return write


def run(folder: Path, key: DeviceKey, now: datetime = START) -> list[Path]:
    assert LU is not None
    kept = retention.survey(folder, LU)
    return list(retention.delete_due(kept, key, LU, now, is_clock_trusted=True))


def test_a_bundle_says_until_when_it_is_kept(fill: Fill) -> None:
    assert LU is not None
    (each,) = retention.survey(fill(0)[0].parent, LU)
    told = Manifest.from_bytes(manifest_bytes(each.path))
    assert told.privacy.delete_after == "2026-05-21T09:49:12.000Z"
    assert not each.is_due(START + 8 * DAY - timedelta(milliseconds=1))
    assert each.is_due(START + 8 * DAY)


def test_what_is_due_goes_and_the_rest_stays_in_order(fill: Fill, key: DeviceKey) -> None:
    old, new, newest = fill(9, 3, 1)
    (stone,) = run(old.parent, key)
    assert (old.exists(), new.exists(), newest.exists()) == (False, True, True)
    found, _ = read(stone)
    assert (found.reason, found.policy) == ("retention time is over", "lu, 8 days")
    assert found.chain.index == 0
    report = verify_chain([new, newest])
    assert report.is_valid
    assert list(report.facts["deleted"].values()) == [1]


def test_a_bundle_that_cannot_be_deleted_keeps_no_other_beyond_its_time(
    fill: Fill, key: DeviceKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = sorted(fill(10, 9))
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == stuck:
            raise OSError(errno.EIO, "Input/output error")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(EvidenceError, match=f"{stuck.name}.*cannot be deleted"):
        run(stuck.parent, key)
    assert (stuck.exists(), other.exists()) == (True, False)


def test_without_a_tombstone_of_the_device_it_is_a_gap(
    fill: Fill, key: DeviceKey, tmp_path: Path
) -> None:
    _, middle, newest = fill(9, 9, 1)
    stones = run(middle.parent, key)
    assert verify_chain([newest]).is_valid
    forged = json.loads(stones[1].read_bytes())
    stranger = DeviceKey.load_or_create(tmp_path / "other", "box-1", ManualClock(START))
    original = stones[1].read_bytes()
    told, _ = read(stones[1])
    told.write(middle.parent, stranger)
    assert {finding.code for finding in verify_chain([newest]).findings} == {"signature", "chain"}
    stones[1].write_text(json.dumps(forged))
    assert {finding.code for finding in verify_chain([newest]).findings} == {"unreadable", "chain"}
    stones[1].write_bytes(original)
    stones[0].unlink()
    assert [finding.code for finding in verify_chain([newest]).findings] == ["chain"]


def test_the_chain_goes_on_after_the_newest_bundle_was_deleted(fill: Fill, key: DeviceKey) -> None:
    first, second = fill(9, 9)
    run(first.parent, key)
    (first.parent / "chain.json").unlink()
    third = Path(writer(first.parent, key).write(case(7, START), None).path)
    assert not second.exists()
    assert verify_chain([third]).is_valid


def test_what_was_held_or_taken_away_since_it_was_found_is_left_alone(
    fill: Fill, key: DeviceKey
) -> None:
    assert LU is not None
    due, held, taken = fill(9, 9, 9)
    kept = retention.survey(due.parent, LU)
    holds.note(due.parent, held.stem, "hold", (START, "J. Doe", "court 12 C 34/26"))
    taken.unlink()
    found = list(retention.delete_due(kept, key, LU, START, is_clock_trusted=True))
    assert [path.name.partition(".")[0] for path in found] == [due.stem]
    assert held.exists() and not due.exists()


def test_a_hold_keeps_it_until_its_release(fill: Fill, key: DeviceKey) -> None:
    (old,) = fill(20)
    holds.note(old.parent, old.stem, "hold", (START, "J. Doe", "court 12 C 34/26"))
    assert run(old.parent, key) == []
    with pytest.raises(EvidenceError, match="held already"):
        holds.note(old.parent, old.stem, "hold", (START, "J. Doe", "again"))
    holds.note(old.parent, old.stem, "release", (START, "J. Doe", "closed"))
    (stone,) = run(old.parent, key)
    assert stone == find(old.parent, old.stem)
    steps = json.loads((old.parent / "holds" / f"{old.stem}.json").read_text())
    assert [step["action"] for step in steps] == ["hold", "release"]


def test_a_damaged_hold_holds_and_a_damaged_bundle_stays(fill: Fill, key: DeviceKey) -> None:
    held, damaged = fill(20, 20)
    (held.parent / "holds").mkdir()
    (held.parent / "holds" / f"{held.stem}.json").write_text("[{")
    damaged.write_bytes(b"PK" + damaged.read_bytes()[2:40])
    assert run(held.parent, key) == []
    assert held.exists() and damaged.exists()


def test_a_clock_that_may_be_wrong_deletes_nothing(fill: Fill, key: DeviceKey) -> None:
    assert LU is not None
    ages = [3.0] * 12
    folder = fill(*ages)[0].parent
    kept = retention.survey(folder, LU)
    assert retention.due(kept, START, is_clock_trusted=False) == []
    with pytest.raises(EvidenceError, match="clock"):
        retention.due(kept, START + 30 * DAY, is_clock_trusted=False)
    with pytest.raises(EvidenceError, match="12 of 12"):
        run(folder, key, START + 3650 * DAY)
    assert len(list(folder.glob("*.evb"))) == 12


def test_cut_off_between_tombstone_and_deletion_it_is_deleted_once(
    fill: Fill, key: DeviceKey
) -> None:
    (old,) = fill(9)
    data = old.read_bytes()
    (stone,) = run(old.parent, key)
    told = stone.read_bytes()
    old.write_bytes(data)
    run(old.parent, key, START + DAY)
    assert not old.exists()
    assert stone.read_bytes() == told
    assert stone == find(old.parent, old.stem)


def test_a_deletion_is_told_once_and_enters_the_log(
    fill: Fill, key: DeviceKey, tmp_path: Path
) -> None:
    old, _ = fill(9, 1)
    run(old.parent, key)
    log = MerkleLog(tmp_path / "log", LogKey.load_or_create(tmp_path / "state"), "edge/plaza/box-1")
    told = []
    for _ in range(2):
        with Outbox(tmp_path / "outbox.db") as outbox:
            made = writer(old.parent, key)
            made.log = log
            journal = Journal(origin(), outbox, made, tmp_path / "events.jsonl")
            with journal:
                told += journal.envelopes
    (envelope,) = (each for each in told if each["type"] == "edge.evidence.deleted.v1")
    assert envelope["subject"] == f"case/{old.stem}"
    assert log.leaf(envelope["data"]["log"]["index"]) == leaf_hash(canonical(envelope))
    stone = find(old.parent, old.stem)
    assert stone is not None and untold(old.parent) == []
    grave, _ = read(stone)
    assert envelope["data"]["deleted_manifest_sha256"] == grave.manifest_sha256
    registry: Registry[Any] = Registry().with_contents(schemas().items())
    Draft202012Validator(schema_for(envelope["type"]), registry=registry).validate(envelope)


@given(st.integers(0, 60), st.integers(0, 60))
def test_never_before_the_minimum(said: int, age: int) -> None:
    """Whatever a bundle or a site says: China's thirty days are kept."""
    policy = Privacy(retention="cn", keep_days=30 + said).policy
    assert policy is not None
    until = datetime.fromisoformat(retention.delete_after(START, policy))
    assert until >= START + 30 * DAY
    assert policy.minimum == 30 * DAY


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"retention": "mars"}, "one of lu, cn"),
        ({"retention": "lu", "keep_days": 31}, "0 to 30 days, got 31"),
        ({"retention": "cn", "keep_days": 29}, "30 or more days, got 29"),
        ({"retention": "uk"}, "add `keep_days:`"),
        ({"keep_days": 8}, "needs `retention:`"),
    ],
)
def test_a_site_keeps_the_law_or_is_told(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Privacy.model_validate(settings)


def test_every_jurisdiction_has_a_source_and_says_what_is_unconfirmed() -> None:
    for law in jurisdictions().values():
        assert law.source and law.to_check
        assert law.days is None or law.days >= law.min_days


def test_the_command_line_deletes_what_is_due(fill: Fill, tmp_path: Path) -> None:
    old, _new = fill(9, 1)
    site = tmp_path / "site.yaml"
    site.write_text(
        f"site: {{name: plaza}}\ndevice: box-1\nstate_dir: {tmp_path / 'state'}\n"
        "privacy: {retention: lu, plates: hashed, rotate_days: 7}\ncameras: {c1: {}}\n"
    )
    keys = tmp_path / "state" / "box-1" / "plate-keys"
    for moment in (START - 30 * DAY, START):
        RotatingKeys(keys, 7).at(moment)
    command = ["evidence", "retain", str(old.parent), "--config", str(site), "--now", "2026-05-13"]
    runner = CliRunner()
    listed = runner.invoke(cli, [*command, "--dry-run"])
    assert (listed.exit_code, old.exists()) == (0, True)
    assert f"due         {old}" in listed.output
    assert runner.invoke(
        cli, ["evidence", "hold", str(old), "--by", "J. Doe", "--reason", "court"]
    ).output.startswith("held")
    assert "0 deleted, 2 kept" in runner.invoke(cli, [*command, "--clock-trusted"]).output
    assert runner.invoke(
        cli, ["evidence", "release", str(old), "--by", "J. Doe", "--reason", "closed"]
    ).output.startswith("released")
    done = runner.invoke(cli, [*command, "--clock-trusted"])
    assert "1 deleted, 1 kept (lu, 8 days)" in done.output, done.exception
    assert not old.exists()
    assert [path.stem for path in keys.iterdir()] == [RotatingKeys(keys, 7).at(START).name]


def test_a_rotated_key_signs_tombstones_of_bundles_from_before(
    fill: Fill, key: DeviceKey, tmp_path: Path
) -> None:
    old, older_key = fill(9, 1)
    rotated = DeviceKey.load_or_create(tmp_path / "rotated", "box-1", ManualClock(START))
    newest = Path(writer(old.parent, rotated).write(case(9, START), None).path)
    run(old.parent, rotated)
    codes = {(finding.code, finding.file) for finding in verify_chain([older_key, newest]).findings}
    assert ("signature", str(find(old.parent, old.stem))) not in codes
    assert not any(file == str(older_key) for _, file in codes)


def test_tombstones_are_all_that_a_replaced_key_need_leave(
    fill: Fill, key: DeviceKey, tmp_path: Path
) -> None:
    (old,) = fill(9)
    rotated = DeviceKey.load_or_create(tmp_path / "rotated", "box-1", ManualClock(START))
    newest = Path(writer(old.parent, rotated).write(case(9, START), None).path)
    run(old.parent, rotated)
    assert not old.exists()
    report = verify_chain([newest])
    assert report.findings == ()
    assert list(report.facts["deleted"].values()) == [1]
