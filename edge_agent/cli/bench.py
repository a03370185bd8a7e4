"""`bench`: how much of this machine the product makes use of."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from edge_agent import app
from edge_agent.assembly import model_paths
from edge_agent.bench import Plan, Result, run_bench
from edge_agent.cli.words import FILE, tables
from edge_agent.clock import SystemClock
from edge_agent.demo import CLIP, SITE


@click.command(short_help="Measure frames/s against what the cores could do.")
@click.argument("video", required=False, type=FILE)
@click.option("--config", type=FILE, help="A site file; else a plain one.")
@click.option("--model", help="Model card to use instead of the site's.")
@click.option("--workers", type=click.IntRange(1, 64), help="Inference threads; default: cores.")
@click.option("--frames", type=click.IntRange(10), default=300, show_default=True)
@click.option("--rounds", type=click.IntRange(1, 20), default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print figures as JSON.")
def bench(  # noqa: PLR0913  (click hands over one per option)
    *,
    video: Path | None,
    config: Path | None,
    model: str | None,
    workers: int | None,
    frames: int,
    rounds: int,
    as_json: bool,
) -> None:
    """Measure end-to-end frames/s as a fraction of what the cores could do.

    \b
    edge-agent bench --model yolox_nano
    edge-agent bench street.mp4 --config site.yaml --rounds 5

    \b
    What the rules and looks of a site cost: of the demo's street with every rule there is
    edge-agent bench --config edge_agent/demo/everything.yaml

    The limit counts bare decoding and bare inference on all cores, measured in the same run on
    the same frames; the rest is our own doing. Every frame is inferred, whatever the gate says.

    Stages, rules and closer looks are timed on one thread by the time for which it had a core, so
    that other programs on the machine hardly matter. Closer looks (plates, heads, bays) are further
    inferences, as often a second of the recording as the site file says, and listed apart.
    """
    site = app.load(config or SITE)
    if model:
        site = app.with_model(site, model)
    console = Console(stderr=True)
    with console.status("preparing") as status:
        plan = Plan(site, video or CLIP, model_paths(site), workers or app.cores(), frames, rounds)
        result = run_bench(plan, SystemClock(), status.update)
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=2))
    else:
        tables().print(table_of(result))


def table_of(result: Result) -> Table:
    title = f"{result.video} {result.size[0]}x{result.size[1]}, {result.model}"
    table = Table("what", "figure", title=title, title_justify="left")
    table.columns[1].justify = "right"
    table.add_row("bare decode, all cores busy", f"{result.decode_ms:.2f} ms/frame")
    table.add_row(
        "bare inference, all cores busy", f"{result.infer_ms:.2f} ms/frame", end_section=True
    )
    for name, ms in result.stages_ms.items():
        table.add_row(f"stage: {name}", f"{ms:.2f} ms/frame")
    table.add_section()
    for what, costs_ms, share in (
        ("rules", result.rules_ms, result.rules_share),
        ("closer looks", result.looks_ms, result.looks_share),
    ):
        for name, ms in sorted(costs_ms.items(), key=lambda item: -item[1]):
            table.add_row(f"{what}: {name}", f"{ms:.3f} ms/frame")
        if costs_ms:
            together = f"{sum(costs_ms.values()):.2f} ms/frame, [bold]{share:.1%}[/bold]"
            table.add_row(f"all {what}, of one inference", together, end_section=True)
    table.add_row("limit", f"{result.limit_fps:.1f} frames/s")
    table.add_row(f"end to end, {result.workers} workers", f"{result.fps:.1f} frames/s")
    spread = f"{min(result.fractions):.2f} to {max(result.fractions):.2f}"
    table.add_row("fraction of the limit", f"[bold]{result.fraction:.2f}[/bold] ({spread})")
    table.add_row("the same of CPU time", f"{result.busy_fraction:.2f}", end_section=True)
    table.add_row("start-up until the model is ready", f"{result.start_up_s:.2f} s")
    table.add_row("peak memory", f"{result.peak_mib:.0f} MiB")
    return table
