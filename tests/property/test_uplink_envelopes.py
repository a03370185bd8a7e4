"""Whatever a rule says, the envelope is valid, small, canonical and repeatable."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry

from edge_agent.identity import CameraOrigin, Origin, case_id
from edge_agent.types import Box, Bundle, Case, Event, Media, ModelInfo, Track
from edge_agent.uplink import (
    Outbox,
    canonical,
    case_envelope,
    event_envelope,
    schema_for,
    schemas,
    topic,
)
from edge_agent.uplink.envelope import BODY_LIMIT

REGISTRY: Registry[Any] = Registry().with_contents(schemas().items())
NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True)
SHA = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
WALL = st.integers(0, 4 * 10**9 * 1000).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
SECONDS = st.floats(0, 1e8)
COORDINATES = st.floats(-1e5, 1e5)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
EXTRA = st.dictionaries(NAMES.map(lambda name: f"x_{name}"), ANYTHING, max_size=5)
BULK = st.dictionaries(
    NAMES.map(lambda name: f"y_{name}"), st.integers(0, 20_000).map("z".__mul__), max_size=3
)
REQUIRED: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "parking.illegal": st.fixed_dictionaries({"dwell_s": SECONDS, "limit_s": SECONDS}),
    "incident.stopped_vehicle": st.fixed_dictionaries({"dwell_s": SECONDS, "clearance_s": SECONDS}),
    "flow.line_crossing": st.fixed_dictionaries({"line": NAMES, "direction": NAMES}),
}


@st.composite
def origins(draw: st.DrawFn) -> Origin:
    kind: Any = draw(st.sampled_from(["live", "replay"]))
    since: Any = draw(st.sampled_from(["given", "name", "metadata", "assumed", "clock"]))
    media = Media("clip", kind, draw(SHA) if kind == "replay" else None, draw(WALL), since)
    model = ModelInfo(draw(NAMES), draw(st.none() | SHA), draw(st.booleans()))
    site = {
        "name": draw(NAMES),
        "lat": draw(st.none() | st.floats(-90, 90)),
        "lon": draw(st.none() | st.floats(-180, 180)),
        "responsible": draw(st.none() | st.text()),
    }
    return Origin(
        site, draw(NAMES), "boot", draw(SHA), "edge-agent 1", {"c": CameraOrigin(media, model)}
    )


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(sorted(REQUIRED)))
    phases = ["end"] if kind == "flow.line_crossing" else ["begin", "update", "end"]
    box = Box(*(draw(COORDINATES) for _ in range(4)))
    track = Track(
        draw(st.integers(1, 10**6)), "car", draw(st.floats(0, 1)), box, (0.0, 0.0), 0.0, 1.0, None
    )
    size = st.integers(1, 10_000)
    picture = {"picture": [draw(size), draw(size)]}
    return Event(
        camera="c",
        kind=kind,
        subject=draw(st.text(max_size=30)),
        phase=draw(st.sampled_from(phases)),
        begin_s=draw(SECONDS),
        t_s=draw(SECONDS),
        wall=draw(WALL),
        frame=draw(st.integers(0, 2**40)),
        zone=draw(NAMES),
        track=track,
        facts={**draw(REQUIRED[kind]), **draw(EXTRA), **draw(BULK), **picture},
    )


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def check(envelope: dict[str, Any]) -> None:
    with Outbox(":memory:") as outbox:
        final = outbox.add(envelope, topic(envelope))
        body = outbox.pending()[0].body
    assert body == canonical(final)
    assert len(body) <= BODY_LIMIT
    assert b"\n" not in body
    parsed = json.loads(body, parse_constant=_refuse)
    errors = Draft202012Validator(schema_for(final["type"]), registry=REGISTRY).iter_errors(parsed)
    assert [error.message for error in errors] == []


@settings(max_examples=150, deadline=None)
@given(events(), origins())
def test_every_event_envelope_is_valid(event: Event, origin: Origin) -> None:
    envelope = event_envelope(event, origin)
    assert canonical(event_envelope(event, origin)) == canonical(envelope)
    check(envelope)


@settings(max_examples=75, deadline=None)
@given(events(), origins(), SHA, st.booleans(), st.lists(st.text(min_size=1, max_size=40)))
def test_every_case_envelope_is_valid(
    event: Event, origin: Origin, sha: str, is_complete: bool, reasons: list[str]
) -> None:
    roles = ["enter", "wide", "close", "leave", "clip"]
    media = [
        {"path": f"media/{role}", "role": role, "sha256": sha, "bytes": 5, "width": 4, "height": 3}
        for role in roles
    ]
    bundle = Bundle(case_id(origin, "c", event.subject), "x", sha, {"media": media})
    case = Case(event.subject, event, event, (), None, is_complete, tuple(reasons))
    check(case_envelope(bundle, case, origin))
