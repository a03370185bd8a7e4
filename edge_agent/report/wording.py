"""Machine values in the words of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from edge_agent.types import JSON

ROLES: Final = {
    "enter": "Arriving",
    "wide": "Whole scene",
    "close": "Close-up",
    "leave": "Leaving",
}
START_FROM: Final = {
    "given": "as the operator said",
    "name": "from the file's name",
    "metadata": "from the creation time in the file's metadata",
    "assumed": "assumed: nobody knows",
    "clock": "by the clock of the box",
}
"""How it is known when a recording begins."""
_KINDS: Final = {
    "parking.illegal": "Illegal parking",
    "parking.bay": "Stay in a bay",
    "parking.availability": "Free bays",
    "parking.ev_bay": "Wrong vehicle in an EV bay",
    "parking.outside_bay": "Parked outside of the bays",
    "plate.read": "Number plate",
    "access.granted": "Access granted",
    "io.out": "Contact closed",
    "evidence.deleted": "Evidence deleted",
    "safety.helmet": "No hard hat",
    "incident.pedestrian": "Pedestrian on the road",
    "incident.cyclist": "Cyclist on the road",
    "incident.red_light": "Went on red",
    "incident.debris": "Object on the road",
    "incident.smoke_fire": "Smoke or fire",
    "flow.lane": "Lane statistics",
    "flow.emergency_vehicle": "Emergency vehicle",
    "camera.covered": "Camera covered",
    "camera.blurred": "Camera blurred",
    "camera.moved": "Camera moved",
    "camera.frozen": "Picture frozen",
    "camera.dark": "Picture too dark",
    "camera.overexposed": "Picture too bright",
}
_REASONS: Final = {
    "replay": "made from a recording, not by a live camera",
    "clock not synchronised": "the recording's start time is not backed by a synchronised clock",
    "plates disagree": "plates disagree: the photos show different ones",
    "plate too narrow": "plate too narrow to be read in any photo",
    "plate not legible": "plate not legible in any photo",
    "plate not read": "plates are not read here, but the site's evidence profile asks for one",
    "interval too short": "interval too short: the photos lie less far apart than they have to",
    "picture too small": "picture too small for the site's evidence profile",
}
_FACTS: Final = {
    "limit_s": "allowed",
    "entered_s": "entered",
    "already_standing": "there from the start",
    "end_s": "left",
    "end_reason": "ended because",
    "clearance_s": "cleared after",
}
_MOMENTS: Final = frozenset({"entered_s", "end_s"})
_HIDDEN: Final = frozenset({"picture", "begin_s", "dwell_s"})


def kind_name(kind: str) -> str:
    """`incident.stopped_vehicle` -> `Stopped vehicle`."""
    return _KINDS.get(kind, kind.rpartition(".")[2].replace("_", " ").capitalize())


def clock(t_s: float, with_tenths: bool = False) -> str:
    """Video time: `0:07`, `12:30`, `1:02:03`, with tenths `0:07.4`."""
    tenths = round(t_s * 10) if with_tenths else round(t_s) * 10
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // 10:02d}" + (f".{rest % 10}" if with_tenths else "")
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


def wall(utc: str) -> str:
    """`2026-05-13T09:49:12.123Z` -> `2026-05-13 09:49:12.123 UTC`."""
    return utc.replace("T", " ").replace("Z", " UTC")


def lasting(span_s: float) -> str:
    """A length of time: `8.5 s`, `1 min 20 s`, `2 h 5 min`."""
    if span_s < 60:
        return f"{span_s:.1f} s"
    minutes, seconds = divmod(round(span_s), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (0 if hours else seconds, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def reason(text: str) -> str:
    """Why something is not evidential, spelled out."""
    return _REASONS.get(text, text)


def plate(seen: Mapping[str, JSON]) -> str:
    """What is known of a plate: `AB123 (93% sure, 3 reads agree)`, `unread: plate too narrow`."""
    text = seen.get("text") or (f"hash {seen['hash'][:12]}…" if "hash" in seen else None)
    if text is None:
        return f"unread: {seen.get('reason') or 'for no known reason'}"
    looks = f", {seen['reads']} reads agree" if "reads" in seen else ""
    return f"{text} ({int(100 * seen['confidence'])}% sure{looks})"


def facts(manifest: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
    """(label, value) rows of a case, the important ones first."""
    case, seen = manifest["case"], manifest.get("object") or {}
    if seen:
        yield "object", f"{seen['cls']} ({seen['confidence']:.0%} sure)"
    if manifest.get("plate"):
        yield "plate", plate(manifest["plate"])
    if case.get("zone"):
        yield "zone", str(case["zone"])
    yield "since", clock(case["since_s"], True)
    yield "decided", _moment(case["begin"])
    yield "closed at", _moment(case["latest"])
    yield "stood for", lasting(float(case["dwell_s"]))
    for key, value in case.get("facts", {}).items():
        if key not in _HIDDEN:
            yield _FACTS.get(key, key.removesuffix("_s").replace("_", " ")), _fact(key, value)
    model = manifest.get("model") or {}
    if model:
        yield "model", str(model["name"])
    if manifest.get("profile"):
        yield "evidence profile", str(manifest["profile"])


def hashes(case_id: str, manifest: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
    """(label, value) rows of what pins the case down."""
    yield "case", case_id
    for item in (*manifest.get("media", ()), *manifest.get("derived", ())):
        yield str(item["path"]), str(item["sha256"])
    source, model = manifest.get("source") or {}, manifest.get("model") or {}
    yield "recording", str(source.get("media_sha256") or "none")
    yield "model", str(model.get("sha256") or "none: has no weights")
    for each in (manifest.get("plate") or {}).get("models", ()):
        yield f"model {each['name']}", str(each["sha256"] or "none")
    yield "site file", str(manifest.get("config_sha256", ""))
    yield "device key", str((manifest.get("device") or {}).get("fingerprint", ""))
    chain = manifest.get("chain") or {}
    if chain:
        yield "place in the chain", f"{chain['index']}, after {chain['previous'] or 'nothing'}"


def _moment(moment: Mapping[str, JSON]) -> str:
    return f"{clock(moment['pts_s'], True)} · {wall(moment['utc'])}"


def _fact(key: str, value: JSON) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and key.endswith("_s"):
        return clock(value, True) if key in _MOMENTS else lasting(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
