#!/usr/bin/env python3
"""Writes the generated parts of `edge_agent/uplink/asyncapi.yaml`: one message per event schema.

  python tools/write_asyncapi.py

What lies between the marks `# generated: NAME` and `# end` is replaced; the rest is written by
hand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from edge_agent.uplink.topics import CASE_TYPE, OUTPUT_TYPE, STATS_TYPE

UPLINK = Path(__file__).resolve().parents[1] / "edge_agent" / "uplink"
NOT_EVENTS = ("data", "envelope")


def kinds() -> list[str]:
    """Every kind that has a schema, e.g. `incident.crash`."""
    names = sorted(path.stem for path in (UPLINK / "schemas").glob("*.json"))
    return [name for name in names if name not in NOT_EVENTS]


def message(kind: str) -> str:
    """`incident.stopped_vehicle` -> `incidentStoppedVehicle`."""
    first, *rest = re.split(r"[._]", kind)
    return first + "".join(word.capitalize() for word in rest)


def parts() -> Mapping[str, str]:
    """The text of every generated part by its name."""
    apart = (CASE_TYPE, OUTPUT_TYPE, STATS_TYPE)
    events = [kind for kind in kinds() if f"edge.{kind}.v1" not in apart]
    families = sorted({kind.partition(".")[0] for kind in events})
    names = sorted({kind.partition(".")[2] for kind in events})
    return {
        "events": "".join(map(_listed, events)),
        "parameters": f"    family: {{description: Rule family, enum: [{', '.join(families)}]}}\n"
        f"    kind:\n      description: What happened\n      enum:\n"
        + "".join(f"        - {name}\n" for name in names),
        "messages": "".join(map(_message, kinds())),
    }


def _listed(kind: str) -> str:
    return f"      {message(kind)}: {{$ref: '#/components/messages/{message(kind)}'}}\n"


def _message(kind: str) -> str:
    return f"""\
    {message(kind)}:
      name: edge.{kind}.v1
      contentType: application/cloudevents+json
      payload:
        schemaFormat: application/schema+json;version=draft-2020-12
        schema:
          allOf:
            - $ref: ./schemas/envelope.json
            - properties: {{data: {{$ref: ./schemas/{kind}.json}}}}
"""


def written(document: str) -> str:
    """The document with its generated parts as they should be."""
    for name, text in parts().items():
        found = re.search(rf"( *# generated: {name}\n).*?( *# end\n)", document, re.DOTALL)
        if found is None:
            raise SystemExit(f"asyncapi.yaml: no part `# generated: {name}` that ends in `# end`")
        document = document[: found.end(1)] + text + document[found.start(2) :]
    return document


if __name__ == "__main__":
    target = UPLINK / "asyncapi.yaml"
    target.write_text(written(target.read_text(encoding="utf-8")), encoding="utf-8")
