"""Parking bays: how many are rightly held to be taken or free, still by still, frame by frame."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from edge_agent.analyzers.bays.availability import BayAvailability
from edge_agent.assembly import make_pipeline
from edge_agent.config import Camera, Rule, Site
from edge_agent.sources import open_recording
from edge_agent.types import Detections, Event, Frame
from edge_agent.vision import open_detector, search_path
from import_bays import Outlines, read_occupied, read_outlines, site_part

DRAWN = Path(__file__).with_name("bays.yaml")
KIND = "parking.availability"


def evaluate(shared: Path, model: str = "yolox_nano") -> dict[str, Any]:
    """Figures for the stills of PKLot and the time lapse; every wrong one is listed."""
    return {
        "model": model,
        "pklot-ufpr05": _pklot(shared, model),
        "parking-timelapse": _timelapse(shared, model),
    }


def _pklot(shared: Path, model: str) -> dict[str, Any]:
    """Every still of every sequence, bay by bay."""
    flags, wrong = 0, []
    for folder in sorted((shared / "parking" / "pklot-ufpr05").glob("sequence*")):
        labels = sorted((folder / "bounding_boxes").glob("*.xml"))
        camera = _camera(read_outlines(labels[0]), (1280, 720), model, every_s=20.0)
        taken = dict(_taken(folder / "frames", camera, shared))
        for seq, label in enumerate(labels):
            truth = read_occupied(label)
            flags += len(truth)
            wrong += [
                {"still": label.stem, "bay": bay, "occupied": is_occupied}
                for bay, is_occupied in truth.items()
                if is_occupied != (bay in taken[seq])
            ]
    return {"flags": flags, "right": 1 - len(wrong) / flags, "wrong": wrong}


def _timelapse(shared: Path, model: str) -> dict[str, Any]:
    """The number of taken bays in the labelled frames."""
    folder = shared / "footage" / "parking-timelapse"
    truth = json.loads((folder / "truth.json").read_text())
    counts = {int(frame): n for frame, n in truth["front_row_occupied_by_frame"].items()}
    drawn = yaml.safe_load(DRAWN.read_text())
    camera = _camera(drawn["outlines"], drawn["size"], model, every_s=0.0)
    taken = dict(_taken(folder / truth["file"], camera, shared, frozenset(counts)))
    wrong = [
        {"frame": frame, "counted": len(taken[frame]), "true": count}
        for frame, count in counts.items()
        if len(taken[frame]) != count
    ]
    return {
        "frames": len(counts),
        "exact": 1 - len(wrong) / len(counts),
        "bays_off": sum(abs(each["counted"] - each["true"]) for each in wrong),
        "bays_seen": len(counts) * len(drawn["outlines"]),
        "wrong": wrong,
    }


def _camera(outlines: Outlines, size: tuple[int, int], model: str, every_s: float) -> Camera:
    part = site_part(outlines, size)
    bays = {"zones": list(outlines), "every_s": every_s}
    detector = {"model": model, "gate": False}
    return Camera.model_validate({"zones": part["zones"], "bays": bays, "detector": detector})


def _taken(
    recording: Path, camera: Camera, shared: Path, only: frozenset[int] = frozenset()
) -> Iterator[tuple[int, frozenset[str]]]:
    """Number of each frame (of `only`, if any), and the bays that are held for taken from it on."""
    rule = Rule(kind=KIND, settings=BayAvailability.Settings())
    camera = camera.model_copy(update={"rules": [rule]})
    site = Site.model_validate(
        {
            "site": {"name": "lot"},
            "device": "bench",
            "models_dir": shared / "models",
            "cameras": {"lot": camera},
        }
    )
    detector = open_detector(camera.detector, search_path(site.models_dir, {}))
    pipeline = make_pipeline("lot", camera, site, detector)
    taken: frozenset[str] = frozenset()
    for frame in _frames(recording):
        if only and frame.seq not in only:
            continue
        # What stands in a bay is not asked of tracks, so the whole picture needs no inference.
        events = pipeline.step(frame, Detections.none()).events
        taken = _latest(events, taken)
        yield frame.seq, taken


def _latest(events: Iterable[Event], taken: frozenset[str]) -> frozenset[str]:
    for event in events:
        if event.kind == KIND:
            taken = frozenset(event.facts["occupied_bays"])
    return taken


def _frames(recording: Path) -> Iterator[Frame]:
    source = open_recording(recording, "lot")
    try:
        yield from source.frames()
    finally:
        source.close()
