"""The JSON Schemas (2020-12) that ship with the project, by event type."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from edge_agent.errors import UplinkError

_PREFIX = "urn:edge-agent:schema:"


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """Every shipped schema by its `$id`, for the registry of a validator."""
    folder = files("edge_agent.uplink") / "schemas"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".json"))
    loaded = [json.loads((folder / name).read_text("utf-8")) for name in names]
    return {schema["$id"]: schema for schema in loaded}


def schema_for(event_type: str) -> dict[str, Any]:
    """The schema of a whole envelope of one type, e.g. `edge.parking.illegal.v1`.

    Its references are the `$id`s of `schemas()`. Raises UplinkError for a type without a schema.
    """
    data_id = f"{_PREFIX}{event_type.removeprefix('edge.').removesuffix('.v1')}:1"
    if data_id not in schemas():
        known = ", ".join(sorted(name.removeprefix(_PREFIX) for name in schemas()))
        raise UplinkError(f"no schema for event type {event_type}: there are {known}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "allOf": [{"$ref": f"{_PREFIX}envelope:1"}],
        "properties": {
            "type": {"const": event_type},
            "dataschema": {"const": data_id},
            "data": {"$ref": data_id},
        },
    }
