"""`evidence verify`, `evidence show` and `score`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from edge_agent.evidence import EXIT_CODES, describe, extract, verify, verify_chain
from edge_agent.score import load_events, load_truth, score_events

FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))


@click.group()
def evidence() -> None:
    """Check and read evidence bundles, without any server.

    \b
    edge-agent evidence verify results/evidence/*.evb
    edge-agent evidence show results/evidence/3f2a….evb
    """
