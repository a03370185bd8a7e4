"""Traffic rules with real weights on real footage: as filmed, backwards, and with signals."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import jsonschema
import pytest
from referencing import Registry, Resource

from edge_agent.uplink.schema import schema_for, schemas

SITES = Path(__file__).parent / "sites"
Cli = Callable[..., Any]
Data = dict[str, Any]

pytestmark = pytest.mark.slow


def play(cli: Cli, site: str, clip: Path, out: Path) -> list[tuple[str, Data]]:
    """(kind, data) of every event; each one fits its schema."""
    done = cli("replay", clip, "--config", SITES / f"{site}.yaml", "--out", out)
    assert done.returncode == 0, done.stderr
    registry: Registry[Any] = Registry().with_resources(
        (name, Resource.from_contents(schema)) for name, schema in schemas().items()
    )
    events = []
    for line in (out / "events.jsonl").read_text().splitlines():
        envelope = json.loads(line)
        schema = schema_for(envelope["type"])
        jsonschema.Draft202012Validator(schema, registry=registry).validate(envelope)
        events.append((envelope["type"].removeprefix("edge.")[:-3], envelope["data"]))
    return events


def of(events: list[tuple[str, Data]], kind: str, phase: str = "begin") -> list[Data]:
    return [data for each, data in events if each == kind and data["phase"] == phase]


def zones(events: list[tuple[str, Data]]) -> Counter[str]:
    return Counter(data["zone"] for data in of(events, "incident.wrong_way"))


def test_everybody_goes_the_right_way(edge_agent: Cli, shared: Path, tmp_path: Path) -> None:
    """None is wrong where the direction is as declared; all are where it is not."""
    folder = shared / "footage" / "twoway"
    labels = json.loads((folder / "truth.json").read_text())["line_x320"]
    counts = {name: labels[name]["count_complete"] for name in ("L_to_R", "R_to_L")}
    events = play(edge_agent, "traffic-twoway", folder / "traffic.mp4", tmp_path / "out")
    wrong = zones(events)
    assert set(wrong) == {"not-east", "not-west"}
    # Whoever is in the picture when the recording begins or ends may be flagged as well.
    assert counts["L_to_R"] <= wrong["not-east"] <= counts["L_to_R"] + 3
    assert counts["R_to_L"] <= wrong["not-west"] <= counts["R_to_L"] + 2
    assert len(of(events, "incident.wrong_way", "end")) == wrong.total()
    assert not of(events, "incident.congestion") and not of(events, "flow.emergency_vehicle")
    crossed = Counter(data["direction"] for data in of(events, "flow.line_crossing", "end"))
    lanes = {data.get("zone") or data["line"]: data for data in of(events, "flow.lane", "end")}
    assert lanes["east"]["vehicles"] == lanes["across"]["vehicles"] == crossed["left_to_right"]
    assert lanes["west"]["vehicles"] == crossed["right_to_left"]
    assert (crossed["left_to_right"], crossed["right_to_left"]) == tuple(counts.values())
    assert all(data["is_partial"] and data["queue_vehicles_max"] == 0 for data in
               (lanes["east"], lanes["west"]))  # fmt: skip


def test_played_backwards_everybody_goes_the_wrong_way(
    edge_agent: Cli, shared: Path, tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    folder = shared / "footage" / "twoway"
    labels = json.loads((folder / "truth.json").read_text())["line_x320"]
    with av.open(str(folder / "traffic.mp4")) as container:
        pictures = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    size = (pictures[0].shape[1], pictures[0].shape[0])
    options = {"crf": "18", "preset": "veryfast"}
    clip = make_video(
        tmp_path / "backwards.mp4", reversed(pictures), fps=24, size=size, options=options
    )
    wrong = zones(play(edge_agent, "traffic-twoway", clip, tmp_path / "out"))
    assert set(wrong) == {"east", "west"}
    assert wrong["east"] >= labels["L_to_R"]["count_complete"]
    assert wrong["west"] >= labels["R_to_L"]["count_complete"]


SIGNALS = """\
{"t_s": 0, "phase": "main", "state": "green"}
{"t_s": 0, "phase": "side", "state": "green"}
{"t_s": 4.0, "phase": "main", "state": "red"}
{"t_s": 8.0, "phase": "main", "state": "green"}
{"t_s": 16.0, "phase": "main", "state": "conflict"}
{"t_s": 16.4, "phase": "main", "state": "red"}
{"t_s": 18.5, "phase": "main", "state": "dark"}
"""


def test_a_queue_and_red_lights(edge_agent: Cli, shared: Path, tmp_path: Path) -> None:
    """Vehicles cross at about 3, 5.4, 7.6, 10, 17.7, 20 and 29 s; three wait until 17 to 21 s."""
    clip = tmp_path / "junction.mp4"
    clip.symlink_to(shared / "footage" / "stop-queue" / "input_video.mp4")
    (tmp_path / "junction.signals.jsonl").write_text(SIGNALS)
    events = play(edge_agent, "traffic-stop-queue", clip, tmp_path / "out")
    accused = of(events, "incident.red_light")
    assert [round(data["begin_s"], 1) for data in accused[:2]] == [
        pytest.approx(5.4, abs=0.2),
        pytest.approx(7.6, abs=0.2),
    ]
    assert [data["phase_name"] for data in accused] == ["main"] * len(accused)
    assert all(data["signal"] == {"main": "red"} for data in accused)
    assert all("io conflict" not in data["reasons"] for data in accused[:2])
    # The next red follows a conflict, the one after that is dark.
    assert all(16.9 < data["begin_s"] < 18.5 for data in accused[2:])
    assert all("io conflict" in data["reasons"] for data in accused[2:])
    (begin,) = of(events, "incident.congestion")
    (end,) = of(events, "incident.congestion", "end")
    assert begin["queue_vehicles"] >= 3 and begin["queue_share"] >= 0.7
    assert 20.0 <= end["end_s"] <= 26.0 and end["end_reason"] == "dissolved"
    assert not of(events, "incident.wrong_way") and not of(events, "flow.emergency_vehicle")
