"""What one camera's events say, as tables: what was reported, lanes minute by minute, bays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge_agent.report.details import details
from edge_agent.report.wording import clock, kind_name, lasting
from edge_agent.score import Reported
from edge_agent.types import JSON

MOST_ROWS: Final = 300
"""What is beyond them stands in events.jsonl: a page is read by people."""
_ELSEWHERE: Final = frozenset(
    {"flow.line_crossing", "flow.lane", "parking.availability", "plate.read"}
)
"""Kinds with a table of their own."""

UNKNOWN: Final = "unknown"

Facts = Mapping[tuple[str, str], Mapping[str, JSON]]
"""Kind and subject -> the data of its envelopes, later ones over earlier ones."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a head."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def merged(envelopes: Sequence[Mapping[str, JSON]]) -> Facts:
    """What is known of each happening in the end."""
    found: dict[tuple[str, str], dict[str, JSON]] = {}
    for each in envelopes:
        kind = each["type"].removeprefix("edge.").rpartition(".")[0]
        found.setdefault((kind, each["subject"]), {}).update(each["data"])
    return found


def tables(told: Sequence[Reported], facts: Facts) -> Iterator[Table]:
    """The tables of one camera, those without rows left out."""
    found = [(each, facts[each.type, each.subject]) for each in told]
    yield from _reported([pair for pair in found if pair[0].type not in _ELSEWHERE])
    lanes = tuple(_lane(each, data) for each, data in found if each.type == "flow.lane")
    if lanes:
        head = ("minute", "lane", "vehicles", "per hour", "mean speed", "occupancy", "headway")
        note = "A minute begins at that time of the recording. Headway: from vehicle to vehicle."
        yield Table("Lanes, minute by minute", (*head, "longest queue"), lanes, note)
    bays = tuple(_bays(data) for each, data in found if each.type == "parking.availability")
    if bays:
        head = ("car park", "free", "taken", "not seen yet", "arrived", "departed", "mean stay")
        note = "As it was last reported; turnover of the last hour."
        yield Table("Parking bays", (*head, "taken in an hour"), bays, note)


def _reported(found: Sequence[tuple[Reported, Mapping[str, Any]]]) -> Iterator[Table]:
    if not found:
        return
    rows = [
        (
            clock(each.begin_s, True),
            lasting(each.end_s - each.begin_s) if each.end_s - each.begin_s >= 0.05 else "",
            kind_name(each.type),
            each.cls or "",
            _place(each),
            details(data),
        )
        for each, data in found[:MOST_ROWS]
    ]
    beyond = len(found) - len(rows)
    note = f"{beyond} more stand in events.jsonl." if beyond else ""
    head = ("time", "lasted", "what", "who", "where", "details")
    yield Table("What was reported", head, tuple(rows), note)


def _place(each: Reported) -> str:
    names = (each.places.get(key) for key in ("zone", "line", "direction"))
    return " ".join(name for name in names if name)


def _lane(each: Reported, data: Mapping[str, Any]) -> tuple[str, ...]:
    volume = ", ".join(f"{number} {cls}" for cls, number in data.get("volume", {}).items())
    watched = f", {lasting(data['watched_s'])} watched" if data.get("is_partial") else ""
    queue = "none" if data.get("queue_vehicles_max") == 0 else _queue(data)
    return (
        clock(each.begin_s) + watched,
        _place(each),
        volume or "none",
        _number(data.get("flow_per_h")),
        _number(data.get("mean_speed_kmh"), " km/h"),
        f"{data.get('occupancy', 0):.0%}",
        _number(data.get("headway_mean_s"), " s", 1),
        queue,
    )


def _queue(data: Mapping[str, Any]) -> str:
    if "queue_vehicles_max" not in data:
        return ""
    vehicles, metres = data["queue_vehicles_max"], data.get("queue_m_max")
    return f"{vehicles} vehicles" + ("" if metres is None else f", {metres:.0f} m")


def _bays(data: Mapping[str, Any]) -> tuple[str, ...]:
    turnover, forecast = data.get("turnover", {}), data.get("forecast", {})
    stay, expected = turnover.get("mean_stay_s"), forecast.get("occupied")
    return (
        str(data.get("zone", data["source"]["camera"])),
        f"{data['free']} of {data['bays']}",
        str(data["occupied"]),
        str(data["unknown"]),
        str(turnover.get("arrivals", UNKNOWN)),
        str(turnover.get("departures", UNKNOWN)),
        UNKNOWN if stay is None else lasting(stay),
        str(forecast.get("reason", UNKNOWN)) if expected is None else f"{expected:.0f}",
    )


def _number(value: float | None, unit: str = "", digits: int = 0) -> str:
    return UNKNOWN if value is None else f"{value:.{digits}f}{unit}"
