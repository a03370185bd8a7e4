"""The main thread of a running box: its outputs, its watchdog, and what the system asks of it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

from edge_agent.appliance import Appliance, load_live
from edge_agent.errors import EdgeError
from edge_agent.notify import Notifier
from edge_agent.reload import adopt

log = logging.getLogger(__name__)

TICK_S = 0.02
"""Contacts and lamps are served this often."""


@dataclass
class Requests:
    """What was asked of the service, by signals or commands, and not done yet."""

    stop: threading.Event = field(default_factory=threading.Event)
    reload: threading.Event = field(default_factory=threading.Event)


def serve(box: Appliance, requests: Requests, notifier: Notifier) -> None:
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
        if requests.reload.is_set():
            requests.reload.clear()
            reload(box, notifier)
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
