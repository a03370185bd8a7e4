"""Renders our own scenes, replays them through the product, and writes `docs/gallery.md`.

  make gallery
  PYTHONPATH=tools python -m gallery --only street --keep /tmp/scenes

Needs the extra `render`, EGL, and the network that the scenes name (`edge-agent models pull`).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import cv2
import yaml

from edge_agent.app import Observer, ReplayRequest, cores, load, run_replay
from edge_agent.config import Site
from edge_agent.sources import open_recording
from edge_agent.types import Image
from gallery.draw import annotated
from gallery.filming import film_scene
from gallery.scene import Scene, Shown
from gallery.scenes import SCENES

ROOT = Path(__file__).resolve().parents[2]
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 82]


@click.command(epilog="Example: PYTHONPATH=tools python -m gallery --only people")
@click.option("--docs", type=click.Path(file_okay=False, path_type=Path), default=ROOT / "docs",
              help="Where gallery.md and pictures/gallery lie.")  # fmt: skip
@click.option("--only", multiple=True, type=click.Choice(sorted(SCENES)),
              help="Make the pictures of these scenes anew.")  # fmt: skip
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path),
              help="Keep clips, site files and results here; clips that are there are not rendered "
              "again.")  # fmt: skip
def main(docs: Path, only: Sequence[str], keep: Path | None) -> None:
    """Make the gallery: every rule, shown at work in a scene of our own."""
    pictures = docs / "pictures" / "gallery"
    pictures.mkdir(parents=True, exist_ok=True)
    folder = keep or Path(tempfile.mkdtemp(prefix="gallery-"))
    known = json.loads((pictures / "facts.json").read_text()) if only else {}
    for name in only or SCENES:
        known |= _play(SCENES[name], name, folder / name, pictures)
    (pictures / "facts.json").write_text(
        json.dumps(known, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (docs / "gallery.md").write_text("".join(_page(known)), encoding="utf-8")
    if keep is None:
        shutil.rmtree(folder)


def _play(scene: Scene, name: str, folder: Path, pictures: Path) -> dict[str, Any]:
    """Render, replay and picture one scene; returns what its events say, by kind."""
    folder.mkdir(parents=True, exist_ok=True)
    clip, config = folder / "scene.mp4", folder / "site.yaml"
    if not clip.is_file():
        # Each in a process of its own: OpenGL contexts get into each other's way.
        process = get_context("spawn").Process(target=film_scene, args=(name, clip))
        process.start()
        process.join()
        if process.exitcode != 0:
            raise click.ClickException(f"scene {name}: could not be filmed; see above")
    config.write_text(yaml.safe_dump(scene.site(name), sort_keys=False), encoding="utf-8")
    for file, text in scene.files.items():
        (folder / file).write_text(text, encoding="utf-8")
    if scene.signals:
        lines = "".join(json.dumps(edge) + "\n" for edge in scene.signals)
        (folder / "scene.signals.jsonl").write_text(lines, encoding="utf-8")
    request = ReplayRequest(
        config, folder / "out", [(None, clip)], scene.start, cores(), overwrite=True
    )
    site = load(config)
    envelopes = run_replay(request, Observer(), site).envelopes
    return {shown.kind: _picture(shown, envelopes, clip, (site, pictures)) for shown in scene.shows}


def _picture(
    shown: Shown, envelopes: Sequence[Mapping[str, Any]], clip: Path, where: tuple[Site, Path]
) -> dict[str, Any]:
    site, pictures = where
    told = [e["data"] for e in envelopes if e["type"] == f"edge.{shown.kind}.v1"]
    wanted = [data for data in told if data["phase"] == shown.phase]
    if not wanted:
        said = sorted({str(e["type"]) for e in envelopes})
        raise click.ClickException(f"{clip}: no {shown.kind} ({shown.phase}) among {said}")
    data = wanted[shown.which]
    image = _frame(clip, data["time"]["pts_s"] if shown.at_s is None else shown.at_s)
    label = f"{shown.kind}   {data['time']['pts_s']:.1f} s"
    placed = data if shown.at_s is None else {k: v for k, v in data.items() if k != "object"}
    drawn = annotated(image, placed, next(iter(site.cameras.values())), label)
    file = pictures / f"{shown.kind}.jpg"
    file.write_bytes(cv2.imencode(".jpg", drawn, JPEG)[1].tobytes())
    return {"title": shown.title, "text": shown.text, "facts": _facts(data)}


def _frame(clip: Path, t_s: float) -> Image:
    source = open_recording(clip, "scene")
    try:
        return next(frame.image for frame in source.frames() if frame.t_s >= t_s - 1e-6)
    finally:
        source.close()


def _facts(data: Mapping[str, Any]) -> dict[str, Any]:
    """What the event says beside what every event says."""
    common = {"phase", "evidential", "reasons", "source", "time", "model", "config_sha256"}
    common |= {"software", "privacy", "site", "begin_s", "object", "log"}
    return {key: value for key, value in data.items() if key not in common}


def _page(known: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield (
        "# Gallery\n\nEvery rule at work, in streets of our own (`make gallery` renders them, "
        "replays them through the product and draws what the events say). Rendered scenes show "
        "what a rule does, not how well: that is measured on real footage, in "
        "[results](results.md).\n"
    )
    for kind in sorted(known):
        entry = known[kind]
        facts = json.dumps(entry["facts"], ensure_ascii=False, sort_keys=True)
        yield f"\n## {entry['title']}\n\n`{kind}`: {entry['text']}\n\n"
        yield f"![{entry['title']}](pictures/gallery/{kind}.jpg)\n\n```json\n{facts}\n```\n"


if __name__ == "__main__":
    main()
