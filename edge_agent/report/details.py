"""What an event says beside when, where and who, in the words of whoever has to act on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from edge_agent.report.wording import clock, lasting, plate, reason
from edge_agent.types import JSON

_LABELS: Final = {
    "already_standing": "there from the start",
    "area_m2": "area in m²:",
    "angle_deg": "angle to the lane",
    "bare_share": "bare in",
    "clearance_s": "cleared after",
    "end_reason": "ended:",
    "entered_s": "entered at",
    "flash_hz": "flashes at",
    "into_red_s": "red had been lit for",
    "kept_for": "kept for",
    "limit_s": "allowed",
    "list": "on the list",
    "list_meaning": "which means",
    "occupancy": "occupied to",
    "output": "contact",
    "peak_persons": "persons, at most:",
    "per_m2": "persons per m²:",
    "precision_s": "may have come earlier by",
    "present_share": "of the old view still there:",
    "picture_share": "share of the picture",
    "pulse_ms": "closed for",
    "queue_m": "queue",
    "queue_m_max": "longest queue",
    "queue_share": "queue over",
    "queue_share_max": "queue at most over",
    "queue_vehicles": "vehicles in the queue:",
    "queue_vehicles_max": "vehicles in the queue, at most:",
    "sightings": "looks:",
    "slow": "of these slow:",
    "vehicles": "vehicles:",
    "persons": "persons:",
    "red_since_s": "red since",
    "turn_deg": "turned by",
}
_WORDS: Final = {
    "contact": "two vehicles met",
    "dead_stop": "stopped dead",
    "impulse": "speed changed at once",
    "persons": "persons came to it",
    "stillness": "a vehicle stays there",
    "touching": "stopped against another",
    "turned": "turned or toppled",
    "cleared": "cleared",
    "dissolved": "traffic flows again",
    "gone": "it is gone",
    "helmet_on": "helmet put on",
    "lost": "lost sight of",
    "no_longer_watched": "not watched any longer",
    "recording_ended": "the recording ended",
    "schedule": "outside of the hours of the rule",
    "signal_changed": "the signal changed",
}
_UNITS: Final = {
    "_share": (100.0, " %"),
    "occupancy": (100.0, " %"),
    "_kmh": (1.0, " km/h"),
    "_deg": (1.0, "°"),
    "_hz": (1.0, " Hz"),
    "_ms": (1.0, " ms"),
    "_m": (1.0, " m"),
}
_MOMENTS: Final = frozenset({"entered_s", "red_since_s"})
_ELSEWHERE: Final = frozenset(
    {"phase", "evidential", "reasons", "truncated", "source", "time", "zone", "object", "media"}
    | {"log", "model", "config_sha256", "software", "privacy", "site", "line", "direction"}
    | {"kind", "begin_s", "end_s", "dwell_s", "lasted_s", "picture", "minute"}
)
"""What has a column of its own, or says nothing about the event."""
_FOR_MACHINES: Final = frozenset(
    {"place", "place_px", "path_sizes", "before_line_s", "phase_name", "rhythm", "shift", "backend"}
)
_BY_NATURE: Final = frozenset({"replay", "clock not synchronised"})
_NO_CENTS: Final = frozenset({"CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND"})


def details(data: Mapping[str, JSON]) -> str:
    """`vehicles in the queue, at most: 6; longest queue 43 m; ended: traffic flows again`."""
    return "; ".join(text for text in _parts(data) if text)


def _parts(data: Mapping[str, JSON]) -> Iterator[str]:
    for key, value in data.items():
        if key in _ELSEWHERE | _FOR_MACHINES or value in (None, [], {}, False):
            continue
        if key in _SPECIAL:
            yield _SPECIAL[key](value)
        elif value is True:
            yield _label(key)
        else:
            yield f"{_label(key)} {_value(key, value)}"
    doubts = [reason(text) for text in data.get("reasons", ()) if text not in _BY_NATURE]
    if doubts:
        yield "doubtful: " + ", ".join(doubts)


def _label(key: str) -> str:
    unit = next((end for end in ("_s", *_UNITS) if key.endswith(end)), "")
    return _LABELS.get(key) or key.removesuffix(unit).replace("_", " ")


def _value(key: str, value: JSON) -> str:
    if isinstance(value, int | float):
        if key.endswith("_s"):
            return clock(value, True) if key in _MOMENTS else lasting(value)
        ends = (u for end, u in _UNITS.items() if key.removesuffix("_max").endswith(end))
        factor, unit = next(ends, (1.0, ""))
        return f"{factor * value:.3g}{unit}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(name, each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_value(key, each) for each in value)
    return _WORDS.get(str(value), str(value).replace("_", " "))


def _cues(cues: JSON) -> str:
    """What spoke for it: names, or names with figures."""
    names = [cue["cue"] if isinstance(cue, Mapping) else cue for cue in cues]
    return "seen: " + ", ".join(_value("cue", name) for name in names)


def _call(call: JSON) -> str:
    named = [call[key] for key in ("safety_manager", "responsible") if call.get(key)]
    return "call " + " or ".join(map(str, named))


def _charge(charge: JSON) -> str:
    amount, currency = charge["amount_minor"], charge["currency"]
    price = f"{amount}" if currency in _NO_CENTS else f"{amount / 100:.2f}"
    return f"charge {price} {currency}" + ("" if charge.get("is_complete", True) else " or more")


_SPECIAL: Final[Mapping[str, Callable[[JSON], str]]] = {
    "advisory": lambda _: "advice only",
    "call": _call,
    "cause": lambda kind: f"asked for by {kind}",
    "charge": _charge,
    "cues": _cues,
    "plate": lambda seen: "plate " + plate(seen),
    "signal": lambda phases: "signal " + _value("signal", phases),
}
