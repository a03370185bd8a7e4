"""A car drives up, stands and leaves: its plate is read, opens a gate and stands in the case.

The picture of the car is real, its way through the picture is ours.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.evidence import verify

pytestmark = pytest.mark.slow

FPS, WIDTH, HEIGHT = 5, 1280, 720
SITE = """\
site: {name: gate, timezone: Europe/Bratislava}
device: box
plate_lists:
  staff: {file: staff.csv, meaning: allow}
outputs:
  barrier: {backend: mock, pulse_ms: 500}
cameras:
  drive:
    detector: {model: yolox_nano, gate: false}
    plates: {regions: [eu], max_reads_per_s: 5}
    zones: {entry: [[0.05, 0.05], [0.95, 0.05], [0.95, 1.0], [0.05, 1.0]]}
    rules:
      - {kind: plate.read, zone: entry}
      - {kind: access.granted, zone: entry, lists: [staff], output: barrier}
      - {kind: parking.illegal, zone: entry, dwell_s: 3, grace_s: 0}
"""


def drive_by(photo: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Comes from the left for 4 s, stands until 11 s, leaves to the right."""
    noise = np.random.default_rng(1).integers(90, 120, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    road = np.asarray(cv2.resize(noise, (WIDTH, HEIGHT)), np.uint8)
    height, width = photo.shape[:2]
    for n in range(16 * FPS):
        t_s = n / FPS
        come, go = max(0.0, 4 - t_s) / 4, max(0.0, t_s - 11) / 5
        x = round(400 - (400 + width) * come + 1.1 * (WIDTH - 400) * go)
        y = round(120 - 60 * come + 40 * go)
        left, right = max(0, x), min(WIDTH, x + width)
        frame = road.copy()
        if right > left:
            frame[y : y + height, left:right] = photo[:, left - x : right - x]
        yield frame


@pytest.fixture(scope="module")
def folder(
    shared: Path,
    tmp_path_factory: pytest.TempPathFactory,
    make_video: Callable[..., Path],
    edge_agent: Callable[..., subprocess.CompletedProcess[str]],
) -> Path:
    folder = tmp_path_factory.mktemp("gate")
    photo = cv2.imread(str(shared / "plates" / "openalpr-eu" / "test_002.jpg"))
    frames = drive_by(np.asarray(photo, np.uint8))
    make_video(folder / "drive.mp4", frames, fps=FPS, size=(WIDTH, HEIGHT))
    (folder / "site.yaml").write_text(SITE)
    (folder / "staff.csv").write_text("plate,valid_until\nRK-755 AJ,2026-12-31\n")
    done = edge_agent(
        *("replay", folder / "drive.mp4", "--config", folder / "site.yaml"),
        *("--out", folder / "out", "--start", "2026-05-13T09:49:12Z"),
    )
    assert done.returncode == 0, done.stderr
    return folder / "out"


def told(folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = (folder / "events.jsonl").read_text("utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    return [event["data"] for event in events if event["type"] == f"edge.{kind}.v1"]


def test_the_plate_is_agreed_on(folder: Path) -> None:
    (read,) = told(folder, "plate.read")
    assert read["plate"]["text"] == "RK755AJ" and read["plate"]["region"] == "eu"
    assert read["plate"]["reads"] >= 2 and read["plate"]["confidence"] > 0.9
    assert (read["list"], read["list_meaning"]) == ("staff", "allow")


def test_the_gate_opens_on_arrival(folder: Path) -> None:
    (grant,) = told(folder, "access.granted")
    (pulse,) = told(folder, "io.out")
    assert grant["time"]["pts_s"] < 5
    assert (pulse["output"], pulse["backend"]) == ("barrier", "mock")
    assert pulse["time"] == grant["time"]


def test_the_case_shows_the_plate(folder: Path) -> None:
    *_, end = told(folder, "parking.illegal")
    *_, case = told(folder, "evidence.case")
    assert end["phase"] == "end" and end["plate"]["text"] == "RK755AJ"
    assert case["plate"]["text"] == "RK755AJ"
    (bundle,) = (folder / "evidence").glob("*.evb")
    report = verify(bundle)
    assert report.is_valid and report.facts["reasons"] == ["replay"]
    seen = {m["role"]: m["plate"]["text"] for m in report.facts["media"] if "plate" in m}
    assert seen == dict.fromkeys(("enter", "wide", "close", "leave"), "RK755AJ")
    assert "RK755AJ" in (folder / "report.html").read_text("utf-8")
