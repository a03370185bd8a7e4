"""What this machine could do and what we make of it, measured in the same run.

The limit is what the cores could do if they only decoded and inferred:
`cores / (bare decode + bare inference, seconds per frame)`, both measured on all cores at once,
on the same frames and weights, before and after each run of the product. Everything else that
happens to a frame is our overhead. On a machine that others use as well, the same fraction of CPU
time is the steadier figure.

What its parts cost is measured on one thread, by the time for which that thread had a core: other
programs on the machine slow all of it down a little, but do not count.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import av

from edge_agent.assembly import Detectors, make_pipeline
from edge_agent.clock import Clock
from edge_agent.config import Site
from edge_agent.errors import UsageError
from edge_agent.pipeline import Pipeline
from edge_agent.ports import Tracker
from edge_agent.runner import Lane, replay
from edge_agent.sources import open_recording
from edge_agent.types import Case, Detections, Event, Frame, Track
from edge_agent.vision import OnnxDetector


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
    """Figures of one bench; times in ms per frame unless named otherwise.

    `decode_ms`, `infer_ms` and rates are wall time, on all cores; the rest is time on a core.
    """

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
    fractions: list[float]
    """Of each round."""
    busy_fraction: float
    """The same of CPU time: bare decode and inference over what a frame takes of the cores."""
    stages_ms: dict[str, float]
    rules_ms: dict[str, float]
    """Each kind of rule, as part of the stage `rules`."""
    rules_share: float
    """All rules together, over one inference."""
    looks_ms: dict[str, float]
    """Each closer look, as part of the stage `rules`: further networks, so and so often a second
    of the recording."""
    looks_share: float
    start_up_s: float
    peak_mib: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Stopwatch:
    """Adds up the calling thread's time between `start` and `lap` by name."""

    clock: Clock
    totals: dict[str, float] = field(default_factory=dict)
    _at: float = 0.0

    def start(self) -> None:
        self._at = self.clock.busy()

    def lap(self, name: str) -> None:
        now = self.clock.busy()
        self.add(name, now - self._at)
        self._at = now

    def add(self, name: str, spent_s: float) -> None:
        self.totals[name] = self.totals.get(name, 0.0) + spent_s

    def per_frame(self, frames: int) -> dict[str, float]:
        """ms of each name."""
        return {name: 1e3 * total / max(frames, 1) for name, total in self.totals.items()}


class Silence:
    """A sink that forgets."""

    def event(self, event: Event) -> None:
        pass

    def case(self, case: Case, clip: bytes | None) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Bare:
    """What nobody can do without, seconds per frame on one of all cores that are busy with it."""

    decode_s: float
    infer_s: float
    busy_s: float
    """CPU time of both."""

    @property
    def both_s(self) -> float:
        return self.decode_s + self.infer_s


@dataclass(frozen=True, slots=True)
class Lap:
    """One run of the product, and the bare work before and after it."""

    before: Bare
    after: Bare
    wall_s: float
    """Per frame."""
    busy_s: float

    @property
    def limit_fps(self) -> float:
        return 2 * cores() / (self.before.both_s + self.after.both_s)

    @property
    def fraction(self) -> float:
        return 1 / (self.wall_s * self.limit_fps)

    @property
    def busy_fraction(self) -> float:
        return (self.before.busy_s + self.after.busy_s) / 2 / self.busy_s


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


class Rounds:
    """Measures limit and product in turn, as often as asked."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self._plan, self._clock = plan, clock
        self.camera, self._settings = next(iter(plan.site.cameras.items()))
        detector = Detectors(plan.paths).get(self._settings.detector)
        if not isinstance(detector, OnnxDetector):
            raise UsageError("bench needs a network to compare with: pass --model, e.g. yolox_nano")
        self.detector = detector
        frames = _frames(plan, self.camera)
        self.size = frames[0].width, frames[0].height
        self._blobs = [detector.prepare(frame)[0].copy() for frame in frames]
        self._last = self._bare()

    def pipeline(self) -> Pipeline:
        return make_pipeline(self.camera, self._settings, self._plan.site, self.detector)

    def lap(self, is_gated: bool = False) -> Lap:
        """One run of the product; its limit is measured just before and just after it.

        The limit knows no gate; with one, the product may pass it.
        """
        pipeline = self.pipeline()
        gate = pipeline.gate if is_gated else None
        _ungated(pipeline).gate = gate
        lane = Lane(_Short(self._plan, self.camera), pipeline)
        begin, busy = self._clock.monotonic(), _cpu_s()
        replay([lane], Silence(), self._plan.workers)
        wall_s, busy_s = self._clock.monotonic() - begin, _cpu_s() - busy
        before, self._last = self._last, self._bare()
        count = max(lane.frames, 1)
        return Lap(before, self._last, wall_s / count, busy_s / count)

    def _bare(self) -> Bare:
        busy = _cpu_s()
        decode_s, count = _on_all_cores(self._decode, self._clock)
        infer_s, _ = _on_all_cores(lambda: self._infer(count), self._clock)
        return Bare(decode_s, infer_s, (_cpu_s() - busy) / (cores() * count))

    def _decode(self) -> int:
        with av.open(str(self._plan.video)) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            return sum(1 for _ in islice(container.decode(stream), self._plan.frames))

    def _infer(self, count: int) -> int:
        for index in range(count):
            self.detector.infer(self._blobs[index % len(self._blobs)])
        return count


def run_bench(plan: Plan, clock: Clock, on_step: Callable[[str], None]) -> Result:
    """Measure limit and end-to-end rate in turn, `plan.rounds` times; medians count."""
    on_step("start-up and warm-up")
    start_up_s = _start_up(plan, clock)
    rounds, laps = Rounds(plan, clock), []
    for i in range(plan.rounds):
        on_step(f"round {i + 1} of {plan.rounds}")
        laps.append(rounds.lap())
    on_step("stages")
    return Result(
        video=plan.video.name,
        size=rounds.size,
        model=rounds.detector.model.name,
        cores=cores(),
        workers=plan.workers,
        frames=plan.frames,
        decode_ms=1e3 * statistics.median(lap.after.decode_s for lap in laps),
        infer_ms=1e3 * statistics.median(lap.after.infer_s for lap in laps),
        limit_fps=statistics.median(lap.limit_fps for lap in laps),
        fps=statistics.median(1 / lap.wall_s for lap in laps),
        fraction=statistics.median(lap.fraction for lap in laps),
        fractions=[lap.fraction for lap in laps],
        busy_fraction=statistics.median(lap.busy_fraction for lap in laps),
        **_costs(plan, rounds, clock),
        start_up_s=start_up_s,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


class _Short:
    """The first frames of a recording."""

    def __init__(self, plan: Plan, camera: str) -> None:
        self._inner = open_recording(plan.video, camera)
        self._count = plan.frames
        self.camera, self.live = camera, False
        self.media, self.duration_s = self._inner.media, self._inner.duration_s

    def frames(self) -> Iterator[Frame]:
        return islice(self._inner.frames(), self._count)

    def clip(self, start_s: float, end_s: float) -> bytes | None:
        return self._inner.clip(start_s, end_s)

    def rest(self, is_resting: bool) -> None:
        self._inner.rest(is_resting)

    def close(self) -> None:
        self._inner.close()


class Timed:
    """Anything of a pipeline whose calls are added up under one name."""

    def __init__(self, inner: Any, name: str, watch: Stopwatch) -> None:  # noqa: ANN401
        self._inner, self._name, self._watch = inner, name, watch

    def __getattr__(self, attribute: str) -> Any:  # noqa: ANN401
        found = getattr(self._inner, attribute)
        if not callable(found):
            return found

        def timed(*args: object) -> object:
            begin = self._watch.clock.busy()
            result = found(*args)
            # Rules may answer with a generator, which does its work when it is read.
            result = tuple(result) if isinstance(result, Iterator) else result
            self._watch.add(self._name, self._watch.clock.busy() - begin)
            return result

        return timed


class _TimedTracker:
    """A tracker that says when it is done, so that its time can be told from the rules'."""

    def __init__(self, inner: Tracker, watch: Stopwatch) -> None:
        self._inner, self._watch = inner, watch

    def update(self, detections: Detections, frame: Frame) -> tuple[Track, ...]:
        tracks = self._inner.update(detections, frame)
        self._watch.lap("track")
        return tracks

    def hold(self, frame: Frame) -> tuple[Track, ...]:
        return self._inner.hold(frame)

    def ended(self) -> tuple[Track, ...]:
        return self._inner.ended()


def _ungated(pipeline: Pipeline) -> Pipeline:
    """Every frame is inferred: the limit knows no gate either."""
    pipeline.gate, pipeline.min_interval_s = None, 0.0
    return pipeline


def _frames(plan: Plan, camera: str) -> Sequence[Frame]:
    source = _Short(plan, camera)
    frames = list(islice(source.frames(), 24))
    source.close()
    return frames


def _on_all_cores(work: Callable[[], int], clock: Clock) -> tuple[float, int]:
    """Seconds per item while every core does the same work, and how many items each one did."""
    with ThreadPoolExecutor(cores()) as pool:
        begin = clock.monotonic()
        counts = [each.result() for each in [pool.submit(work) for _ in range(cores())]]
        return (clock.monotonic() - begin) * cores() / sum(counts), counts[0]


def _cpu_s() -> float:
    """CPU time of this process so far, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _costs(plan: Plan, rounds: Rounds, clock: Clock) -> dict[str, Any]:
    """The part of the result that tells what one frame costs on one thread."""
    watch, rules, looks = Stopwatch(clock), Stopwatch(clock), Stopwatch(clock)
    pipeline, detector = rounds.pipeline(), rounds.detector
    gate = pipeline.gate
    _ungated(pipeline)
    _time_parts(pipeline, rules, looks)
    pipeline.tracker = _TimedTracker(pipeline.tracker, watch)
    source = _Short(plan, rounds.camera)
    frames, count = iter(source.frames()), 0
    watch.start()
    while (frame := next(frames, None)) is not None:
        watch.lap("decode")
        if gate is not None:  # asked, because rules share the small picture that it makes
            gate.is_open(frame)
            watch.lap("gate")
        blob, geometry = detector.prepare(frame)
        watch.lap("prepare")
        outputs = detector.infer(blob)
        watch.lap("infer")
        seen = detector.decode(outputs, geometry)
        watch.lap("decode outputs")
        pipeline.step(frame, seen)
        watch.lap("rules")
        count += 1
    source.close()
    stages_ms, rules_ms, looks_ms = (each.per_frame(count) for each in (watch, rules, looks))
    return {
        "stages_ms": stages_ms,
        "rules_ms": rules_ms,
        "rules_share": sum(rules_ms.values()) / stages_ms["infer"],
        "looks_ms": looks_ms,
        "looks_share": sum(looks_ms.values()) / stages_ms["infer"],
    }


def _time_parts(pipeline: Pipeline, rules: Stopwatch, looks: Stopwatch) -> None:
    for slot in pipeline.rules:
        slot.analyzer = Timed(slot.analyzer, slot.kind, rules)
    if pipeline.plates is not None:
        pipeline.plates = Timed(pipeline.plates, "plates", looks)
    if pipeline.heads is not None:
        pipeline.heads = Timed(pipeline.heads, "heads", looks)
    if pipeline.bays is not None:
        pipeline.bays = Timed(pipeline.bays, "bays", looks)


def _start_up(plan: Plan, clock: Clock) -> float:
    """Seconds from nothing to a model that is ready, in a fresh interpreter."""
    model = next(iter(plan.site.cameras.values())).detector.model
    code = (
        "import sys; from pathlib import Path; from edge_agent.assembly import Detectors;"
        "from edge_agent.config import DetectorSettings;"
        "Detectors([Path(p) for p in sys.argv[2:]]).get(DetectorSettings(model=sys.argv[1]))"
    )
    begin = clock.monotonic()
    command = [sys.executable, "-c", code, model, *map(str, plan.paths)]
    subprocess.run(command, check=True, capture_output=True)
    return clock.monotonic() - begin
