"""`replay` and `demo`: recorded footage in, events and evidence out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from edge_agent.app import Observer, ReplayRequest, cores, run_replay
from edge_agent.cli.words import FILE, Moment, program, split_cameras
from edge_agent.config import Mqtt
from edge_agent.demo import Shown, run_demo
from edge_agent.errors import UsageError
from edge_agent.report import START_FROM
from edge_agent.results import CaseVerdict, ReplayResult, conclude, summary
from edge_agent.runner import Lane
from edge_agent.types import Frame


class ProgressBar(Observer):
    """A bar over the seconds of all recordings; silent where nobody is looking."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} s"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._seen: dict[str, float] = {}
        self.on_lanes, self.on_frame = self._start, self._advance

    def _start(self, lanes: Sequence[Lane]) -> None:
        durations = [lane.source.duration_s for lane in lanes]
        total = sum(d for d in durations if d is not None) or None
        self._task = self._bar.add_task("replaying", total=total)
        self._bar.start()

    def _advance(self, frame: Frame) -> None:
        self._seen[frame.camera] = frame.t_s
        self._bar.update(self._task, completed=sum(self._seen.values()))

    def stop(self) -> None:
        self._bar.stop()


@click.command(short_help="Play recorded footage instead of cameras.")
@click.argument("videos", nargs=-1, type=FILE)
@click.option("--config", required=True, type=FILE, help="The site file.")
@click.option("--out", required=True, type=FILE, help="Folder for results.")
@click.option("--camera", "cameras", multiple=True, metavar="NAME=VIDEO", help="Bind by name.")
@click.option("--start", type=Moment(), help="Wall clock of the first frame (UTC).")
@click.option("--workers", type=click.IntRange(1, 64), help="Inference threads; default: cores.")
@click.option("--publish", is_flag=True, help="Also deliver to the site's broker.")
@click.option("--overwrite", is_flag=True, help="Replace what an earlier replay left in --out.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def replay(  # noqa: PLR0913  (click hands over one per option)
    *,
    videos: Sequence[Path],
    config: Path,
    out: Path,
    cameras: Sequence[str],
    start: datetime | None,
    workers: int | None,
    publish: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Play recorded footage instead of cameras: faster than real time, the same bytes every time.

    \b
    edge-agent replay street.mp4 --config site.yaml --out results
    edge-agent replay --camera north=n.mp4 --camera south=s.mp4 --config site.yaml --out results
    edge-agent replay stills/ --config site.yaml --out results --start 2026-05-13T09:49:12Z

    Writes events.jsonl, evidence/*.evb and report.html. An interrupted replay resumes when the
    same command is given again. Exit status 1: the footage was damaged, or not everything was
    delivered.
    """
    bound = [(None, path) for path in videos] + split_cameras(cameras, "--camera")
    request = ReplayRequest(config, out, bound, start, workers or cores(), publish, overwrite)
    console = Console(stderr=True)
    bar = ProgressBar(console)
    try:
        result = run_replay(request, bar)
    finally:
        bar.stop()
    verdicts = conclude(result)
    _say(result, verdicts, as_json)
    if result.is_damaged or result.undelivered or any(not v.is_valid for v in verdicts):
        raise click.exceptions.Exit(1)


def _say(result: ReplayResult, verdicts: Sequence[CaseVerdict], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(summary(result, verdicts), indent=2))
        return
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    if result.is_resumed:
        click.echo("resumed an interrupted replay", err=True)
    for kind, count in sorted(Counter(each["type"] for each in result.envelopes).items()):
        click.echo(f"{count:6d}  {kind}")
    zone = ZoneInfo(result.site.site.timezone)
    for lane in result.lanes:
        media = lane.source.media
        began = f"{media.start.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone.key}"
        click.echo(f"begins    {began} ({START_FROM[media.start_from]})  {media.name}")
    click.echo(f"events    {result.folder.events}")
    for verdict in verdicts:
        click.echo(f"evidence  {verdict.path}  {verdict.text}")
    click.echo(f"report    {result.folder.report}")


@click.command(short_help="Show the product at work on footage that ships with it.")
@click.option("--out", type=FILE, default=Path("edge-agent-demo"), show_default=True)
@click.option("--broker", metavar="HOST[:PORT]", help="Your own broker instead of a built-in one.")
def demo(out: Path, broker: str | None) -> None:
    """Run the main job on footage that ships with the product, evidence and broker included.

    \b
    edge-agent demo
    edge-agent demo --out /tmp/demo --broker 192.168.1.10

    A car parks where it must not; the box documents it in four photos, signs the case and sends
    it to a broker. Replaces what an earlier demo left in --out.
    """
    bar = ProgressBar(Console(stderr=True))
    try:
        shown = run_demo(out, _broker(broker), bar)
    finally:
        bar.stop()
    _show(shown)


def _show(shown: Shown) -> None:
    click.echo(f"A subscriber at {shown.broker} received:")
    for topic, count in sorted(Counter(topic for topic, _ in shown.messages).items()):
        click.echo(f"{count:5d}  {topic}")
    for case in shown.cases:
        click.echo(f"\nEvidence  {case.path}")
        click.echo(f"  verified: {case.text}")
        for item in case.manifest["media"]:
            what = "clip" if item["role"] == "clip" else f"{item['width']}x{item['height']}"
            at_s = item.get("pts_s", item.get("begin_s"))
            click.echo(f"  {item['role']:6s} at {at_s:5.1f} s  {what:9s}  {item['path']}")
        root = shown.result.certificate
        click.echo(f"\nCheck it yourself:  {program()} evidence verify {case.path} --root {root}")
        click.echo(f"See what it says:   {program()} evidence show {case.path}")
    click.echo(f"Look at it:         {shown.result.folder.report}")


def _broker(text: str | None) -> Mqtt | None:
    if text is None:
        return None
    host, _, port = text.partition(":")
    if not host or (port and not (port.isdecimal() and 0 < int(port) < 65536)):
        raise UsageError(f"--broker {text}: write HOST or HOST:PORT, e.g. localhost:1883")
    return Mqtt(host=host, port=int(port or 1883))
