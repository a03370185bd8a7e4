"""Killed or cut off at any moment of its way to the disk: nothing that was decided is lost.

A live device lives through a night (`crash/story.py`). Before one of its file operations, or in
the middle of a write, it is killed, or the power goes and takes what was not on the disk
(`crash/disk.py`); then it is started anew and goes on. `EDGE_AGENT_EXHAUSTIVE=1` takes every moment
in every way instead of enough of them.
"""

import errno
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.evidence import verify

pytestmark = pytest.mark.slow

HERE = Path(__file__).with_name("crash")
EXHAUSTIVE = bool(os.environ.get("EDGE_AGENT_EXHAUSTIVE"))


class Device:
    """Lives through nights and mornings in folders, one fork each."""

    def __init__(self, shim: Path, state: Path) -> None:
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "story.py"), str(state)],
            env={**os.environ, **one, "LD_PRELOAD": str(shim)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == {"ready": True}

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def ask(self, do: str, folder: Path, **more: Any) -> tuple[list[dict[str, Any]], int]:
        """What it said was safe, and how it ended: 0, or -9 when it was killed."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, "folder": str(folder), **more}) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        return answer["said"], answer["status"]

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    folder = tmp_path_factory.mktemp("crash")
    shim, compiler = folder / "faults.so", shutil.which("cc")
    if compiler is None and os.environ.get("CI"):
        pytest.fail("no C compiler on CI: run tools/install_test_needs.sh")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("NO C COMPILER: run tools/install_test_needs.sh to run this test")
    build = [compiler, "-shared", "-fPIC", "-O1", "-o", str(shim), str(HERE / "faults.c"), "-ldl"]
    subprocess.run(build, check=True)
    made = Device(shim, folder / "state")
    yield made
    made.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where possible: what a test like this waits for is the disk."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as made:
        yield Path(made) / "night"


@pytest.fixture(scope="module")
def boundaries(device: Device, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many there are in a night that nobody disturbs."""
    folder = tmp_path_factory.mktemp("whole") / "night"
    folder.mkdir()
    said, status = device.ask("night", folder)
    assert status == 0
    return int(said[-1]["boundaries"])


def survives(device: Device, folder: Path, said: list[dict[str, Any]]) -> None:
    """Start anew in the folder; what had been said was safe is there, whole, and goes on."""
    checkpoints = [each["checkpoint"] for each in said if "checkpoint" in each]
    morning, status = device.ask("morning", folder, checkpoints=checkpoints)
    assert status == 0
    found = next(each["found"] for each in morning if "found" in each)
    safe = [each["event"] for each in (*said, *morning) if "event" in each]
    assert [identity for identity in safe if identity not in found["ids"]] == [], "events lost"
    assert len(set(found["ids"])) == len(found["ids"]) <= len(safe) + 1
    assert found["sequences"] == list(range(1, len(found["ids"]) + 1)), "a gap"
    for each in said:
        if "case" in each:
            assert found["cases"][each["case"]]["revision"] >= each["revision"], "a case lost"
    assert found["flaws"] == []
    assert all(case["is_told"] for case in found["cases"].values()), "a case nobody hears of"
    assert found["log"]["signed"] == found["log"]["size"]
    assert all(morning[-1]["agrees"]), "the log contradicts what it had signed"


def flaw(device: Device, folder: Path, said: list[dict[str, Any]], how: str) -> list[str]:
    """What is wrong after a new start, if anything is; the folder is gone then."""
    try:
        survives(device, folder, said)
    except AssertionError as error:
        return [f"{how}: {error}"]
    finally:
        shutil.rmtree(folder)
    return []


def test_killed_at_every_boundary(device: Device, boundaries: int, folder: Path) -> None:
    assert boundaries >= 200
    points = [(at, False) for at in range(1, boundaries + 1)]
    points += [(at, True) for at in range(1, boundaries + 1, 1 if EXHAUSTIVE else 7)]
    failed = []
    for at, torn in points:
        folder.mkdir()
        said, status = device.ask("night", folder, at=at, torn=torn)
        assert status == -9
        failed += flaw(device, folder, said, f"{'torn' if torn else 'killed'} at {at}")
    assert failed == [], "\n".join(failed)


def test_killed_again_while_it_recovers(device: Device, boundaries: int, folder: Path) -> None:
    failed = []
    for at in range(boundaries // 4, boundaries, 1 if EXHAUSTIVE else 17):
        for again in range(1, 20, 1 if EXHAUSTIVE else 6):
            folder.mkdir()
            said, _ = device.ask("night", folder, at=at)
            more, status = device.ask("morning", folder, at=again)
            assert status in (0, -9)  # the shorter recoveries are over by then
            failed += flaw(device, folder, [*said, *more], f"killed at {at} and {again}")
    assert failed == [], "\n".join(failed)


def test_power_cut(device: Device, folder: Path, crash_part: Callable[[str], ModuleType]) -> None:
    """Each moment with nothing, all or some of what had not been put on the disk."""
    disk = crash_part("disk")
    record = folder.with_name("record")
    folder.mkdir()
    said, status = device.ask("night", folder, record=str(record))
    assert status == 0
    operations = list(disk.read_record(record, folder))
    shutil.rmtree(folder)
    shares = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.5, 0.5)]
    failed, played = [], disk.Disk()
    for done, operation in enumerate(operations):
        played.play(operation)
        at = operation.boundary
        safe = [each for each in said if each.get("boundary", at + 1) <= at]
        for names, writes in shares if EXHAUSTIVE else [shares[done % len(shares)]]:
            played.leave(folder, disk.Keep(names, writes, random.Random(done)))
            failed += flaw(device, folder, safe, f"cut after {at}, {names} names, {writes} writes")
    assert failed == [], "\n".join(failed)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO], ids=errno.errorcode.get)
def test_a_disk_that_refuses_for_a_while(device: Device, folder: Path, number: int) -> None:
    """Whatever it refuses, files that are open included, is made up for when it takes it again."""
    folder.mkdir()
    said, status = device.ask("suffer", folder)
    assert status == 0 and said[0]["waiting"] == 0
    boundaries, failed = said[1]["boundaries"], []
    shutil.rmtree(folder)
    waited = 0
    for first in range(50, boundaries, 1 if EXHAUSTIVE else 9):
        for count in (1, 30):
            folder.mkdir()
            said, status = device.ask("suffer", folder, fail=[first, count, number])
            how = f"{errno.errorcode[number]}, {count} times from {first} on"
            if status:
                failed.append(f"{how}: {said}")
                continue
            waited += said[0]["waiting"]
            found = said[2]["found"]
            kinds = [kind for kind in said[1]["kinds"] if kind != "shed"]
            revisions = sorted(case["revision"] for case in found["cases"].values())
            is_whole = kinds == ["case"] * 3 + ["illegal"] * 3 and revisions == [1, 2]
            if found["flaws"] or not is_whole:
                failed.append(f"{how}: {kinds}, {revisions}, {found['flaws']}")
            shutil.rmtree(folder)
    assert failed == [], "\n".join(failed)
    assert waited > 0


SITE = """
site: {name: crash}
device: box
cameras:
  north:
    zones: {kerb: [[0.1, 0.3], [0.9, 0.3], [0.9, 1.0], [0.1, 1.0]]}
    rules:
      - {kind: parking.illegal, zone: kerb, dwell_s: 2}
"""


def arrival() -> Iterator[NDArray[np.uint8]]:
    """A box drives in, stands for five seconds, drives on."""
    noise = np.random.default_rng(0).integers(90, 110, (15, 20, 3))
    road = np.kron(noise, np.ones((8, 8, 1))).astype(np.uint8)
    for index in range(90):
        left = 4 * min(index, 15) + 4 * max(0, index - 65)
        picture = road.copy()
        picture[60:90, left : left + 40] = (30, 30, 220)
        yield picture


def contents(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def test_replay_killed_and_resumed(
    device: Device, make_video: Callable[..., Path], folder: Path, tmp_path: Path
) -> None:
    """What is visible meanwhile verifies; in the end every byte is as if nothing had happened."""
    video = make_video(tmp_path / "street.mp4", arrival(), fps=10)
    site = tmp_path / "site.yaml"
    site.write_text(SITE + f"state_dir: {tmp_path}\n")
    args = [str(video), "--config", str(site), "--start", "2026-01-01"]
    said, status = device.ask("replay", folder, args=args)
    assert status == 0
    boundaries, whole = said[-1]["boundaries"], contents(folder)
    assert any(name.endswith(".evb") for name in whole)
    shutil.rmtree(folder)
    for at in range(1, boundaries, 1 if EXHAUSTIVE else max(1, boundaries // 16)):
        _, status = device.ask("replay", folder, args=args, at=at)
        assert status == -9
        for bundle in folder.glob("evidence/*.evb"):
            assert verify(bundle).is_valid, f"killed at {at}: {bundle.name}"
        _, status = device.ask("replay", folder, args=args)
        assert status == 0 and contents(folder) == whole, f"killed at {at}"
        shutil.rmtree(folder)
