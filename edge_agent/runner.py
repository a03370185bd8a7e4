"""Who owns threads and time. `replay` plays recorded footage in lock-step through pipelines."""

from __future__ import annotations

import heapq
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from edge_agent.errors import EdgeError, ModelError, SourceError
from edge_agent.pipeline import NO_SIGNALS, Pipeline
from edge_agent.ports import SignalFeed, Sink, Source
from edge_agent.types import Case, Detections, Frame

log = logging.getLogger(__name__)


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


@dataclass
class Pending:
    """A tick whose inference is under way."""

    tick: Tick
    seen: Future[Detections] | Detections | ModelError | None = field(default=None)

    def detections(self) -> Detections | None:
        if isinstance(self.seen, ModelError):
            raise self.seen
        return self.seen.result() if isinstance(self.seen, Future) else self.seen


def replay(
    lanes: Sequence[Lane],
    sink: Sink,
    workers: int = 2,
    on_frame: Callable[[Frame], None] | None = None,
) -> None:
    """Play all lanes to their ends, merged by wall time; never sleeps, never drops.

    Inference runs ahead on `workers` threads, of which this is one (and one more at least): any
    beyond the cores would only be in the others' way. Everything that remembers runs here, in
    order, so any number of workers gives the same bytes. A damaged recording ends its own lane
    only.
    """
    most, least = 4 * workers, workers + 1
    window: deque[Pending] = deque()
    with ThreadPoolExecutor(max(1, workers - 1), thread_name_prefix="see") as pool:
        try:
            for tick in _merge(lanes):
                if tick.frame is not None and on_frame is not None:
                    on_frame(tick.frame)
                pending = _begin(tick, pool)
                if pending is not None:
                    window.append(pending)
                if len(window) > most:
                    _commit_until(least, window, sink)  # several at once, while caches know how
            _commit_until(0, window, sink)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
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


def _begin(tick: Tick, pool: ThreadPoolExecutor) -> Pending | None:
    """Start what the tick needs, or None when the frame is above the analysed rate."""
    if tick.frame is None:
        return Pending(tick)
    pipeline = tick.lane.pipeline
    admission = pipeline.admit(tick.frame)
    tick.lane.source.rest(pipeline.is_quiet(tick.frame.t_s))
    if admission == "skip":
        return None
    if admission == "hold":
        return Pending(tick)
    tick.lane.inferred += 1
    if pipeline.detector.is_ordered:
        return Pending(tick, pipeline.see(tick.frame))
    return Pending(tick, pool.submit(pipeline.see, tick.frame))


def _commit_until(count: int, window: deque[Pending], sink: Sink) -> None:
    """Decide, oldest first, until so many frames are left."""
    while len(window) > count:
        _await_first(window)
        _commit(window.popleft(), sink)


def _await_first(window: deque[Pending]) -> None:
    """Look at frames that no worker has begun with until the first one has been looked at."""
    first = window[0]
    while isinstance(first.seen, Future) and not first.seen.done():
        free = next((p for p in window if isinstance(p.seen, Future) and p.seen.cancel()), None)
        if free is None or free.tick.frame is None:
            wait([first.seen])
            return
        try:
            free.seen = free.tick.lane.pipeline.see(free.tick.frame)
        except ModelError as error:
            free.seen = error


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
