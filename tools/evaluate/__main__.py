"""Measures everything on the shared material and writes `docs/results.md` and `docs/results.json`.

  make evaluate
  PYTHONPATH=tools python -m evaluate --only plates --only helmets

A figure that falls is refused unless `--because FIGURE=REASON` says why; the reason is kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from evaluate.figures import Fall, Figure, as_json, falls, load_results, read_figures
from evaluate.page import machine, write_page
from evaluate.sections import SECTIONS, Section

ROOT = Path(__file__).resolve().parents[2]


@click.command(epilog="Example: PYTHONPATH=tools python -m evaluate --only crashes --dry-run")
@click.option("--shared", type=click.Path(exists=True, file_okay=False, path_type=Path),
              default=lambda: os.environ.get("EDGE_AGENT_SHARED", str(ROOT.parent / "shared")),
              show_default="EDGE_AGENT_SHARED, or ../shared",
              help="Folder with the labelled material.")  # fmt: skip
@click.option("--docs", type=click.Path(file_okay=False, path_type=Path), default=ROOT / "docs",
              help="Where results.json and results.md lie.")  # fmt: skip
@click.option("--only", multiple=True, type=click.Choice(list(SECTIONS)),
              help="Measure these sections; the others keep their figures.")  # fmt: skip
@click.option("--because", multiple=True, metavar="FIGURE=REASON",
              help="Why a figure may fall.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Measure and compare; write nothing.")
@click.pass_obj
def main(  # noqa: PLR0913  (click hands over one per option)
    sections: Mapping[str, Section] | None,
    *,
    shared: Path,
    docs: Path,
    only: tuple[str, ...],
    because: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Measure the product on labelled material and compare with what was measured before."""
    sections = sections or SECTIONS
    console = Console(stderr=True)
    os.environ.setdefault("EDGE_AGENT_MODELS", str(shared / "models"))
    before = load_results(docs / "results.json")
    reasons = {**before["reasons"], **_reasons(because)}
    names = only or tuple(sections)
    measured: dict[str, Any] = dict(before.get("sections", {}))
    figures = [f for f in read_figures(before) if f.name.partition(".")[0] not in names]
    for name in names:
        with console.status(f"measuring {name}"):
            measured[name] = sections[name].evaluate(shared)
        fresh = sections[name].figures(measured[name])
        for figure in fresh:
            console.print(f"{figure.name}: {figure.value:.4g}" + _of(figure))
        figures += fresh
    _refuse(list(falls(figures, read_figures(before))), reasons)
    if dry_run:
        return
    results = {
        "machine": machine(ROOT, shared),
        "figures": as_json(figures),
        "reasons": reasons,
        "sections": measured,
    }
    text = json.dumps(results, indent=1, ensure_ascii=False, sort_keys=True)
    (docs / "results.json").write_text(text + "\n", encoding="utf-8")
    write_page(docs / "results.md", load_results(docs / "results.json"))  # in the file's order


def _of(figure: Figure) -> str:
    return "" if figure.of is None else f" (of {figure.of})"


def _reasons(because: Iterable[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in because]
    for name, _, reason in pairs:
        if not name or not reason.strip():
            raise click.BadParameter("write FIGURE=REASON", param_hint="--because")
    return {name: reason for name, _, reason in pairs}


def _refuse(fallen: Iterable[Fall], reasons: Mapping[str, str]) -> None:
    unsaid = [fall for fall in fallen if fall.now.name not in reasons]
    if unsaid:
        listed = "\n".join(f"  {fall}" for fall in unsaid)
        raise click.ClickException(
            f"worse than before, and no reason given:\n{listed}\n"
            "mend it, or say why with --because FIGURE=REASON"
        )


if __name__ == "__main__":
    main()
