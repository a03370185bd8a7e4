"""The lock-step replay: order, damage, rules that break."""

import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from edge_agent.errors import ModelError, SourceLost
from edge_agent.pipeline import Pipeline, RuleSlot
from edge_agent.ports import Analyzer
from edge_agent.recollection import Moved
from edge_agent.runner import Lane, replay
from edge_agent.types import (
    JSON,
    ArrayPicture,
    Case,
    Detections,
    Event,
    Frame,
    HeadSighting,
    Media,
    ModelInfo,
    Scene,
    Track,
)

START = datetime(2026, 5, 13, tzinfo=UTC)


class Footage:
    """Numbered frames; the picture's first pixel is the number. Breaks where told to."""

    live = False

    def __init__(self, camera: str, count: int, interval_s: float, breaks_at: int = -1) -> None:
        self.camera = camera
        self.media = Media("x.mp4", "replay", "0" * 64, START, "given")
        self.duration_s = count * interval_s
        self.closed = False
        self._count, self._interval_s, self._breaks_at = count, interval_s, breaks_at

    def frames(self) -> Iterator[Frame]:
        for i in range(self._count):
            if i == self._breaks_at:
                raise SourceLost("x.mp4: truncated")
            t_s = i * self._interval_s
            picture = ArrayPicture(np.full((8, 8, 3), i, np.uint8))
            yield Frame(self.camera, i, t_s, START + timedelta(seconds=t_s), picture)

    def clip(self, start_s: float, end_s: float) -> bytes | None:
        return None

    def rest(self, is_resting: bool) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class Finder:
    """Finds one object per frame; late frames are ready first when slow."""

    model = ModelInfo("finder", None)
    min_score = 0.5
    names: tuple[str, ...] = ("car",)

    def __init__(self, is_ordered: bool = False) -> None:
        self.is_ordered = is_ordered
        self.seen: list[int] = []

    def detect(self, frame: Frame) -> Detections:
        time.sleep(0.003 if frame.seq % 3 == 0 else 0)
        self.seen.append(frame.seq)
        box = np.array([[0, 0, frame.seq + 1, 4]], np.float32)
        return Detections(box, np.ones(1, np.float32), np.zeros(1, int), ("car",))


class Follower:
    """Checks that frames arrive in order."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.held: list[float] = []

    def update(self, detections: Detections, frame: Frame) -> tuple[Track, ...]:
        assert detections.boxes[0, 2] == frame.seq + 1, "detections of another frame"
        self.times.append(frame.t_s)
        return ()

    def hold(self, frame: Frame) -> tuple[Track, ...]:
        self.held.append(frame.t_s)
        return ()

    def ended(self) -> tuple[Track, ...]:
        return ()


class Nothing:
    def update(self, scene: Scene, events: Iterable[Event]) -> Iterable[Case]:
        return ()

    def finish(self, scene: Scene, events: Iterable[Event]) -> Iterable[Case]:
        return ()

    def suspend(self, scene: Scene, events: Iterable[Event]) -> Iterable[Case]:
        return ()

    def remember(self) -> JSON:
        return []

    def recall(self, state: JSON, moved: Moved) -> None:
        pass


class EveryFrame:
    kind = "test.frame"

    def update(self, scene: Scene) -> Iterable[Event]:
        yield self._event(scene, "begin")

    def finish(self, scene: Scene) -> Iterable[Event]:
        yield self._event(scene, "end")

    def _event(self, scene: Scene, phase: str) -> Event:
        frame = scene.frame
        return Event(frame.camera, self.kind, "x", phase, 0, frame.t_s, frame.wall, frame.seq)  # type: ignore[arg-type]


class Broken(EveryFrame):
    kind = "test.broken"

    def update(self, scene: Scene) -> Iterable[Event]:
        raise RuntimeError("rule is broken")


class Keeper:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, event: Event) -> None:
        self.events.append(event)

    def case(self, case: Case, clip: bytes | None) -> None:
        raise AssertionError("no case expected")


class Shutter:
    changed_s = 0.0

    def is_open(self, frame: Frame) -> bool:
        return frame.seq % 2 == 0


def lane(source: Footage, rule: type[Analyzer] = EveryFrame, **options: object) -> Lane:
    ordered = bool(options.pop("is_ordered", False))
    slots = [RuleSlot(rule.kind, rule)]
    return Lane(source, Pipeline(Finder(ordered), Follower(), slots, Nothing(), **options))  # type: ignore[arg-type]


def told(lanes: list[Lane], workers: int) -> list[tuple[str, str, float]]:
    keeper = Keeper()
    replay(lanes, keeper, workers)
    assert all(isinstance(each.source, Footage) and each.source.closed for each in lanes)
    return [(event.camera, event.phase, event.t_s) for event in keeper.events]


@pytest.mark.parametrize("ordered", [False, True])
def test_any_number_of_workers_tells_the_same(ordered: bool) -> None:
    def lanes() -> list[Lane]:
        return [
            lane(Footage("a", 20, 0.1), is_ordered=ordered),
            lane(Footage("b", 7, 0.25), is_ordered=ordered),
        ]

    one, four = told(lanes(), 1), told(lanes(), 4)
    assert one == four
    begins = [(t_s, camera) for camera, phase, t_s in one if phase == "begin"]
    assert begins == sorted(begins), "cameras are merged by time"
    assert len(begins) == 27


def test_as_many_threads_infer_as_workers_were_asked_for_and_this_is_one() -> None:
    class Watched(Finder):
        threads: set[str] = set()  # noqa: RUF012  (one for the test)

        def detect(self, frame: Frame) -> Detections:
            self.threads.add(threading.current_thread().name)
            time.sleep(0.002)
            return super().detect(frame)

    watched = lane(Footage("a", 40, 0.1))
    watched.pipeline.detector = Watched()
    told([watched], 2)
    assert len(Watched.threads) == 2
    assert threading.current_thread().name in Watched.threads


@pytest.mark.parametrize("fails_at", range(12))
def test_a_model_that_fails_says_the_same_in_whichever_thread(fails_at: int) -> None:
    class Failing(Finder):
        def detect(self, frame: Frame) -> Detections:
            if frame.seq == fails_at:
                raise ModelError("the network refused its input")
            return super().detect(frame)

    failing = lane(Footage("a", 20, 0.1))
    failing.pipeline.detector = Failing()
    assert len([each for each in told([failing], 2) if each[1] == "begin"]) == fails_at
    assert "refused" in str(failing.damage)


def test_a_damaged_recording_keeps_what_it_said_and_spares_the_others() -> None:
    damaged, sound = lane(Footage("a", 20, 0.1, breaks_at=5)), lane(Footage("b", 20, 0.1))
    events = told([damaged, sound], 2)
    assert len([e for e in events if e[:2] == ("a", "begin")]) == 5
    assert ("a", "end", 0.4) in events
    assert len([e for e in events if e[:2] == ("b", "begin")]) == 20
    assert "truncated" in str(damaged.damage) and sound.damage is None


def test_a_model_that_fails_stops_its_own_camera_only() -> None:
    class Failing(Finder):
        def detect(self, frame: Frame) -> Detections:
            if frame.seq == 5:
                raise ModelError("the network refused its input")
            return super().detect(frame)

    failing, sound = lane(Footage("a", 20, 0.1)), lane(Footage("b", 20, 0.1))
    failing.pipeline.detector = Failing()
    one = told([failing, sound], 1)
    assert len([e for e in one if e[:2] == ("a", "begin")]) == 5
    assert ("a", "end", 0.4) in one and len([e for e in one if e[0] == "b"]) == 21
    assert "refused" in str(failing.damage) and sound.damage is None


def test_a_closer_look_that_fails_costs_its_own_camera_only() -> None:
    class Blinded:
        models: tuple[ModelInfo, ...] = ()

        def find(self, frame: Frame, tracks: Iterable[Track]) -> tuple[HeadSighting, ...]:
            if frame.seq == 5:
                raise ModelError("the head model refused its input")
            return ()

    failing, sound = lane(Footage("a", 20, 0.1)), lane(Footage("b", 20, 0.1))
    failing.pipeline.heads = Blinded()
    one = told([failing, sound], 1)
    assert ("a", "end", 0.4) in one and len([e for e in one if e[0] == "b"]) == 21
    assert "head model" in str(failing.damage) and sound.damage is None


def test_a_clip_that_cannot_be_cut_costs_no_case() -> None:
    class Cut(Footage):
        def clip(self, start_s: float, end_s: float) -> bytes | None:
            raise SourceLost("x.mp4: the disk is gone")

    class Documenting(Nothing):
        def finish(self, scene: Scene, events: Iterable[Event]) -> Iterable[Case]:
            (event,) = events
            yield Case("x", event, event, (), (0.0, 1.0), False, ())

    class Cabinet(Keeper):
        def __init__(self) -> None:
            super().__init__()
            self.clips: list[bytes | None] = []

        def case(self, case: Case, clip: bytes | None) -> None:
            self.clips.append(clip)

    documented, cabinet = lane(Cut("a", 5, 0.1)), Cabinet()
    documented.pipeline.collector = Documenting()
    replay([documented], cabinet, 2)
    assert cabinet.clips == [None]


def test_an_empty_recording_says_nothing() -> None:
    assert told([lane(Footage("a", 0, 0.1))], 2) == []


def test_the_gate_spares_inference_and_the_tracker_holds() -> None:
    gated = lane(Footage("a", 10, 0.1), gate=Shutter())
    told([gated], 2)
    assert gated.inferred == 5 and gated.frames == 10
    follower = gated.pipeline.tracker
    assert isinstance(follower, Follower) and len(follower.held) == 5


@pytest.mark.parametrize(("interval_s", "expected"), [(0.2, 10), (0.25, 8), (0.1, 20), (0.35, 6)])
def test_the_analysed_rate_is_kept(interval_s: float, expected: int) -> None:
    limited = lane(Footage("a", 20, 0.1), min_interval_s=interval_s)
    told([limited], 1)
    assert limited.inferred == expected


def test_a_rule_that_breaks_is_made_anew_then_switched_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    keeper = Keeper()
    broken = lane(Footage("a", 6, 0.1), rule=Broken)
    broken.pipeline.rules[0:0] = [RuleSlot("test.frame", EveryFrame)]  # type: ignore[index]
    replay([broken], keeper, 2)
    assert [e.kind for e in keeper.events] == ["test.frame"] * 7
    assert caplog.text.count("rule is broken") >= 3
    assert broken.pipeline.rules[1].analyzer is None


def test_a_sink_that_fails_stops_the_replay_and_closes_the_sources() -> None:
    class Full(Keeper):
        def event(self, event: Event) -> None:
            raise OSError("disk full")

    source = Footage("a", 50, 0.1)
    with pytest.raises(OSError, match="disk full"):
        replay([lane(source)], Full(), 2)
    assert source.closed
