"""`evidence profiles` and `evidence verify --profile`, as people and machines read them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import edge_agent.demo
from edge_agent.cli import cli
from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.errors import UsageError
from edge_agent.evidence import EXIT_CODES, BundleWriter, DeviceKey
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import ArrayPicture, Box, Case, Event, Frame, Media, ModelInfo, Photo, Role

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
MINE = """
name: mine
title: Our town
rules:
  - {id: two, source: by-law 3, sentence: Two stills., check: stills, at_least: 2}
  - {id: eyes, source: by-law 4, sentence: A person agrees., check: none, instead: Look at it.}
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A case with an arrival and a wide view 10 s later; nobody reads plates."""
    key = DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))
    media = Media("street.mp4", "replay", "ab" * 32, START, "given")
    cameras = {"c1": CameraOrigin(media, ModelInfo("yolo", None))}
    origin = Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", cameras)
    image = ArrayPicture(np.zeros((720, 1280, 3), np.uint8))
    times: list[tuple[Role, float]] = [("enter", 2.0), ("wide", 12.0)]
    photos = tuple(
        Photo(role, Frame("c1", int(10 * t), t, START + timedelta(seconds=t), image), box, None, 1)
        for role, t in times
        for box in (Box(100, 100, 300, 300),)
    )
    wall = START + timedelta(seconds=12)
    begin = Event("c1", "parking.illegal", "s1", "begin", 4.0, 12.0, wall, 120, "kerb")
    case = Case("s1", begin, begin, photos, None, False, ("vehicle has not left",))
    return Path(BundleWriter(tmp_path, key, origin, Evidence(), {}).write(case, None).path)


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, ["evidence", *map(str, args)])


def test_rules_met_missed_and_not_checkable_are_told(bundle: Path) -> None:
    said = run("verify", bundle, "--profile", "cn-ga832")
    assert said.exit_code == EXIT_CODES["profile"] == 24
    lines = said.stdout.splitlines()
    assert lines[0].startswith("INTACT")
    outcomes = {cells[1].strip(): cells[2].strip() for cells in (x.split("│") for x in lines)
                if len(cells) > 3 and cells[1].strip()}  # fmt: skip
    assert outcomes["panoramas"] == outcomes["interval"] == outcomes["picture-size"] == "met"
    assert outcomes["clock"] == outcomes["plate"] == "missed"
    assert outcomes["looks"] == outcomes["same-plate"] == "not checkable"
    assert "misses cn-ga832: clock, plate" in lines
    assert "GA/T 832-2014, interval" in said.stdout


def test_machines_read_the_same(bundle: Path) -> None:
    said = run("verify", bundle, "--profile", "cn-ga832", "--json")
    (report,) = json.loads(said.stdout)
    assert (said.exit_code, report["exit_code"], report["intact"]) == (24, 24, True)
    assert report["profile"]["name"] == "cn-ga832" and report["profile"]["met"] is False
    rule = next(rule for rule in report["profile"]["rules"] if rule["id"] == "clock")
    assert (rule["outcome"], rule["reasons"]) == ("missed", ["clock not synchronised"])
    assert rule["source"].startswith("GA/T 832") and rule["sentence"].endswith("off.")


def test_an_own_profile_by_path(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE)
    said = run("verify", bundle, "--profile", tmp_path / "mine.yaml")
    assert said.exit_code == 0
    assert "meets mine" in said.stdout and "1 of its rules cannot be checked" in said.stdout
    (tmp_path / "mine.yaml").write_text(MINE.replace("at_least: 2", "at_least: 3"))
    assert run("verify", bundle, "--profile", tmp_path / "mine.yaml").exit_code == 24


def test_without_a_profile_nothing_changes(bundle: Path) -> None:
    said = run("verify", bundle)
    assert (said.exit_code, len(said.stdout.splitlines())) == (0, 1)
    assert "profile" not in json.loads(run("verify", bundle, "--json").stdout)[0]


def test_an_unknown_profile_is_wrong_usage(bundle: Path) -> None:
    said = run("verify", bundle, "--profile", "cn-ga833")
    assert isinstance(said.exception, UsageError)
    assert "did you mean `cn-ga832`?" in str(said.exception)


def test_profiles_are_listed_with_their_sources(tmp_path: Path) -> None:
    said = run("profiles")
    for words in ("bj-2014", "cn-four-photo", "cn-ga832", "uk-2022-71", "SI 2022/71, Schedule 1"):
        assert words in said.stdout
    (tmp_path / "mine.yaml").write_text(MINE)
    (told,) = json.loads(run("profiles", tmp_path / "mine.yaml", "--json").stdout)
    assert [rule["id"] for rule in told["rules"]] == ["two", "eyes"]


def test_check_tells_a_site_that_no_case_can_meet_its_profile(tmp_path: Path) -> None:
    street = Path(edge_agent.demo.__file__).with_name("street.yaml").read_text()
    for profile, is_told in (("cn-four-photo", True), (None, False)):
        site = street if profile else street.replace("  profile: cn-four-photo", "  # none")
        (tmp_path / "site.yaml").write_text(site.replace("evidence:\n  # none", "# none\n#"))
        said = CliRunner().invoke(cli, ["check", "--config", str(tmp_path / "site.yaml")])
        assert said.exit_code == 0
        assert ("reads no plates, which cn-four-photo asks for" in said.stdout) == is_told
