"""`evidence retain`, `evidence hold` and `evidence release`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import click

from edge_agent import app
from edge_agent.cli.words import FILE, Moment
from edge_agent.clock import SystemClock
from edge_agent.config.lists import rotating_keys
from edge_agent.errors import EvidenceError, UsageError
from edge_agent.evidence.bundle.chain import manifest_bytes
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.custody import holds, retention
from edge_agent.live.timekeeping import FirstToKnow
from edge_agent.text import printable


@click.command(short_help="Delete the bundles of a folder whose time is over.")
@click.argument("folder", type=FILE)
@click.option("--config", required=True, type=FILE, help="The site file with `privacy.retention`.")
@click.option("--now", "moment", type=Moment(), help="Judge by this time, e.g. 2026-05-20.")
@click.option("--clock-trusted", "trusted", is_flag=True, help="You looked: the date is right.")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@click.option("--yes", is_flag=True, help="Delete although it is more than half of everything.")
def retain(  # noqa: PLR0913  (click hands over one per option)
    *, folder: Path, config: Path, moment: datetime | None, trusted: bool, dry_run: bool, yes: bool
) -> None:
    """Delete the bundles of a folder whose time is over; each leaves a signed tombstone.

    \b
    edge-agent evidence retain results/evidence --config site.yaml --dry-run
    edge-agent evidence retain results/evidence --config site.yaml --clock-trusted

    What is on legal hold stays, and so does what cannot be read. Nothing is deleted unless the
    clock is known to be right: it is synchronised, or you say so.
    """
    site = app.load(config)
    policy = site.privacy.policy
    if policy is None:
        raise UsageError(f"{config}: names no `privacy: {{retention: ...}}`: nothing is deleted")
    now = moment or SystemClock().now()
    kept = retention.survey(folder, policy)
    _say_kept(kept, now)
    is_trusted = dry_run or trusted or _is_synchronised()
    found = retention.due(kept, now, is_trusted)
    if dry_run:
        for each in found:
            click.echo(printable(f"due         {each.path}"))
        return
    if not yes:
        retention.refuse_flood(found, kept)
    is_replay = any(each.is_replay for each in found)
    key = app.device_key(site, is_replay)
    for path in retention.delete(found, key, policy, now):
        click.echo(printable(f"deleted     {path.name.partition('.')[0]}; tombstone {path}"))
    click.echo(f"{len(found)} deleted, {len(kept) - len(found)} kept ({policy.name})")
    if site.privacy.rotate_days is not None and is_trusted:
        for name in rotating_keys(site, app.state_dir(site)).destroy(now - policy.keep):
            click.echo(f"destroyed   the key that plates were hashed with from {name} on")


@click.command(short_help="Keep a bundle although its time is over.")
@click.argument("file", type=FILE)
@click.option("--by", required=True, help="Who says so.")
@click.option("--reason", required=True, help="Why, e.g. the number of the proceedings.")
def hold(file: Path, by: str, reason: str) -> None:
    """Keep a bundle although its time is over, until it is released.

    \b
    edge-agent evidence hold results/evidence/3f2a90.evb --by "J. Doe" --reason "court 12 C 34/26"
    """
    _note(file, "hold", by, reason)
    click.echo(printable(f"held      {file}"))


@click.command()
@click.argument("file", type=FILE)
@click.option("--by", required=True, help="Who says so.")
@click.option("--reason", required=True, help="Why.")
def release(file: Path, by: str, reason: str) -> None:
    """End a hold; the bundle is deleted when its time is over.

    \b
    edge-agent evidence release results/evidence/3f2a90.evb --by "J. Doe" --reason "closed"
    """
    _note(file, "release", by, reason)
    click.echo(printable(f"released  {file}"))


def _note(file: Path, action: Literal["hold", "release"], by: str, reason: str) -> None:
    try:
        case = Manifest.from_bytes(manifest_bytes(file)).case.id
    except (OSError, ValueError, EvidenceError) as error:
        raise EvidenceError(f"{file}: is no evidence bundle: {error}") from error
    holds.note(file.resolve().parent, case, action, (SystemClock().now(), by, reason))


def _say_kept(kept: Sequence[retention.Kept], now: datetime) -> None:
    for each in kept:
        if each.until is None:
            click.echo(printable(f"unreadable  {each.path}: kept; look at it"), err=True)
        elif each.is_held and each.until <= now:
            click.echo(printable(f"held        {each.path}"))


def _is_synchronised() -> bool:
    state = FirstToKnow().state()
    return state is not None and state.is_trusted
