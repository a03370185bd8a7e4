"""Threads that do what others ask for and do not wait for."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from edge_agent.clock import Clock
from edge_agent.errors import EdgeError

log = logging.getLogger(__name__)

T = TypeVar("T")

CHORES_S = 0.5
JOIN_S = 2.0


class Writer(threading.Thread):
    """Does what touches the disk, in the order in which it was asked for, and chores in between."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(name="write", daemon=True)
        self._clock = clock
        self.chores: Callable[[float], None] = lambda now_s: None
        """Called with the monotonic time every `CHORES_S` or so, between two jobs."""
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.beat_s = clock.monotonic()

    def put(self, job: Callable[[], None]) -> None:
        """Ask for a job; never waits."""
        self._jobs.put(job)

    def close(self, timeout_s: float) -> bool:
        """Do what was asked for so far, then end; False when that takes too long."""
        self._jobs.put(None)
        self.join(timeout_s)
        return not self.is_alive()

    @property
    def waiting(self) -> int:
        """Jobs that have not been done."""
        return self._jobs.qsize()

    def run(self) -> None:
        due_s = self._clock.monotonic()
        while True:
            self.beat_s = now_s = self._clock.monotonic()
            if now_s >= due_s:
                due_s = now_s + CHORES_S
                self._do(lambda: self.chores(self.beat_s))
            try:
                job = self._jobs.get(timeout=CHORES_S)
            except queue.Empty:
                continue
            if job is None:
                return
            self._do(job)

    def _do(self, job: Callable[[], None]) -> None:
        try:
            job()
        except EdgeError as error:
            log.error("not written", extra={"why": str(error)})
        except Exception:
            log.exception("writer failed")


class Repeater(threading.Thread):
    """Does something now and then that takes its time and that nobody waits for."""

    def __init__(self, name: str, every_s: float, action: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._every_s, self._action = every_s, action
        self._closing = threading.Event()

    def run(self) -> None:
        told = ""
        while not self._closing.is_set():
            try:
                self._action()
                told = ""
            except Exception as error:
                if str(error) != told:  # once, not every time of a week
                    told = str(error)
                    log.exception("chore failed", extra={"chore": self.name})
            self._closing.wait(self._every_s)

    def close(self, timeout_s: float = JOIN_S) -> None:
        """Do it no more; returns once it is not being done, or after so long."""
        self._closing.set()
        self.join(timeout_s)


def aside(name: str, action: Callable[[], T]) -> Future[T]:
    """Do something in a thread of its own, which not even the end of the process waits for."""
    ending: Future[T] = Future()

    def act() -> None:
        try:
            ending.set_result(action())
        except Exception as error:  # noqa: BLE001  (whoever asked is told)
            ending.set_exception(error)

    threading.Thread(target=act, name=name, daemon=True).start()
    return ending
