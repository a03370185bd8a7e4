"""`models`: which networks there are, where their weights lie, and whether they work."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from edge_agent.assembly import model_paths
from edge_agent.cli.words import FILE, program, tables
from edge_agent.clock import SystemClock
from edge_agent.errors import ModelError, UsageError
from edge_agent.vision import store
from edge_agent.vision.cards import cache_dir


@click.group()
def models() -> None:
    """List, download, add and try model weights.

    Weights and cards are looked for in the site's models_dir, in EDGE_AGENT_MODELS (a path list),
    in the product's own models/ and in the user cache, in this order.

    \b
    edge-agent models list
    edge-agent models pull yolox_nano
    edge-agent models add best.onnx --name helmets
    edge-agent models check yolox_nano
    """


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_(as_json: bool) -> None:
    """Show every model card and whether its weights are there.

    \b
    edge-agent models list
    """
    found = store.list_models(model_paths())
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2, default=str))
        return
    table = Table("model", "weights", "licence", "size", "what to do", box=None)
    for each in found:
        command = "" if each.state == "ok" else _remedy(each)
        size = f"{each.bytes / 1e6:.1f} MB" if each.bytes else ""
        table.add_row(each.name, each.state, each.licence, size, command)
    tables().print(table)
    click.echo("motion needs no weights and is always there")


def _remedy(model: store.ModelStatus) -> str:
    """One line; `models check NAME` says it at length."""
    if model.state == "broken card":
        return model.detail
    if model.can_pull:
        return f"{program()} models pull {model.name}"
    return f"cannot be downloaded: {program()} models check {model.name}"


@models.command("pull", short_help="Download weights and verify their SHA-256.")
@click.argument("names", nargs=-1, required=True)
def pull(names: Sequence[str]) -> None:
    """Download weights from where their card says; resumes, and verifies the SHA-256.

    \b
    edge-agent models pull yolox_nano
    """
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    for name in names:
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            path = store.pull(name, model_paths(), cache_dir(), _teller(bar, name))
        click.echo(f"{name}: {path}")


def _teller(bar: Progress, name: str) -> Callable[[int, int | None], None]:
    task = bar.add_task(name, total=None)
    return lambda done, total: bar.update(task, completed=done, total=total)


@models.command("add", short_help="Take in a weight file (ONNX) of your own.")
@click.argument("file", type=FILE)
@click.option("--name", help="Name of the model; default: the file's.")
@click.option("--decoder", help="How its outputs are read, if it does not say so itself.")
@click.option("--classes", metavar="A,B,...", help="Class names in the order of its outputs.")
@click.option("--size", metavar="WIDTHxHEIGHT", help="Input size, if it does not say so itself.")
@click.option("--licence", help="Licence of the weights.")
def add(  # noqa: PLR0913  (click hands over one per option)
    *,
    file: Path,
    name: str | None,
    decoder: str | None,
    classes: str | None,
    size: str | None,
    licence: str | None,
) -> None:
    """Take in a weight file (ONNX) of your own and write its card into the user cache.

    \b
    edge-agent models add best.onnx                          (Ultralytics exports say the rest)
    edge-agent models add net.onnx --decoder yolox --classes person,car --size 416x416
    """
    names = dict(enumerate(part.strip() for part in classes.split(","))) if classes else None
    wanted = store.Added(name, decoder, names, _size(size), licence=licence)
    card = store.add(file, cache_dir(), wanted)
    click.echo(f"added {card.stem}: use it as `model: {card.stem}`; its card is {card}")


@models.command("check")
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def check(names: Sequence[str], as_json: bool) -> None:
    """Verify the weights, open them and look at one grey picture.

    \b
    edge-agent models check yolox_nano
    edge-agent models check                                  (all whose weights are there)
    """
    paths = model_paths()
    chosen = names or [each.name for each in store.list_models(paths) if each.weights]
    if not chosen:
        raise ModelError("no weights are there yet: edge-agent models pull yolox_nano")
    trials = [store.check(name, paths, SystemClock()) for name in chosen]
    if as_json:
        click.echo(json.dumps([asdict(trial) for trial in trials], indent=2, default=str))
        return
    table = Table("model", "input", "prepare", "infer", "decode", "classes", box=None)
    for trial in trials:
        times = (f"{ms:.1f} ms" for ms in (trial.prepare_ms, trial.infer_ms, trial.decode_ms))
        table.add_row(
            trial.name, f"{trial.input[0]}x{trial.input[1]}", *times, ", ".join(trial.classes)
        )
    tables().print(table)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise UsageError(f"--size {text}: write WIDTHxHEIGHT, e.g. 640x640")
    return int(width), int(height)
