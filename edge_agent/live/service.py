"""The main thread of a running box: its outputs, its watchdog, and what the system asks of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from edge_agent.clock import Clock
from edge_agent.errors import EdgeError
from edge_agent.live.appliance import Appliance, load_live
from edge_agent.live.metrics import served
from edge_agent.live.notify import Notifier
from edge_agent.live.reload import prepared
from edge_agent.live.remote import LOOK_S, Remote
from edge_agent.live.requests import Reload, Requests
from edge_agent.live.writer import Repeater

log = logging.getLogger(__name__)

TICK_S = 0.02
"""Contacts and lamps are served this often."""


def run(config: Path, workers: int, requests: Requests, notifier: Notifier, clock: Clock) -> None:
    """Be the daemon of a site file, until asked to stop."""
    box = Appliance(config, clock, workers)
    remote = Remote(box, requests)
    box.on_uplink = remote.join
    with ExitStack() as stack:
        stack.enter_context(box.running())
        if box.site.metrics is not None:
            stack.enter_context(served(box.site.metrics, box.snapshot))
        serve(box, requests, notifier, remote)


def serve(box: Appliance, requests: Requests, notifier: Notifier, remote: Remote) -> None:
    """Watch over a running box until it is to stop, or its recordings have ended."""
    interval_s = notifier.watchdog_interval_s
    fed_s = 0.0
    reloading = Reloading(box, notifier)
    telling = Repeater("tell", LOOK_S, remote.tell)
    telling.start()
    notifier.ready()
    log.info("running", extra={"cameras": len(box.site.cameras), "data": str(box.folder.path)})
    while not requests.stop.is_set() and not box.daemon.is_over:
        now_s = box.clock.monotonic()
        box.daemon.tick(now_s)
        if interval_s is not None and now_s - fed_s >= interval_s / 4:
            fed_s = now_s
            _feed(box, notifier, now_s)
        reloading.tick(requests)
        requests.stop.wait(TICK_S)
    notifier.stopping()
    log.info("stopping")
    reloading.close()
    telling.close()


class Reloading:
    """Reads a changed site file beside the main thread, which goes on driving the outputs."""

    def __init__(self, box: Appliance, notifier: Notifier) -> None:
        self._box, self._notifier = box, notifier
        self._preparing: tuple[Reload, Future[Callable[[], None]]] | None = None
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="reload")

    def tick(self, requests: Requests) -> None:
        """Begin what was asked for; end what is ready."""
        if self._preparing is None:
            asked = requests.next_reload()
            if asked is not None:
                self._notifier.reloading(int(self._box.clock.monotonic() * 1e6))
                self._preparing = asked, self._helper.submit(self._prepare)
        elif self._preparing[1].done():
            asked, ready = self._preparing
            self._preparing = None
            asked.set_result(self._end(ready))

    def close(self) -> None:
        """Whoever still waits is told that nothing was changed."""
        self._helper.shutdown(wait=False, cancel_futures=True)
        if self._preparing is not None:
            self._preparing[0].set_result("the service is being stopped")

    def _prepare(self) -> Callable[[], None]:
        return prepared(self._box, load_live(self._box.config))

    def _end(self, ready: Future[Callable[[], None]]) -> str | None:
        """Exchange the old for the new; returns why not, and then all stays."""
        why_not = None
        try:
            ready.result()()
        except EdgeError as error:
            why_not = str(error)
            log.error("site file refused, the old one stays", extra={"why": why_not})
        else:
            log.info("site file taken over", extra={"path": str(self._box.config)})
        refused = f"site file refused, the old one stays: {why_not}"
        self._notifier.status("site file taken over" if why_not is None else refused)
        self._notifier.ready()
        return why_not


def _feed(box: Appliance, notifier: Notifier, now_s: float) -> None:
    stuck = box.daemon.stuck(now_s) or (box.uplink.stuck(now_s) if box.uplink else None)
    if stuck is None:
        notifier.watchdog()
    else:
        log.critical("watchdog not fed", extra={"why": stuck})
        notifier.status(stuck)
