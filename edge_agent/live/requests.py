"""What a running box was asked for, by signals or commands, and has not done yet."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

Reload = Future["str | None"]
"""Ends with the reason why the old site file stays; None when the new one was taken over."""


@dataclass
class Requests:
    """Safe to use from signal handlers and threads; the main thread looks after them."""

    stop: threading.Event = field(default_factory=threading.Event)
    reloads: queue.SimpleQueue[Reload] = field(default_factory=queue.SimpleQueue)

    def ask_reload(self) -> Reload:
        """Ask for the site file to be read again."""
        asked: Reload = Future()
        self.reloads.put(asked)
        return asked

    def next_reload(self) -> Reload | None:
        """Who is to be answered next; None when nobody asks."""
        try:
            return self.reloads.get_nowait()
        except queue.Empty:
            return None
