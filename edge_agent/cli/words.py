"""What several commands take and say."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from edge_agent.errors import UsageError
from edge_agent.sources.start import FIRST_YEAR, LAST_YEAR

WIDTH = 120
"""Columns of a table that goes into a file or a pipe, where nobody says how wide it may be."""

INTERRUPTED = 130
"""Exit status: 128 + SIGINT, as shells expect."""

FILE = click.Path(path_type=Path, readable=False)
"""A path that is judged where it is opened, in words that say what to do."""

INSTALLED = Path("/etc/edge-agent/site.yaml")

config_option = click.option(
    "--config", type=FILE, default=INSTALLED, show_default=True, help="The site file."
)
"""For what is asked of an installed box."""


def tables() -> Console:
    """Where tables are printed: as wide as the terminal, or `WIDTH`."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def program() -> str:
    """How this command line was called, so that what it suggests can be pasted."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m edge_agent"
    found = shutil.which(called.name)
    return called.name if found and Path(found).resolve() == called.resolve() else str(called)


class Moment(click.ParamType[datetime]):
    """A moment such as `2026-05-13T09:49:12Z`; without a zone it is UTC."""

    name = "moment"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time; write 2026-05-13T09:49:12Z", param, ctx)
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            self.fail(f"{value!r} is not between {FIRST_YEAR} and {LAST_YEAR}", param, ctx)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def split_cameras(values: Sequence[str], option: str) -> list[tuple[str | None, Path]]:
    """`NAME=FILE` pairs; a bare FILE belongs to the site's only camera."""
    pairs: list[tuple[str | None, Path]] = []
    for value in values:
        name, equals, path = value.partition("=")
        if equals and not (name and path):
            raise UsageError(f"{option} {value}: write NAME=FILE, e.g. {option} north=street.mp4")
        pairs.append((name, Path(path)) if equals else (None, Path(value)))
    return pairs
