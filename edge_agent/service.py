"""The main thread of a running box: its outputs, its watchdog, and what the system asks of it."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path

from edge_agent.appliance import Appliance, load_live
from edge_agent.clock import Clock
from edge_agent.errors import EdgeError
from edge_agent.metrics import served
from edge_agent.notify import Notifier
from edge_agent.reload import adopt
from edge_agent.remote import Remote
from edge_agent.requests import Requests

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
    notifier.ready()
    while not requests.stop.is_set() and not box.daemon.is_over:
        now_s = box.clock.monotonic()
        box.daemon.tick(now_s)
        if interval_s is not None and now_s - fed_s >= interval_s / 4:
            fed_s = now_s
            _feed(box, notifier, now_s)
        remote.tick(now_s)
        asked = requests.next_reload()
        if asked is not None:
            asked.set_result(reload(box, notifier))
        requests.stop.wait(TICK_S)
    notifier.stopping()


def reload(box: Appliance, notifier: Notifier) -> str | None:
    """Take over what has changed in the site file; returns why not, and then all stays."""
    notifier.reloading(int(box.clock.monotonic() * 1e6))
    try:
        adopt(box, load_live(box.config))
    except EdgeError as error:
        log.error("site file refused, the old one stays", extra={"why": str(error)})
        notifier.status(f"site file refused, the old one stays: {error}")
        return str(error)
    finally:
        notifier.ready()
    log.info("site file taken over")
    notifier.status("site file taken over")
    return None


def _feed(box: Appliance, notifier: Notifier, now_s: float) -> None:
    stuck = box.daemon.stuck(now_s)
    if stuck is None:
        notifier.watchdog()
    else:
        log.critical("watchdog not fed", extra={"why": stuck})
        notifier.status(stuck)
