"""What a running box was asked for, by signals or commands, and has not done yet.

A signal's handler interrupts the main thread wherever it is, within the look for what was asked
as well: a lock that both take would never be had. `SimpleQueue.put` alone takes none.
"""

from __future__ import annotations

import queue
from concurrent.futures import Future
from dataclasses import dataclass, field

Reload = Future["str | None"]
"""Ends with the reason why the old site file stays; None when the new one was taken over."""


class StoppedError(Exception):
    """It was asked to stop before it had begun."""


class Flag:
    """`threading.Event` for signal handlers, with one thread that waits."""

    def __init__(self) -> None:
        self._is_set = False
        self._rings: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        """Set it for good."""
        self._is_set = True
        self._rings.put(None)

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout_s: float) -> None:
        """Until it is set, or so long."""
        if not self._is_set:
            try:
                self._rings.get(timeout=timeout_s)
            except queue.Empty:
                return


@dataclass
class Requests:
    """Safe to use from signal handlers and threads; the main thread looks after them."""

    stop: Flag = field(default_factory=Flag)
    reloads: queue.SimpleQueue[Reload] = field(default_factory=queue.SimpleQueue)

    def ask_reload(self) -> Reload:
        """Ask for the site file to be read again."""
        asked: Reload = Future()
        self.reloads.put(asked)
        return asked

    def next_reloads(self) -> list[Reload]:
        """All who are to be answered next; reading the file once serves them all."""
        return [self.reloads.get_nowait() for _ in range(self.reloads.qsize())]
