"""`run`: the daemon."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import click

from edge_agent.app import cores
from edge_agent.cli.words import config_option
from edge_agent.clock import SystemClock
from edge_agent.live.logbook import FieldFormatter, JournalHandler
from edge_agent.live.machine import share_heaps
from edge_agent.live.notify import Notifier
from edge_agent.live.requests import Requests
from edge_agent.live.service import run as serve


@click.command()
@config_option
@click.option("--workers", type=click.IntRange(1, 64), help="Inference threads; default: cores.")
def run(config: Path, workers: int | None) -> None:
    """Watch live cameras until stopped: the daemon.

    SIGTERM and Ctrl-C end it within ten seconds with nothing lost. SIGHUP takes over a changed
    site file without losing what is going on; if something is wrong with it, the old one stays.

    \b
    edge-agent check --config site.yaml
    edge-agent run --config site.yaml
    """
    share_heaps()
    requests = Requests()
    for number, ask in (
        (signal.SIGTERM, requests.stop.set),
        (signal.SIGINT, requests.stop.set),
        (signal.SIGHUP, requests.ask_reload),
    ):
        signal.signal(number, _on_signal(ask))
    root = logging.getLogger()
    root.setLevel(min(root.level, logging.INFO))  # a service says what it does
    for handler in root.handlers:
        if not isinstance(handler, JournalHandler):  # which knows the time itself
            handler.setFormatter(FieldFormatter("%(asctime)s %(levelname)s %(message)s"))
    notifier = Notifier.from_environment(os.environ)
    serve(config, workers or cores(), requests, notifier, SystemClock())


def _on_signal(ask: Callable[[], object]) -> Callable[[int, FrameType | None], None]:
    def act(_number: int, _frame: FrameType | None) -> None:
        ask()

    return act
