"""Events and cases as CloudEvents 1.0 envelopes: pure functions, no clock, no I/O.

Format: CloudEvents 1.0 structured JSON (github.com/cloudevents/spec), serialised canonically
(RFC 8785), so that the same event is the same bytes in `events.jsonl`, in the outbox and on the
wire. JSON Schemas are beside this file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import rfc8785

from edge_agent.clock import utc_ms, utc_text
from edge_agent.errors import UplinkError
from edge_agent.identity import LogPlace, Origin, case_id, digest
from edge_agent.types import JSON, Bundle, Case, Event
from edge_agent.uplink import topics

CONTENT_TYPE = "application/cloudevents+json"

BODY_LIMIT = 16 * 1024
"""Bytes of a whole envelope; some cloud brokers close the connection above 64 KB."""

_EXACT = 2**53 - 1
"""Largest integer that every JSON reader keeps exactly (RFC 8785, section 3.2.2.3)."""

_STANDARD = frozenset(
    {"phase", "evidential", "reasons", "truncated", "source", "time", "zone", "object", "media"}
    | {"plate", "signal", "log", "model", "config_sha256", "software", "privacy", "site"}
    | {"kind", "complete", "revision", "manifest_sha256"}
)


def event_envelope(event: Event, origin: Origin) -> dict[str, Any]:
    """What the world hears of one event; `sequence` is missing until the outbox sets it.

    `event.facts["picture"]` ([width, height] in px) normalises the object's box and is not
    repeated; every other fact goes into `data` under its own name. Above `BODY_LIMIT` the largest
    facts are left out and `data.truncated` says so. Raises ValueError for a phase that never
    leaves the box and for a fact that would hide a standard field.
    """
    if event.phase not in ("begin", "update", "end"):
        raise ValueError(f"event {event.subject}: phase {event.phase} never leaves the box")
    facts = {name: fact for name, fact in event.facts.items() if name not in ("picture", "begin_s")}
    if hidden := _STANDARD & facts.keys():
        raise ValueError(f"event {event.kind}: facts must not be named {', '.join(sorted(hidden))}")
    case = case_id(origin, event.camera, event.subject, event.since_boot)
    plain = _plain(facts)
    identity = digest(
        case,
        event.kind,
        event.phase,
        event.t_s,
        event.frame,
        # A live camera's media time starts anew with the process; a recording's never differs.
        None if _is_replay(event, origin) else utc_ms(event.wall),
        canonical(plain).decode(),
    )
    data = {"phase": event.phase, **_circumstances(event, origin), **plain}
    data |= _standing([*_doubts(event, origin), *event.doubts])
    envelope = _envelope(event, origin, f"edge.{event.kind}.v1", data)
    return _fitted({**envelope, "id": identity}, plain, origin)


def case_envelope(bundle: Bundle, case: Case, origin: Origin) -> dict[str, Any]:
    """Says that an evidence file exists: `update` while the happening goes on, then `end`.

    `complete` says whether all four photos are there; if not, `reasons` say why, unless the
    bundle was measured by a profile that needs no more than it has.

    Photos (`bundle.manifest["media"]`) are named by hash and by reference into the bundle.
    """
    event = case.latest
    dataref = f"evidence/{bundle.case_id}.evb"
    extras: dict[str, JSON] = {
        "media": [_medium(item, dataref) for item in bundle.manifest.get("media", ())]
    }
    if "dwell_s" in event.facts:
        extras["dwell_s"] = event.facts["dwell_s"]
    if case.plate is not None:
        event = replace(event, plate=case.plate)
    data = {
        "phase": "end" if event.phase == "end" else "update",
        # A disk without room may have taken less than the case had.
        "complete": bundle.manifest.get("case", {}).get("is_complete", case.is_complete),
        "kind": case.begin.kind,
        "revision": case.revision,
        "manifest_sha256": bundle.manifest_sha256,
        **_circumstances(event, origin, bundle.manifest.get("privacy", {}).get("delete_after")),
        # What the signed manifest doubts, the envelope must not vouch for.
        **_standing(
            [
                *_doubts(event, origin),
                *(() if bundle.manifest.get("profile") else case.reasons),
                *case.doubts,
                *bundle.manifest.get("reasons", ()),
            ]
        ),
        **_plain(extras),
    }
    identity = digest(bundle.case_id, "case", case.revision, bundle.manifest_sha256)
    named = {"id": identity, "subject": f"case/{bundle.case_id}", "dataref": dataref}
    return _fitted({**_envelope(event, origin, topics.CASE_TYPE, data), **named}, extras, origin)


def deletion_envelope(event: Event, case: str, origin: Origin) -> dict[str, Any]:
    """Says that a case's evidence was deleted; the same one however often it is told."""
    identity = digest(case, "deleted", event.facts["tombstone_sha256"])
    return {**event_envelope(event, origin), "id": identity, "subject": f"case/{case}"}


def birth(origin: Origin, fingerprint: str | None) -> dict[str, Any]:
    """The retained `info` message: who speaks, with which versions, cameras and device key."""
    cameras = {
        name: {
            "kind": camera.media.kind,
            "model": {"name": camera.model.name, "sha256": camera.model.sha256},
        }
        for name, camera in origin.cameras.items()
    }
    info = {
        "device": origin.device,
        "site": _site(origin),
        "software": origin.software,
        "config_sha256": origin.config_sha256,
        "fingerprint": fingerprint,
        "cameras": cameras,
    }
    plain: dict[str, Any] = _plain(info)
    return plain


def canonical(value: JSON) -> bytes:
    """RFC 8785 JSON: sorted keys, no blanks, UTF-8; one line of `events.jsonl`."""
    return rfc8785.dumps(value)


def _envelope(event: Event, origin: Origin, kind: str, data: Mapping[str, JSON]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "source": f"urn:edge:{origin.site['name']}:{origin.device}/cam/{event.camera}",
        "type": kind,
        "subject": f"case/{case_id(origin, event.camera, event.subject, event.since_boot)}",
        "time": utc_text(event.wall),
        "datacontenttype": "application/json",
        "dataschema": f"urn:edge-agent:schema:{kind.removeprefix('edge.').removesuffix('.v1')}:1",
        "data": data,
    }


def _circumstances(event: Event, origin: Origin, delete_after: str | None = None) -> dict[str, Any]:
    camera = origin.cameras[event.camera]
    data: dict[str, Any] = {
        "source": {
            "kind": camera.media.kind,
            "camera": event.camera,
            "media_sha256": camera.media.sha256,
        },
        "time": _time(event, origin),
        "begin_s": round(event.begin_s, 3),
        "model": {"name": camera.model.name, "sha256": camera.model.sha256},
        "config_sha256": origin.config_sha256,
        "software": origin.software_for(event.camera),
        "privacy": {"redacted": False, "delete_after": delete_after},
        "site": _site(origin),
    }
    if event.zone is not None:
        data["zone"] = event.zone
    if event.track is not None:
        data["object"] = _object(event)
    if event.plate is not None:
        data["plate"] = dict(event.plate)
    if event.signal is not None:
        data["signal"] = dict(event.signal)
    plain: dict[str, Any] = _plain(data)
    return plain


def _doubts(event: Event, origin: Origin) -> list[str]:
    return origin.doubts(event.camera, event.clock.sync if event.clock else None)


def _time(event: Event, origin: Origin) -> dict[str, Any]:
    start_from = origin.cameras[event.camera].media.start_from
    sync = event.clock.sync if event.clock else None
    return {
        "utc_ms": utc_ms(event.wall),
        "mono_ns": event.clock.mono_ns if event.clock else round(event.t_s * 1e9),
        "boot_id": origin.boot_id,
        "frame": event.frame,
        "pts_s": round(event.t_s, 6),
        "clock": {
            "ref": sync.ref if sync else start_from,
            "synced": sync is not None and sync.is_synced,
            "max_error_ms": sync.max_error_ms if sync else None,
        },
    }


def _object(event: Event) -> dict[str, Any]:
    track = event.track
    assert track is not None
    seen = {"track": track.id, "cls": track.cls, "confidence": round(float(track.score), 4)}
    if "picture" not in event.facts:
        return seen
    width, height = event.facts["picture"]
    corners = (
        track.box.x1 / width,
        track.box.y1 / height,
        track.box.x2 / width,
        track.box.y2 / height,
    )
    return {**seen, "box": [round(min(max(float(c), 0.0), 1.0), 4) for c in corners]}


def _medium(item: Mapping[str, JSON], dataref: str) -> dict[str, JSON]:
    keys = ("role", "sha256", "bytes", "width", "height")
    known = {key: item[key] for key in keys if item.get(key) is not None}
    return {**known, "href": f"{dataref}#{item['path']}"}


def _site(origin: Origin) -> dict[str, JSON]:
    keys = ("name", "lat", "lon", "responsible", "safety_manager")
    return {key: origin.site[key] for key in keys if origin.site.get(key) is not None}


def _is_replay(event: Event, origin: Origin) -> bool:
    return origin.cameras[event.camera].media.kind == "replay"


def _standing(doubts: Iterable[str]) -> dict[str, Any]:
    reasons = list(dict.fromkeys(doubts))
    return {"evidential": False, "reasons": reasons} if reasons else {"evidential": True}


def _room(origin: Origin) -> int:
    """Bytes of what the outbox adds: the sequence and the place in the log."""
    place = LogPlace(origin.log, _EXACT).as_json()
    return len(canonical({"sequence": "0" * 20, "log": place})) - len("{}") + len(",")


def _fitted(envelope: dict[str, Any], optional: Iterable[str], origin: Origin) -> dict[str, Any]:
    """Leaves out the largest optional fields until the body keeps `BODY_LIMIT`."""
    data = dict(envelope["data"])
    spare = sorted(optional, key=lambda name: (len(canonical(data[name])), name))
    limit = BODY_LIMIT - _room(origin)
    excess = len(canonical(envelope)) - limit
    while excess > 0 and spare:
        del data[spare.pop()]
        data["truncated"] = True
        excess = len(canonical({**envelope, "data": data})) - limit
    if excess > 0:
        raise UplinkError(
            f"event {envelope['id']}: {excess} bytes above the limit of {BODY_LIMIT} even without "
            "its facts: shorten the texts of the site file's `site` section"
        )
    return {**envelope, "data": data}


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Only what JSON readers agree on: no NaN, no huge integers, no half characters."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and abs(value) > _EXACT:
        return float(value)
    return value
