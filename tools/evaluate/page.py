"""`docs/results.md`: what was measured, where, with which weights, and what went wrong."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from edge_agent.vision.cards import card_files, read_card, search_path

CAUSES = Path(__file__).with_name("causes.yaml")
LIBRARIES = ("onnxruntime", "opencv-python-headless", "av", "numpy")


def machine(root: Path, shared: Path) -> dict[str, Any]:
    """Where and with what the figures were measured."""
    git = ["git", "-C", str(root)]
    commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True,
                            text=True, check=False).stdout.strip()  # fmt: skip
    paths = search_path(None, os.environ)
    cards = [read_card(path) for path in card_files(paths).values()]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit or "unknown",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "models": {card.name: card.sha256 for card in cards},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write_page(path: Path, results: Mapping[str, Any]) -> None:
    """Write the page from the content of `results.json`."""
    path.write_text("\n".join(_page(results)) + "\n", encoding="utf-8")


def _page(results: Mapping[str, Any]) -> Iterator[str]:
    where = results["machine"]
    libraries = ", ".join(f"{name} {number}" for name, number in where["libraries"].items())
    yield "# Measured results\n"
    yield (
        f"Written by `make evaluate` on {where['date']} at commit `{where['commit']}`, on "
        f"{where['cores']} cores of {where['processor']}, Python {where['python']}, {libraries}. "
        "Nothing here was typed by hand; [speed](speed.md) and [tracking](speed.md#tracking) are "
        "measured by other commands. Every figure is a floor: `make evaluate` and the tests "
        "refuse a lower one unless a reason is given.\n"
    )
    yield "## Figures\n"
    yield from _table(
        ("figure", "value", "of", "better"),
        ((f["name"], f"{f['value']:.4g}", _cell(f["of"]), f["better"]) for f in results["figures"]),
    )
    if results["reasons"]:
        yield "\nFigures that fell, and why:\n"
        yield from (f"- `{name}`: {reason}" for name, reason in results["reasons"].items())
    if "footage" in results["sections"]:
        yield from _footage(results["sections"]["footage"])
    for name, section in results["sections"].items():
        if name != "footage":
            yield f"\n## {name.capitalize()}\n"
            yield from _details(section)
    yield "\n## Weights\n"
    yield from _table(("model", "sha256"), where["models"].items())


def _footage(section: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## All rules on together\n"
    yield (
        f"Every rule for which a view has a place, over {section['clips']} clips "
        f"({section['seconds']:g} s), each replayed twice, on all cores and on one: "
        f"{_listing(section['differ when repeated'], 'no clip')} gave different bytes; "
        f"{_listing(section['damaged'], 'none')} could not be played to its end. What is false "
        "per camera-day is extrapolated from minutes of difficult footage.\n"
    )
    heads = ("type", "true", "reported", "matched", "detected", "false", "time to detect, s",
             "false per camera-day", "unverifiable")  # fmt: skip
    keys = ("true", "reported", "matched", "detection_rate", "false_alarm_rate",
            "mean_time_to_detect_s", "false_per_camera_day", "share_unverifiable")  # fmt: skip
    rows = ((kind, *(_cell(each[key]) for key in keys)) for kind, each in section["types"].items())
    yield from _table(heads, rows)
    for name in ("false", "missed"):
        yield f"\n### {name.capitalize()}, one by one\n"
        rows = ((e["clip"], e["type"], _cell(e["t_s"]), cause(e)) for e in section[name])
        yield from _table(("clip", "type", "at, s", "cause"), rows)


def cause(entry: Mapping[str, Any]) -> str:
    """What a person who looked at the clip found to be the cause."""
    causes: list[dict[str, Any]] = yaml.safe_load(CAUSES.read_text(encoding="utf-8")) or []
    for known in causes:
        is_same = (known["clip"], known["type"]) == (entry["clip"], entry["type"])
        begin_s, end_s = known.get("between_s", (0, 1e9))
        if is_same and begin_s <= entry["t_s"] <= end_s:
            return str(known["cause"])
    return "not looked at yet"


def _details(section: Any) -> Iterator[str]:  # noqa: ANN401
    """Whatever a section tells, as lists and tables."""
    if isinstance(section, Mapping) and _is_grid(section):
        keys = list(dict.fromkeys(key for each in section.values() for key in each))
        rows = ((name, *(_cell(each.get(k)) for k in keys)) for name, each in section.items())
        yield from _table(("", *keys), rows)
    elif isinstance(section, Mapping) and all(isinstance(v, list) for v in section.values()):
        yield from (f"- {name}: {_cell(value)}" for name, value in section.items())
    elif isinstance(section, Mapping):
        plain = {k: v for k, v in section.items() if not isinstance(v, Mapping | list)}
        if plain:
            yield from _table(("what", "value"), ((k, _cell(v)) for k, v in plain.items()))
        for key, value in section.items():
            if isinstance(value, Mapping | list) and value:
                yield f"\n**{key}**\n"
                yield from _details(value)
    elif section and all(isinstance(each, Mapping) for each in section):
        keys = list(dict.fromkeys(key for each in section for key in each))
        yield from _table(keys, ([_cell(each.get(key)) for key in keys] for each in section))
    else:
        yield from (f"- {_cell(each)}" for each in section)


def _is_grid(section: Mapping[str, Any]) -> bool:
    """True for rows that have the same few plain columns."""
    rows = list(section.values())
    if len(rows) < 2 or not all(isinstance(row, Mapping) and row for row in rows):
        return False
    cells = [cell for row in rows for cell in row.values()]
    is_plain = all(not isinstance(cell, Mapping) for cell in cells)
    is_flat = all(not isinstance(c, list) or all(isinstance(i, str) for i in c) for c in cells)
    return is_plain and is_flat and len({key for row in rows for key in row}) <= 10


def _table(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|" + " --- |" * len(heads)
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("|", "/") for cell in row) + " |"


def _cell(value: Any) -> str:  # noqa: ANN401
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value)) or "none"
    return str(value)


def _listing(names: Sequence[str], nothing: str) -> str:
    return ", ".join(names) if names else nothing
