"""Real weights on real footage: what the product reports against what people saw.

Each clip has its site file in `sites/`; it is replayed by the command line and scored by the
command line. The truth comes from the footage's own labels.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

SITES = Path(__file__).parent / "sites"
Truth = dict[str, Any]
Cli = Callable[..., Any]

pytestmark = pytest.mark.slow


def crossings(times: Sequence[Any], line: str, direction: str) -> list[Truth]:
    """Truth events for one direction; a time is a moment or a (from, to, what) span."""
    spans = [(t[0], t[1]) if isinstance(t, list) else (t, t) for t in times]
    return [
        {
            "type": "flow.line_crossing",
            "begin_s": a,
            "end_s": b,
            "line": line,
            "direction": direction,
        }
        for a, b in spans
    ]


class Played:
    """One clip replayed and scored."""

    def __init__(self, cli: Cli, tmp_path: Path, site: str, clip: Path) -> None:
        self._cli, self._out = cli, tmp_path / "out"
        self._tmp = tmp_path
        done = cli("replay", clip, "--config", SITES / f"{site}.yaml", "--out", self._out)
        assert done.returncode == 0, done.stderr
        lines = (self._out / "events.jsonl").read_text().splitlines()
        self.envelopes: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def of(self, kind: str, phase: str) -> list[Mapping[str, Any]]:
        """The `data` of the events of that kind and phase."""
        return [
            each["data"]
            for each in self.envelopes
            if each["type"] == f"edge.{kind}.v1" and each["data"]["phase"] == phase
        ]

    def times(self, kind: str, phase: str) -> list[float]:
        return [data["time"]["pts_s"] for data in self.of(kind, phase)]

    def directions(self) -> Counter[str]:
        return Counter(data["direction"] for data in self.of("flow.line_crossing", "end"))

    def score(self, truth: Truth) -> dict[str, Any]:
        path = self._tmp / "truth.json"
        path.write_text(json.dumps(truth))
        events = self._out / "events.jsonl"
        done = self._cli("score", "--events", events, "--truth", path, "--json")
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result


def test_stop_queue(edge_agent: Cli, shared: Path, tmp_path: Path) -> None:
    folder = shared / "footage" / "stop-queue"
    labels = json.loads((folder / "truth.json").read_text())
    width, height = labels["size"]
    stopped = [
        {
            "type": "incident.stopped_vehicle",
            "begin_s": each["still_from_s"],
            "end_s": each["gone_from_box_s"],
            "box": [v / s for v, s in zip(each["box"], (width, height) * 2, strict=True)],
        }
        for each in labels["stopped_vehicles"]
    ]
    played = Played(edge_agent, tmp_path, "stop-queue", folder / labels["file"])
    kind = "incident.stopped_vehicle"
    assert len(played.times(kind, "begin")) == 3
    assert all(10 <= t <= 11 for t in played.times(kind, "begin"))
    assert len(played.times(kind, "end")) == 3
    assert all(20 <= t <= 22 for t in played.times(kind, "end"))
    assert played.directions() == {"down": 8}
    truth = {
        "video": labels["file"],
        "fps": labels["fps"],
        "frames": labels["frames"],
        "events": stopped + crossings(labels["line_y200_down"]["times_s"], "stop", "down"),
        "ignore": [],
    }
    score = played.score(truth)
    assert score["total"]["detection_rate"] == 1.0
    assert score["total"]["false"] == 0


def test_car_detection(edge_agent: Cli, shared: Path, tmp_path: Path) -> None:
    folder = shared / "footage" / "intel"
    labels = json.loads((folder / "truth.json").read_text())["car-detection.mp4"]
    played = Played(edge_agent, tmp_path, "car-detection", folder / "car-detection.mp4")
    assert sum(played.directions().values()) == 4
    times = [[a, b] for a, b, _ in labels["line_y216"]["times_s"]]
    events = crossings(times, "across", "any")
    for event in events:
        del event["direction"]
    score = played.score({"video": "car-detection.mp4", "fps": labels["fps"], "events": events})
    assert score["total"]["detection_rate"] == 1.0
    assert score["total"]["false"] == 0


def test_twoway(edge_agent: Cli, shared: Path, tmp_path: Path) -> None:
    folder = shared / "footage" / "twoway"
    labels = json.loads((folder / "truth.json").read_text())
    line = labels["line_x320"]
    played = Played(edge_agent, tmp_path, "twoway", folder / labels["file"])
    counted = played.directions()
    assert abs(counted["left_to_right"] - line["L_to_R"]["count_complete"]) <= 1
    assert abs(counted["right_to_left"] - line["R_to_L"]["count_complete"]) <= 1
    right = line["L_to_R"]["mid_lane_times_s"] + line["L_to_R"]["bottom_lane_times_s"]
    events = crossings(right, "across", "left_to_right")
    events += crossings(line["R_to_L"]["times_s"], "across", "right_to_left")
    # Three more are cut off by the end of the clip; the labels leave them out.
    truth = {
        "video": labels["file"],
        "fps": labels["fps"],
        "frames": labels["frames"],
        "events": events,
        "ignore": [{"begin_s": 19.0, "end_s": 21.0}],
    }
    score = played.score(truth)
    assert score["total"]["detection_rate"] >= 24 / 25
    assert score["total"]["false"] <= 1


def test_a_slow_queue_is_not_parking(edge_agent: Cli, shared: Path, tmp_path: Path) -> None:
    clip = shared / "footage" / "tfl-jamcam" / "2019-06-28_13-02-35.503167_00001.03601.mp4"
    played = Played(edge_agent, tmp_path, "jamcam-03601", clip)
    assert played.envelopes == []


def test_three_vehicles_come_to_a_stand(edge_agent: Cli, shared: Path, tmp_path: Path) -> None:
    folder = shared / "footage" / "tfl-jamcam"
    name = "2019-06-28_13-03-07.370509_00001.06514"
    labels = json.loads((folder / "truth.json").read_text())[name]
    width, height = labels["size"]
    stopping = [track for track in labels["tracks"] if track["id"] in (16, 17, 18)]
    events = [
        {
            "type": "incident.stopped_vehicle",
            "begin_s": track["stopped_frames"][0][0] / labels["fps"],
            "end_s": track["frames"][1] / labels["fps"],
            "box": [v / s for v, s in zip(track["last_box"], (width, height) * 2, strict=True)],
        }
        for track in stopping
    ]
    played = Played(edge_agent, tmp_path, "jamcam-06514", folder / f"{name}.mp4")
    score = played.score({"video": name, "fps": labels["fps"], "events": events})
    assert score["types"]["incident.stopped_vehicle"]["detection_rate"] == 1.0


def test_two_lanes_at_sixty_frames_per_second(
    edge_agent: Cli, shared: Path, tmp_path: Path
) -> None:
    folder = shared / "footage" / "bgs"
    labels = json.loads((folder / "truth.json").read_text())["video03.avi"]
    line = labels["line_y170_towards"]
    played = Played(edge_agent, tmp_path, "video03", folder / "video03.avi")
    assert abs(played.directions()["towards"] - line["count_complete"]) <= 1
    truth = {
        "video": "video03.avi",
        "fps": labels["fps"],
        "frames": labels["frames"],
        "events": crossings(line["left_times_s"] + line["right_times_s"], "across", "towards"),
        "ignore": [{"begin_s": 27.9, "end_s": 28.5}],
    }
    score = played.score(truth)
    assert score["total"]["detection_rate"] >= 25 / 26
    assert score["total"]["false"] <= 1
