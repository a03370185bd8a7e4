"""`io`: contacts and lamps, for who wires the cabinet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click
from rich.table import Table

from edge_agent.app import load
from edge_agent.cli.words import INTERRUPTED, config_option, tables
from edge_agent.clock import ClockReading, Sync, SystemClock
from edge_agent.config import Site
from edge_agent.errors import UsageError
from edge_agent.signals import WiredCabinet

TICK_S = 0.01
SETTLE_S = 0.1
"""Lamps are believed after that."""


@click.group("io", short_help="Look at the contacts and lamps of the cabinet.")
def io() -> None:
    """Look at the contacts and lamps of the cabinet, and move a contact.

    \b
    edge-agent io show
    edge-agent io pulse ns-call --seconds 3
    edge-agent io watch

    Takes the lines as the service does when it starts: every call on, no alarm. The service must
    not be running: systemctl stop edge-agent.
    """


@io.command()
@config_option
def show(config: Path) -> None:
    """What is wired, and how it is now.

    \b
    edge-agent io show
    edge-agent io show --config site.yaml
    """
    site = load(config)
    with _opened(site) as (cabinet, clock):
        _settle(cabinet, clock, SETTLE_S)
        tables().print(_table(site, cabinet))


@io.command()
@click.argument("name")
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 60),
    default=1.0,
    show_default=True,
    help="For so long.",
)
@config_option
def pulse(name: str, seconds: float, config: Path) -> None:
    """Move a contact for a moment: a call goes off, an alarm on.

    NAME is that of a call (`calls:` of the site file) or of an alarm (an entry of `outputs:` that
    has a line); `edge-agent io show` lists them.

    \b
    edge-agent io pulse ns-call
    edge-agent io pulse ns-call --seconds 3 --config site.yaml
    """
    site = load(config)
    known = [*site.calls, *(n for n, output in site.outputs.items() if output.line is not None)]
    if name not in known:
        raise UsageError(f"there is no contact `{name}`; known: {', '.join(known) or 'none'}")
    is_on = name not in site.calls
    with _opened(site) as (cabinet, clock):
        click.echo(f"{name}: {_word(is_on)} for {seconds:g} s: its relay is energised")
        cabinet.move(name, is_on)
        _hold(cabinet, clock, seconds)
        cabinet.move(name, not is_on)
    click.echo(f"{name}: {_word(not is_on)}: at rest")


@io.command()
@click.option("--seconds", type=click.FloatRange(min=0.1), help="For so long; default: for ever.")
@config_option
def watch(seconds: float | None, config: Path) -> None:
    """Every change of a signal phase, until Ctrl-C.

    \b
    edge-agent io watch
    edge-agent io watch --seconds 60 --config site.yaml

    A line for each: seconds since the command began, the phase, and what its lamps mean now.
    """
    site = load(config)
    if not site.phases:
        raise UsageError(
            f"{config}: no signal is wired: it has no `phases:`; see docs/signal-io.md"
        )
    with _opened(site) as (cabinet, clock):
        begin_s, shown = clock.monotonic(), dict.fromkeys(site.phases, "unknown")
        while seconds is None or clock.monotonic() - begin_s < seconds:
            _settle(cabinet, clock, TICK_S)
            for state in cabinet.states():
                if state.direction == "in" and shown[state.name] != state.state:
                    shown[state.name] = state.state
                    passed_s = clock.monotonic() - begin_s
                    click.echo(f"{passed_s:9.2f} s  {state.name}: {state.state}")


@contextmanager
def _opened(site: Site) -> Iterator[tuple[WiredCabinet, SystemClock]]:
    if site.gpio is None:
        raise UsageError("the site file wires nothing: it has no `gpio:`; see docs/signal-io.md")
    clock = SystemClock()

    def read() -> tuple[datetime, ClockReading]:
        mono_ns = int(clock.monotonic() * 1e9)
        return clock.now(), ClockReading(mono_ns, Sync("none", False, None))

    cabinet = WiredCabinet(site, read)
    try:
        yield cabinet, clock
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    finally:
        cabinet.close()


def _hold(cabinet: WiredCabinet, clock: SystemClock, seconds: float) -> None:
    """Leave every contact as it is."""
    end_s = clock.monotonic() + seconds
    while (left_s := end_s - clock.monotonic()) > 0:
        cabinet.lines.beat(clock.monotonic())
        clock.sleep(min(TICK_S, left_s))


def _settle(cabinet: WiredCabinet, clock: SystemClock, seconds: float) -> None:
    end_s = clock.monotonic() + seconds
    while clock.monotonic() < end_s:
        cabinet.tick(clock.monotonic())
        clock.sleep(TICK_S)


def _table(site: Site, cabinet: WiredCabinet) -> Table:
    table = Table("", "name", "line", "now", "relay at rest means", box=None, pad_edge=False)
    states = {(state.direction, state.name): state.state for state in cabinet.states()}
    for name, call in site.calls.items():
        table.add_row("call", name, _line(call), states["out", name], "call (also without power)")
    for name, output in site.outputs.items():
        if output.line is not None:
            table.add_row("alarm", name, _line(output), states["out", name], "no alarm")
    for name, phase in site.phases.items():
        lines = f"red {phase.red}, amber {phase.amber}, green {phase.green}"
        table.add_row("phase", name, lines, states["in", name], "")
    if site.health_output is not None:
        table.add_row("health", "", _line(site.health_output), "moves with frames", "not well")
    return table


def _line(contact: object) -> str:
    is_low = getattr(contact, "active_low", False)
    return f"{getattr(contact, 'line', '')}{', energised by low' if is_low else ''}"


def _word(is_on: bool) -> str:
    return "on" if is_on else "off"
