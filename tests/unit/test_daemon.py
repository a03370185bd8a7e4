"""A live box's threads: what fails, hangs, comes late or is taken away costs nobody else."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import numpy as np
import pytest

from edge_agent.clock import SystemClock
from edge_agent.errors import ModelError, SignalError, SourceLost
from edge_agent.health import CameraHealth
from edge_agent.live.board import Post
from edge_agent.live.camera import Backoff, LiveCamera
from edge_agent.live.daemon import MAX_ORPHANS, READER_S, Daemon
from edge_agent.pipeline import Pipeline, RuleSlot
from edge_agent.ports import Analyzer, Cabinet
from edge_agent.recollection import Moved
from edge_agent.signals import Unwired
from edge_agent.types import (
    JSON,
    ArrayPicture,
    Case,
    Detections,
    Event,
    Frame,
    Media,
    ModelInfo,
    Scene,
    Track,
)

WALL = datetime(2026, 5, 13, tzinfo=UTC)
PICTURE = ArrayPicture(np.zeros((8, 8, 3), np.uint8))
CLOCK = SystemClock()
SOON_S = 10.0
"""Only bounds a failure."""


class Film:
    """A camera that delivers fifty pictures a second; each connection so many of them."""

    live = True
    duration_s: float | None = None

    def __init__(self, camera: str, breaks_after: int = 10**9) -> None:
        self.camera = camera
        self.media = Media("x", "live", None, WALL, "clock")
        self.connections = 0
        self._breaks_after = breaks_after
        self._closed = threading.Event()

    def frames(self) -> Iterator[Frame]:
        self.connections += 1
        for seq in range(self._breaks_after):
            if self._closed.wait(0.02):
                return
            yield Frame(self.camera, seq, CLOCK.monotonic(), WALL, PICTURE)
        raise SourceLost("x: broke the connection")

    def clip(self, start_s: float, end_s: float) -> bytes | None:
        return None

    def rest(self, is_resting: bool) -> None:
        pass

    def close(self) -> None:
        self._closed.set()


class Finder:
    """Finds nothing."""

    model = ModelInfo("finder", None)
    is_ordered = False
    min_score = 0.5
    names: tuple[str, ...] = ("car",)

    def detect(self, frame: Frame) -> Detections:
        return Detections.none(self.names)


class Failing(Finder):
    """Fails at every picture."""

    def detect(self, frame: Frame) -> Detections:
        raise ModelError("the network refused its input")


class Tracker:
    def update(self, detections: Detections, frame: Frame) -> tuple[Track, ...]:
        return ()

    def hold(self, frame: Frame) -> tuple[Track, ...]:
        return ()

    def ended(self) -> tuple[Track, ...]:
        return ()


class Collector:
    """Documents nothing."""

    def update(self, scene: Scene, events: Iterable[Event]) -> Iterable[Case]:
        return ()

    finish = suspend = update

    def remember(self) -> JSON:
        return []

    def recall(self, state: JSON, moved: Moved) -> None:
        pass


class Forgetful(Collector):
    """Cannot say what it knows."""

    def suspend(self, scene: Scene, events: Iterable[Event]) -> Iterable[Case]:
        raise ModelError("the plate model refused its input")

    def remember(self) -> JSON:
        raise KeyError("broken")


class Counting:
    """Tells of every picture."""

    kind = "test.counting"

    def update(self, scene: Scene) -> Iterable[Event]:
        yield happening(scene, "update")

    def finish(self, scene: Scene) -> Iterable[Event]:
        yield happening(scene, "end")

    def remember(self) -> JSON:
        return None

    def recall(self, state: JSON, moved: Moved) -> None:
        pass


class Hanging(Counting):
    """Does not come back before it is let go."""

    kind = "test.hanging"

    def __init__(self, over: threading.Event) -> None:
        self._over = over

    def update(self, scene: Scene) -> Iterable[Event]:
        self._over.wait()
        return ()


class Standing(Counting):
    """Something begins with the first picture and goes on; it remembers that it has begun."""

    kind = "test.standing"

    def __init__(self) -> None:
        self._has_begun = False

    def update(self, scene: Scene) -> Iterable[Event]:
        if not self._has_begun:
            self._has_begun = True
            yield happening(scene, "begin")

    def remember(self) -> JSON:
        return self._has_begun

    def recall(self, state: JSON, moved: Moved) -> None:
        self._has_begun = state


def happening(scene: Scene, phase: str) -> Event:
    frame = scene.frame
    return Event(frame.camera, "test", "x", phase, 0.0, frame.t_s, frame.wall, frame.seq)  # type: ignore[arg-type]


class Keeper:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, event: Event) -> None:
        self.events.append(event)

    def case(self, case: Case, clip: bytes | None) -> None:
        raise AssertionError("no case expected")


def pipeline(
    make: Callable[[], Analyzer] = Counting,
    detector: Finder | None = None,
    collector: Collector | None = None,
) -> Pipeline:
    slot = RuleSlot("test", make, key="rule")
    return Pipeline(detector or Finder(), Tracker(), [slot], collector or Collector())


def camera(name: str = "a", of: Pipeline | None = None, film: Film | None = None) -> LiveCamera:
    return LiveCamera(name, film or Film(name), of or pipeline())


Run = Callable[..., Daemon]


@pytest.fixture
def run() -> Iterator[Run]:
    """Starts daemons; stops them when the test is over."""
    running: list[Daemon] = []

    def start(
        *cameras: LiveCamera,
        sink: Keeper | None = None,
        cabinet: Cabinet | None = None,
        workers: int = 2,
        remake: Callable[[LiveCamera], Pipeline] = lambda camera: pipeline(),
        backoff: Backoff | None = None,
    ) -> Daemon:
        daemon = Daemon(sink or Keeper(), cabinet or Unwired(), CLOCK, workers, remake)
        daemon.backoff = backoff or daemon.backoff
        running.append(daemon)
        daemon.start()
        for each in cameras:
            daemon.add(each)
        return daemon

    yield start
    for daemon in running:
        daemon.stop()
        assert daemon.writer.close(SOON_S)


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set in the end, so that no thread hangs for longer than its test."""
    event = threading.Event()
    yield event
    event.set()


def soon(holds: Callable[[], object]) -> bool:
    end_s = CLOCK.monotonic() + SOON_S
    while CLOCK.monotonic() < end_s:
        if holds():
            return True
        CLOCK.sleep(0.01)
    return False


def health(daemon: Daemon, name: str = "a") -> CameraHealth:
    return daemon.cameras[name].vitals.at(CLOCK.monotonic())


def is_hanging(daemon: Daemon) -> bool:
    """True once a worker has been busy with one picture for a while."""
    busy = [worker.busy_with for worker in daemon._workers]
    return any(each and CLOCK.monotonic() - each.since_s > 0.2 for each in busy)


class Faults(Unwired):
    """Remembers why each camera cannot vouch for an empty zone."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, str | None] = {}

    def fault(self, camera: str, reason: str | None) -> None:
        self.told[camera] = reason


def test_a_camera_on_whose_pictures_nothing_is_decided_is_not_well(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    cabinet, refused = Faults(), "the network refused its input"
    broken = camera("a", pipeline(detector=Failing()))
    daemon = run(
        broken,
        camera("b"),
        cabinet=cabinet,
        remake=lambda camera: pipeline(detector=Failing()),
    )
    assert soon(lambda: broken.failures) and soon(lambda: broken.vitals.frames > 20)
    found = health(daemon)
    assert (found.state, found.reason, found.losses) == ("lost", refused, 0)
    daemon.tick(CLOCK.monotonic())
    assert cabinet.told == {"a": refused, "b": None}
    assert [each.message for each in caplog.records] == ["camera failed"]

    broken.pipeline, broken.resumes_s = pipeline(), 0.0
    assert soon(lambda: health(daemon).state == "online")
    daemon.tick(CLOCK.monotonic())
    assert cabinet.told["a"] is None


def test_a_camera_may_fail_for_days(run: Run) -> None:
    daemon, broken = run(), camera()
    for _ in range(2000):
        daemon.fail(broken, "the network refused its input")
    assert 50 < broken.resumes_s - CLOCK.monotonic() <= 60


def test_what_goes_on_is_known_to_the_pipeline_that_is_made_anew(run: Run) -> None:
    keeper, broken = Keeper(), camera(of=pipeline(Standing))
    daemon = run(broken, sink=keeper, remake=lambda camera: pipeline(Standing))
    assert soon(lambda: keeper.events)
    before = broken.pipeline
    daemon.fail(broken, "the network refused its input")
    assert broken.pipeline is not before
    broken.resumes_s, judged = 0.0, broken.latest
    assert soon(lambda: broken.latest is not judged)
    daemon.remove("a")
    assert soon(lambda: len(keeper.events) > 1)
    assert [event.phase for event in keeper.events] == ["begin", "end"]


def test_a_line_that_is_gone_costs_no_event(run: Run) -> None:
    class Cut(Unwired):
        def progress(self, now_s: float) -> None:
            raise SignalError("gpio: the chip is gone")

    keeper = Keeper()
    run(camera(), sink=keeper, cabinet=Cut())
    assert soon(lambda: keeper.events)


def test_what_waits_for_the_disk_holds_no_picture() -> None:
    class Seen(ArrayPicture):
        """One that can be watched."""

    daemon = Daemon(Keeper(), Unwired(), CLOCK, 1, lambda camera: pipeline())
    each, picture = camera(), Seen(np.zeros((8, 8, 3), np.uint8))
    watched = weakref.ref(picture)
    frame = Frame("a", 0, 1.0, WALL, picture)
    outcome = each.pipeline.step(frame, Detections.none())
    daemon.commit(each, Post("a", frame, "see"), outcome)
    assert daemon.writer.waiting == 1
    del picture, frame, outcome, each
    gc.collect()
    assert watched() is None


def test_a_site_file_is_taken_over_while_a_rule_hangs(run: Run, over: threading.Event) -> None:
    keeper, stuck = Keeper(), camera(of=pipeline(lambda: Hanging(over)))
    daemon = run(stuck, sink=keeper)
    assert soon(lambda: is_hanging(daemon))
    started_s = CLOCK.monotonic()
    daemon.exchange("a", pipeline())
    assert CLOCK.monotonic() - started_s < 5
    assert soon(lambda: keeper.events), "it goes on"


def test_a_camera_that_is_taken_off_and_put_on_again_is_served(run: Run) -> None:
    daemon = run()
    daemon.board.put(Post("a", Frame("a", 0, 0.0, WALL, PICTURE), "see"))
    assert soon(lambda: daemon.board.is_empty)
    for _ in range(5):
        fresh = camera()
        daemon.add(fresh)
        assert soon(lambda each=fresh.vitals: each.inferred > 2)  # type: ignore[misc]
        daemon.remove("a")
        assert not daemon._readers and daemon.board.is_empty


def test_threads_that_were_only_slow_are_forgiven(run: Run) -> None:
    slow = threading.Event()
    daemon = run(
        camera(of=pipeline(lambda: Hanging(slow))),
        remake=lambda camera: pipeline(lambda: Hanging(slow)),
    )
    daemon.hang_s = 0.1
    for _ in range(MAX_ORPHANS + 1):
        slow.clear()
        assert soon(lambda: is_hanging(daemon))
        daemon.tick(CLOCK.monotonic())
        slow.set()
        assert soon(lambda: not any(each.is_alive() for each in daemon._orphans))
    assert daemon.stuck(CLOCK.monotonic()) is None


def test_what_hangs_does_not_keep_the_box_from_stopping(run: Run, over: threading.Event) -> None:
    cameras = [camera(name, pipeline(lambda: Hanging(over))) for name in "abcd"]
    daemon = run(*cameras, workers=4)
    assert soon(lambda: all(worker.busy_with for worker in daemon._workers))
    started_s = CLOCK.monotonic()
    daemon.stop()
    daemon.suspend()
    daemon.remember()
    assert CLOCK.monotonic() - started_s < 4


def test_what_a_hanging_camera_knew_is_not_forgotten(run: Run, over: threading.Event) -> None:
    each = camera(of=pipeline(Standing))
    daemon = run(each, camera("b"))
    assert soon(lambda: each.latest)
    known = daemon.remember()["a"]
    each.pipeline.rules = [RuleSlot("test", lambda: Hanging(over), key="rule")]
    assert soon(lambda: is_hanging(daemon))
    daemon._patience_s = 0.1
    found = daemon.remember()
    assert found["a"] == known and found.keys() == {"a", "b"}


def test_a_pipeline_that_cannot_say_what_it_knows_costs_the_others_nothing(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = camera("a", pipeline(collector=Forgetful())), camera("b")
    daemon = run(broken, sound)
    assert soon(lambda: broken.latest and sound.latest)
    daemon.stop()
    daemon.suspend()
    assert all(daemon.remember().keys() == {"b"} for _ in range(10))
    assert [each.message for each in caplog.records] == ["pipeline failed"] * 2
    assert all(each.lock.acquire(timeout=0) for each in (broken, sound))


def test_a_camera_that_is_down_is_told_once(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    film = Film("a", breaks_after=0)
    run(camera(film=film), backoff=Backoff(0.02, 0.04))
    assert soon(lambda: film.connections > 10)
    assert [each.message for each in caplog.records] == ["camera lost"]


def test_a_camera_that_breaks_off_at_once_is_asked_less_and_less_often(run: Run) -> None:
    film = Film("a", breaks_after=2)
    run(camera(film=film), backoff=Backoff(min_s=0.1))
    CLOCK.sleep(2.0)
    assert film.connections <= 6


def test_a_pipeline_that_cannot_be_made_anew_costs_no_thread(run: Run) -> None:
    def refuse(camera: LiveCamera) -> Pipeline:
        raise RuntimeError("what nobody has foreseen")

    broken, sound = camera("a", pipeline(detector=Failing())), camera("b")
    daemon = run(broken, sound, remake=refuse)
    assert soon(lambda: broken.failures)
    seen = sound.vitals.inferred
    assert soon(lambda: sound.vitals.inferred > seen + 5)
    assert daemon.stuck(CLOCK.monotonic()) is None


def test_a_reader_that_hangs_is_a_case_for_a_new_process(run: Run, over: threading.Event) -> None:
    class Shutter:
        changed_s = 0.0

        def is_open(self, frame: Frame) -> bool:
            return over.wait()

    stuck = camera()
    stuck.pipeline.gate = Shutter()
    daemon = run(stuck, camera("b"))
    assert soon(lambda: stuck.vitals.frames)
    reader = daemon._readers["a"]
    before_s = reader.beat_s
    reader.beat_s -= READER_S
    CLOCK.sleep(0.2)
    assert reader.beat_s < before_s
    assert daemon.stuck(CLOCK.monotonic()) == "read-a hangs"
