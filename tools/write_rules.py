#!/usr/bin/env python3
"""Writes `docs/rules.md`: every rule, what the site file may say for it, and an example.

  python tools/write_rules.py

All of it comes from the settings themselves: types and limits from their fields, the meaning from
the docstring below a field, examples from `edge_agent/demo/everything.yaml`.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from edge_agent.analyzers import ANALYZERS
from edge_agent.types import VEHICLES

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "rules.md"
EVERYTHING = ROOT / "edge_agent" / "demo" / "everything.yaml"
ELSEWHERE = {
    "access.granted": "{kind: access.granted, zone: lane, lists: [staff], output: barrier}",
}
"""Examples of rules that the demo's street has nothing for."""

MEANT = {
    "zone": "Name of one of the camera's `zones`.",
    "line": "Name of one of the camera's `lines`.",
    "classes": "What it is about; see [classes](#classes).",
    "dwell_s": "It is reported after so long.",
    "update_s": "While it goes on, it is told again so often.",
    "confirm_s": "So long must every look show a change before it counts; when absent, two looks.",
    "min_reads": "So many reads of the plate must agree.",
}
"""Settings that mean the same in every rule; a docstring of their own goes before."""
UNITS = {"_s": "seconds", "_kmh": "km/h", "_deg": "degrees", "_per_m2": "per m²"}
LIMITS = {
    "exclusiveMinimum": "above",
    "minimum": "from",
    "exclusiveMaximum": "below",
    "maximum": "to",
}

INTRO = """\
# Rules and their settings

Written by `tools/write_rules.py` from the program itself. A rule stands under `rules:` of a camera,
as `kind` and its settings; a setting without a default must be given. Zones, lines and arrows
(`directions`) are drawn in the camera's own part of the site file: see
[`everything.yaml`](../edge_agent/demo/everything.yaml) for all of it in one place. A camera may
have a rule several times, e.g. for different zones.

*Begin*, *update* and *end* are the phases of an event; a *suspect* is only photographed, and nobody
hears of it. Rules about bays, plates and heads want `bays`, `plates` or `heads` of the camera, too.

`edge-agent check --config site.yaml` names every setting that is unknown, missing or out of range,
with its line. What the events say is in [mqtt.md](mqtt.md).
"""


def page() -> str:
    """The whole document."""
    contents = ", ".join(f"[`{kind}`](#{_anchor(kind)})" for kind in ANALYZERS)
    parts = [INTRO, *textwrap.wrap(contents, 100, break_long_words=False), ""]
    nested: dict[str, type[BaseModel]] = {}
    for kind, registered in ANALYZERS.items():
        parts += [f"## {kind}", "", _told(registered.make, kind), ""]
        parts += ["```yaml", f"- {example(kind)}", "```", "", *_table(registered.settings), ""]
        nested |= _nested(registered.settings)
    for name, settings in sorted(nested.items()):
        parts += [f"## {name}", "", _told(settings, name), "", *_table(settings), ""]
    classes = ", ".join(f"`{name}`" for name in sorted(VEHICLES - {"vehicle"}))
    parts += ["## Classes", "", "Names of the model's classes: `edge-agent models check NAME`."]
    parts += [f"`vehicle` stands for {classes} and whatever a model calls a vehicle."]
    return "\n".join(parts) + "\n"


def example(kind: str) -> str:
    """One rule as YAML, on one line."""
    found = re.search(
        rf"^ +- (\{{kind: {re.escape(kind)}[,}}].*|kind: {re.escape(kind)}$)",
        EVERYTHING.read_text("utf-8"),
        re.MULTILINE,
    )
    if found is None and kind not in ELSEWHERE:
        raise SystemExit(f"{EVERYTHING.name}: has no `- {{kind: {kind}, ...}}` to be the example")
    return found[1] if found else ELSEWHERE[kind]


def _table(settings: type[BaseModel]) -> Iterator[str]:
    schema = settings.model_json_schema()
    meanings = _meanings(settings)
    yield "| setting | what it may be | default | what it does |"
    yield "|---|---|---|---|"
    for name, field in settings.model_fields.items():
        key = field.alias or name
        meaning = meanings.get(name) or MEANT.get(name)
        if meaning is None:
            raise SystemExit(f"{settings.__qualname__}.{name}: nothing says what it does")
        facts = schema["properties"][key]
        default = "**needed**" if field.is_required() else _default(facts.get("default"))
        yield f"| `{key}` | {_kind(key, facts)} | {default} | {meaning} |"


def _kind(key: str, facts: Mapping[str, Any]) -> str:
    """A field's JSON schema in plain words, e.g. `seconds, above 0 to 86400`."""
    facts = next((each for each in facts.get("anyOf", ()) if each.get("type") != "null"), facts)
    if "$ref" in facts:
        return _link(facts["$ref"])
    if "enum" in facts:
        return " or ".join(f"`{each}`" for each in facts["enum"])
    if facts["type"] == "array":
        return f"list of {_kind(key, facts['items'])}"
    if facts["type"] == "boolean":
        return "`true` or `false`"
    if facts["type"] == "string":
        return "time" if facts.get("format") == "time" else "text"
    what = next((unit for end, unit in UNITS.items() if key.endswith(end)), None)
    what = what or ("whole number" if facts["type"] == "integer" else "number")
    limits = [f"{word} {facts[name]:,}" for name, word in LIMITS.items() if name in facts]
    return f"{what}, {' '.join(limits)}" if limits else what


def _default(value: object) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _meanings(settings: type[BaseModel]) -> dict[str, str]:
    """The docstring below each field; a class's own go before those that it inherits."""
    found: dict[str, str] = {}
    for base in reversed(settings.__mro__):
        if issubclass(base, BaseModel) and base.model_fields:
            (node,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
            assert isinstance(node, ast.ClassDef)
            found |= dict(_documented(node))
    return found


def _documented(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            assert isinstance(field.target, ast.Name)
            text = ast.literal_eval(below.value)
            yield field.target.id, " ".join(text.split()).replace("|", "\\|")


def _nested(settings: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """What settings are made of that have settings of their own, by name."""
    found = {}
    for field in settings.model_fields.values():
        for part in get_args(field.annotation):
            if inspect.isclass(part) and issubclass(part, BaseModel):
                found[part.__name__] = part
    return found


def _told(thing: object, kind: str) -> str:
    """What its docstring says to whom uses it."""
    text = inspect.getdoc(thing) or ""
    text = text.removeprefix(f"`{kind}`, ").removeprefix(f"`{kind}`: ")
    return text[:1].upper() + text[1:]


def _link(reference: str) -> str:
    name = reference.rpartition("/")[2]
    return f"[{name.lower()}](#{_anchor(name)})"


def _anchor(title: str) -> str:
    """As the usual renderers of Markdown call a heading."""
    return re.sub(r"[^a-z0-9_-]", "", title.lower())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
