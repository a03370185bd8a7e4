"""Bad footage: refused with one message before anything is written, or played as far as it goes."""

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

MakeVideo = Callable[..., Path]
Outcome = subprocess.CompletedProcess[str]
Outcomes = dict[str, Outcome]

SITE = """
site: {name: bad-inputs}
device: box
cameras:
  north:
    lines: {middle: {a: [0.5, 0.0], b: [0.5, 1.0]}}
    rules: [{kind: flow.line_crossing, line: middle, classes: [vehicle]}]
"""
START = ("--start", "2026-01-01")
NOISE = np.random.default_rng(1)


def gif(side: int) -> bytes:
    """Some 50 bytes that declare a square picture of any size."""
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return head + b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02L\x01\x00;"


def write_sound(path: Path) -> None:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=8000)
        assert isinstance(stream, av.AudioStream)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
        sound.rate = 8000
        output.mux(stream.encode(sound))
        output.mux(stream.encode())


def write_stills(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for name in names:
        cv2.imwrite(str(folder / name), np.full((120, 160, 3), 100, np.uint8))
    return folder


UNPLAYABLE = {
    "missing.mp4": ("no such file", "check the path"),
    "empty.mp4": ("is empty (0 bytes)", "copy"),
    "text.mp4": ("is not a video", "give a recording"),
    "noise.mp4": ("is not a video", "give a recording"),
    "no-stills": ("holds no images", "give a video file or a folder"),
    "no-times": ("none of the 2 image names carries a timestamp", "2013-04-12_14_20_09.jpg"),
    "no-image": ("none of its 1 images can be read",),
    "sound.mp4": ("has no video track", "give a recording with pictures"),
    "no-index.mp4": ("without a usable index", "copy"),
    "pipe.mp4": ("is not a file",),
    "device.mp4": ("is not a file",),
    "loop.mp4": ("Too many levels of symbolic links", "check the path"),
    "list.m3u8": ("is not a video",),
    "concat.txt": ("is not a video",),
    "bomb.gif": ("not one picture could be decoded",),
    "large.gif": ("15000x15000", "make them smaller"),
}
MISBOUND = {
    "none": ("no recording given", "name a video file"),
    "same camera twice": ("north", "two recordings"),
    "unknown camera": ("west=", "the site has north"),
    "half a pair": ("--camera north=", "write NAME=FILE"),
}


def make_unplayable(folder: Path, good: Path, index_last: Path) -> None:
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("not a film\n" * 100)
    (folder / "noise.mp4").write_bytes(NOISE.bytes(100_000))
    (folder / "no-stills").mkdir()
    write_stills(folder / "no-times", ["a.jpg", "b.jpg"])
    write_stills(folder / "no-image", [])
    (folder / "no-image" / "2026-01-01_00_00_00.jpg").write_text("not a picture")
    write_sound(folder / "sound.mp4")
    data = index_last.read_bytes()
    (folder / "no-index.mp4").write_bytes(data[: len(data) * 9 // 10])
    os.mkfifo(folder / "pipe.mp4")
    (folder / "device.mp4").symlink_to("/dev/zero")
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    (folder / "list.m3u8").write_text(f"#EXTM3U\n#EXTINF:5,\n{good}\n#EXT-X-ENDLIST\n")
    (folder / "concat.txt").write_text(f"ffconcat version 1.0\nfile {good}\n")
    (folder / "bomb.gif").write_bytes(gif(65535))
    (folder / "large.gif").write_bytes(gif(15000))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    (folder / "site.yaml").write_text(SITE)
    (folder / "two.yaml").write_text(SITE + "  south: {}\n")
    return folder


@pytest.fixture(scope="module")
def good(folder: Path, make_video: MakeVideo) -> Path:
    return make_video(folder / "good.mp4", 60, fps=10)


@pytest.fixture(scope="module")
def refusals(
    folder: Path, good: Path, make_video: MakeVideo, run_all: Callable[..., Outcomes]
) -> Outcomes:
    make_unplayable(folder, good, make_video(folder / "index-last.mov", 50))
    commands: dict[str, list[object]] = {name: [folder / name] for name in UNPLAYABLE}
    commands |= {
        "none": [],
        "same camera twice": [good, "--camera", f"north={good}"],
        "unknown camera": ["--camera", f"west={good}"],
        "half a pair": ["--camera", "north="],
    }
    rest = ("--config", folder / "site.yaml", "--out", folder / "never", *START)
    outcomes = run_all({name: ("replay", *args, *rest) for name, args in commands.items()})
    assert not (folder / "never").exists()
    return outcomes


@pytest.mark.parametrize("name", UNPLAYABLE)
def test_unplayable(refusals: Outcomes, refused: Callable[..., None], name: str) -> None:
    refused(refusals[name], 1, name, *UNPLAYABLE[name])


@pytest.mark.parametrize("name", MISBOUND)
def test_misbound(refusals: Outcomes, refused: Callable[..., None], name: str) -> None:
    refused(refusals[name], 2, *MISBOUND[name])


def test_two_cameras_need_names(
    edge_agent: Callable[..., Outcome], refused: Callable[..., None], folder: Path, good: Path
) -> None:
    rest = ("--config", folder / "two.yaml", "--out", folder / "never")
    refused(edge_agent("replay", good, *rest), 2, "which camera", "north, south", "--camera north=")


def test_one_bad_recording_of_two_stops_before_the_start(
    edge_agent: Callable[..., Outcome], refused: Callable[..., None], folder: Path, good: Path
) -> None:
    bad = folder / "gone.mp4"
    both = ("--camera", f"north={good}", "--camera", f"south={bad}")
    out = folder / "one-bad"
    outcome = edge_agent("replay", *both, "--config", folder / "two.yaml", "--out", out)
    refused(outcome, 1, str(bad), "no such file")
    assert not out.exists()


def test_no_permission(
    environment: dict[str, str], refused: Callable[..., None], folder: Path, good: Path
) -> None:
    path = folder / "secret.mp4"
    path.write_bytes(good.read_bytes())
    path.chmod(0)
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    command = [*powerless, sys.executable, "-m", "edge_agent", "replay", str(path)]
    rest = ["--config", str(folder / "site.yaml"), "--out", str(folder / "never")]
    outcome = subprocess.run(
        [*command, *rest], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    refused(outcome, 1, "secret.mp4", "Permission denied", "check the path and its permissions")


def joined_sizes(folder: Path, make_video: MakeVideo) -> Path:
    small = make_video(folder / "small.ts", 20).read_bytes()
    large = make_video(folder / "large.ts", 20, size=(322, 242)).read_bytes()
    path = folder / "sizes.ts"
    path.write_bytes(small + large + small)
    return path


def noisy_middle(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    middle, count = len(data) // 2, len(data) // 10
    data[middle : middle + count] = NOISE.bytes(count)
    path.write_bytes(data)
    return path


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def some_bad_stills(folder: Path) -> Path:
    stills = write_stills(folder / "stills", [f"2026-01-01_00_00_{n:02d}.jpg" for n in range(6)])
    (stills / "2026-01-01_00_00_01.jpg").write_text("not a picture")
    (stills / "2026-01-01_00_00_02.jpg").write_bytes(b"")
    (stills / "2026-01-01_00_00_03.jpg").unlink()
    os.mkfifo(stills / "2026-01-01_00_00_03.jpg")
    (stills / "2026-01-01_00_00_06.png").write_bytes(gif(15000))
    return stills


PLAYED = {
    "cut.mp4": (1, ("cut.mp4", "ends at", "of 12.0 s", "were processed", "copy")),
    "cut.avi": (1, ("cut.avi", "ends at", "of 12.0 s", "were processed", "copy")),
    "damaged.mp4": (1, ("damaged.mp4", "bad packets", "were processed", "copy")),
    "stills": (1, ("4 images cannot be read", "2026-01-01_00_00_01.jpg", "were processed")),
    "sizes.ts": (0, ()),
    "variable.mkv": (0, ()),
    "one.gif": (0, ()),
    "it's a %d näme:1;$(x) #?.mp4": (0, ()),
    "\udce9\n\x1b[31m.mp4": (0, ()),
}
"""Exit status and words of the warning for footage of which something can be played."""
CROSSED = [name for name in PLAYED if name.endswith((".mp4", ".avi"))]
"""Footage in which something crosses the line."""


@pytest.fixture(scope="module")
def replays(
    folder: Path, good: Path, make_video: MakeVideo, run_all: Callable[..., Outcomes]
) -> Outcomes:
    cut(make_video(folder / "cut.mp4", 120, fps=10), 0.6)
    cut(make_video(folder / "cut.avi", 120, fps=10, codec="mpeg4"), 0.6)
    noisy_middle(make_video(folder / "damaged.mp4", 120, fps=10))
    some_bad_stills(folder)
    joined_sizes(folder, make_video)
    times_ms = [0, 40, 50, 900, 1000, 5000, 5001]
    make_video(folder / "variable.mkv", 7, times_ms=times_ms)
    (folder / "one.gif").write_bytes(gif(64))
    *_, hostile, unprintable = PLAYED
    for name in (hostile, unprintable):
        (folder / name).write_bytes(good.read_bytes())
    rest = ("--config", folder / "site.yaml", *START)
    return run_all(
        {
            name: ("replay", folder / name, *rest, "--out", folder / f"out-{number}")
            for number, name in enumerate(PLAYED)
        }
    )


@pytest.mark.parametrize("name", PLAYED)
def test_played_as_far_as_it_goes(
    replays: Outcomes, refused: Callable[..., None], folder: Path, name: str
) -> None:
    status, words = PLAYED[name]
    refused(replays[name], status, *words, lines=1 if words else 0)
    out = folder / f"out-{list(PLAYED).index(name)}"
    assert "report.html" in replays[name].stdout
    assert (out / "report.html").stat().st_size > 1000
    lines = (out / "events.jsonl").read_bytes()
    assert lines.endswith(b"\n") or (not lines and name not in CROSSED)
