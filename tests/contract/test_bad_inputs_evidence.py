"""Bad bundles, roots, events and truths: each named, each with the exit status of its kind."""
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
import json
from edge_agent.evidence.container import unpack
import subprocess
from edge_agent.evidence.container import unpack
from collections.abc import Callable
from edge_agent.evidence.container import unpack
from pathlib import Path
from edge_agent.evidence.container import unpack
from zipfile import ZIP_DEFLATED, ZipFile
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
import numpy as np
from edge_agent.evidence.container import unpack
import pytest
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
from edge_agent.evidence.container import pack
from edge_agent.evidence.container import unpack
from edge_agent.evidence.verify import EXIT_CODES
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
Outcome = subprocess.CompletedProcess[str]
from edge_agent.evidence.container import unpack
Outcomes = dict[str, Outcome]
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
SITE = """
from edge_agent.evidence.container import unpack
site: {name: bad-inputs}
from edge_agent.evidence.container import unpack
device: box
from edge_agent.evidence.container import unpack
cameras:
from edge_agent.evidence.container import unpack
  north:
from edge_agent.evidence.container import unpack
    zones: {kerb: [[0.1, 0.3], [0.9, 0.3], [0.9, 1.0], [0.1, 1.0]]}
from edge_agent.evidence.container import unpack
    rules: [{kind: parking.illegal, zone: kerb, dwell_s: 2}]
from edge_agent.evidence.container import unpack
"""
from edge_agent.evidence.container import unpack
BUNDLES = {
from edge_agent.evidence.container import unpack
    "missing": ("unreadable", "is not there; name an .evb file"),
from edge_agent.evidence.container import unpack
    "folder": ("unreadable", "is a folder; name an .evb file"),
from edge_agent.evidence.container import unpack
    "empty": ("unreadable", "is not an evidence bundle"),
from edge_agent.evidence.container import unpack
    "noise": ("unreadable", "is not an evidence bundle"),
from edge_agent.evidence.container import unpack
    "cut": ("container", "media/clip.mp4 reaches past the end: cut short at byte"),
from edge_agent.evidence.container import unpack
    "other-zip": ("container", "hello.txt is compressed"),
from edge_agent.evidence.container import unpack
    "stored-zip": ("missing", "manifest.json is missing"),
from edge_agent.evidence.container import unpack
    "bit": ("altered", "media/wide.jpg was altered"),
from edge_agent.evidence.container import unpack
    "removed": ("missing", "media/wide.jpg is missing"),
from edge_agent.evidence.container import unpack
    "added": ("extra", "media/more.jpg does not belong to the bundle"),
from edge_agent.evidence.container import unpack
    "swapped": ("altered", "media/wide.jpg holds the bytes of media/close.jpg"),
from edge_agent.evidence.container import unpack
}
from edge_agent.evidence.container import unpack
"""A bundle's name -> the kind of failure, and what has to be said."""
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
def story() -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
from edge_agent.evidence.container import unpack
    """A box drives in from the left, stands for some seconds and drives on."""
from edge_agent.evidence.container import unpack
    noise = np.random.default_rng(0).integers(90, 110, (15, 20, 3))
from edge_agent.evidence.container import unpack
    road = np.kron(noise, np.ones((8, 8, 1))).astype(np.uint8)
from edge_agent.evidence.container import unpack
    pictures = []
from edge_agent.evidence.container import unpack
    for index in range(120):
from edge_agent.evidence.container import unpack
        left = 4 * min(index, 15) + 4 * max(0, index - 80)
from edge_agent.evidence.container import unpack
        picture = road.copy()
from edge_agent.evidence.container import unpack
        picture[60:90, left : left + 40] = (30, 30, 220)
from edge_agent.evidence.container import unpack
        pictures.append(picture)
from edge_agent.evidence.container import unpack
    return pictures
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
@pytest.fixture(scope="module")
from edge_agent.evidence.container import unpack
def folder(
from edge_agent.evidence.container import unpack
    tmp_path_factory: pytest.TempPathFactory,
from edge_agent.evidence.container import unpack
    make_video: Callable[..., Path],
from edge_agent.evidence.container import unpack
    edge_agent: Callable[..., Outcome],
from edge_agent.evidence.container import unpack
) -> Path:
from edge_agent.evidence.container import unpack
    """A folder with a finished replay in `results`."""
from edge_agent.evidence.container import unpack
    folder = tmp_path_factory.mktemp("evidence")
from edge_agent.evidence.container import unpack
    (folder / "site.yaml").write_text(SITE)
from edge_agent.evidence.container import unpack
    video = make_video(folder / "street.mp4", story(), fps=10)
from edge_agent.evidence.container import unpack
    rest = ("--config", folder / "site.yaml", "--out", folder / "results", "--start", "2026-01-01")
from edge_agent.evidence.container import unpack
    outcome = edge_agent("replay", video, *rest)
from edge_agent.evidence.container import unpack
    assert outcome.returncode == 0, outcome.stderr
from edge_agent.evidence.container import unpack
    return folder
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
def make_bundles(folder: Path) -> None:
from edge_agent.evidence.container import unpack
    (good,) = (folder / "results" / "evidence").glob("*.evb")
from edge_agent.evidence.container import unpack
    data = good.read_bytes()
from edge_agent.evidence.container import unpack
    (folder / "good.evb").write_bytes(data)
from edge_agent.evidence.container import unpack
    (folder / "folder.evb").mkdir()
from edge_agent.evidence.container import unpack
    (folder / "empty.evb").touch()
from edge_agent.evidence.container import unpack
    (folder / "noise.evb").write_bytes(np.random.default_rng(1).bytes(5000))
from edge_agent.evidence.container import unpack
    clip = next(member for member in unpack(data) if member.name == "media/clip.mp4")
from edge_agent.evidence.container import unpack
    (folder / "cut.evb").write_bytes(data[: clip.end - 1000])
from edge_agent.evidence.container import unpack
    for name, method in (("other-zip", ZIP_DEFLATED), ("stored-zip", 0)):
from edge_agent.evidence.container import unpack
        with ZipFile(folder / f"{name}.evb", "w", method) as other:
from edge_agent.evidence.container import unpack
            other.writestr("hello.txt", "hello " * 100)
from edge_agent.evidence.container import unpack
    with ZipFile(good) as bundle:
from edge_agent.evidence.container import unpack
        members = {item.filename: bundle.read(item) for item in bundle.infolist()}
from edge_agent.evidence.container import unpack
    wide, close = members["media/wide.jpg"], members["media/close.jpg"]
from edge_agent.evidence.container import unpack
    flipped = bytearray(wide)
from edge_agent.evidence.container import unpack
    flipped[len(wide) // 2] ^= 1
from edge_agent.evidence.container import unpack
    swapped = members | {"media/wide.jpg": close, "media/close.jpg": wide}
from edge_agent.evidence.container import unpack
    removed = {name: data for name, data in members.items() if name != "media/wide.jpg"}
from edge_agent.evidence.container import unpack
    altered = {
from edge_agent.evidence.container import unpack
        "bit": members | {"media/wide.jpg": bytes(flipped)},
from edge_agent.evidence.container import unpack
        "removed": removed,
from edge_agent.evidence.container import unpack
        "added": members | {"media/more.jpg": wide},
from edge_agent.evidence.container import unpack
        "swapped": swapped,
from edge_agent.evidence.container import unpack
    }
from edge_agent.evidence.container import unpack
    for name, content in altered.items():
from edge_agent.evidence.container import unpack
        (folder / f"{name}.evb").write_bytes(pack(content.items()))
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
@pytest.fixture(scope="module")
from edge_agent.evidence.container import unpack
def outcomes(folder: Path, run_all: Callable[..., Outcomes]) -> Outcomes:
from edge_agent.evidence.container import unpack
    make_bundles(folder)
from edge_agent.evidence.container import unpack
    (folder / "root.pem").write_text("garbage")
from edge_agent.evidence.container import unpack
    verify = ("evidence", "verify")
from edge_agent.evidence.container import unpack
    commands: dict[str, tuple[object, ...]] = {
from edge_agent.evidence.container import unpack
        name: (*verify, folder / f"{name}.evb") for name in ("good", *BUNDLES)
from edge_agent.evidence.container import unpack
    }
from edge_agent.evidence.container import unpack
    commands |= {
from edge_agent.evidence.container import unpack
        "root": (*verify, folder / "good.evb", "--root", folder / "root.pem"),
from edge_agent.evidence.container import unpack
        "no root": (*verify, folder / "good.evb", "--root", folder / "gone.pem"),
from edge_agent.evidence.container import unpack
        "show": ("evidence", "show", folder / "noise.evb"),
from edge_agent.evidence.container import unpack
        "extract": ("evidence", "show", folder / "good.evb", "--extract", folder / "root.pem"),
from edge_agent.evidence.container import unpack
    }
from edge_agent.evidence.container import unpack
    return run_all(commands)
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
def test_the_good_one(outcomes: Outcomes) -> None:
from edge_agent.evidence.container import unpack
    assert (outcomes["good"].returncode, outcomes["good"].stderr) == (0, "")
from edge_agent.evidence.container import unpack
    assert "good.evb: nothing was altered" in outcomes["good"].stdout
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
@pytest.mark.parametrize("name", BUNDLES)
from edge_agent.evidence.container import unpack
def test_bundle(outcomes: Outcomes, folder: Path, name: str) -> None:
from edge_agent.evidence.container import unpack
    kind, words = BUNDLES[name]
from edge_agent.evidence.container import unpack
    outcome = outcomes[name]
from edge_agent.evidence.container import unpack
    assert (outcome.returncode, outcome.stderr) == (EXIT_CODES[kind], "")
from edge_agent.evidence.container import unpack
    first = outcome.stdout.splitlines()[0]
from edge_agent.evidence.container import unpack
    assert first.startswith(f"INVALID  {folder / name}.evb: {words}")
from edge_agent.evidence.container import unpack
    assert first.endswith(f"[{kind}]")
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
def test_root(outcomes: Outcomes, refused: Callable[..., None]) -> None:
from edge_agent.evidence.container import unpack
    refused(outcomes["root"], 1, "root", "is not a certificate in PEM form")
from edge_agent.evidence.container import unpack
    refused(outcomes["no root"], 1, "--root", "gone.pem", "No such file")
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
def test_show_and_extract(outcomes: Outcomes, refused: Callable[..., None], folder: Path) -> None:
from edge_agent.evidence.container import unpack
    said = f"INVALID  {folder}/noise.evb: is not an evidence bundle"
from edge_agent.evidence.container import unpack
    assert outcomes["show"].stdout.startswith(said)
from edge_agent.evidence.container import unpack
    assert outcomes["show"].returncode == EXIT_CODES["unreadable"]
from edge_agent.evidence.container import unpack
    refused(outcomes["extract"], 1, f"{folder}/root.pem", "cannot be made a folder")
from edge_agent.evidence.container import unpack
    assert (folder / "root.pem").read_text() == "garbage"
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
EVENTS = {
from edge_agent.evidence.container import unpack
    "missing": (None, ("missing.jsonl", "cannot be read", "No such file")),
from edge_agent.evidence.container import unpack
    "noise": (b"\xff\xfe\x00", ("noise.jsonl", "is not UTF-8 text")),
from edge_agent.evidence.container import unpack
    "half-line": (b'{"type": "edge.parking.il', ("half-line.jsonl", ":2", "cut off")),
from edge_agent.evidence.container import unpack
    "no-envelope": (b'{"type": "edge.a.b.v1"}\n', ("event 2", "is missing; add `subject:`")),
from edge_agent.evidence.container import unpack
    "list": (b"[1]\n", ("list.jsonl:2", "expected a JSON object")),
from edge_agent.evidence.container import unpack
}
from edge_agent.evidence.container import unpack
TRUTHS = {
from edge_agent.evidence.container import unpack
    "missing": (None, ("missing.json", "cannot be read", "No such file")),
from edge_agent.evidence.container import unpack
    "noise": (b"{", ("noise.json", "is not JSON")),
from edge_agent.evidence.container import unpack
    "backwards": (
from edge_agent.evidence.container import unpack
        b'{"events": [{"type": "a.b", "begin_s": 5, "end_s": 1}]}',
from edge_agent.evidence.container import unpack
        ("backwards.json", "events[0]", "end_s 1 lies before begin_s 5"),
from edge_agent.evidence.container import unpack
    ),
from edge_agent.evidence.container import unpack
    "unknown-key": (
from edge_agent.evidence.container import unpack
        b'{"events": [{"type": "a.b", "begin_s": 0, "end": 1, "end_s": 1}]}',
from edge_agent.evidence.container import unpack
        ("unknown-key.json", "events[0].end", "did you mean `end_s`?"),
from edge_agent.evidence.container import unpack
    ),
from edge_agent.evidence.container import unpack
}
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
@pytest.fixture(scope="module")
from edge_agent.evidence.container import unpack
def scores(folder: Path, run_all: Callable[..., Outcomes]) -> Outcomes:
from edge_agent.evidence.container import unpack
    good_events = (folder / "results" / "events.jsonl").read_bytes().splitlines(keepends=True)[0]
from edge_agent.evidence.container import unpack
    (folder / "truth.json").write_text(json.dumps({"events": []}))
from edge_agent.evidence.container import unpack
    (folder / "good.jsonl").write_bytes(good_events)
from edge_agent.evidence.container import unpack
    for name, (tail, _) in EVENTS.items():
from edge_agent.evidence.container import unpack
        if tail is not None:
from edge_agent.evidence.container import unpack
            (folder / f"{name}.jsonl").write_bytes(good_events + tail)
from edge_agent.evidence.container import unpack
    for name, (data, _) in TRUTHS.items():
from edge_agent.evidence.container import unpack
        if data is not None:
from edge_agent.evidence.container import unpack
            (folder / f"{name}.json").write_bytes(data)
from edge_agent.evidence.container import unpack
    pairs = {f"{name}.jsonl": (f"{name}.jsonl", "truth.json") for name in EVENTS}
from edge_agent.evidence.container import unpack
    pairs |= {f"{name}.json": ("good.jsonl", f"{name}.json") for name in TRUTHS}
from edge_agent.evidence.container import unpack
    return run_all(
from edge_agent.evidence.container import unpack
        {
from edge_agent.evidence.container import unpack
            name: ("score", "--events", folder / events, "--truth", folder / truth)
from edge_agent.evidence.container import unpack
            for name, (events, truth) in pairs.items()
from edge_agent.evidence.container import unpack
        }
from edge_agent.evidence.container import unpack
    )
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
@pytest.mark.parametrize("name", EVENTS)
from edge_agent.evidence.container import unpack
def test_events(scores: Outcomes, refused: Callable[..., None], name: str) -> None:
from edge_agent.evidence.container import unpack
    lines = 2 if name == "no-envelope" else 1
from edge_agent.evidence.container import unpack
    refused(scores[f"{name}.jsonl"], 78, *EVENTS[name][1], lines=lines)
from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack

from edge_agent.evidence.container import unpack
@pytest.mark.parametrize("name", TRUTHS)
from edge_agent.evidence.container import unpack
def test_truth(scores: Outcomes, refused: Callable[..., None], name: str) -> None:
from edge_agent.evidence.container import unpack
    refused(scores[f"{name}.json"], 78, *TRUTHS[name][1])
from edge_agent.evidence.container import unpack
