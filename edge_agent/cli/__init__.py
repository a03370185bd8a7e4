"""The command line: parsing, calling `app`, and saying what came of it."""

from __future__ import annotations

import logging
import os
import signal
import sys

import click

from edge_agent import __version__
from edge_agent.cli.bench import bench
from edge_agent.cli.doctor import doctor
from edge_agent.cli.evidence import evidence, score
from edge_agent.cli.io import io
from edge_agent.cli.key import key
from edge_agent.cli.models import models
from edge_agent.cli.plates import plates
from edge_agent.cli.replay import demo, replay
from edge_agent.cli.run import run
from edge_agent.cli.site import check
from edge_agent.cli.witness import witness
from edge_agent.cli.words import INTERRUPTED
from edge_agent.errors import EdgeError
from edge_agent.live.logbook import open_logbook


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="edge-agent")
@click.option("-v", "--verbose", count=True, help="Log what happens inside (-vv: everything).")
def cli(verbose: int) -> None:
    """Turn cameras into evidence.

    \b
    Try it:           edge-agent demo
    Your footage:     edge-agent replay street.mp4 --config site.yaml --out results
    Is it genuine?    edge-agent evidence verify results/evidence/*.evb

    Exit status: 0 success, 1 done but the answer is no, 2 wrong usage, 69 no network,
    78 bad configuration.
    """
    level = (logging.ERROR, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    open_logbook(level, os.environ)


COMMANDS = (
    run,
    replay,
    demo,
    check,
    doctor,
    io,
    score,
    evidence,
    models,
    plates,
    key,
    bench,
    witness,
)
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Run a command; a user's mistake is one message and an exit status, never a stack trace."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as cleanly as Ctrl-C
    try:
        sys.exit(cli.main(standalone_mode=False))
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except EdgeError as error:
        click.echo(f"edge-agent: {error}", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("edge-agent: interrupted; what was decided so far is kept", err=True)
        sys.exit(INTERRUPTED)
    except OSError as error:  # of the output: files are read and written where errors are named
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the rest would fail again on exit
        click.echo(f"edge-agent: {error.filename or 'the output'}: {error.strerror}", err=True)
        sys.exit(1)
