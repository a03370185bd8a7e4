"""`check`: everything that can be wrong before the box is left alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from edge_agent.app import check_site, is_live, load
from edge_agent.cli.words import FILE, config_option, split_cameras
from edge_agent.live.site_file import live_flaws


@click.command(short_help="Check a site file, and draw its zones onto a picture.")
@config_option
@click.option(
    "--still", "stills", multiple=True, metavar="NAME=PICTURE", help="Draw zones onto this."
)
@click.option("--out", type=FILE, default=Path(), help="Folder for drawn pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def check(config: Path, stills: Sequence[str], out: Path, as_json: bool) -> None:
    """Validate a site file: every value, every model, and the zones drawn onto a picture.

    \b
    edge-agent check --config site.yaml
    edge-agent check --config site.yaml --still north=street.mp4 --out drawn/

    A still is a picture, or a video of which the first frame is taken. With one camera the name
    may be left out. Every mistake is listed at once, by line; exit status 78.
    """
    site = load(config)
    known = live_flaws(site) if is_live(site) else ()
    answer = check_site(site, config, split_cameras(stills, "--still"), out, known)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    for name, camera in answer["cameras"].items():
        worth = " (never evidential)" if camera["model"] == "motion" else ""
        rules = ", ".join(camera["rules"]) or "no rules"
        click.echo(f"camera {name}: model {camera['model']}{worth}; {rules}")
        for missed in camera["misses"]:
            click.echo(f"  no case will be evidential: reads no {missed}")
        for silent in camera["unfed"]:
            click.echo(f"  {silent}")
        for drawn in camera["drawn"]:
            click.echo(f"  zones drawn: {drawn}")
    click.echo(f"{config}: good")
