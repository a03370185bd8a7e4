"""What really happens in each shared clip, in the words of a truth file (`edge-agent score`).

From the labels that lie beside the clips, and from `views.yaml` what was seen by eye beyond them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ALARMS = (
    "camera.blurred",
    "camera.covered",
    "camera.dark",
    "camera.frozen",
    "camera.moved",
    "camera.overexposed",
    "flow.crowd",
    "flow.emergency_vehicle",
    "incident.congestion",
    "incident.crash",
    "incident.cyclist",
    "incident.debris",
    "incident.jaywalking",
    "incident.pedestrian",
    "incident.red_light",
    "incident.smoke_fire",
    "incident.stopped_vehicle",
    "incident.wrong_way",
    "parking.ev_bay",
    "parking.illegal",
    "parking.outside_bay",
    "safety.helmet",
    "zone.loitering",
    "zone.trespass",
)
"""Kinds that somebody is called for: one that is reported and not true is a false alarm."""

Event = dict[str, Any]
LINE = "flow.line_crossing"
CROSSING_S = 0.75
"""Half of how long a vehicle needs across a line, where the label names one moment."""


def truth(shared: Path, clip: str, view: Mapping[str, Any]) -> dict[str, Any]:
    """The truth file of one clip; alarms that nobody labelled are taken not to happen."""
    folder = clip.partition("/")[0]
    events: list[Event] = []
    if folder in LABELS:
        labels = shared / "footage" / folder
        events += LABELS[folder](labels, Path(clip).name)
    events += [dict(event) for event in view.get("happens", ())]
    kinds = {str(event["type"]) for event in events} | set(ALARMS)
    return {
        "video": clip,
        "types": sorted(kinds),
        "events": events,
        "ignore": [dict(span) for span in view.get("ignore", ())],
        "cameras": 1,
    }


def _json(path: Path) -> Any:  # noqa: ANN401
    return json.loads(path.read_text(encoding="utf-8"))


def _crossings(moments: Iterable[float], line: str, direction: str | None = None) -> list[Event]:
    way = {} if direction is None else {"direction": direction}
    spans = [(max(0.0, t - CROSSING_S), t + CROSSING_S) for t in moments]
    return [{"type": LINE, "begin_s": a, "end_s": b, "line": line, **way} for a, b in spans]


def _crashes(labels: Path, name: str) -> list[Event]:
    """The last run of accident frames; an earlier one of a single frame is a slip of the label."""
    runs: Sequence[Sequence[int]] = _json(labels / "labels.json")[Path(name).stem][
        "accident_frame_runs_0based"
    ]
    first, last = runs[-1]
    return [{"type": "incident.crash", "begin_s": first / 10, "end_s": last / 10}]


def _stop_queue(labels: Path, name: str) -> list[Event]:
    told = _json(labels / "truth.json")
    width, height = told["size"]
    scale = (width, height, width, height)
    stopped = [
        {
            "type": "incident.stopped_vehicle",
            "begin_s": each["still_from_s"],
            "end_s": each["gone_from_box_s"],
            "box": [v / s for v, s in zip(each["box"], scale, strict=True)],
        }
        for each in told["stopped_vehicles"]
    ]
    times = [(a + b) / 2 for a, b, _ in told["line_y200_down"]["times_s"]]
    return stopped + _crossings(times, "stop", "down")


def _intel(labels: Path, name: str) -> list[Event]:
    if name != "car-detection.mp4":
        return []
    spans = _json(labels / "truth.json")[name]["line_y216"]["times_s"]
    return _crossings([(a + b) / 2 for a, b, _ in spans], "across")


def _twoway(labels: Path, name: str) -> list[Event]:
    line = _json(labels / "truth.json")["line_x320"]
    right = line["L_to_R"]["mid_lane_times_s"] + line["L_to_R"]["bottom_lane_times_s"]
    left = _crossings(line["R_to_L"]["times_s"], "across", "right_to_left")
    return _crossings(right, "across", "left_to_right") + left


def _bgs(labels: Path, name: str) -> list[Event]:
    told = _json(labels / "truth.json")[name]
    if name == "video.avi":
        return _crossings(told["line_x420_L_to_R"]["times_s"], "across", "right")
    line = told["line_y170_towards"]
    return _crossings(line["left_times_s"] + line["right_times_s"], "across", "towards")


def _crosswalk(labels: Path, name: str) -> list[Event]:
    told = _json(labels / "truth.json")["pedestrian_line"]
    return list(_walkers(told))


def _walkers(told: Mapping[str, Any]) -> Iterator[Event]:
    """Who crosses the segment is on the crossing for some seconds before and after."""
    for way in ("L_to_R", "R_to_L"):
        for t_s in told[way]["times_s"]:
            yield {
                "type": "incident.pedestrian",
                "zone": "crossing",
                "begin_s": max(0.0, t_s - 3),
                "end_s": t_s + 3,
            }


LABELS: Mapping[str, Callable[[Path, str], list[Event]]] = {
    "bgs": _bgs,
    "crashes": _crashes,
    "crosswalk": _crosswalk,
    "intel": _intel,
    "stop-queue": _stop_queue,
    "twoway": _twoway,
}
