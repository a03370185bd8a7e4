"""From a live frame's clock to what events, cases and bundles say of it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry

from edge_agent.clock import ClockReading, ClockSpan, ClockStep, ManualClock, Sync
from edge_agent.config import Evidence, TrackerSettings
from edge_agent.evidence import BundleWriter, CaseCollector, DeviceKey, verify
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.verification.consistency import contradictions
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.journal import Journal
from edge_agent.live.timekeeping import ScriptedSync, Timekeeper
from edge_agent.pipeline import Pipeline, RuleSlot
from edge_agent.tracking import Tracker
from edge_agent.types import (
    ArrayPicture,
    Box,
    Case,
    Detections,
    Event,
    Frame,
    Media,
    ModelInfo,
    Phase,
    Photo,
    Role,
    Scene,
    Track,
)
from edge_agent.uplink import Outbox, schema_for, schemas

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
GOOD, LOST = Sync("ntp", True, 12.0), Sync("none", False, None)
CAR = Track(1, "car", 0.9, Box(10, 10, 60, 50), (0.0, 0.0), 0.0, 4.0, 1.0)
PICTURE = ArrayPicture(np.zeros((90, 160, 3), np.uint8))
REGISTRY: Registry[Any] = Registry().with_contents(schemas().items())


class Blind:
    """A detector that sees nothing."""

    model, is_ordered, min_score = ModelInfo("blind", "b" * 64), False, 0.5
    names: tuple[str, ...] = ()

    def detect(self, frame: Frame) -> Detections:
        return Detections.none()


class Parking:
    """A vehicle is suspected at 1 s, an offence from 4 s on, and gone at 8 s."""

    kind = "parking.illegal"

    def update(self, scene: Scene) -> Iterator[Event]:
        frame = scene.frame
        phases: dict[float, Any] = {1.0: "suspect", 4.0: "begin", 8.0: "end"}
        if frame.t_s in phases:
            facts = {"dwell_s": frame.t_s - 1.0, "limit_s": 3, "picture": [160, 90]}
            said = phases[frame.t_s]
            moment = (said, 1.0, frame.t_s, frame.wall, frame.seq, "kerb", CAR, facts)
            yield Event(frame.camera, self.kind, "parking.illegal/kerb/1", *moment)

    def finish(self, scene: Scene) -> Iterator[Event]:
        yield from ()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    media = Media("rtsp://camera", "live", None, START, "clock")
    cameras = {"c1": CameraOrigin(media, Blind.model)}
    origin = Origin({"name": "plaza"}, "box-1", "boot-7", "c" * 64, "edge-agent 0", cameras)
    key = DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))
    bundles = BundleWriter(tmp_path / "evidence", key, origin, Evidence(), {})
    with (
        Outbox(":memory:") as outbox,
        Journal(origin, outbox, bundles, tmp_path / "events.jsonl") as made,
    ):
        yield made


def play(journal: Journal, syncs: list[Sync | None], jumps: dict[int, float]) -> None:
    """Two frames a second for ten seconds; `jumps`: frame -> s by which the wall clock leaps."""
    clock = ManualClock(START)
    keeper = Timekeeper(clock, ScriptedSync(syncs))
    collector = CaseCollector(Evidence(clip_after_s=1.0))
    rules = [RuleSlot("parking.illegal", Parking)]
    pipeline = Pipeline(Blind(), Tracker(TrackerSettings(), 0.5), rules, collector)
    for seq in range(20):
        clock.wall += timedelta(seconds=jumps.get(seq, 0.0))
        keeper.refresh()
        wall, reading = keeper.read()
        outcome = pipeline.step(Frame("c1", seq, seq / 2, wall, PICTURE, reading), None)
        for event in outcome.events:
            journal.event(event)
        for case in outcome.cases:
            journal.case(case, None)
        clock.advance(0.5)


def told(journal: Journal, name: str) -> list[tuple[str, list[str]]]:
    """Phase and reasons of every envelope of that type."""
    return [
        (each["data"]["phase"], each["data"].get("reasons", []))
        for each in journal.envelopes
        if each["type"] == f"edge.{name}.v1"
    ]


def manifest(journal: Journal) -> Manifest:
    (bundle,) = journal.written.values()
    report = verify(Path(bundle.path))
    assert report.is_valid, report.findings
    return Manifest.model_validate(bundle.manifest)


def test_a_synchronised_clock_leaves_no_doubt(journal: Journal) -> None:
    play(journal, [GOOD], {})
    assert told(journal, "parking.illegal") == [("begin", []), ("end", [])]
    first = journal.envelopes[0]["data"]
    assert first["time"]["clock"] == {"ref": "ntp", "synced": True, "max_error_ms": 12.0}
    assert first["time"]["mono_ns"] == 4_000_000_000
    assert first["evidential"] is True
    clock = manifest(journal).source.clock
    assert clock is not None
    assert (clock.ref, clock.synced, clock.max_error_ms, clock.steps) == ("ntp", True, 12.0, [])
    for each in journal.envelopes:
        numbered = Draft202012Validator(schema_for(each["type"]), registry=REGISTRY)
        assert list(numbered.iter_errors(each)) == []


def test_one_lost_moment_in_the_middle_of_a_case_is_enough(journal: Journal) -> None:
    play(journal, [*[GOOD] * 12, LOST, GOOD], {})
    assert told(journal, "parking.illegal") == [("begin", []), ("end", [])]
    assert all("clock not synchronised" in reasons for _, reasons in told(journal, "evidence.case"))
    facts = manifest(journal)
    assert "clock not synchronised" in facts.reasons
    assert facts.source.clock is not None and not facts.source.clock.synced


@pytest.mark.parametrize("sync", [LOST, Sync("ntp", True, 1000.5), Sync("ntp", True, None), None])
def test_a_clock_that_nobody_vouches_for(journal: Journal, sync: Sync | None) -> None:
    play(journal, [sync], {})
    reasons = ["clock not synchronised"]
    assert told(journal, "parking.illegal") == [("begin", reasons), ("end", reasons)]


@pytest.mark.parametrize("jump_s", [-3.0, 0.2, 60.0])
def test_a_step_during_the_case_is_recorded(journal: Journal, jump_s: float) -> None:
    play(journal, [GOOD], {12: jump_s})  # between begin and end
    assert told(journal, "parking.illegal") == [("begin", []), ("end", ["clock stepped"])]
    facts = manifest(journal)
    assert "clock stepped" in facts.reasons and facts.source.clock is not None
    (step,) = facts.source.clock.steps
    before, after = (datetime.fromisoformat(text) for text in (step.before, step.after))
    assert before == START + timedelta(seconds=6)
    assert after - before == timedelta(seconds=jump_s)


def test_a_step_before_the_case_is_none_of_its_business(journal: Journal) -> None:
    play(journal, [GOOD], {1: 3600.0})
    assert told(journal, "parking.illegal") == [("begin", []), ("end", [])]
    clock = manifest(journal).source.clock
    assert clock is not None and clock.steps == []


def complete(clock: ClockSpan | None, doubts: tuple[str, ...] = ()) -> Case:
    """A case with all its photos."""

    def photo(role: Role, t_s: float) -> Photo:
        wall, reading = START + timedelta(seconds=t_s), ClockReading(round(t_s * 1e9), GOOD)
        frame = Frame("c1", int(2 * t_s), t_s, wall, PICTURE, reading)
        return Photo(role, frame, Box(10, 10, 60, 50), None, 1.0)

    def event(phase: Phase, t_s: float) -> Event:
        wall = START + timedelta(seconds=t_s)
        return Event("c1", "parking.illegal", "s", phase, 1.0, t_s, wall, int(2 * t_s))

    begin, end = event("begin", 4.0), event("end", 8.0)
    photos = (photo("enter", 1.0), photo("wide", 4.0), photo("close", 5.0), photo("leave", 8.0))
    return Case("s", begin, end, photos, None, True, (), doubts=doubts, clock=clock)


STEP = ClockStep(START, START + timedelta(seconds=2))


def test_only_a_case_under_a_good_clock_is_evidential(journal: Journal) -> None:
    write = journal.bundles.write
    assert write(complete(ClockSpan(GOOD)), None).manifest["evidential"] is True
    assert write(complete(ClockSpan(LOST)), None).manifest["reasons"] == ["clock not synchronised"]
    assert write(complete(None), None).manifest["reasons"] == ["clock not synchronised"]
    stepped = write(complete(ClockSpan(GOOD, (STEP,)), ("clock stepped",)), None)
    assert stepped.manifest["reasons"] == ["clock stepped"]


@pytest.mark.parametrize(
    ("clock", "text"),
    [
        (None, "its time is the device's own"),
        ({"synced": False}, "means `clock not synchronised`"),
        ({"max_error_ms": 1000.5}, "means `clock not synchronised`"),
        ({"max_error_ms": None}, "means `clock not synchronised`"),
        ({"steps": [{"before": "2026-05-13T09:49:12.000Z", "after": "2026-05-13T09:49:14.000Z"}]},
         "the clock was stepped"),
    ],
)  # fmt: skip
def test_what_claims_to_be_evidential_under_a_bad_clock_contradicts_itself(
    journal: Journal, clock: dict[str, Any] | None, text: str
) -> None:
    written = journal.bundles.write(complete(ClockSpan(GOOD)), None)
    facts: dict[str, Any] = {**written.manifest}
    assert list(contradictions(Manifest.model_validate(facts))) == []
    source = {**facts["source"]}
    if clock is None:
        del source["clock"]
    else:
        source["clock"] = {**source["clock"], **clock}
    (found,) = contradictions(Manifest.model_validate({**facts, "source": source}))
    assert text in found


def test_a_recording_has_no_clock_of_a_device(journal: Journal) -> None:
    media = replace(journal.origin.cameras["c1"].media, kind="replay", sha256="a" * 64)
    assert Origin({}, "b", "r", "c", "s", {"c1": CameraOrigin(media, Blind.model)}).doubts(
        "c1", LOST
    ) == ["replay"]
