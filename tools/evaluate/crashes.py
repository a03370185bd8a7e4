"""Crashes: how many are reported in time, by which cues, and what is reported without one."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from edge_agent.app import Observer, ReplayRequest, run_replay

MODELS = ("yolox_nano", "yolov8n")
"""The default network and the better one."""
IN_TIME_S = 3.0
"""After the labelled start."""
EARLY_S = 0.3
"""A label may begin so much late; what is reported earlier is a false alarm."""
LABELS_FPS = 10
CLIPS = (".mp4", ".avi", ".gif")


def evaluate(
    shared: Path, models: Sequence[str] = MODELS, folders: Sequence[str] = ()
) -> dict[str, Any]:
    """Every clip below `footage` (or these folders of it), replayed with `incident.crash` only."""
    footage = shared / "footage"
    clips = sorted(path for path in footage.glob("*/*") if path.suffix in CLIPS)
    clips = [clip for clip in clips if not folders or clip.parent.name in folders]
    starts = {f"crashes/{name}.mp4": start_s for name, start_s in _starts(footage / "crashes")}
    return {model: _evaluate(footage, clips, starts, model) for model in models}


def _evaluate(
    footage: Path, clips: Sequence[Path], starts: dict[str, float], model: str
) -> dict[str, Any]:
    crashes: dict[str, Any] = {}
    false: list[dict[str, Any]] = []
    for clip in clips:
        name = clip.relative_to(footage).as_posix()
        told = list(_reports(clip, model))
        start_s = starts.get(name)
        if start_s is None:
            false += [{"clip": name, **each} for each in told]
            continue
        false += [{"clip": name, **e} for e in told if e["told_s"] < start_s - EARLY_S]
        within = (e for e in told if start_s - EARLY_S <= e["told_s"] <= start_s + IN_TIME_S)
        first = next(within, None)
        crashes[name] = {"start_s": start_s, **(first or {})}
    found = sum("told_s" in each for each in crashes.values())
    return {
        "crashes": len(crashes),
        "found_in_time": found,
        "rate": round(found / len(crashes), 4) if crashes else None,
        "per_crash": crashes,
        "clips": len(clips),
        "false": false,
    }


def _starts(folder: Path) -> Iterator[tuple[str, float]]:
    """Where the longest accident run of every clip begins; single frames are slips of the label."""
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    for name, label in labels.items():
        first, _ = max(label["accident_frame_runs_0based"], key=lambda run: run[1] - run[0])
        yield name, first / LABELS_FPS


def _reports(clip: Path, model: str) -> Iterator[dict[str, Any]]:
    camera = {"detector": {"model": model}, "rules": [{"kind": "incident.crash"}]}
    config = {"site": {"name": "crashes"}, "device": "evaluation", "cameras": {"c1": camera}}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "site.yaml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        request = ReplayRequest(path, Path(name) / "out", [(None, clip)])
        for envelope in run_replay(request, Observer()).envelopes:
            data = envelope["data"]
            if envelope["type"] == "edge.incident.crash.v1" and data["phase"] == "begin":
                cues = [cue["cue"] for cue in data["cues"]]
                yield {"told_s": data["time"]["pts_s"], "impact_s": data["begin_s"], "cues": cues}
