"""`evidence timestamp`: have finished bundles stamped by a time-stamping authority."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from edge_agent import app
from edge_agent.cli.trust import read_pem
from edge_agent.cli.words import FILE
from edge_agent.errors import UsageError
from edge_agent.evidence.verification.timestamp import add_timestamp


@click.command(short_help="Add an authority's word for when bundles were there.")
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--url", metavar="URL", help="Address of the authority (RFC 3161 over HTTP).")
@click.option("--config", type=FILE, help="Site file that names one: evidence: timestamp: url.")
@click.option("--tsa-root", "root", type=FILE, help="PEM that its answers must lead to.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def timestamp(
    files: Sequence[Path], url: str | None, config: Path | None, root: Path | None, as_json: bool
) -> None:
    """Add an authority's word for when bundles were there at the latest.

    \b
    edge-agent evidence timestamp results/evidence/*.evb --url https://tsa.example.org/tsr
    edge-agent evidence timestamp case.evb --config site.yaml --tsa-root tsa.pem

    The authority sees a hash, nothing else. Bundles that are stamped already stay as they are, so
    that the command can be repeated, e.g. by a timer; what fails is told and can be tried again.
    """
    address, pem = url or _address(config), read_pem("--tsa-root", root) if root else None
    done = {str(path): add_timestamp(path, address, pem) for path in files}
    if as_json:
        told = [{"path": path, "stamped": is_new} for path, is_new in done.items()]
        click.echo(json.dumps(told, indent=2))
        return
    for path, is_new in done.items():
        click.echo(f"{'stamped' if is_new else 'was stamped'}  {path}")


def _address(config: Path | None) -> str:
    if config is None:
        raise UsageError("evidence timestamp: name an authority: --url URL, or --config FILE")
    settings = app.load(config).evidence.timestamp
    if settings is None:
        raise UsageError(
            f"{config}: names no authority; add `evidence: {{timestamp: {{url: ...}}}}`"
        )
    return settings.url
