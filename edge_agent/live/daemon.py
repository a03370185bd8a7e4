"""The threads of a live box: readers, workers, a writer, and what watches over them.

A reader per camera decodes and lays frames on the board; a few workers look and decide; one
writer makes decisions durable. Nothing downstream ever blocks a camera. Each thread beats; what
hangs is replaced, and when too much hangs `stuck` says so and the watchdog is not fed any more.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

from edge_agent.clock import Clock
from edge_agent.errors import EdgeError
from edge_agent.live.board import Board, Post
from edge_agent.live.camera import Backoff, LiveCamera, Reader
from edge_agent.live.writer import JOIN_S, Writer
from edge_agent.pipeline import Outcome, Pipeline
from edge_agent.ports import Cabinet, Sink, Source
from edge_agent.runner import clip_of
from edge_agent.types import JSON, Case

log = logging.getLogger(__name__)

T = TypeVar("T")

HANG_S = 10.0
"""A frame takes tens of milliseconds; what takes this long never ends."""
MAX_ORPHANS = 3
"""So many threads may hang beside the working ones; more are a case for a new process."""
MAX_FAILURES = 6
"""More in a row make nobody wait any longer."""
DISK_S = 60.0
"""A disk that takes longer for one case is dead."""
READER_S = 300.0
"""One that hears nothing from its camera complains, and tries again, twice as often."""
LAST_S = 0.1
"""What is still busy when everything has been stopped hangs."""
WATCHER = "camera.health"
"""The rule that notices a picture that shows nothing."""


Remake = Callable[[LiveCamera], Pipeline]
"""Makes a camera's pipeline anew, without the rules that hung."""


class Busy(NamedTuple):
    """What a worker does now."""

    camera: LiveCamera
    post: Post
    since_s: float


class Worker(threading.Thread):
    """Looks at frames and decides, one camera at a time."""

    def __init__(self, number: int, daemon: Daemon) -> None:
        super().__init__(name=f"work-{number}", daemon=True)
        self._daemon = daemon
        self.busy_with: Busy | None = None
        self.is_orphaned = False
        self.is_closing = False

    def run(self) -> None:
        board = self._daemon.board
        while not (self.is_closing or self.is_orphaned):
            post = board.take(0.5)
            if post is None:
                continue
            camera = self._daemon.cameras.get(post.camera)
            if camera is not None:
                self.busy_with = Busy(camera, post, self._daemon.clock.monotonic())
                self._serve(camera, post)
                self.busy_with = None
            board.done(post)

    def _serve(self, camera: LiveCamera, post: Post) -> None:
        if self._daemon.clock.monotonic() < camera.resumes_s:
            return
        try:
            with camera.lock:
                outcome = self._advance(camera, post)
                if not self.is_orphaned:
                    self._daemon.commit(camera, post, outcome)
        except Exception as error:
            if not isinstance(error, EdgeError) and str(error) != camera.vitals.failure:
                log.exception("pipeline failed", extra={"camera": camera.name})
            if not self.is_orphaned:
                self._daemon.fail(camera, str(error))

    def _advance(self, camera: LiveCamera, post: Post) -> Outcome:
        pipeline = camera.pipeline
        seen = pipeline.see(post.frame) if post.admission == "see" else None
        phases = self._daemon.cabinet.feed(camera.name).at(post.frame.t_s)
        return pipeline.step(post.frame, seen, phases)


class Daemon:
    """Everything that runs beside the main thread; `tick` is the main thread's part."""

    def __init__(
        self, sink: Sink, cabinet: Cabinet, clock: Clock, workers: int, remake: Remake
    ) -> None:
        self.cameras: dict[str, LiveCamera] = {}
        self.board = Board(self._count_replaced)
        self.clock = clock
        self.cabinet = cabinet
        self.writer = Writer(clock)
        self._sink = sink
        self._remake = remake
        self._readers: dict[str, Reader] = {}
        self._workers = [Worker(number, self) for number in range(workers)]
        self._orphans: list[Worker] = []
        self.hang_s = HANG_S
        self.backoff = Backoff()
        self._patience_s = JOIN_S

    def start(self) -> None:
        """Start the workers and the writer."""
        for thread in (self.writer, *self._workers):
            thread.start()

    def add(self, camera: LiveCamera) -> None:
        """Begin to read a camera."""
        self.cameras[camera.name] = camera
        self._readers[camera.name] = reader = Reader(camera, self.board, self.clock, self.backoff)
        reader.start()

    def remove(self, name: str) -> None:
        """Stop reading a camera and end what was going on before it."""
        reader, camera = self._readers.pop(name), self.cameras.pop(name)
        reader.close()
        reader.join(JOIN_S)  # or it would lay one more frame on the board
        self.board.remove(name)
        self._ask(camera, lambda each: self._put(each.pipeline.leave(), each.source), None)

    def exchange(self, name: str, pipeline: Pipeline) -> None:
        """Let another pipeline go on with what the present one knows."""
        camera = self.cameras[name]
        camera.hung.clear()

        def hand_over(camera: LiveCamera) -> bool:
            self._put(pipeline.adopt(camera.pipeline), camera.source)
            camera.pipeline = pipeline
            return True

        if self._ask(camera, hand_over, False):
            return
        for worker in list(self._workers):  # nobody else judges what hangs, for we are who does
            if worker.busy_with is not None and worker.busy_with.camera is camera:
                self._orphan(worker, worker.busy_with)

    @property
    def is_over(self) -> bool:
        """True when the footage of every camera has ended and has been looked at."""
        return all(camera.is_over for camera in self.cameras.values()) and self.board.is_empty

    def commit(self, camera: LiveCamera, post: Post, outcome: Outcome) -> None:
        """Hand on what a step decided; called by workers, returns at once.

        Under the camera's lock, so that nobody remembers what was not handed on yet.
        """
        self._put(outcome, camera.source)
        now_s = self.clock.monotonic()
        camera.failures = 0
        camera.vitals.decided(now_s - post.frame.t_s, post.admission == "see")
        camera.vitals.rules_off = (*camera.pipeline.rules_off, *camera.hung)
        camera.latest = post.frame
        if outcome.scene is not None:
            self.cabinet.see(outcome.scene)
        self.cabinet.progress(now_s)

    def fail(self, camera: LiveCamera, reason: str) -> None:
        """A camera's pipeline broke: report it, make it anew a little later."""
        if reason != camera.vitals.failure:
            log.error("camera failed", extra={"camera": camera.name, "why": reason})
        camera.failures = min(camera.failures + 1, MAX_FAILURES)
        wait_s = min(self.backoff.min_s * 2.0**camera.failures, self.backoff.max_s)
        camera.resumes_s = self.clock.monotonic() + wait_s
        camera.vitals.failed(reason)
        self.cabinet.fault(camera.name, reason)
        self._remember(camera)
        self._replace(camera)

    def tick(self, now_s: float) -> None:
        """Judge the cameras, drive the outputs, replace what hangs; some 50 times a second."""
        for camera in list(self.cameras.values()):
            self.cabinet.fault(camera.name, _trouble(camera))
        for event in self.cabinet.tick(now_s):
            self.writer.put(partial(self._sink.event, event))
        for worker in list(self._workers):
            busy = worker.busy_with
            if busy is not None and now_s - busy.since_s > self.hang_s:
                self._orphan(worker, busy)

    def stuck(self, now_s: float) -> str | None:
        """What keeps the process from being well enough to go on; None while it is."""
        hanging = sum(orphan.is_alive() for orphan in self._orphans)
        if hanging > MAX_ORPHANS:
            return f"{hanging} workers hang"
        if now_s - self.writer.beat_s > DISK_S:
            return f"nothing was written for {now_s - self.writer.beat_s:.0f} s: is the disk dead?"
        readers = list(self._readers.values())  # the command `selftest` asks as well
        for reader in readers:
            if reader.is_alive() and now_s - reader.beat_s > READER_S:
                return f"{reader.name} hangs"
        threads = (self.writer, *self._workers, *readers)
        over = [reader for reader in readers if reader.camera.is_over]
        dead = [each.name for each in threads if not each.is_alive() and each not in over]
        return f"threads have ended: {', '.join(dead)}" if dead else None

    def stop(self) -> None:
        """End readers and workers; the writer goes on until it is closed."""
        self._patience_s = LAST_S
        for reader in self._readers.values():
            reader.close()
        for worker in self._workers:
            worker.is_closing = True
        end_s = self.clock.monotonic() + JOIN_S
        for thread in (*self._readers.values(), *self._workers):
            thread.join(max(0.0, end_s - self.clock.monotonic()))

    def suspend(self) -> None:
        """Document what has begun, before another process goes on; for after `stop`."""
        for camera in self.cameras.values():
            self._ask(camera, lambda each: self._put(each.pipeline.suspend(), each.source), None)

    def remember(self) -> dict[str, JSON]:
        """What every camera's pipeline knows that another process needs to go on.

        What is put to the writer after this comes after everything that led to it. Of one that
        hangs, what it knew when it was last asked.
        """
        for camera in list(self.cameras.values()):
            self._remember(camera)
        known = {name: camera.memory for name, camera in list(self.cameras.items())}
        return {name: memory for name, memory in known.items() if memory is not None}

    def _remember(self, camera: LiveCamera) -> None:
        camera.memory = self._ask(camera, lambda each: each.pipeline.remember(), camera.memory)

    def _ask(self, camera: LiveCamera, ask: Callable[[LiveCamera], T], otherwise: T) -> T:
        """What a camera's pipeline answers, unless it hangs or fails."""
        lock = camera.lock
        if not lock.acquire(timeout=self._patience_s):
            return otherwise
        try:
            return ask(camera)
        except Exception as error:
            if str(error) != camera.complaint:  # once, not every few seconds of a week
                camera.complaint = str(error)
                log.exception("pipeline failed", extra={"camera": camera.name})
            return otherwise
        finally:
            lock.release()

    def _put(self, outcome: Outcome, source: Source) -> None:
        """One job each: what the disk takes only later must not hold a whole picture."""
        for event in outcome.events:
            self.writer.put(partial(self._sink.event, event))
        for case in outcome.cases:
            self.writer.put(partial(self._file, case, source))

    def _file(self, case: Case, source: Source) -> None:
        self._sink.case(case, clip_of(case, source))

    def _count_replaced(self, name: str) -> None:
        if name in self.cameras:
            self.cameras[name].vitals.replaced()

    def _orphan(self, worker: Worker, busy: Busy) -> None:
        """Leave a hanging thread to itself: a new one takes its place, and its camera goes on."""
        camera, rule = busy.camera, busy.camera.pipeline.asking
        log.error("worker hangs", extra={"camera": camera.name, "rule": rule})
        worker.is_orphaned = True
        self._orphans = [*(each for each in self._orphans if each.is_alive()), worker]
        self._workers.remove(worker)
        camera.lock = threading.Lock()
        if rule is not None:
            camera.hung.append(rule)
        self._replace(camera)
        self.board.done(busy.post)
        fresh = Worker(len(self._workers) + len(self._orphans), self)
        self._workers.append(fresh)
        fresh.start()

    def _replace(self, camera: LiveCamera) -> None:
        try:
            fresh = self._remake(camera)
            if camera.memory is not None:
                fresh.recall(camera.memory, lambda t_s: t_s)
            camera.pipeline = fresh
        except Exception as error:
            unforeseen = None if isinstance(error, EdgeError) else error
            facts = {"camera": camera.name, "why": str(error)}
            log.error("camera stopped", extra=facts, exc_info=unforeseen)
            camera.resumes_s = self.clock.monotonic() + self.backoff.max_s


def _trouble(camera: LiveCamera) -> str | None:
    """Why a camera cannot vouch for an empty zone; None while it can.

    How old its latest picture may be is for the cabinet to say, which knows how often they come.
    """
    health = camera.vitals
    if health.state != "online":
        return health.reason or health.state
    if health.failure is not None:
        return health.failure
    if WATCHER in health.rules_off:
        return f"the rule {WATCHER} is off"
    if camera.pipeline.doubts:
        return camera.pipeline.doubts[0]
    return camera.pipeline.suspicion
