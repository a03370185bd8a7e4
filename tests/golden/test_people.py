"""People on real footage through real weights: who is counted, accused and left alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry

from edge_agent.uplink import schema_for, schemas

SITES = Path(__file__).parent / "sites"
REGISTRY: Registry[Any] = Registry().with_contents(schemas().items())
Data = Mapping[str, Any]
Play = Callable[[str, str], list[Data]]

pytestmark = pytest.mark.slow


@pytest.fixture
def play(edge_agent: Callable[..., Any], shared: Path, tmp_path: Path) -> Play:
    """Replays a clip through a site file; its events' data with their kind, schema checked."""

    def run(site: str, clip: str) -> list[Data]:
        path = Path(clip) if Path(clip).is_absolute() else shared / "footage" / clip
        out = tmp_path / "out"
        config = SITES / f"{site}.yaml"
        done = edge_agent("replay", path, "--config", config, "--out", out, "--overwrite")
        assert done.returncode == 0, done.stderr
        return list(_events(out / "events.jsonl"))

    return run


def _events(path: Path) -> Iterator[Data]:
    for line in path.read_text().splitlines():
        envelope = json.loads(line)
        Draft202012Validator(schema_for(envelope["type"]), registry=REGISTRY).validate(envelope)
        yield {**envelope["data"], "kind": envelope["type"].split(".", 1)[1].removesuffix(".v1")}


def begins(events: list[Data], kind: str) -> list[float]:
    return [e["time"]["pts_s"] for e in events if (e["kind"], e["phase"]) == (kind, "begin")]


def test_five_pedestrians_on_the_crossing(play: Play, shared: Path) -> None:
    truth = json.loads((shared / "footage" / "crosswalk" / "truth.json").read_text())
    events = play("crosswalk", "crosswalk/crosswalk.mp4")
    count = truth["distinct_pedestrians_on_near_crosswalk"]
    assert len(begins(events, "incident.pedestrian")) == count
    crossed = Counter(e["direction"] for e in events if e["kind"] == "flow.line_crossing")
    line = truth["pedestrian_line"]
    assert crossed == {"right": line["L_to_R"]["count"], "left": line["R_to_L"]["count"]}
    assert begins(events, "incident.jaywalking") == [], "no signal is recorded with the clip"


@pytest.mark.parametrize(("state", "accused"), [("red", 3), ("green", 0)])
def test_jaywalkers(play: Play, shared: Path, tmp_path: Path, state: str, accused: int) -> None:
    """Three step onto the crossing within the clip; two were on it when it began."""
    clip = tmp_path / "clip.mp4"
    clip.symlink_to(shared / "footage" / "crosswalk" / "crosswalk.mp4")
    lamp = json.dumps({"t_s": 0.0, "phase": "walk", "state": state})
    (tmp_path / "signals.jsonl").write_text(lamp + "\n")
    events = play("crosswalk", str(clip))
    accusations = [e for e in events if e["kind"] == "incident.jaywalking"]
    assert len(begins(events, "incident.jaywalking")) == accused
    assert all(e["signal"] == {"walk": "red"} for e in accusations)


def test_a_worker_in_a_helmet_is_left_alone(play: Play) -> None:
    events = play("worker-zone", "intel/worker-zone-detection.gif")
    assert [e for e in events if e["kind"] == "safety.helmet"] == []
    assert len(begins(events, "zone.trespass")) == 1, "he was seen"


def test_six_bare_heads_one_after_the_other(play: Play, shared: Path) -> None:
    labels = json.loads((shared / "footage" / "intel" / "truth.json").read_text())
    presence_s = labels["one-by-one-person-detection.mp4"]["presence_s"]
    events = play("one-by-one", "intel/one-by-one-person-detection.mp4")
    # Two looks at long fair hair from behind say helmet; the others outvote them after 5.7 s.
    for kind, within_s in (("zone.trespass", 2.5), ("safety.helmet", 6), ("zone.loitering", 10)):
        told = begins(events, kind)
        assert len(told) == len(presence_s), kind
        for (come_s, _), at_s in zip(presence_s, told, strict=True):
            assert come_s < at_s < come_s + within_s, kind
    assert begins(events, "flow.crowd") == []
    (call,) = {json.dumps(e["call"]) for e in events if e["kind"] == "safety.helmet"}
    assert json.loads(call) == {"site": "one-by-one", "responsible": "City of Example"}


def test_a_cyclist_is_no_pedestrian(play: Play) -> None:
    events = play("person-bicycle-car", "intel/person-bicycle-car-detection.gif")
    assert len(begins(events, "incident.cyclist")) == 1
    assert begins(events, "incident.pedestrian") == []
