"""Bad bundles, roots, events and truths: each named, each with the exit status of its kind."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest

from edge_agent.evidence.bundle.container import pack, unpack
from edge_agent.evidence.verification.verify import EXIT_CODES

Outcome = subprocess.CompletedProcess[str]
Outcomes = dict[str, Outcome]

SITE = """
site: {name: bad-inputs}
device: box
cameras:
  north:
    zones: {kerb: [[0.1, 0.3], [0.9, 0.3], [0.9, 1.0], [0.1, 1.0]]}
    rules: [{kind: parking.illegal, zone: kerb, dwell_s: 2}]
"""
BUNDLES = {
    "missing": ("unreadable", "is not there; name an .evb file"),
    "folder": ("unreadable", "is a folder; name an .evb file"),
    "empty": ("unreadable", "is not an evidence bundle"),
    "noise": ("unreadable", "is not an evidence bundle"),
    "cut": ("container", "media/clip.mp4 reaches past the end: cut short at byte"),
    "other-zip": ("container", "hello.txt is compressed"),
    "stored-zip": ("missing", "manifest.json is missing"),
    "bit": ("altered", "media/wide.jpg was altered"),
    "removed": ("missing", "media/wide.jpg is missing"),
    "added": ("extra", "media/more.jpg does not belong to the bundle"),
    "swapped": ("altered", "media/wide.jpg holds the bytes of media/close.jpg"),
}
"""A bundle's name -> the kind of failure, and what has to be said."""


def story() -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """A box drives in from the left, stands for some seconds and drives on."""
    noise = np.random.default_rng(0).integers(90, 110, (15, 20, 3))
    road = np.kron(noise, np.ones((8, 8, 1))).astype(np.uint8)
    pictures = []
    for index in range(120):
        left = 4 * min(index, 15) + 4 * max(0, index - 80)
        picture = road.copy()
        picture[60:90, left : left + 40] = (30, 30, 220)
        pictures.append(picture)
    return pictures


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    make_video: Callable[..., Path],
    edge_agent: Callable[..., Outcome],
) -> Path:
    """A folder with a finished replay in `results`."""
    folder = tmp_path_factory.mktemp("evidence")
    (folder / "site.yaml").write_text(SITE)
    video = make_video(folder / "street.mp4", story(), fps=10)
    rest = ("--config", folder / "site.yaml", "--out", folder / "results", "--start", "2026-01-01")
    outcome = edge_agent("replay", video, *rest)
    assert outcome.returncode == 0, outcome.stderr
    return folder


def make_bundles(folder: Path) -> None:
    (good,) = (folder / "results" / "evidence").glob("*.evb")
    data = good.read_bytes()
    (folder / "good.evb").write_bytes(data)
    (folder / "folder.evb").mkdir()
    (folder / "empty.evb").touch()
    (folder / "noise.evb").write_bytes(np.random.default_rng(1).bytes(5000))
    clip = next(member for member in unpack(data) if member.name == "media/clip.mp4")
    (folder / "cut.evb").write_bytes(data[: clip.end - 1000])
    for name, method in (("other-zip", ZIP_DEFLATED), ("stored-zip", 0)):
        with ZipFile(folder / f"{name}.evb", "w", method) as other:
            other.writestr("hello.txt", "hello " * 100)
    with ZipFile(good) as bundle:
        members = {item.filename: bundle.read(item) for item in bundle.infolist()}
    wide, close = members["media/wide.jpg"], members["media/close.jpg"]
    flipped = bytearray(wide)
    flipped[len(wide) // 2] ^= 1
    swapped = members | {"media/wide.jpg": close, "media/close.jpg": wide}
    removed = {name: data for name, data in members.items() if name != "media/wide.jpg"}
    altered = {
        "bit": members | {"media/wide.jpg": bytes(flipped)},
        "removed": removed,
        "added": members | {"media/more.jpg": wide},
        "swapped": swapped,
    }
    for name, content in altered.items():
        (folder / f"{name}.evb").write_bytes(pack(content.items()))


@pytest.fixture(scope="module")
def outcomes(folder: Path, run_all: Callable[..., Outcomes]) -> Outcomes:
    make_bundles(folder)
    (folder / "root.pem").write_text("garbage")
    verify = ("evidence", "verify")
    commands: dict[str, tuple[object, ...]] = {
        name: (*verify, folder / f"{name}.evb") for name in ("good", *BUNDLES)
    }
    commands |= {
        "root": (*verify, folder / "good.evb", "--root", folder / "root.pem"),
        "no root": (*verify, folder / "good.evb", "--root", folder / "gone.pem"),
        "show": ("evidence", "show", folder / "noise.evb"),
        "extract": ("evidence", "show", folder / "good.evb", "--extract", folder / "root.pem"),
    }
    return run_all(commands)


def test_the_good_one(outcomes: Outcomes) -> None:
    assert (outcomes["good"].returncode, outcomes["good"].stderr) == (0, "")
    assert "good.evb: nothing was altered" in outcomes["good"].stdout


@pytest.mark.parametrize("name", BUNDLES)
def test_bundle(outcomes: Outcomes, folder: Path, name: str) -> None:
    kind, words = BUNDLES[name]
    outcome = outcomes[name]
    assert (outcome.returncode, outcome.stderr) == (EXIT_CODES[kind], "")
    first = outcome.stdout.splitlines()[0]
    assert first.startswith(f"INVALID  {folder / name}.evb: {words}")
    assert first.endswith(f"[{kind}]")


def test_root(outcomes: Outcomes, refused: Callable[..., None]) -> None:
    refused(outcomes["root"], 1, "root", "is not a certificate in PEM form")
    refused(outcomes["no root"], 1, "--root", "gone.pem", "No such file")


def test_show_and_extract(outcomes: Outcomes, refused: Callable[..., None], folder: Path) -> None:
    said = f"INVALID  {folder}/noise.evb: is not an evidence bundle"
    assert outcomes["show"].stdout.startswith(said)
    assert outcomes["show"].returncode == EXIT_CODES["unreadable"]
    refused(outcomes["extract"], 1, f"{folder}/root.pem", "cannot be made a folder")
    assert (folder / "root.pem").read_text() == "garbage"


EVENTS = {
    "missing": (None, ("missing.jsonl", "cannot be read", "No such file")),
    "noise": (b"\xff\xfe\x00", ("noise.jsonl", "is not UTF-8 text")),
    "half-line": (b'{"type": "edge.parking.il', ("half-line.jsonl", ":2", "cut off")),
    "no-envelope": (b'{"type": "edge.a.b.v1"}\n', ("event 2", "is missing; add `subject:`")),
    "list": (b"[1]\n", ("list.jsonl:2", "expected a JSON object")),
}
TRUTHS = {
    "missing": (None, ("missing.json", "cannot be read", "No such file")),
    "noise": (b"{", ("noise.json", "is not JSON")),
    "backwards": (
        b'{"events": [{"type": "a.b", "begin_s": 5, "end_s": 1}]}',
        ("backwards.json", "events[0]", "end_s 1 lies before begin_s 5"),
    ),
    "unknown-key": (
        b'{"events": [{"type": "a.b", "begin_s": 0, "end": 1, "end_s": 1}]}',
        ("unknown-key.json", "events[0].end", "did you mean `end_s`?"),
    ),
}


@pytest.fixture(scope="module")
def scores(folder: Path, run_all: Callable[..., Outcomes]) -> Outcomes:
    good_events = (folder / "results" / "events.jsonl").read_bytes().splitlines(keepends=True)[0]
    (folder / "truth.json").write_text(json.dumps({"events": []}))
    (folder / "good.jsonl").write_bytes(good_events)
    for name, (tail, _) in EVENTS.items():
        if tail is not None:
            (folder / f"{name}.jsonl").write_bytes(good_events + tail)
    for name, (data, _) in TRUTHS.items():
        if data is not None:
            (folder / f"{name}.json").write_bytes(data)
    pairs = {f"{name}.jsonl": (f"{name}.jsonl", "truth.json") for name in EVENTS}
    pairs |= {f"{name}.json": ("good.jsonl", f"{name}.json") for name in TRUTHS}
    return run_all(
        {
            name: ("score", "--events", folder / events, "--truth", folder / truth)
            for name, (events, truth) in pairs.items()
        }
    )


@pytest.mark.parametrize("name", EVENTS)
def test_events(scores: Outcomes, refused: Callable[..., None], name: str) -> None:
    lines = 2 if name == "no-envelope" else 1
    refused(scores[f"{name}.jsonl"], 78, *EVENTS[name][1], lines=lines)


@pytest.mark.parametrize("name", TRUTHS)
def test_truth(scores: Outcomes, refused: Callable[..., None], name: str) -> None:
    refused(scores[f"{name}.json"], 78, *TRUTHS[name][1])
