"""The shipped street, replayed by the command line: what a new user sees must hold exactly."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from edge_agent.demo import CLIP, SITE, TRUTH
from edge_agent.uplink import schema_for, schemas

Cli = Callable[..., subprocess.CompletedProcess[str]]
START = "2026-05-13T09:49:12Z"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def played(edge_agent: Cli, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The demo street replayed with so many workers, once each."""
    folders: dict[int, Path] = {}

    def play(workers: int) -> Path:
        if workers not in folders:
            out = tmp_path_factory.mktemp("played") / f"workers-{workers}"
            common = ("--config", SITE, "--start", START, "--workers", workers)
            done = edge_agent("replay", CLIP, *common, "--out", out)
            assert (done.returncode, done.stderr) == (0, "")
            assert "11:49:12 Europe/Berlin (as the operator said)  street.mp4" in done.stdout
            folders[workers] = out
        return folders[workers]

    return play


def envelopes(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]


def files(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_two_replays_give_identical_bytes(played: Callable[[int], Path]) -> None:
    one, two = files(played(1)), files(played(2))
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
    assert any(name.endswith(".evb") for name in one)


def test_the_case_has_four_photos_and_a_clip_and_verifies(
    edge_agent: Cli, played: Callable[[int], Path]
) -> None:
    (bundle,) = (played(2) / "evidence").glob("*.evb")
    verified = edge_agent("evidence", "verify", bundle)
    assert verified.returncode == 0
    assert verified.stdout.startswith("INTACT") and "not evidential: replay" in verified.stdout
    with zipfile.ZipFile(bundle) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    roles = {item["role"]: item for item in manifest["media"]}
    assert set(roles) == {"enter", "wide", "close", "leave", "clip"}
    assert roles["enter"]["pts_s"] < roles["wide"]["pts_s"] < roles["leave"]["pts_s"]
    assert (roles["wide"]["width"], roles["wide"]["height"]) == (1280, 720)
    assert roles["close"]["width"] >= 300, "the plate has to be legible"
    assert manifest["evidential"] is False and "replay" in manifest["reasons"]
    assert manifest["model"]["name"] == "motion"


def test_every_event_and_the_case_are_entries_of_the_log(
    edge_agent: Cli, played: Callable[[int], Path]
) -> None:
    out = played(2)
    given = ("--events", out / "events.jsonl", "--bundles", out / "evidence")
    verified = edge_agent("evidence", "log", "verify", out / "log", *given, "--json")
    told = json.loads(verified.stdout)
    assert (verified.returncode, told["findings"]) == (0, [])
    lines = (out / "events.jsonl").read_bytes().count(b"\n")
    assert (told["events"], told["bundles"]) == (lines, 1)
    # The case was told twice, and its first revision's file was replaced by the second.
    assert (told["size"], told["unshown"]) == (lines + 2, 1)


def test_nothing_is_missed_and_nothing_invented(
    edge_agent: Cli, played: Callable[[int], Path]
) -> None:
    events = played(2) / "events.jsonl"
    done = edge_agent("score", "--events", events, "--truth", TRUTH, "--json")
    total = json.loads(done.stdout)["total"]
    assert (total["missed"], total["false"]) == (0, 0)
    assert total["matched"] == total["true"] == 9


def test_the_offence_is_timed_as_it_happened(played: Callable[[int], Path]) -> None:
    (truth,) = (e for e in json.loads(TRUTH.read_text())["events"] if e["type"][:7] == "parking")
    parked = [e["data"] for e in envelopes(played(2)) if e["type"] == "edge.parking.illegal.v1"]
    begin, end = parked
    assert [begin["phase"], end["phase"]] == ["begin", "end"]
    assert begin["begin_s"] == pytest.approx(truth["begin_s"], abs=0.5)
    assert begin["time"]["pts_s"] == pytest.approx(truth["begin_s"] + 15, abs=0.6)
    assert end["end_s"] == pytest.approx(truth["end_s"], abs=1.0)
    assert end["dwell_s"] <= truth["end_s"] - truth["begin_s"] + 1.0, "claims more than it saw"


def test_every_envelope_keeps_its_schema_and_the_sequence_has_no_gap(
    played: Callable[[int], Path],
) -> None:
    told = envelopes(played(2))
    registry = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in schemas().values()
    )
    for envelope in told:
        Draft202012Validator(schema_for(envelope["type"]), registry=registry).validate(envelope)
    assert [int(e["sequence"]) for e in told] == list(range(1, len(told) + 1))
    assert len({e["id"] for e in told}) == len(told)


def test_the_demo_ends_with_a_verified_case(edge_agent: Cli, tmp_path: Path) -> None:
    done = edge_agent("demo", "--out", tmp_path / "demo")
    assert (done.returncode, done.stderr) == (0, "")
    assert "valid, complete; not evidential: replay" in done.stdout
    assert "/replay/cam/street/event/parking/illegal" in done.stdout
    report = (tmp_path / "demo" / "report.html").read_text("utf-8")
    assert "redacted copies" in report and "untouched" not in report
    command = re.search(r"<code>edge-agent (evidence verify .*?)</code>", report)
    assert command is not None
    verify = [os.path.expanduser(word) for word in shlex.split(command[1])]
    verify[2] = str(tmp_path / "demo" / verify[2])
    assert edge_agent(*verify).stdout.startswith("VALID")
    again = edge_agent("demo", "--out", tmp_path / "demo")
    assert again.returncode == 0, "a second demo replaces the first"


def test_a_network_gives_the_same_bytes_on_one_and_two_workers(
    edge_agent: Cli, shared: Path, tmp_path: Path
) -> None:
    assert shared.is_dir()
    for workers in (1, 2):
        site = tmp_path / "site.yaml"
        detector = "model: yolox_nano\n      max_fps: 6"
        site.write_text(SITE.read_text().replace("model: motion", detector))
        out = tmp_path / str(workers)
        common = ("--config", site, "--start", START, "--workers", workers)
        done = edge_agent("replay", CLIP, *common, "--out", out)
        assert (done.returncode, done.stderr) == (0, "")
    one, two = files(tmp_path / "1"), files(tmp_path / "2")
    assert [name for name in one if one[name] != two.get(name)] == []
    (parked,) = (
        e
        for e in envelopes(tmp_path / "1")
        if e["type"] == "edge.evidence.case.v1" and e["data"]["phase"] == "end"
    )
    assert parked["data"]["evidential"] is False
    assert "model motion is not evidential" not in parked["data"]["reasons"]


def test_two_recordings_play_as_two_cameras_merged_by_time(edge_agent: Cli, tmp_path: Path) -> None:
    text = SITE.read_text()
    head, camera = text.split("cameras:\n")
    second = camera.replace("  street:", "  side:")
    site = tmp_path / "site.yaml"
    site.write_text(head + "cameras:\n" + camera + "\n" + second)
    out = tmp_path / "out"
    bound = ("--camera", f"street={CLIP}", "--camera", f"side={CLIP}")
    done = edge_agent("replay", *bound, "--config", site, "--start", START, "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    told = envelopes(out)
    # A case is told some seconds after the event that it documents.
    decided = [e for e in told if e["type"] != "edge.evidence.case.v1"]
    times = [e["data"]["time"]["utc_ms"] for e in decided]
    assert times == sorted(times)
    by_camera = [e["data"]["source"]["camera"] for e in told]
    assert by_camera.count("street") == by_camera.count("side") == len(told) / 2
    subjects = {e["subject"] for e in told if e["type"] == "edge.parking.illegal.v1"}
    assert len(subjects) == 2, "the same track number on two cameras is two cases"
    verified = edge_agent("evidence", "verify", *sorted((out / "evidence").glob("*.evb")))
    assert verified.returncode == 0
