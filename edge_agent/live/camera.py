"""One live camera: what it consists of, and the thread that reads it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

from edge_agent.clock import Clock
from edge_agent.errors import SourceError
from edge_agent.health import CameraVitals
from edge_agent.live.board import Board, Post
from edge_agent.pipeline import Pipeline
from edge_agent.ports import Source
from edge_agent.types import JSON, Frame

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the next try; twice as long every time, within bounds."""

    min_s: float = 1.0
    max_s: float = 60.0


@dataclass
class LiveCamera:
    """One camera, its pipeline, and who is busy with it."""

    name: str
    source: Source
    pipeline: Pipeline
    vitals: CameraVitals = field(default_factory=CameraVitals)
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while the pipeline advances or is asked what it remembers."""
    latest: Frame | None = None
    """The newest one that has been through the rules."""
    memory: JSON = None
    """What its pipeline knew when it was last asked."""
    complaint: str = ""
    """What its pipeline answered instead, when it was last asked in vain."""
    failures: int = 0
    resumes_s: float = 0.0
    """Monotonic time before which a failed pipeline is not tried again."""
    hung: list[str] = field(default_factory=list)
    """Kinds of rules that never came back."""
    is_over: bool = False
    """Its footage has ended for good."""


class Reader(threading.Thread):
    """Keeps one camera connected and puts its frames on the board."""

    def __init__(
        self, camera: LiveCamera, board: Board, clock: Clock, backoff: Backoff = Backoff()
    ) -> None:
        super().__init__(name=f"read-{camera.name}", daemon=True)
        self.camera, self._board = camera, board
        self._clock, self._backoff = clock, backoff
        self.beat_s = clock.monotonic()
        """When it last got something, or nothing."""
        self._closing = threading.Event()
        self._lasted_s = -1.0
        """How long the present connection has delivered; negative before it does."""

    def run(self) -> None:
        backoff_s, told = self._backoff.min_s, ""
        while not self._closing.is_set():
            self._lasted_s = -1.0
            self.beat_s = self._clock.monotonic()
            reason = self._read()
            if self._closing.is_set() or self.camera.is_over:
                return
            self.camera.vitals.lost(reason)
            if self._lasted_s >= backoff_s:
                backoff_s, told = self._backoff.min_s, ""
            if reason != told:  # once, not every minute of a week
                told = reason
                log.warning("camera lost", extra={"camera": self.camera.name, "why": reason})
            self._closing.wait(backoff_s)
            backoff_s = min(2 * backoff_s, self._backoff.max_s)

    def close(self) -> None:
        """Stop reading; returns at once."""
        self._closing.set()
        self.camera.source.close()

    def _read(self) -> str:
        """Read until the link breaks; returns why it did."""
        camera = self.camera
        first_s = None
        try:
            for frame in camera.source.frames():
                if self._closing.is_set():
                    break
                self.beat_s = self._clock.monotonic()
                if first_s is None:
                    first_s = frame.t_s
                    log.info("camera online", extra={"camera": camera.name})
                self._lasted_s = frame.t_s - first_s
                camera.vitals.arrived(frame.t_s)
                pipeline = camera.pipeline
                admission = pipeline.admit(frame)
                if admission != "skip":
                    self._board.put(Post(camera.name, frame, admission))
                camera.source.rest(pipeline.is_quiet(frame.t_s))
        except SourceError as error:
            return str(error)
        except Exception as error:
            log.exception("reader failed", extra={"camera": camera.name})
            return f"reader failed: {error}"
        camera.is_over = not self._closing.is_set()
        camera.vitals.stopped("the footage has ended")
        return "the footage has ended"
