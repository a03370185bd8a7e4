"""What an envelope says, field by field."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from edge_agent.errors import UplinkError
from edge_agent.identity import CameraOrigin, LogPlace, Origin, case_id
from edge_agent.types import Box, Bundle, Case, Event, Media, ModelInfo, Track
from edge_agent.uplink import Outbox, canonical, case_envelope, event_envelope, schema_for, schemas
from edge_agent.uplink.envelope import BODY_LIMIT, birth

START = datetime(2026, 5, 13, 9, 49, 12, 123000, UTC)
SITE = {"name": "kerb-3", "lat": 48.1, "lon": 11.5, "responsible": "City of Example"}
Kind = Literal["live", "replay"]


def origin(
    kind: Kind = "replay", is_evidential: bool = True, start_from: Any = "given", **site: Any
) -> Origin:
    media = Media("a.mp4", kind, "a" * 64 if kind == "replay" else None, START, start_from)
    model = ModelInfo("nano", "b" * 64, is_evidential)
    cameras = {"c1": CameraOrigin(media, model)}
    return Origin({**SITE, **site}, "box-1", "boot", "c" * 64, "edge-agent 0.1.0", cameras)


def event(**changes: Any) -> Event:
    track = Track(7, "car", 0.912345, Box(64, 48, 128, 96), (0.0, 0.0), 1.0, 22.5, 2.0)
    base = Event(
        camera="c1",
        kind="parking.illegal",
        subject="parking.illegal/kerb/7",
        phase="begin",
        begin_s=2.0,
        t_s=22.5,
        wall=START,
        frame=675,
        zone="kerb",
        track=track,
        facts={"dwell_s": 20.5, "picture": [640, 480], "limit_s": 20},
    )
    return replace(base, **changes)


def case(**changes: Any) -> Case:
    begin = event()
    latest = event(phase="end", t_s=60.0, facts={"dwell_s": 58.0, "picture": [640, 480]})
    base = Case(begin.subject, begin, latest, (), (0.0, 5.0), True, (), 2)
    return replace(base, **changes)


def bundle(**manifest: Any) -> Bundle:
    photo = {"path": "media/enter.jpg", "role": "enter", "sha256": "d" * 64, "bytes": 9, "frame": 4}
    clip = {"path": "media/clip.mp4", "role": "clip", "sha256": "e" * 64, "bytes": 99}
    media = [{**photo, "width": 640, "height": 480}, clip]
    name = case_id(origin(), "c1", "parking.illegal/kerb/7")
    return Bundle(name, f"/x/{name}.evb", "f" * 64, {"media": media, **manifest})


def problems(envelope: dict[str, Any]) -> list[str]:
    registry: Registry[Any] = Registry().with_contents(schemas().items())
    validator = Draft202012Validator(schema_for(envelope["type"]), registry=registry)
    return [error.message for error in validator.iter_errors(envelope)]


def numbered(envelope: dict[str, Any]) -> dict[str, Any]:
    with Outbox(":memory:") as outbox:
        return outbox.add(envelope, "t", LogPlace(origin().log, 7))


def test_every_schema_is_a_schema() -> None:
    for name, schema in schemas().items():
        Draft202012Validator.check_schema(schema)
        assert Resource.from_contents(schema).id() == name


def test_event_says_everything_of_the_contract() -> None:
    envelope = event_envelope(event(), origin())
    assert {key: envelope[key] for key in envelope if key not in ("data", "id")} == {
        "specversion": "1.0",
        "source": "urn:edge:kerb-3:box-1/cam/c1",
        "type": "edge.parking.illegal.v1",
        "subject": f"case/{case_id(origin(), 'c1', 'parking.illegal/kerb/7')}",
        "time": "2026-05-13T09:49:12.123Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:edge-agent:schema:parking.illegal:1",
    }
    assert envelope["data"] == {
        "phase": "begin",
        "evidential": False,
        "reasons": ["replay"],
        "source": {"kind": "replay", "camera": "c1", "media_sha256": "a" * 64},
        "time": {
            "utc_ms": 1778665752123,
            "mono_ns": 22_500_000_000,
            "boot_id": "boot",
            "frame": 675,
            "pts_s": 22.5,
            "clock": {"ref": "given", "synced": False, "max_error_ms": None},
        },
        "begin_s": 2.0,
        "dwell_s": 20.5,
        "limit_s": 20,
        "zone": "kerb",
        "object": {"track": 7, "cls": "car", "box": [0.1, 0.1, 0.2, 0.2], "confidence": 0.9123},
        "model": {"name": "nano", "sha256": "b" * 64},
        "config_sha256": "c" * 64,
        "software": "edge-agent 0.1.0",
        "privacy": {"redacted": False, "delete_after": None},
        "site": SITE,
    }
    assert problems(numbered(envelope)) == []


def test_case_names_its_media_by_hash_and_reference() -> None:
    envelope = case_envelope(bundle(), case(), origin())
    name = envelope["subject"].removeprefix("case/")
    assert envelope["type"] == "edge.evidence.case.v1"
    assert envelope["dataref"] == f"evidence/{name}.evb"
    data = envelope["data"]
    assert (data["phase"], data["kind"], data["revision"]) == ("end", "parking.illegal", 2)
    assert data["complete"] is True
    assert (data["manifest_sha256"], data["dwell_s"]) == ("f" * 64, 58.0)
    assert data["media"][0] == {
        "role": "enter",
        "sha256": "d" * 64,
        "bytes": 9,
        "width": 640,
        "height": 480,
        "href": f"evidence/{name}.evb#media/enter.jpg",
    }
    assert problems(numbered(envelope)) == []


@pytest.mark.parametrize("phase", ["begin", "update"])
def test_a_case_that_goes_on_is_an_update_and_repeats_the_doubts(phase: Any) -> None:
    told = ("vehicle has not left",)
    partial = case(is_complete=False, reasons=told, latest=event(phase=phase))
    envelope = case_envelope(bundle(reasons=["replay", "plates disagree"]), partial, origin())
    assert (envelope["data"]["phase"], envelope["data"]["complete"]) == ("update", False)
    assert envelope["data"]["reasons"] == ["replay", "vehicle has not left", "plates disagree"]
    assert problems(numbered(envelope)) == []


def test_a_case_that_is_over_ends_even_if_it_stays_partial() -> None:
    partial = case(is_complete=False, reasons=("departure not seen",))
    envelope = case_envelope(bundle(), partial, origin())
    assert (envelope["data"]["phase"], envelope["data"]["complete"]) == ("end", False)
    assert envelope["data"]["reasons"] == ["replay", "departure not seen"]
    assert problems(numbered(envelope)) == []
    del envelope["data"]["complete"]
    assert problems(numbered(envelope))


@pytest.mark.parametrize(
    ("who", "reasons"),
    [
        (origin("replay"), ["replay"]),
        (origin("replay", start_from="assumed"), ["replay", "clock not synchronised"]),
        (origin("replay", False), ["replay", "model nano is not evidential"]),
        (origin("live", start_from="clock"), ["clock not synchronised"]),
        (origin("live", start_from="metadata"), None),
    ],
)
def test_evidential_only_without_a_doubt(who: Origin, reasons: list[str] | None) -> None:
    envelope = event_envelope(event(), who)
    assert envelope["data"]["evidential"] is (reasons is None)
    assert envelope["data"].get("reasons") == reasons
    assert problems(numbered(envelope)) == []


def test_id_follows_from_content() -> None:
    first = event_envelope(event(), origin())["id"]
    assert first == event_envelope(event(), origin())["id"]
    others = [
        event(phase="update"),
        event(t_s=22.6),
        event(frame=676),
        event(subject="parking.illegal/kerb/8"),
        event(facts={**event().facts, "dwell_s": 20.6}),
    ]
    assert len({first, *(event_envelope(other, origin())["id"] for other in others)}) == 6


def test_live_events_of_two_runs_differ_although_media_time_starts_anew() -> None:
    live = origin("live")
    later = event(wall=datetime(2026, 5, 14, tzinfo=UTC))
    assert event_envelope(event(), live)["id"] != event_envelope(later, live)["id"]


def test_case_id_changes_with_the_manifest_only() -> None:
    first = case_envelope(bundle(), case(), origin())["id"]
    assert first == case_envelope(bundle(), case(), origin())["id"]
    changed = replace(bundle(), manifest_sha256="0" * 64)
    assert first != case_envelope(changed, case(), origin())["id"]


def test_facts_become_plain_json() -> None:
    odd = {
        "speed": np.float32(1.5),
        "count": np.int64(3),
        "path": np.zeros((1, 2)),
        "bad": float("nan"),
        "far": float("inf"),
        "huge": 2**60,
        "name": "half \ud800",
        "nested": {1: (True, None)},
    }
    data = event_envelope(event(facts={**event().facts, **odd}), origin())["data"]
    assert (data["speed"], data["count"], data["path"]) == (1.5, 3, [[0.0, 0.0]])
    assert (data["bad"], data["far"], data["huge"]) == (None, None, float(2**60))
    assert (data["name"], data["nested"]) == ("half \\ud800", {"1": [True, None]})


def test_a_device_that_runs_for_years_keeps_its_monotonic_time() -> None:
    envelope = event_envelope(event(t_s=400 * 86400.0), origin())
    assert json.loads(canonical(envelope))["data"]["time"]["mono_ns"] == 34_560_000_000_000_000
    assert problems(numbered(envelope)) == []


def test_without_a_picture_size_there_is_no_box() -> None:
    bare = event_envelope(event(facts={"dwell_s": 1}), origin())
    assert "box" not in bare["data"]["object"]
    outside = replace(event().track or pytest.fail(), box=Box(-5, 0, 700, 480))
    assert event_envelope(event(track=outside), origin())["data"]["object"]["box"] == [0, 0, 1, 1]


@pytest.mark.parametrize("phase", ["suspect", "dismissed"])
def test_a_suspicion_never_leaves_the_box(phase: Any) -> None:
    with pytest.raises(ValueError, match=phase):
        event_envelope(event(phase=phase), origin())


def test_a_fact_cannot_hide_a_standard_field() -> None:
    with pytest.raises(ValueError, match="evidential, model"):
        event_envelope(event(facts={"evidential": True, "model": "x"}), origin())


def test_oversized_facts_are_left_out_largest_first() -> None:
    facts = {"dwell_s": 20.5, "trail": "x" * 9000, "points": "y" * 20000}
    envelope = numbered(event_envelope(event(facts=facts), origin()))
    assert "points" not in envelope["data"] and len(envelope["data"]["trail"]) == 9000
    assert (envelope["data"]["truncated"], envelope["data"]["dwell_s"]) == (True, 20.5)
    assert len(canonical(envelope)) <= BODY_LIMIT
    assert problems(envelope) == []


def test_the_limit_is_exact() -> None:
    empty = numbered(event_envelope(event(facts={"dwell_s": 1, "pad": ""}), origin()))
    # The entry's number may grow until no reader would keep it exactly.
    room = BODY_LIMIT - len(canonical(empty)) - (len(str(2**53 - 1)) - 1)
    full = numbered(event_envelope(event(facts={"dwell_s": 1, "pad": "x" * room}), origin()))
    assert len(canonical(full)) == BODY_LIMIT - 15 and "truncated" not in full["data"]
    over = event_envelope(event(facts={"dwell_s": 1, "pad": "x" * (room + 1)}), origin())
    assert over["data"]["truncated"] and "pad" not in over["data"]


def test_oversized_case_keeps_its_hash_and_reference() -> None:
    photo = {**bundle().manifest["media"][0], "path": "media/" + "p" * 20000}
    envelope = numbered(case_envelope(bundle(media=[photo]), case(), origin()))
    assert envelope["data"]["truncated"] and "media" not in envelope["data"]
    assert envelope["data"]["manifest_sha256"] == "f" * 64
    assert problems(envelope) == []


def test_a_site_text_that_fills_every_envelope_is_named() -> None:
    with pytest.raises(UplinkError, match="site"):
        event_envelope(event(), origin(responsible="x" * 20000))


def test_unknown_types_have_no_schema() -> None:
    with pytest.raises(UplinkError, match=r"edge\.odd\.thing\.v1.*parking\.illegal"):
        schema_for("edge.odd.thing.v1")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("sequence",), "1"),
        (("id",), "abc"),
        (("extra",), 1),
        (("data", "evidential"), True),
        (("data", "reasons"), []),
        (("data", "object", "box"), [0, 0, 2, 1]),
        (("data", "time", "clock", "synced"), "no"),
        (("data", "phase"), "suspect"),
        (("data", "source", "kind"), "archive"),
    ],
)
def test_schema_refuses(path: tuple[str, ...], value: Any) -> None:
    envelope = numbered(event_envelope(event(), origin()))
    place = envelope
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert problems(envelope)


def test_birth_names_versions_cameras_and_key() -> None:
    info = birth(origin(), "ab12")
    assert (info["device"], info["fingerprint"]) == ("box-1", "ab12")
    assert info["cameras"]["c1"]["model"] == {"name": "nano", "sha256": "b" * 64}
    json.loads(canonical(info))
