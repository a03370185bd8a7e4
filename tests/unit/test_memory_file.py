"""The memory file, and pipelines that go on with what is in it."""

import json
import logging
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.app import load
from edge_agent.assembly import Detectors, make_pipeline, model_paths
from edge_agent.clock import ClockSpan, ClockStep, Sync
from edge_agent.config import Evidence, TrackerSettings
from edge_agent.demo.footage import SITE
from edge_agent.evidence import CaseCollector
from edge_agent.evidence.case.dossier import Candidate, Dossier, Filed
from edge_agent.evidence.case.sight import Sight
from edge_agent.live.memory import FORMAT, PROGRESS_S, MemoryFile, Moment
from edge_agent.pipeline import Pipeline, RuleSlot
from edge_agent.ports import Analyzer
from edge_agent.recollection import Moved, event_json, event_of
from edge_agent.tracking import Tracker
from edge_agent.types import (
    JSON,
    ArrayPicture,
    Box,
    Detections,
    Event,
    Frame,
    ModelInfo,
    Phase,
    PlateRead,
    Role,
    Scene,
    Track,
)

WALL = datetime(2026, 5, 13, 9, 0, tzinfo=UTC)
PICTURE = ArrayPicture(np.zeros((90, 160, 3), np.uint8))
NOW = Moment("boot-1", 5000.0, WALL)


def state(*subjects: str, progress: int = 0) -> dict[str, JSON]:
    begun = [{"rule": "r", "begin": {"subject": subject}} for subject in subjects]
    return {"c1": {"rules": {"r": progress}, "open": begun, "cases": []}}


def at(mono_s: float) -> Moment:
    return Moment("boot-1", mono_s, WALL + timedelta(seconds=mono_s - 5000))


def test_what_begins_is_written_at_once_and_progress_now_and_then(tmp_path: Path) -> None:
    file = MemoryFile(tmp_path / "memory.json", "box-1")
    assert file.keep(state("a"), at(5000))
    assert not file.keep(state("a"), at(5002))
    assert not file.keep(state("a", progress=1), at(5004))
    assert file.keep(state("a", "b", progress=1), at(5006))
    assert file.keep(state("b", progress=1), at(5008))
    assert not file.keep(state("b", progress=2), at(5007 + PROGRESS_S))
    assert file.keep(state("b", progress=2), at(5008 + PROGRESS_S))
    assert file.keep(state("b", progress=3), at(5009 + PROGRESS_S), is_last=True)
    found = file.read()
    assert found is not None
    assert (found.cameras, found.moment) == (state("b", progress=3), at(5009 + PROGRESS_S))
    assert stat.S_IMODE(os.stat(file.path).st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["memory.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '"memory"',
        "1e999",
        "[" * 100_000,
        '{"format": "edge-agent.memory/2"}',
        json.dumps({"format": FORMAT}),
        json.dumps({"format": FORMAT, "device": "box-2", "cameras": {}}),
        json.dumps({"format": FORMAT, "device": "box-1", "cameras": {"c1": 1}}),
        json.dumps({"format": FORMAT, "device": "box-1", "cameras": {}, "utc_ms": 10**30}),
    ],
)
def test_what_is_no_memory_is_set_aside_and_never_stops_the_start(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = MemoryFile(tmp_path / "memory.json", "box-1")
    file.path.write_text(text)
    with caplog.at_level(logging.WARNING):
        assert file.read() is None
    assert "set aside" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["memory.json.set-aside"]
    assert file.read() is None


def test_a_disk_that_takes_nothing_stops_nothing(tmp_path: Path) -> None:
    assert not MemoryFile(tmp_path / "nowhere" / "memory.json", "box-1").keep(state("a"), NOW)


def test_times_move_with_the_wall_clock_across_a_reboot_only() -> None:
    same = NOW.moved_to(Moment("boot-1", 6000.0, WALL + timedelta(hours=5)))
    assert same(4990.0) == 4990.0
    rebooted = NOW.moved_to(Moment("boot-2", 20.0, WALL + timedelta(seconds=90)))
    assert rebooted(4990.0) == 20 - 90 - 10
    backwards = NOW.moved_to(Moment("boot-2", 20.0, WALL - timedelta(days=1)))
    assert backwards(5000.0) == 20.0


CAR = Track(7, "car", 0.9, Box(1, 2, 3, 4), (0.5, 0), 10.0, 12.0, 11.0, born=Box(0, 2, 2, 4))


@given(st.floats(-1e6, 1e6))
def test_an_event_comes_back_whole(shift_s: float) -> None:
    facts = {"begin_s": 11.0, "dwell_s": 1.5, "n": np.float32(0.5), "picture": (160, 90)}
    event = Event("c1", "k", "k/1@1", "begin", 11.0, 12.5, WALL, 3, "z", CAR, facts, since_boot="b")
    back = event_of(json.loads(json.dumps(event_json(event))), lambda t: t + shift_s)
    assert back.t_s == 12.5 + shift_s and back.begin_s == 11.0 + shift_s
    assert back.track is not None and back.track.id == 0
    assert back.track.still_since_s == 11.0 + shift_s and back.track.born == CAR.born
    expected = {"begin_s": round(11.0 + shift_s, 3), "dwell_s": 1.5, "n": 0.5}
    assert back.facts == {**expected, "picture": [160, 90]}
    assert (back.wall, back.zone, back.since_boot, back.plate) == (WALL, "z", "b", None)


class Blind:
    """A detector that sees nothing."""

    model, is_ordered, min_score = ModelInfo("blind", "b" * 64), False, 0.5
    names: tuple[str, ...] = ()

    def detect(self, frame: Frame) -> Detections:
        return Detections.none()


READ = PlateRead(3, "AB12", (0.9, 0.8, 0.99, 0.7), "eu", ((0.0, 1.0), (2.0, 3.0)), 0.9)


class Reader:
    """Reads the same plate wherever it looks."""

    models: tuple[ModelInfo, ...] = ()

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self, frame: Frame, tracks: Iterable[Track]) -> tuple[PlateRead, ...]:
        return ()

    def look(self, frame: Frame, vehicle: Box) -> PlateRead | None:
        return replace(READ, text=self._text, char_scores=(0.99,) * len(self._text))


def _event(phase: Phase, t_s: float, **facts: object) -> Event:
    wall, told = WALL + timedelta(seconds=t_s), {"picture": [160, 90], **facts}
    place = ("parking.illegal/kerb/1", phase, 10.0, t_s, wall, round(t_s), "kerb", CAR)
    return Event("c1", "parking.illegal", *place, told)


def _dossier() -> Dossier:
    begin = _event("begin", 20.0)
    filed: dict[Role, Filed] = {"enter": Filed(11.0, READ), "wide": Filed(20.5, None)}
    made = Dossier(_event("suspect", 10.0), begin, CAR, 7, begin, revision=1, filed=filed)
    made.place, made.doubts, made.shed = CAR.box, {"b": None, "a": None}, {"close"}
    made.clock = ClockSpan(Sync("ntp", True, 12.0), (ClockStep(WALL, WALL + timedelta(1)),))
    return made


def test_a_dossier_comes_back_but_for_its_pictures() -> None:
    old = _dossier()
    new = Dossier.of(json.loads(json.dumps(old.remember())), lambda t: t - 100.0)
    assert (new.kept, new.filed, new.shed, new.clock) == (old.filed, old.filed, old.shed, old.clock)
    assert list(new.doubts) == ["b", "a"] and new.place == CAR.box and new.revision == 1
    assert new.begin is not None and new.begin.t_s == -80.0 and new.own_id == 0
    assert new.track is not None and new.track.id == 0 and new.best == {}
    assert new.is_settled("wide") and not new.is_settled("leave")


@pytest.mark.parametrize(("text", "doubts"), [("AB12", []), ("XW99", ["plates disagree"])])
def test_plates_of_photos_that_came_over_count(text: str, doubts: list[str]) -> None:
    collector = CaseCollector(Evidence(), plates=Reader(text))
    collector.recall([json.loads(json.dumps(_dossier().remember()))], lambda t: t)
    dossier = next(iter(collector._open.values()))
    frame = Frame("c1", 40, 40.0, WALL + timedelta(seconds=40), PICTURE)
    sight = Sight(CAR.box, True, 1.0, 1.0, 99.0, 1.0, 1.0)
    dossier.best["leave"] = Candidate(frame, sight, 1.0, 9)
    scene = Scene(frame, Detections.none(), ())
    (case,) = collector.finish(scene, [_event("end", 40.0, end_reason="left")])
    assert case.kept == ("enter", "wide")
    assert case.plates is not None and case.plates["enter"] == READ
    assert [role for role, read in case.plates.items() if read is None] == ["wide"]
    assert [doubt for doubt in case.doubts if doubt.startswith("plate")] == doubts


@dataclass
class Once:
    """Begins at its second scene, ends when it is told to finish."""

    kind = "test.once"
    scenes: int = 0
    is_open: bool = False

    def update(self, scene: Scene) -> Iterable[Event]:
        self.scenes += 1
        if self.scenes == 2:
            self.is_open = True
            yield self._event(scene, "begin")

    def finish(self, scene: Scene) -> Iterable[Event]:
        if self.is_open:
            yield self._event(scene, "end", end_reason="recording_ended")

    def _event(self, scene: Scene, phase: str, **facts: str) -> Event:
        values = (phase, 1.0, scene.frame.t_s, scene.frame.wall, scene.frame.seq)
        return Event("c1", self.kind, "test.once/1", *values, facts={"begin_s": 1.0, **facts})  # type: ignore[arg-type]


class Lasting(Once):
    def remember(self) -> JSON:
        return self.scenes

    def recall(self, state: JSON, moved: Moved) -> None:
        self.scenes, self.is_open = int(state), True


@dataclass
class Line:
    """A pipeline of one rule, stepped second by second."""

    rule: type[Once]
    key: str = "key"
    boot_id: str | None = "boot-1"
    eyes: str = ""
    made: Pipeline = field(init=False)

    def __post_init__(self) -> None:
        tracker, collector = Tracker(TrackerSettings(), 0.5), CaseCollector(Evidence())
        slots = [RuleSlot("test.once", self._make, self.key)]
        self.made = Pipeline(Blind(), tracker, slots, collector, eyes=self.eyes)
        self.made.open.boot_id = self.boot_id

    def _make(self) -> Analyzer:
        return self.rule()

    def step(self, t: int) -> list[tuple[str, str | None]]:
        frame = Frame("c1", t, float(t), WALL + timedelta(seconds=t), PICTURE)
        events = self.made.step(frame, Detections.none()).events
        return [(event.phase, event.since_boot) for event in events]


def test_a_rule_that_forgets_is_ended_by_a_stop() -> None:
    line = Line(Once)
    assert [line.step(t) for t in range(3)] == [[], [("begin", "boot-1")], []]
    (end,) = line.made.suspend().events
    assert (end.phase, end.since_boot) == ("end", "boot-1")
    assert end.facts["end_reason"] == "no_longer_watched"
    assert line.made.remember()["open"] == []


@pytest.mark.parametrize(("rule", "key"), [(Once, "key"), (Lasting, "another")])
def test_what_no_rule_goes_on_with_is_ended_once_by_the_next_process(
    rule: type[Once], key: str
) -> None:
    line = Line(rule)
    assert [line.step(t) for t in range(3)][1] == [("begin", "boot-1")]
    state = json.loads(json.dumps(line.made.remember()))  # and then it was killed
    after = Line(rule, key, "boot-2")
    after.made.recall(state, lambda t: t - 3)
    again = json.loads(json.dumps(after.made.remember()))  # killed before the first scene
    third = Line(rule, key, "boot-3")
    third.made.recall(again, lambda t: t)
    assert third.step(0) == [("end", "boot-1")]
    assert third.step(1) == [("begin", "boot-3")]


def test_a_rule_that_remembers_goes_on() -> None:
    line = Line(Lasting)
    for t in range(3):
        line.step(t)
    assert line.made.suspend().events == ()
    after = Line(Lasting, boot_id="boot-2")
    after.made.recall(json.loads(json.dumps(line.made.remember())), lambda t: t - 3)
    assert after.step(0) == []
    (end,) = after.made.finish().events
    assert (end.phase, end.since_boot) == ("end", "boot-1")


def test_a_rule_whose_memory_is_useless_begins_anew_and_ends_what_it_had_begun() -> None:
    line = Line(Lasting)
    for t in range(3):
        line.step(t)
    state = line.made.remember()
    state["rules"]["key"] = "nonsense"
    after = Line(Lasting)
    after.made.recall(state, lambda t: t)
    assert after.step(3) == [("end", "boot-1")]


@pytest.mark.parametrize("eyes", ["", "other"])
@pytest.mark.parametrize("rule", [Once, Lasting])
def test_an_unchanged_rule_goes_on_when_the_site_file_changes(rule: type[Once], eyes: str) -> None:
    old = Line(rule)
    for t in range(3):
        old.step(t)
    new = Line(rule, eyes=eyes)
    told = [event.phase for event in new.made.adopt(old.made).events]
    forgets = eyes != "" and rule is Once  # with other eyes it has nothing to go on from
    assert told == (["end"] if forgets else [])
    assert new.step(3) == []
    assert [event.phase for event in new.made.finish().events] == ([] if forgets else ["end"])


def test_a_changed_rule_is_ended_when_the_site_file_changes() -> None:
    old = Line(Lasting)
    for t in range(3):
        old.step(t)
    new = Line(Lasting, "another")
    (end,) = new.made.adopt(old.made).events
    assert (end.phase, end.facts["end_reason"]) == ("end", "no_longer_watched")
    assert new.step(3) == []
    assert new.step(4) == [("begin", "boot-1")]


def test_only_the_footages_end_is_called_the_recordings_end() -> None:
    for close, reason in (
        (Pipeline.finish, "recording_ended"),
        (Pipeline.leave, "no_longer_watched"),
    ):
        line = Line(Lasting)
        for t in range(3):
            line.step(t)
        (end,) = close(line.made).events
        assert (end.phase, end.facts["end_reason"]) == ("end", reason)


def test_what_a_rule_is() -> None:
    site = load(SITE)
    camera = site.cameras["street"]
    detector = Detectors(model_paths(site)).get(camera.detector)

    def keys(**change: object) -> tuple[str, list[str]]:
        changed = camera.model_copy(update=change)
        made = make_pipeline("street", changed, site, detector)
        return made.eyes, [slot.key for slot in made.rules]

    eyes, (parking, crossing) = keys()
    assert keys() == (eyes, [parking, crossing])
    one_more = camera.zones | {"yard": camera.zones["kerb"]}
    assert keys(zones=one_more, rules=camera.rules[::-1]) == (eyes, [crossing, parking])
    other = {"kerb": [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5)]}
    eyes_then, (parking_then, crossing_then) = keys(zones=other)
    assert (eyes_then, crossing_then) == (eyes, crossing) and parking_then != parking
    assert keys(tracker=TrackerSettings(lost_s=9.0))[0] != eyes


def test_a_disk_that_takes_nothing_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = MemoryFile(tmp_path / "gone" / "memory.json", "box")
    now = Moment("boot", 1.0, datetime(2026, 5, 13, tzinfo=UTC))
    for number in range(20):
        state = {"rules": {"r": number}, "open": [], "cases": []}
        assert not file.keep({"north": state}, now, is_last=True)
    assert [each.message for each in caplog.records] == ["memory not written"]
    (tmp_path / "gone").mkdir()
    assert file.keep({"north": state}, now, is_last=True)


def test_one_rule_that_cannot_be_written_costs_no_other_camera(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, now = (
        MemoryFile(tmp_path / "memory.json", "box"),
        Moment("boot", 1.0, datetime(2026, 5, 13, tzinfo=UTC)),
    )
    sound = {"rules": {"r": 1.0}, "open": [], "cases": []}
    for number in range(3):
        broken = {**sound, "rules": {"r": [float("inf"), object()][number % 2]}}
        file.keep({"a": broken, "b": {**sound, "rules": number}}, now, is_last=True)
    found = file.read()
    assert found is not None and found.cameras == {"b": {**sound, "rules": 2}}
    assert [each.message for each in caplog.records] == ["memory useless"]
