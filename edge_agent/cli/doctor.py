"""`doctor`: what a technician runs on site."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table

from edge_agent.cli.words import config_option, tables
from edge_agent.clock import SystemClock
from edge_agent.doctor import Finding, examine

COLOURS = {"pass": "green", "warn": "yellow", "fail": "bold red"}


@click.command(short_help="Look at all that the box needs: cameras, broker, clock, disk.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(config: Path, as_json: bool) -> None:
    """Look at everything that the box needs: cameras, models, broker, clock, disk, temperature.

    \b
    edge-agent doctor
    edge-agent doctor --config site.yaml --json

    Opens every camera, loads every model and connects to the broker. Exit status: 0 when nothing
    failed (warnings may remain), 1 when something has to be done, 78 for a bad site file.
    """
    findings = list(examine(config, SystemClock()))
    counts = Counter(finding.grade for finding in findings)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        tables().print(_table(findings))
        click.echo(f"{counts['pass']} pass, {counts['warn']} warn, {counts['fail']} fail")
    raise click.exceptions.Exit(1 if counts["fail"] else 0)


def _table(findings: list[Finding]) -> Table:
    table = Table("", "looked at", box=None, pad_edge=False)
    for head in ("found", "what to do"):
        table.add_column(head, overflow="fold")  # else a long path would lose its end
    for each in findings:
        grade = f"[{COLOURS[each.grade]}]{each.grade}[/]"
        table.add_row(grade, *(_plain(t) for t in (each.subject, each.found, each.remedy)))
    return table


def _plain(text: str) -> str:
    """Brackets in messages are no markup."""
    return text.replace("[", r"\[")
