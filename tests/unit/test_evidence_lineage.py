"""Verification across bundles: gaps, forks and swapped places."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.evidence import EXIT_CODES, BundleWriter, DeviceKey, verify_chain
from edge_agent.evidence.bundle.container import pack, unpack
from edge_agent.evidence.keys.identity import Home
from edge_agent.evidence.keys.rotation import rotate
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import Case, Event, Media, ModelInfo

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
MEDIA = Media("street.mp4", "replay", "ab" * 32, START, "given")
CAMERAS = {"c1": CameraOrigin(MEDIA, ModelInfo("yolo", None))}
ORIGIN = Origin({"name": "plaza"}, "box-1", "boot-7", "ef" * 32, "edge-agent 0", CAMERAS)


@pytest.fixture
def key(tmp_path: Path) -> DeviceKey:
    return DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))


def case(subject: str) -> Case:
    begin = Event("c1", "parking.illegal", subject, "begin", 4.0, 12.0, START, 120)
    return Case(subject, begin, begin, (), None, False, ("vehicle has not left",))


def renumber(path: Path, index: int) -> None:
    """Give the bundle another place; its signature is `verify`'s business."""
    members = {member.name: member.data or b"" for member in unpack(path.read_bytes())}
    manifest: Any = json.loads(members["manifest.json"])
    manifest["chain"]["index"] = index
    members["manifest.json"] = rfc8785.dumps(manifest)
    path.write_bytes(pack(members.items()))


def chain_of(folder: Path, key: DeviceKey, count: int = 4) -> list[Path]:
    out = BundleWriter(folder, key, ORIGIN, Evidence(), {})
    return [Path(out.write(case(f"s{n}"), None).path) for n in range(count)]


def test_a_chain_without_a_gap_is_valid_in_any_order(tmp_path: Path, key: DeviceKey) -> None:
    paths = chain_of(tmp_path, key)
    report = verify_chain(paths[::-1])
    assert report.is_valid
    assert report.facts == {"chains": {"edge/plaza/box-1/replay/boot-7": 4}}


def test_a_missing_bundle_is_named(tmp_path: Path, key: DeviceKey) -> None:
    paths = chain_of(tmp_path, key)
    report = verify_chain([paths[0], paths[3]])
    assert report.exit_code == EXIT_CODES["chain"]
    assert [str(finding) for finding in report.findings] == [
        f"{paths[3]} the chain has a gap: numbers 1 to 2 are missing before it"
    ]
    (finding,) = verify_chain(paths[1:]).findings
    assert "number 0 is missing" in finding.text


def test_a_reordered_or_replaced_bundle_is_named(tmp_path: Path, key: DeviceKey) -> None:
    paths = chain_of(tmp_path, key)

    renumber(paths[1], 2)
    renumber(paths[2], 1)
    files = [finding.file for finding in verify_chain(paths).findings]
    assert files == [str(paths[2]), str(paths[1]), str(paths[3])]


def test_a_fork_is_named(tmp_path: Path, key: DeviceKey) -> None:
    paths = chain_of(tmp_path, key, 2)
    renumber(paths[1], 0)
    (fork,) = [f for f in verify_chain(paths).findings if "forks" in f.text]
    assert fork.code == "chain"


def test_chains_of_different_devices_do_not_mix(tmp_path: Path, key: DeviceKey) -> None:
    other = DeviceKey.load_or_create(tmp_path / "other", "box-1", ManualClock(START))
    paths = chain_of(tmp_path / "a", key, 2) + chain_of(tmp_path / "b", other, 2)
    assert verify_chain(paths).is_valid


def live_chain(folder: Path, key: DeviceKey, subjects: str) -> list[Path]:
    media = Media("camera", "live", None, START, "clock")
    cameras = {"c1": CameraOrigin(media, ModelInfo("yolo", None))}
    out = BundleWriter(folder, key, replace(ORIGIN, cameras=cameras), Evidence(), {})
    return [Path(out.write(case(subject), None).path) for subject in subjects]


def test_a_chain_goes_on_when_its_key_is_replaced(tmp_path: Path, key: DeviceKey) -> None:
    paths = live_chain(tmp_path / "out", key, "ab")
    home = Home.of(tmp_path / "state", "box-1", None)
    for subjects in ("cd", "ef"):
        new = rotate(home, ManualClock(START), keep=False).new
        paths += live_chain(tmp_path / "out", new, subjects)
    report = verify_chain(paths[::-1])
    assert (report.findings, report.facts) == ((), {"chains": {"edge/plaza/box-1": 6}})
    for missing in range(1, 5):
        (finding,) = verify_chain([*paths[:missing], *paths[missing + 1 :]]).findings
        assert finding.text == f"the chain has a gap: number {missing} is missing before it"
    thief = DeviceKey.load_or_create(tmp_path / "thief", "box-1", ManualClock(START))
    forged = live_chain(tmp_path / "forged", thief, "xyz")
    assert verify_chain([*paths[:2], forged[2]]).findings  # claims the place, does not follow


def test_an_unreadable_file_in_a_chain_is_named(tmp_path: Path, key: DeviceKey) -> None:
    paths = chain_of(tmp_path, key, 2)
    (tmp_path / "x.evb").write_bytes(b"garbage")
    report = verify_chain([*paths, tmp_path / "x.evb", tmp_path / "absent.evb"])
    assert [finding.code for finding in report.findings] == ["unreadable", "unreadable"]
