"""Who owns threads and time. `replay` plays recorded footage in lock-step through pipelines."""

from __future__ import annotations

import heapq
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from edge_agent.errors import EdgeError, ModelError, SourceError
from edge_agent.pipeline import NO_SIGNALS, Pipeline
from edge_agent.ports import Glance, Glancing, SignalFeed, Sink, Source
from edge_agent.types import Case, Detections, Frame

log = logging.getLogger(__name__)

BURST = 6
"""Frames per worker that are on their way at once."""
SPARE = 2
"""Frames for each other worker to look at while this one decides and decodes."""


@dataclass
class Lane:
    """One recording and the pipeline that watches it."""

    source: Source
    pipeline: Pipeline
    signals: SignalFeed | None = None
    """Recorded states of the signal controller, if there are any."""
    frames: int = 0
    inferred: int = 0
    last_s: float = 0.0
    damage: EdgeError | None = None
    """Why the recording ended before its time; what came before it counts."""
    is_over: bool = False
    """Its pipeline has been closed; whatever was read ahead is dropped."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The next thing to do for a lane: a frame, or its end."""

    lane: Lane
    frame: Frame | None
    order: tuple[float, str]


class Whole:
    """The glance of a detector that cannot be had in parts."""

    def __init__(self, pipeline: Pipeline, frame: Frame) -> None:
        self._pipeline, self._frame = pipeline, frame
        self._seen = Detections.none()

    def infer(self) -> None:
        self._seen = self._pipeline.see(self._frame)

    def detections(self) -> Detections:
        return self._seen


@dataclass
class Pending:
    """A tick on its way from the source to the decisions."""

    tick: Tick
    glance: Glance | None = None
    """None where nothing has to be looked at: the end, or nothing has changed."""
    is_seen: bool = False
    damage: ModelError | None = None

    def see(self) -> None:
        """The long part, in any thread."""
        try:
            if self.glance is not None:
                self.glance.infer()
        except ModelError as error:
            self.damage = error
        self.is_seen = True

    def detections(self) -> Detections | None:
        if self.damage is not None:
            raise self.damage
        return self.glance.detections() if self.glance is not None else None


class Crew:
    """The threads that look at frames: the one that decides, and `others` beside it."""

    def __init__(self, others: int) -> None:
        self.others = others
        self._pool = ThreadPoolExecutor(others, thread_name_prefix="see")
        self._todo: deque[Pending] = deque()
        self._helping: list[Future[None]] = []

    def add(self, pending: Pending) -> None:
        self._todo.append(pending)
        for each in [each for each in self._helping if each.done()]:
            each.result()  # raises what it has raised
            self._helping.remove(each)
        if len(self._helping) < self.others:
            self._helping.append(self._pool.submit(self.see))

    def see(self, spare: int = 0) -> None:
        """Look at frames until so many are left for the others."""
        while len(self._todo) > spare:
            try:
                pending = self._todo.popleft()
            except IndexError:  # another thread was faster
                return
            pending.see()

    def finish(self) -> None:
        """Look at all frames that are left, and wait for the others to have done so."""
        self.see()
        wait(self._helping)
        for each in self._helping:
            each.result()

    def close(self) -> None:
        self._todo.clear()
        self._pool.shutdown()


def replay(
    lanes: Sequence[Lane],
    sink: Sink,
    workers: int = 2,
    on_frame: Callable[[Frame], None] | None = None,
) -> None:
    """Play all lanes to their ends, merged by wall time; never sleeps, never drops.

    `workers` threads look at frames, of which this is one (and one more at least): any beyond the
    cores would only be in the others' way. Everything that remembers runs here, in order, so any
    number of workers gives the same bytes. Decoding, looking and deciding are each done for
    several frames in one go, while caches hold what they need: a network leaves nothing in them
    but itself. A damaged recording ends its own lane only.
    """
    crew = Crew(max(1, workers - 1))
    window: deque[Pending] = deque()
    try:
        for tick in _merge(lanes):
            if tick.frame is not None and on_frame is not None:
                on_frame(tick.frame)
            pending = _begin(tick, crew)
            if pending is not None:
                window.append(pending)
            if len(window) >= BURST * workers:
                crew.see(spare=SPARE * crew.others)
                if not window[0].is_seen:
                    crew.finish()
                _commit_seen(window, sink)
        crew.finish()
        _commit_seen(window, sink)
    finally:
        crew.close()
        for lane in lanes:
            lane.source.close()


def _merge(lanes: Sequence[Lane]) -> Iterator[Tick]:
    return heapq.merge(*(_ticks(lane) for lane in lanes), key=lambda tick: tick.order)


def _ticks(lane: Lane) -> Iterator[Tick]:
    order = (0.0, lane.source.camera)
    try:
        for frame in lane.source.frames():
            order = (frame.wall.timestamp(), frame.camera)
            if lane.is_over:
                return
            lane.frames, lane.last_s = lane.frames + 1, frame.t_s
            yield Tick(lane, frame, order)
    except SourceError as error:
        lane.damage = error
        log.warning("recording damaged", extra={"camera": lane.source.camera, "why": str(error)})
    yield Tick(lane, None, order)


def _begin(tick: Tick, crew: Crew) -> Pending | None:
    """Start what the tick needs, or None when the frame is above the analysed rate."""
    if tick.frame is None:
        return Pending(tick, is_seen=True)
    pipeline = tick.lane.pipeline
    admission = pipeline.admit(tick.frame)
    tick.lane.source.rest(pipeline.is_quiet(tick.frame.t_s))
    if admission == "skip":
        return None
    if admission == "hold":
        return Pending(tick, is_seen=True)
    tick.lane.inferred += 1
    pending = Pending(tick, _glance(pipeline, tick.frame))
    if pipeline.detector.is_ordered:
        pending.see()
    else:
        crew.add(pending)
    return pending


def _glance(pipeline: Pipeline, frame: Frame) -> Glance:
    detector = pipeline.detector
    return detector.glance(frame) if isinstance(detector, Glancing) else Whole(pipeline, frame)


def _commit_seen(window: deque[Pending], sink: Sink) -> None:
    """Decide, oldest first, on what has been looked at without a gap."""
    while window and window[0].is_seen:
        _commit(window.popleft(), sink)


def _commit(pending: Pending, sink: Sink) -> None:
    """Decide in order; a lane whose model fails is closed like one whose footage has ended."""
    lane, frame = pending.tick.lane, pending.tick.frame
    if lane.is_over:
        return
    outcome = None
    try:
        seen = pending.detections()
        if frame is not None:
            signals = lane.signals.at(frame.t_s) if lane.signals else NO_SIGNALS
            outcome = lane.pipeline.step(frame, seen, signals)
    except ModelError as error:
        log.error("camera stopped", extra={"camera": lane.source.camera, "why": str(error)})
        lane.damage = error
    if outcome is None:
        lane.is_over = True
        outcome = lane.pipeline.finish()
    for event in outcome.events:
        sink.event(event)
    for case in outcome.cases:
        sink.case(case, clip_of(case, lane.source))


def clip_of(case: Case, source: Source) -> bytes | None:
    """A case without its clip is better than no case."""
    if case.clip_s is None:
        return None
    try:
        return source.clip(*case.clip_s)
    except SourceError as error:
        log.warning("no clip", extra={"camera": source.camera, "why": str(error)})
        return None
