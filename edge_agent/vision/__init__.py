"""Finding and reading things in pictures: networks, the motion model, plates, the model store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_agent.config.models import DetectorSettings
from edge_agent.ports import Detector, Gate
from edge_agent.vision.bays import WindowedBayWatcher, open_bay_watcher
from edge_agent.vision.cards import model_flaw, search_path
from edge_agent.vision.detector import OnnxDetector, open_onnx
from edge_agent.vision.gate import MotionGate
from edge_agent.vision.heads import MosaicHeadFinder, open_head_finder
from edge_agent.vision.labels import STREET
from edge_agent.vision.motion import MotionDetector
from edge_agent.vision.plates import OnnxPlateReader, models_of, open_plate_reader
from edge_agent.vision.redaction import PhotoRedactor, open_redactor

__all__ = [
    "STREET",
    "MosaicHeadFinder",
    "MotionDetector",
    "MotionGate",
    "OnnxDetector",
    "OnnxPlateReader",
    "PhotoRedactor",
    "WindowedBayWatcher",
    "model_flaw",
    "models_of",
    "open_bay_watcher",
    "open_detector",
    "open_gate",
    "open_head_finder",
    "open_plate_reader",
    "open_redactor",
    "search_path",
]


def open_detector(settings: DetectorSettings, paths: Sequence[Path]) -> Detector:
    """The detector that a camera asks for; ModelError names the command that fixes a problem.

    A new one per camera for `motion`, which remembers; networks share their session anyway.
    """
    if settings.model == "motion":
        return MotionDetector(min_score=settings.min_score)
    return open_onnx(settings.model, paths, settings.min_score, settings.provider)


def open_gate() -> Gate:
    """A fresh gate for one camera."""
    return MotionGate()
