"""What this machine could do and what we make of it, measured in the same run.

The limit is what the cores could do if they only decoded and inferred:
`cores / (bare decode + bare inference, seconds per frame)`, both measured on all cores at once,
on the same frames and weights. Everything else that happens to a frame is our overhead.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import av

from edge_agent.app import Detectors, make_pipeline
from edge_agent.clock import Clock
from edge_agent.config import Site
from edge_agent.errors import UsageError
from edge_agent.pipeline import Pipeline
from edge_agent.ports import Tracker
from edge_agent.runner import Lane, replay
from edge_agent.sources import open_recording
from edge_agent.types import Case, Detections, Event, Frame, Scene, Track
from edge_agent.vision import OnnxDetector

WARM_UP = 5
"""Inferences before the first that counts."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    site: Site
    video: Path
    paths: list[Path]
    workers: int
    frames: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Result:
    """Figures of one bench; times in ms per frame unless named otherwise."""

    video: str
    size: tuple[int, int]
    model: str
    cores: int
    workers: int
    frames: int
    decode_ms: float
    infer_ms: float
    limit_fps: float
    fps: float
    fraction: float
    """End-to-end frames/s over the limit; the figure to watch."""
    stages_ms: dict[str, float]
    start_up_s: float
    peak_mib: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Stopwatch:
    """Adds up the time between `start` and `lap` by name."""

    clock: Clock
    totals: dict[str, float] = field(default_factory=dict)
    _at: float = 0.0

    def start(self) -> None:
        self._at = self.clock.monotonic()

    def lap(self, name: str) -> None:
        now = self.clock.monotonic()
        self.totals[name] = self.totals.get(name, 0.0) + now - self._at
        self._at = now


class Silence:
    """A sink that forgets."""

    def event(self, event: Event) -> None:
        pass

    def case(self, case: Case, clip: bytes | None) -> None:
        pass


def run_bench(plan: Plan, clock: Clock, on_step: Callable[[str], None]) -> Result:
    """Measure limit and end-to-end rate in turn, `plan.rounds` times; medians count."""
    name, camera = next(iter(plan.site.cameras.items()))
    detector = Detectors(plan.paths).get(camera.detector)
    if not isinstance(detector, OnnxDetector):
        raise UsageError("bench needs a network to compare with: pass --model, e.g. yolox_nano")
    start_up_s = _start_up(plan, clock)
    with_frames = _frames(plan, name)
    size = with_frames[0].width, with_frames[0].height
    decode, infer, total = [], [], []
    for i in range(plan.rounds):
        on_step(f"round {i + 1} of {plan.rounds}")
        decode.append(_decode_s(plan, clock))
        infer.append(_infer_s(detector, with_frames, clock))
        pipeline = _ungated(make_pipeline(name, camera, plan.site, detector))
        total.append(_replay_s(plan, pipeline, name, clock))
    on_step("stages")
    pipeline = _ungated(make_pipeline(name, camera, plan.site, detector))
    stages = _stages(plan, pipeline, detector, name, clock)
    cores = len(os.sched_getaffinity(0))
    limit = statistics.median(cores / (d + i) for d, i in zip(decode, infer, strict=True))
    pairs = zip(decode, infer, total, strict=True)
    return Result(
        video=plan.video.name,
        size=size,
        model=detector.model.name,
        cores=cores,
        workers=plan.workers,
        frames=plan.frames,
        decode_ms=1e3 * statistics.median(decode),
        infer_ms=1e3 * statistics.median(infer),
        limit_fps=limit,
        fps=statistics.median(1 / t for t in total),
        fraction=statistics.median((d + i) / (cores * t) for d, i, t in pairs),
        stages_ms=stages,
        start_up_s=start_up_s,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )
