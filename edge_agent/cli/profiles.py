"""`evidence profiles`, and how rules met and missed are shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from edge_agent.cli.words import tables
from edge_agent.errors import ConfigError, UsageError
from edge_agent.evidence import Report
from edge_agent.evidence.profiles import Profile, Verdict, find_profile, shipped_profiles

STYLES = {"met": "green", "missed": "red", "not checkable": "yellow"}


@click.command("profiles", short_help="List what authorities ask of a case.")
@click.argument("names", nargs=-1, metavar="[NAME|FILE]...")
@click.option("--json", "as_json", is_flag=True, help="Print rules as JSON.")
def profiles(names: Sequence[str], as_json: bool) -> None:
    """List what authorities ask of a case, rule by rule, with sources.

    \b
    edge-agent evidence profiles
    edge-agent evidence profiles cn-ga832 mine.yaml

    A site chooses one as `evidence: {profile: cn-ga832}`, or a file of its own that is written as
    the shipped ones are. A case that misses a rule says why and is not evidential.
    """
    chosen = [open_profile(name) for name in names] or list(shipped_profiles().values())
    if as_json:
        told = [profile.model_dump(mode="json", exclude_unset=True) for profile in chosen]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for profile in chosen:
        table = Table("rule", "asks", "source", title=f"{profile.name}: {profile.title}")
        for rule in profile.rules:
            note = " (not checkable from a bundle)" if rule.check == "none" else ""
            table.add_row(rule.id, Text(rule.sentence + note), Text(rule.source))
        tables().print(table)


def open_profile(name: str) -> Profile:
    """The profile that an argument names."""
    try:
        return find_profile(name)
    except ConfigError as error:
        raise UsageError(str(error)) from error


def say_verdicts(report: Report, profile: Profile) -> None:
    """Print which rules of the profile a bundle meets and misses."""
    table = Table("rule", "result", "found", "asks", title=f"{report.path}: {profile.name}")
    for verdict in report.verdicts:
        rule, outcome = verdict.rule, Text(verdict.outcome, STYLES[verdict.outcome])
        asks = Text.assemble(rule.sentence, "\n", (rule.source, "dim"))
        table.add_row(rule.id, outcome, Text(verdict.found), asks)
    console = tables()
    console.print(table)
    open_ones = sum(verdict.outcome == "not checkable" for verdict in report.verdicts)
    missed = ", ".join(verdict.rule.id for verdict in report.missed)
    console.print(Text(f"misses {profile.name}: {missed}" if missed else f"meets {profile.name}"))
    if open_ones:
        console.print(Text(f"{open_ones} of its rules cannot be checked from a bundle: see above"))


def verdicts_as_json(report: Report, profile: Profile) -> dict[str, Any]:
    """The same for machines."""
    return {
        "name": profile.name,
        "met": bool(report.verdicts) and not report.missed,
        "rules": [_as_json(verdict) for verdict in report.verdicts],
    }


def _as_json(verdict: Verdict) -> dict[str, Any]:
    rule = verdict.rule
    return {
        "id": rule.id,
        "source": rule.source,
        "sentence": rule.sentence,
        "outcome": verdict.outcome,
        "found": verdict.found,
        "reasons": list(verdict.reasons),
    }
