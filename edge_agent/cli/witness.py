"""`edge-agent witness`: the small service that an operator runs beside the broker."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import click

from edge_agent.cli.words import FILE
from edge_agent.clock import SystemClock, utc_text
from edge_agent.config.settings_file import load_settings
from edge_agent.evidence.log import LogKey
from edge_agent.witness import Alarm, Watch, WitnessBook, WitnessService, WitnessSettings

REMEDY = "is no witness file; write its keys: `name:`, `state_dir:`, `mqtt:` and `logs:`"


@click.command(short_help="Cosign the logs of devices, and watch over them.")
@click.option("--config", type=FILE, required=True, help="The witness's file (YAML).")
@click.option("--show-key", is_flag=True, help="Print the witness's verifier key and end.")
def witness(config: Path, show_key: bool) -> None:
    """Cosign the logs of devices, and raise an alarm when one forks, shrinks or falls silent.

    Runs until it is stopped, on a machine of the operator's, never on the box itself. What it
    cosigns proves when a log had which records; so no device can later say otherwise.

    \b
    edge-agent witness --config witness.yaml --show-key
    edge-agent witness --config witness.yaml

    \b
    witness.yaml:
      name: city.example/witness
      state_dir: /var/lib/edge-witness
      mqtt: {host: broker.city.example, port: 8883, tls: {ca: ca.pem}}
      logs:
        - edge/plaza/box-1+3d1c7a52+AeR0...   # as `edge-agent evidence log key` prints it
      silence_s: 300
    """
    settings = load_settings(config, WitnessSettings, "witness file", REMEDY)
    key = LogKey.load_or_create(settings.state_dir)
    book = WitnessBook(settings.state_dir, settings.name, key.private, settings.vkeys)
    if show_key:
        click.echo(str(book.vkey))
        return
    clock = SystemClock()
    watch = Watch(settings.silence_s)
    service = WitnessService(settings.mqtt, book, watch, clock, _say)
    click.echo(f"witness {book.vkey.name}: watching {len(settings.logs)} logs; Ctrl-C ends it")
    service.serve(settings.vkeys, _stop_signal())


def _stop_signal() -> Callable[[], bool]:
    """True once SIGINT or SIGTERM has arrived."""
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _frame: asked.append(got))
    return lambda: bool(asked)


def _say(alarm: Alarm) -> None:
    word = "over " if alarm.is_over else "ALARM"
    now = utc_text(SystemClock().now())
    click.echo(f"{now} {word} {alarm.trouble}: {alarm.origin}: {alarm.text}", err=True)
