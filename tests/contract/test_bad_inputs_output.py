"""Nowhere to write to, no time to finish, nobody to read: nothing that was decided is lost."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.clock import SystemClock

Outcome = subprocess.CompletedProcess[str]
Outcomes = dict[str, Outcome]

SITE = """
site: {name: bad-inputs}
device: box
cameras:
  north:
    zones: {kerb: [[0.1, 0.3], [0.9, 0.3], [0.9, 1.0], [0.1, 1.0]]}
    lines: {middle: {a: [0.5, 0.0], b: [0.5, 1.0]}}
    rules:
      - {kind: parking.illegal, zone: kerb, dwell_s: 2}
      - {kind: flow.line_crossing, line: middle, classes: [vehicle]}
"""
START = ["--start", "2026-01-01"]


def story(rounds: int) -> Iterator[NDArray[np.uint8]]:
    """A box drives in, stands for seven seconds, drives on; several times over."""
    noise = np.random.default_rng(0).integers(90, 110, (15, 20, 3))
    road = np.kron(noise, np.ones((8, 8, 1))).astype(np.uint8)
    for index in range(120 * rounds):
        left = 4 * min(index % 120, 15) + 4 * max(0, index % 120 - 80)
        picture = road.copy()
        picture[60:90, left : left + 40] = (30, 30, 220)
        yield picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("output")
    (folder / "site.yaml").write_text(SITE)
    make_video(folder / "street.mp4", story(1), fps=10)
    make_video(folder / "long.mp4", story(8), fps=10)
    return folder


def command(folder: Path, out: Path, video: str = "street.mp4") -> list[str]:
    files = [str(folder / video), "--config", str(folder / "site.yaml"), "--out", str(out)]
    return [sys.executable, "-m", "edge_agent", "replay", *files, *START]


@pytest.fixture(scope="module")
def replay(folder: Path, environment: dict[str, str]) -> Callable[..., Outcome]:
    """Replays into the given folder, with at most so many bytes per file, as it were on a disk."""

    def run(out: Path, video: str = "street.mp4", file_limit: int | None = None) -> Outcome:
        limits = (file_limit or resource.RLIM_INFINITY,) * 2
        return subprocess.run(
            command(folder, out, video),
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, limits),
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def contents(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def undisturbed(folder: Path, replay: Callable[..., Outcome]) -> dict[str, bytes]:
    """What a replay without any trouble leaves behind."""
    outcome = replay(folder / "undisturbed")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    found = contents(folder / "undisturbed")
    assert any(name.endswith(".evb") for name in found)
    return found


def test_out_that_is_no_folder_of_ours(
    folder: Path, run_all: Callable[..., Outcomes], refused: Callable[..., None]
) -> None:
    foreign = {name: folder / f"foreign-{name}" for name in ("plain", "overwrite", "demo")}
    for each in foreign.values():
        each.mkdir()
        (each / "thesis.txt").write_text("years of work")
    target = folder / "file"
    target.write_text("mine")
    rest = (folder / "street.mp4", "--config", folder / "site.yaml", *START)
    outcomes = run_all(
        {
            "file": ("replay", *rest, "--out", target),
            "below": ("replay", *rest, "--out", target / "x"),
            "plain": ("replay", *rest, "--out", foreign["plain"]),
            "overwrite": ("replay", *rest, "--out", foreign["overwrite"], "--overwrite"),
            "demo": ("demo", "--out", foreign["demo"]),
            "nowhere": ("replay", *rest, "--out", "/proc/nowhere"),
        }
    )
    refused(outcomes["file"], 2, str(target), "is not a folder", "--out")
    refused(outcomes["below"], 1, str(target), "Not a directory", "choose another --out")
    for name, each in foreign.items():
        refused(outcomes[name], 2, str(each), "holds files that no replay wrote", "new folder")
        assert contents(each) == {"thesis.txt": b"years of work"}
    refused(outcomes["nowhere"], 1, "/proc/nowhere", "choose another --out")
    assert target.read_text() == "mine"


def test_out_that_holds_another_replay(
    folder: Path, replay: Callable[..., Outcome], refused: Callable[..., None], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert replay(out).returncode == 0
    before = contents(out)
    refused(replay(out), 2, str(out), "holds a finished replay", "--overwrite")
    marker = (out / "replay.json").read_text()
    (out / "replay.json").write_text(marker.replace("true", "false"))
    refused(replay(out, "long.mp4"), 2, str(out), "another, unfinished replay", "--overwrite")
    (out / "replay.json").write_text("{oops")
    refused(replay(out), 2, str(out), "another, unfinished replay", "--overwrite")
    (out / "replay.json").write_text(marker)
    assert contents(out) == before


@pytest.mark.parametrize(
    ("limit", "stuck"), [(10, "replay.json"), (500, "events.jsonl"), (5000, ".evb")]
)
def test_file_that_cannot_grow(
    *,
    replay: Callable[..., Outcome],
    refused: Callable[..., None],
    undisturbed: dict[str, bytes],
    tmp_path: Path,
    limit: int,
    stuck: str,
) -> None:
    out = tmp_path / "out"
    refused(replay(out, file_limit=limit), 1, str(out), stuck, "File too large", "another")
    kept = contents(out).get("events.jsonl", b"")
    assert undisturbed["events.jsonl"].startswith(kept)
    assert kept.endswith(b"\n" * (stuck == ".evb"))
    assert replay(out).returncode == 0
    assert contents(out) == undisturbed


@pytest.mark.parametrize(
    ("size", "stuck"), [("4k", "events.jsonl"), ("12k", ".evb"), ("48k", ".evb")]
)
def test_disk_full(
    *,
    replay: Callable[..., Outcome],
    refused: Callable[..., None],
    undisturbed: dict[str, bytes],
    disk: Callable[[str], Path],
    size: str,
    stuck: str,
) -> None:
    out = disk(f"size={size}") / "out"
    refused(replay(out), 1, str(out), stuck, "No space left on device", "free some space")
    kept = contents(out)["events.jsonl"]
    assert undisturbed["events.jsonl"].startswith(kept)
    assert kept.endswith(b"\n" * (stuck == ".evb"))
    disk("size=20m")
    outcome = replay(out)
    assert (outcome.returncode, outcome.stderr) == (0, "resumed an interrupted replay\n")
    assert contents(out) == undisturbed


def test_disk_read_only(
    replay: Callable[..., Outcome], refused: Callable[..., None], disk: Callable[[str], Path]
) -> None:
    out = disk("ro") / "out"
    refused(replay(out), 1, str(out), "Read-only file system", "choose another --out")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle(
    *,
    folder: Path,
    replay: Callable[..., Outcome],
    refused: Callable[..., None],
    environment: dict[str, str],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    out, clock = tmp_path / "out", SystemClock()
    lines = out / "events.jsonl"
    pipe, run = subprocess.PIPE, command(folder, out, "long.mp4")
    with subprocess.Popen(run, env=environment, text=True, stdout=pipe, stderr=pipe) as process:
        while not (lines.exists() and lines.stat().st_size):
            assert process.poll() is None
            clock.sleep(0.01)
        process.send_signal(number)
        said = process.communicate(timeout=30)
    stopped = subprocess.CompletedProcess(run, process.returncode, said[0], said[1].strip())
    refused(stopped, 130, "interrupted; what was decided so far is kept")
    kept = lines.read_bytes()
    assert kept.endswith(b"\n")
    outcome = replay(out, "long.mp4")
    assert (outcome.returncode, outcome.stderr) == (0, "resumed an interrupted replay\n")
    assert lines.read_bytes().startswith(kept)
    assert replay(tmp_path / "whole", "long.mp4").returncode == 0
    assert contents(out) == contents(tmp_path / "whole")


USAGE = {
    "nothing": ((), 2, ("Missing option '--config'",)),
    "unknown": (("--colour", "red"), 2, ("No such option", "--colour")),
    "start": (("--start", "yesterday"), 2, ("--start", "'yesterday'", "2026-05-13T09:49:12Z")),
    "too late": (("--start", "9999-12-31T23:59:59"), 2, ("--start", "1970 and 9998")),
    "too early": (("--start", "0001-01-01T00:00:00+14:00"), 2, ("--start",)),
    "workers": (("--workers", "0"), 2, ("--workers", "0 is not in the range")),
}


@pytest.fixture(scope="module")
def misused(folder: Path, run_all: Callable[..., Outcomes]) -> Outcomes:
    rest = (folder / "street.mp4", "--config", folder / "site.yaml", "--out", folder / "never")
    commands = {name: ("replay", *args, *rest) for name, (args, _, _) in USAGE.items() if args}
    return run_all(
        {
            **commands,
            "nothing": ("replay",),
            "command": ("repaly",),
            "broker": ("demo", "--out", folder / "never", "--broker", ":1883"),
            "port": ("demo", "--out", folder / "never", "--broker", "localhost:²"),
        }
    )


@pytest.mark.parametrize("name", USAGE)
def test_usage(misused: Outcomes, refused: Callable[..., None], name: str) -> None:
    _, status, words = USAGE[name]
    refused(misused[name], status, "Usage:", "--help", *words, lines=4)


def test_usage_of_the_whole(misused: Outcomes, refused: Callable[..., None], folder: Path) -> None:
    refused(misused["command"], 2, "No such command 'repaly'", lines=4)
    for name in ("broker", "port"):
        refused(misused[name], 2, "--broker", "write HOST or HOST:PORT")
    assert not (folder / "never").exists()


def test_nobody_reads_the_output(
    folder: Path, environment: dict[str, str], tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    outs = [tmp_path / "pipe", tmp_path / "full"]
    with open("/dev/full", "wb") as full, os.fdopen(writer, "wb") as pipe:
        ends = [
            subprocess.run(
                command(folder, out),
                env=environment,
                stdout=to,
                stderr=subprocess.PIPE,
                check=False,
            )
            for out, to in zip(outs, (pipe, full), strict=True)
        ]
    assert [end.returncode for end in ends] == [1, 1]
    assert ends[0].stderr == b""
    assert ends[1].stderr == b"edge-agent: the output: No space left on device\n"
    assert [contents(out) for out in outs] == [undisturbed, undisturbed]
