"""From the gate's eye to the source's rest: which scenes are quiet, and always the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from edge_agent.config import Evidence, TrackerSettings
from edge_agent.evidence import CaseCollector
from edge_agent.pipeline import QUIET_S, Pipeline
from edge_agent.ports import Source
from edge_agent.runner import Lane, replay
from edge_agent.sources import VideoSource
from edge_agent.tracking import Tracker
from edge_agent.types import ArrayPicture, Case, Detections, Event, Frame, Image, ModelInfo
from edge_agent.vision import MotionGate

FPS, GOP = 10, 10
BEGINS, ENDS = 63, 80
"""Pictures in which something is in view."""


def _pictures() -> Iterator[Image]:
    noise = np.random.default_rng(0)
    scene = np.kron(noise.integers(60, 200, (15, 20, 3)), np.ones((8, 8, 1)))
    for number in range(130):
        image = scene + noise.normal(0, 1.5, scene.shape)
        if BEGINS <= number < ENDS:
            left = 5 * (number - BEGINS)
            image[40:100, left : left + 60] = (30, 30, 220)
        yield image.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def scene(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = {"g": str(GOP), "keyint_min": str(GOP), "sc_threshold": "0", "tune": "zerolatency"}
    path = tmp_path_factory.mktemp("scene") / "scene.mp4"
    return make_video(path, _pictures(), fps=FPS, options=options)


def _tracker() -> Tracker:
    return Tracker(TrackerSettings(), high_score=0.5)


class Blind:
    """A detector that notes what it is asked to look at."""

    model = ModelInfo("blind", None)
    is_ordered = False
    min_score = 0.5
    names: tuple[str, ...] = ("car",)

    def __init__(self) -> None:
        self.asked: list[int] = []

    def detect(self, frame: Frame) -> Detections:
        self.asked.append(round(frame.t_s * FPS))
        return Detections.none(self.names)


class Nothing:
    """Stores no events."""

    def event(self, event: Event) -> None:
        raise AssertionError("no event expected")

    def case(self, case: Case, clip: bytes | None) -> None:
        raise AssertionError("no case expected")


def _played(path: Path, may_rest: bool, workers: int) -> tuple[list[int], list[int]]:
    """The pictures that were decoded and those that were looked at."""
    source: Source = VideoSource(path, "c")
    detector, decoded = Blind(), list[int]()
    pipeline = Pipeline(
        detector, _tracker(), [], CaseCollector(Evidence()), gate=MotionGate(), may_rest=may_rest
    )
    lane = Lane(source, pipeline)
    replay([lane], Nothing(), workers, lambda frame: decoded.append(round(frame.t_s * FPS)))
    return decoded, sorted(detector.asked)


def test_a_quiet_scene_is_decoded_sparingly_and_a_passage_whole(scene: Path) -> None:
    decoded, asked = _played(scene, True, 1)
    assert len(decoded) < 100
    assert set(range(BEGINS - BEGINS % GOP, ENDS + 1)) <= set(decoded)
    everything, asked_awake = _played(scene, False, 1)
    assert everything == list(range(130))
    assert {n for n in asked_awake if BEGINS <= n < ENDS} <= set(asked)


def test_any_number_of_workers_rests_at_the_same_pictures(scene: Path) -> None:
    assert _played(scene, True, 1) == _played(scene, True, 3)


def test_the_gate_tells_since_when_nothing_has_changed() -> None:
    gate = MotionGate()
    pipeline = Pipeline(
        Blind(), _tracker(), [], CaseCollector(Evidence()), gate=gate, may_rest=True
    )
    still, other = (ArrayPicture(np.full((120, 160, 3), level, np.uint8)) for level in (90, 160))
    for number in range(60):
        picture = other if number == 5 else still
        t_s = number / FPS
        pipeline.admit(Frame("c", number, t_s, datetime(2026, 5, 13, tzinfo=UTC), picture))
        assert pipeline.is_quiet(t_s) == (number >= 6 + QUIET_S * FPS)
    assert gate.changed_s == 0.6
    pipeline.may_rest = False
    assert not pipeline.is_quiet(100.0)
