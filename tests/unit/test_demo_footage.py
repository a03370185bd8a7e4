"""The shipped demo clip fits its truth file, and its generator still runs."""

import importlib.util
import json
import subprocess
import sys
from ctypes.util import find_library
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from edge_agent.config.models import Camera

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "edge_agent" / "demo"
VIDEO = DEMO / "street.mp4"
MISSING = [m for m in ("moderngl", "PIL") if importlib.util.find_spec(m) is None] + [
    f"lib{name}" for name in ("EGL", "GL") if find_library(name) is None
]


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    content = json.loads((DEMO / "street.truth.json").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def _offence(truth: dict[str, Any]) -> dict[str, Any]:
    (event,) = [e for e in truth["events"] if e["type"] == "parking.illegal"]
    assert isinstance(event, dict)
    return event


def test_clip_is_small_and_plays_to_its_end(truth: dict[str, Any]) -> None:
    assert truth["video"] == VIDEO.name
    assert VIDEO.stat().st_size < 4_500_000
    with av.open(VIDEO) as container:
        stream = container.streams.video[0]
        packets = [p for p in container.demux(stream) if p.dts is not None]
        assert stream.codec_context.name == "h264"
        assert (stream.width, stream.height) == (truth["width"], truth["height"]) == (1280, 720)
        assert stream.average_rate == Fraction(truth["fps"])
        keys = [i for i, p in enumerate(packets) if p.is_keyframe]
    assert len(packets) / truth["fps"] == pytest.approx(65, abs=0.1)
    assert max(b - a for a, b in pairwise(keys)) <= 2 * truth["fps"]


def test_first_and_offence_pictures_decode(truth: dict[str, Any]) -> None:
    with av.open(VIDEO) as container:
        first = next(container.decode(video=0))
        assert first.pts == 0
        container.seek(int(_offence(truth)["begin_s"] * av.time_base))
        assert next(container.decode(video=0)).to_ndarray(format="bgr24").std() > 20


def test_offence_stands_inside_the_zone_and_the_picture(truth: dict[str, Any]) -> None:
    offence = _offence(truth)
    assert 0 < offence["begin_s"] < offence["end_s"] - 30
    left, top, right, bottom = offence["box"]
    assert 0 <= left < right <= 1 and 0 <= top < bottom < 1
    zone = truth["zones"]["kerb"]
    assert _contains(zone, (left + right) / 2, bottom)


def _contains(zone: list[list[float]], x: float, y: float) -> bool:
    is_inside = False
    for (ax, ay), (bx, by) in zip(zone, zone[1:] + zone[:1], strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
            is_inside = not is_inside
    return is_inside


def test_zone_and_line_are_what_a_site_file_accepts(truth: dict[str, Any]) -> None:
    camera = Camera.model_validate({"zones": truth["zones"], "lines": truth["lines"]})
    assert set(camera.zones) == {"kerb"}
    assert set(camera.lines) == {"middle"}


def test_zone_is_free_at_the_start_and_in_the_second_stop_is_short(truth: dict[str, Any]) -> None:
    boxes = {o["name"]: {b["t_s"]: b["box"] for b in o["boxes"]} for o in truth["objects"]}
    assert min(t for seen in boxes.values() for t in seen) > 2.5
    stop = boxes["short stop"]
    still = [t for t in stop if stop.get(t + 1) == stop[t]]
    assert 4 <= len(still) <= 7


def test_every_crossing_is_of_a_vehicle_that_the_truth_knows(truth: dict[str, Any]) -> None:
    crossings = [e for e in truth["events"] if e["type"] == "flow.line_crossing"]
    plates = {o["plate"] for o in truth["objects"] if o["kind"] == "vehicle"}
    assert {e["direction"] for e in crossings} == {"towards", "away"}
    assert [e["begin_s"] for e in crossings] == sorted(e["begin_s"] for e in crossings)
    assert {e["plate"] for e in crossings} == plates


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"RENDERER ABSENT: {', '.join(MISSING)}")
def test_generator_renders_the_same_bytes_twice(tmp_path: Path) -> None:
    for name in ("first", "second"):
        command = [sys.executable, str(ROOT / "tools" / "render_street.py")]
        command += ["--out", str(tmp_path / name), "--seconds", "0.4"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    for file in ("street.mp4", "street.truth.json"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
    with av.open(tmp_path / "first" / "street.mp4") as container:
        assert sum(1 for _ in container.decode(video=0)) == 5
