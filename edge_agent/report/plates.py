"""Number plates as a table: which one was told of when, and what lists say of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from edge_agent.report.wording import clock, kind_name, plate
from edge_agent.types import JSON


@dataclass(frozen=True, slots=True)
class PlateRow:
    """One event that names a plate, or says why it cannot."""

    time: str
    what: str
    cls: str
    plate: str
    listed: str


def plate_rows(envelopes: Iterable[Mapping[str, JSON]], camera: str) -> Iterator[PlateRow]:
    """One row per event of that camera with a plate, in order; cases have a card of their own."""
    for envelope in envelopes:
        kind, data = envelope["type"].removeprefix("edge.").removesuffix(".v1"), envelope["data"]
        if "plate" not in data or data["source"]["camera"] != camera or kind == "evidence.case":
            continue
        listed = f"{data['list']} ({data['list_meaning']})" if "list" in data else ""
        yield PlateRow(
            clock(data["time"]["pts_s"], True),
            kind_name(kind),
            data.get("object", {}).get("cls", ""),
            plate(data["plate"]),
            listed,
        )
