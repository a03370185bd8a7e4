"""What `evidence log verify` says of a log that is whole, cut off, forked, altered or pruned."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.cli import cli
from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.demo import SITE
from edge_agent.errors import EvidenceError, UsageError
from edge_agent.evidence import EXIT_CODES, BundleWriter, DeviceKey
from edge_agent.evidence.log import LogKey, MerkleLog, Statement, Vkey
from edge_agent.evidence.trust.certificates import read_chain
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.journal import Journal
from edge_agent.types import ArrayPicture, Box, Case, Event, Frame, Media, ModelInfo, Photo
from edge_agent.uplink import Outbox

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
MEDIA = Media("street.mp4", "replay", "ab" * 32, START, "given")
CAMERA = CameraOrigin(MEDIA, ModelInfo("yolo", None))
ORIGIN = Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", {"c1": CAMERA})
KEY = LogKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))


def invoke(*words: object) -> Result:
    """The command line's answer; what it raises, it raises here."""
    result = CliRunner().invoke(cli, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@dataclass
class Results:
    """What a replay left."""

    folder: Path

    @property
    def events(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def reopened(self) -> MerkleLog:
        return MerkleLog(self.log, KEY, ORIGIN.log)

    def ask(self, *more: object) -> tuple[int, Any]:
        """Exit code and answer about the log with everything that belongs to it."""
        given = ("--events", self.events, "--bundles", self.folder / "evidence")
        words = ["evidence", "log", "verify", self.log, *given, *more, "--json"]
        result = invoke(*words)
        return result.exit_code, json.loads(result.stdout)

    def codes(self, *more: object) -> list[str]:
        code, told = self.ask(*more)
        codes = [finding["code"] for finding in told["findings"]]
        assert code == told["exit_code"] == (EXIT_CODES[codes[0]] if codes else 0)
        return codes


def event(number: int, kind: str = "zone.loitering") -> Event:
    wall = START + timedelta(seconds=number)
    return Event("c1", kind, f"s{number}", "begin", number, number, wall, number * 10, "kerb")


@pytest.fixture
def results(tmp_path: Path) -> Results:
    key = DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))
    (tmp_path / "root.pem").write_bytes(key.chain_pem)
    folder = tmp_path / "results"
    bundles = BundleWriter(folder / "evidence", key, ORIGIN, Evidence(), {})
    bundles.log = MerkleLog(folder / "log", KEY, ORIGIN.log, resumes=False)
    begin = event(12, "parking.illegal")
    frame = Frame("c1", 120, 12.0, begin.wall, ArrayPicture(np.zeros((18, 32, 3), np.uint8)))
    photo = Photo("wide", frame, Box(4, 4, 8, 7), None, 1.0)
    case = Case("s12", begin, begin, (photo,), None, False, ("vehicle has not left",))
    with (
        Outbox(":memory:") as outbox,
        Journal(ORIGIN, outbox, bundles, folder / "events.jsonl") as journal,
    ):
        for number in range(300):
            journal.event(event(number))
        journal.case(case, None)
    shutil.copy(folder / "log/checkpoint", tmp_path / "kept")
    return Results(folder)


def test_everything_is_an_entry_and_the_root_proves_whose(results: Results, tmp_path: Path) -> None:
    code, told = results.ask("--root", tmp_path / "root.pem", "--earlier", tmp_path / "kept")
    assert (code, told["findings"], told["valid"]) == (0, [], True)
    assert (told["size"], told["events"], told["bundles"], told["unshown"]) == (302, 301, 1, 0)
    assert told["key"] == str(KEY.vkey(ORIGIN.log))
    code, told = results.ask()
    assert (code, told["valid"], told["intact"]) == (0, False, True)
    assert results.ask("--key", KEY.vkey(ORIGIN.log))[1]["valid"]
    assert results.codes("--key", LogKey(Ed25519PrivateKey.generate()).vkey(ORIGIN.log)) == [
        "checkpoint"
    ]
    with pytest.raises(UsageError, match="is not a verifier key"):
        results.ask("--key", "nonsense")


def test_people_are_told_as_well(results: Results, tmp_path: Path) -> None:
    said = invoke("evidence", "log", "verify", results.log, "--events", results.events).stdout
    assert said.startswith("INTACT") and "302 entries of edge/plaza/box-1" in said
    assert "of 1 no record was shown" in said and "pass --key" in said
    with pytest.raises(EvidenceError, match="checkpoint: cannot be read"):
        invoke("evidence", "log", "verify", tmp_path / "none")


def edit(path: Path, change: Callable[[list[bytes]], object]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))


def test_events_that_are_no_entries_are_named(results: Results) -> None:
    def swap(lines: list[bytes]) -> None:
        lines[5] = lines[5].replace(b'"kerb"', b'"lane"')

    edit(results.events, swap)
    code, told = results.ask()
    (finding,) = told["findings"]
    assert code == EXIT_CODES["leaf"]
    assert finding["where"].endswith("events.jsonl:6") and "was altered" in finding["text"]
    edit(results.events, lambda lines: lines.pop(5))
    assert results.codes() == [] and results.ask()[1]["unshown"] == 1
    edit(results.events, lambda lines: lines.append(lines[0]))
    assert results.codes() == ["leaf"], "twice"
    edit(results.events, lambda lines: lines.__setitem__(-1, b"{}\n"))
    assert results.codes() == ["leaf"], "no entry at all"


def test_a_log_that_was_cut_off_is_shorter_than_what_was_published(
    results: Results, tmp_path: Path
) -> None:
    log = MerkleLog(results.log, KEY, ORIGIN.log)
    leaves = [log.leaf(index) for index in range(290)]
    log.restart()
    for leaf in leaves:
        log.append_leaf(leaf)
    log.checkpoint()
    assert set(results.codes()) == {"leaf", "checkpoint"}, "lines and a bundle reach further"
    bare = invoke("evidence", "log", "verify", results.log, "--earlier", tmp_path / "kept")
    assert bare.exit_code == EXIT_CODES["checkpoint"] and "cut off" in bare.stdout


def test_a_log_that_was_rewritten_has_another_history(results: Results, tmp_path: Path) -> None:
    log = MerkleLog(results.log, KEY, ORIGIN.log)
    leaves = [log.leaf(index) for index in range(302)]
    log.restart()
    for index, leaf in enumerate(leaves):
        log.append_leaf(bytes(32) if index == 7 else leaf)
    log.checkpoint()
    assert results.codes() == ["leaf", "checkpoint"], "the line, and the bundle's own proof"
    code, told = results.ask("--earlier", tmp_path / "kept")
    assert code == EXIT_CODES["checkpoint"] and "forked" in told["findings"][0]["text"]


@pytest.mark.parametrize("name", ["tile/0/000", "tile/0/001.p/46", "tile/1/000.p/1"])
def test_a_damaged_tile_is_named(results: Results, name: str) -> None:
    path = results.log / name
    data = bytearray(path.read_bytes())
    data[4] ^= 1
    path.write_bytes(data)
    assert results.codes()[0] == "inclusion"
    path.unlink()
    assert "inclusion" in results.codes() or results.ask()[1]["pruned"] == 256


def test_a_pruned_log_says_so_and_proves_the_rest(results: Results) -> None:
    results.reopened().prune(300)
    code, told = results.ask()
    assert (code, told["pruned"], told["findings"]) == (0, 256, [])
    edit(results.events, lambda lines: lines.__setitem__(299, lines[299].replace(b'"k', b'"l')))
    assert results.codes() == ["leaf"]


def test_pruning_spares_what_bundles_need(results: Results) -> None:
    said = invoke("evidence", "log", "prune", results.log, "--bundles", results.folder / "evidence")
    assert "300 of 302 entries are forgotten" in said.stdout
    assert results.ask()[1]["pruned"] == 256 and results.codes() == []
    assert results.reopened().prove(300).index == 300
    with pytest.raises(EvidenceError, match="has 302 entries"):
        invoke("evidence", "log", "prune", results.log, "--before", 303)
    with pytest.raises(UsageError, match="either --before or --bundles"):
        invoke("evidence", "log", "prune", results.log)


@pytest.mark.parametrize("spared", [set(), {300}])
def test_bundles_that_are_older_than_what_is_left_are_no_fault(
    results: Results, spared: set[int]
) -> None:
    """A live box keeps the entries of its bundles one by one, and nothing else from their time."""
    log = results.reopened()
    for number in range(700):
        log.append(b"later %d" % number)
    log.checkpoint()
    log.prune(log.size, spared)
    code, told = results.ask()
    assert (code, told["findings"], told["bundles"]) == (0, [], 1)
    assert log.minimum == 1_002 and told["pruned"] == 768
    if spared:
        assert log.prove(300).index == 300
    else:
        with pytest.raises(EvidenceError, match="pruned, lost"):
            log.prove(300)


def test_the_logs_key_is_told_with_the_devices_word_for_it(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(SITE.read_text() + f"\nstate_dir: {tmp_path / 'state'}\n")
    statement = tmp_path / "log-key.dsse"
    told = invoke("evidence", "log", "key", "--config", site, "--out", statement).stdout
    key = Vkey.parse(told.strip())
    assert key.name == "edge/demo-street/demo-box"
    certificate = (tmp_path / "state/demo-box/device-cert.pem").read_bytes()
    said = Statement.verified(statement.read_bytes(), read_chain(certificate))
    assert said == Statement("demo-box", key.public)
    assert invoke("evidence", "log", "key", "--config", site).stdout == told
