"""The main thread of a running box: its outputs, its watchdog, and what the system asks of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path

from edge_agent.clock import Clock
from edge_agent.errors import EdgeError
from edge_agent.live.appliance import Appliance
from edge_agent.live.metrics import served
from edge_agent.live.notify import Notifier
from edge_agent.live.reload import prepared
from edge_agent.live.remote import LOOK_S, Remote
from edge_agent.live.requests import Reload, Requests, StoppedError
from edge_agent.live.site_file import load_live
from edge_agent.live.writer import Repeater, aside

log = logging.getLogger(__name__)

TICK_S = 0.02
"""Contacts and lamps are served this often."""


def run(config: Path, workers: int, requests: Requests, notifier: Notifier, clock: Clock) -> None:
    """Be the daemon of a site file, until asked to stop."""
    box = Appliance(config, clock, workers)
    remote = Remote(box, requests)
    box.on_uplink = remote.join
    with ExitStack() as stack:
        try:
            stack.enter_context(box.running(requests.stop))
        except StoppedError:
            log.info("stopped before it had begun")
            return
        if box.site.metrics is not None:
            stack.enter_context(served(box.site.metrics, box.snapshot))
        serve(box, requests, notifier, remote)


def serve(box: Appliance, requests: Requests, notifier: Notifier, remote: Remote) -> None:
    """Watch over a running box until it is to stop, or its recordings have ended."""
    box.beat = Heart(box, notifier).beat
    reloading = Reloading(box, notifier)
    telling = Repeater("tell", LOOK_S, remote.tell)
    telling.start()
    notifier.ready()
    log.info("running", extra={"cameras": len(box.site.cameras), "data": str(box.folder.path)})
    while not requests.stop.is_set() and not box.daemon.is_over:
        box.beat(box.clock.monotonic())
        reloading.tick(requests)
        requests.stop.wait(TICK_S)
    notifier.stopping()
    log.info("stopping")
    reloading.close()
    telling.close()
    remote.close()


class Heart:
    """Drives the outputs and feeds the watchdog while the main thread makes progress."""

    def __init__(self, box: Appliance, notifier: Notifier) -> None:
        self._box, self._notifier = box, notifier
        self._fed_s = 0.0

    def beat(self, now_s: float) -> None:
        """To be called some 50 times a second."""
        self._box.daemon.tick(now_s)
        interval_s = self._notifier.watchdog_interval_s
        if interval_s is not None and now_s - self._fed_s >= interval_s / 4:
            self._fed_s = now_s
            self._feed(now_s)

    def _feed(self, now_s: float) -> None:
        stuck = self._box.stuck(now_s)
        if stuck is None:
            self._notifier.watchdog()
        else:
            log.critical("watchdog not fed", extra={"why": stuck})
            self._notifier.status(stuck)


class Reloading:
    """Reads a changed site file beside the main thread, which goes on driving the outputs."""

    def __init__(self, box: Appliance, notifier: Notifier) -> None:
        self._box, self._notifier = box, notifier
        self._asked: list[Reload] = []
        self._ready: Future[Callable[[], None]] | None = None

    def tick(self, requests: Requests) -> None:
        """Begin what was asked for; end what is ready."""
        if self._ready is None:
            self._asked = requests.next_reloads()
            if self._asked:
                self._notifier.reloading(int(self._box.clock.monotonic() * 1e6))
                self._ready = aside("reload", self._prepare)
        elif self._ready.done():
            ready, self._ready = self._ready, None
            why_not = self._end(ready)
            self._answer(why_not)

    def close(self) -> None:
        """Whoever still waits is told that nothing was changed."""
        self._answer("the service is being stopped")

    def _answer(self, why_not: str | None) -> None:
        for asked in self._asked:
            asked.set_result(why_not)
        self._asked = []

    def _prepare(self) -> Callable[[], None]:
        return prepared(self._box, load_live(self._box.config))

    def _end(self, ready: Future[Callable[[], None]]) -> str | None:
        """Exchange the old for the new; returns why not, and then all stays."""
        error = ready.exception()
        if error is None:
            try:
                ready.result()()
            except EdgeError as refusal:
                error = refusal
        if error is None:
            log.info("site file taken over", extra={"path": str(self._box.config)})
            self._notifier.status("site file taken over")
        else:
            unforeseen = None if isinstance(error, EdgeError) else error
            text = "site file refused, the old one stays"
            log.error(text, extra={"why": str(error)}, exc_info=unforeseen)
            self._notifier.status(f"{text}: {error}")
        self._box.forget_models()
        self._notifier.ready()
        return None if error is None else str(error) or type(error).__name__
