"""The newest frame of every camera, for whichever worker is free.

Live footage cannot wait: what no worker has taken is replaced by what is newer. A free worker
gets the camera that has been served least recently, so that a busy scene starves no quiet one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from edge_agent.types import Frame


@dataclass(frozen=True, slots=True, eq=False)
class Post:
    """A frame and whether it is worth an inference."""

    camera: str
    frame: Frame
    admission: Literal["hold", "see"]


@dataclass
class _Place:
    post: Post | None = None
    taken: Post | None = None
    """What a worker is busy with."""
    served: int = 0
    """Number of the turn in which a worker last took it; the lowest has waited longest."""


@dataclass
class Board:
    """Safe to use from any number of threads; a camera is with one worker at a time."""

    on_replaced: Callable[[str], None] = lambda camera: None
    """Called with the camera whose frame was worth a look and was not taken in time."""
    _places: dict[str, _Place] = field(default_factory=dict, init=False)
    _changed: threading.Condition = field(default_factory=threading.Condition, init=False)
    _turn: int = field(default=0, init=False)

    def put(self, post: Post) -> None:
        """Lay down the camera's newest frame; never waits."""
        with self._changed:
            place = self._places.setdefault(post.camera, _Place())
            old, place.post = place.post, post
            if old is not None and old.admission == "see":
                # What the gate saw change then has still changed.
                place.post = replace(post, admission="see")
                self.on_replaced(post.camera)
            if place.taken is None:
                self._changed.notify()

    def take(self, timeout_s: float) -> Post | None:
        """The frame of the camera that has waited longest; None when there is none by then.

        The camera is the caller's alone until it is `done` with the frame.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._next() is not None, timeout_s)
            place = self._next()
            if place is None:
                return None
            place.taken, place.post = place.post, None
            self._turn += 1
            place.served = self._turn
            return place.taken

    def done(self, post: Post) -> None:
        """The frame has been dealt with; whoever says so late frees nobody else's camera."""
        with self._changed:
            place = self._places.get(post.camera)
            if place is not None and place.taken is post:
                place.taken = None
                if place.post is not None:
                    self._changed.notify()

    def remove(self, camera: str) -> None:
        """Forget a camera and what it left."""
        with self._changed:
            self._places.pop(camera, None)

    @property
    def is_empty(self) -> bool:
        """True when every frame has been taken and dealt with."""
        with self._changed:
            return not any(place.post or place.taken for place in self._places.values())

    def _next(self) -> _Place | None:
        ready = (p for p in self._places.values() if p.post is not None and p.taken is None)
        return min(ready, key=lambda place: place.served, default=None)
