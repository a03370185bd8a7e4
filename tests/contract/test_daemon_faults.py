"""What goes wrong on a pole, one thing at a time: the rest of the box goes on, nothing is lost."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import deepcopy
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml

from edge_agent.clock import SystemClock
from edge_agent.config.load import site_sha256
from edge_agent.errors import ConfigError, EvidenceError, UplinkError, UsageError
from edge_agent.live.appliance import Appliance
from edge_agent.pipeline import RuleSlot
from edge_agent.types import Event, Scene

pytestmark = pytest.mark.slow

CLOCK = SystemClock()


@pytest.fixture
def site(tmp_path: Path, make_video: Callable[..., Path], shared: Path) -> Callable[..., Path]:
    """Writes a site with two cameras that play a small recording for ever."""
    video = make_video(tmp_path / "lane.mp4", 50)

    def write(**more: object) -> Path:
        camera = {
            "source": {"kind": "file", "path": str(video), "loop": True},
            "detector": {"model": "motion"},
            "lines": {"middle": {"a": [0.5, 0], "b": [0.5, 1]}},
            "rules": [{"kind": "flow.line_crossing", "line": "middle"}],
        }
        text = {
            "site": {"name": "plaza"},
            "device": "box",
            "state_dir": str(tmp_path / "state"),
            "data_dir": str(tmp_path / "data"),
            "cameras": {"north": camera, "south": deepcopy(camera)},
            **more,
        }
        path = tmp_path / "site.yaml"
        path.write_text(yaml.safe_dump(text))
        return path

    return write


class Broken:
    """A rule that raises."""

    kind = "test.broken"

    def update(self, scene: Scene) -> Iterable[Event]:
        raise RuntimeError("on purpose")

    def finish(self, scene: Scene) -> Iterable[Event]:
        return ()


class Hanging:
    """A rule that never comes back, until the test is over."""

    kind = "test.hanging"

    def __init__(self, over: threading.Event) -> None:
        self._over = over

    def update(self, scene: Scene) -> Iterable[Event]:
        self._over.wait()
        return ()

    def finish(self, scene: Scene) -> Iterable[Event]:
        return ()


def test_a_rule_that_raises_is_switched_off_and_told(boxes: Any, site: Callable[..., Path]) -> None:
    with boxes.running(site()) as box:
        camera = box.daemon.cameras["north"]
        camera.pipeline.rules = [*camera.pipeline.rules, RuleSlot("test.broken", Broken)]
        assert boxes.comes_true(lambda: camera.vitals.rules_off == ("test.broken",))
        assert boxes.goes_on(box, "north") and boxes.goes_on(box, "south")
        health = box.snapshot()
        assert not health.is_well and health.cameras["south"].rules_off == ()
        assert box.daemon.stuck(CLOCK.monotonic()) is None


def test_a_rule_that_hangs_costs_one_thread_and_nobody_else(
    boxes: Any, site: Callable[..., Path]
) -> None:
    over = threading.Event()
    with boxes.running(site()) as box:
        box.daemon.hang_s = 1.0
        camera = box.daemon.cameras["north"]
        camera.pipeline.rules = [
            *camera.pipeline.rules,
            RuleSlot("test.hanging", lambda: Hanging(over)),
        ]
        south = box.daemon.cameras["south"].vitals
        before = south.at(CLOCK.monotonic()).frames
        assert boxes.comes_true(lambda: camera.hung == ["test.hanging"])
        assert boxes.comes_true(lambda: camera.vitals.rules_off == ("test.hanging",))
        assert south.at(CLOCK.monotonic()).frames > before
        assert boxes.goes_on(box, "north") and boxes.goes_on(box, "south")
        assert box.daemon.stuck(CLOCK.monotonic()) is None, "one hanging thread is survivable"
        over.set()


def test_too_many_hanging_threads_are_a_case_for_a_new_process(
    boxes: Any, site: Callable[..., Path]
) -> None:
    over = threading.Event()
    with boxes.running(site()) as box:
        box.daemon.hang_s = 0.5
        camera = box.daemon.cameras["north"]
        for kind in ("a", "b", "c", "d"):
            slot = RuleSlot(kind, lambda: Hanging(over))
            camera.pipeline.rules = [*camera.pipeline.rules, slot]
            assert boxes.comes_true(lambda kind=kind: kind in camera.hung)
        stuck = box.daemon.stuck(CLOCK.monotonic())
        assert stuck is not None and "4 workers hang" in stuck
        over.set()


def test_a_bad_site_file_changes_nothing_and_a_good_one_one_camera(
    boxes: Any,
    site: Callable[..., Path],
) -> None:
    config = site()
    with boxes.running(config) as box:
        assert boxes.goes_on(box, "north")
        before = {name: each.pipeline for name, each in box.daemon.cameras.items()}
        text = config.read_text()
        config.write_text(text.replace("line: middle", "line: muddle", 1))
        why = boxes.reload(box)
        assert why is not None and "muddle" in why and str(config) in why
        assert {n: each.pipeline for n, each in box.daemon.cameras.items()} == before

        changed = yaml.safe_load(text)
        changed["cameras"]["south"]["rules"][0]["classes"] = ["vehicle"]
        config.write_text(yaml.safe_dump(changed))
        assert boxes.reload(box) is None
        assert box.daemon.cameras["north"].pipeline is before["north"]
        assert box.daemon.cameras["south"].pipeline is not before["south"]
        assert boxes.comes_true(lambda: box.journal.origin.config_sha256 == site_sha256(config))
        assert boxes.goes_on(box, "north") and boxes.goes_on(box, "south")

        del changed["cameras"]["south"]
        config.write_text(yaml.safe_dump(changed))
        assert boxes.reload(box) is None
        assert list(box.daemon.cameras) == ["north"] and boxes.goes_on(box, "north")

        changed["device"] = "another"
        config.write_text(yaml.safe_dump(changed))
        why = boxes.reload(box)
        assert why is not None and "restart" in why


def test_plates_are_hidden_from_the_moment_the_site_file_asks_for_it(
    boxes: Any, site: Callable[..., Path], tmp_path: Path
) -> None:
    key = tmp_path / "plates.key"
    key.write_text(f"{'5a' * 32}\n")
    key.chmod(0o600)
    with boxes.running(site()) as box:
        assert box.journal.plate_key is None
        site(privacy={"plates": "hashed", "key_file": str(key)})
        assert boxes.reload(box) is None
        assert boxes.comes_true(lambda: box.journal.plate_key is not None)
        assert boxes.goes_on(box, "north") and boxes.goes_on(box, "south")


def test_a_disk_that_hangs_or_fails_stops_no_output(
    boxes: Any, site: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with boxes.running(site(mqtt={"host": "127.0.0.1", "port": 1})) as box:
        assert boxes.goes_on(box, "north")
        ticks, tick = [CLOCK.monotonic()], box.cabinet.tick

        def watched(now_s: float) -> Iterable[Event]:
            ticks.append(now_s)
            found: Iterable[Event] = tick(now_s)
            return found

        monkeypatch.setattr(box.cabinet, "tick", watched)
        with box.outbox._lock:  # as while SQLite waits for the disk
            CLOCK.sleep(4.0)
        ticks.append(CLOCK.monotonic())
        assert max(after - before for before, after in pairwise(ticks)) < 1.0
        look = Mock(side_effect=UplinkError("the disk is gone"))
        monkeypatch.setattr(box, "snapshot", look)
        assert boxes.comes_true(lambda: look.called)
        seen = len(ticks)
        assert boxes.comes_true(lambda: len(ticks) > seen + 10)
        monkeypatch.undo()


def test_a_disk_that_takes_nothing_keeps_no_box_from_stopping(
    boxes: Any, site: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    over, closed = threading.Event(), list[float]()
    with (
        pytest.raises(EvidenceError, match="not everything was written"),
        boxes.running(site()) as box,
    ):
        assert boxes.goes_on(box, "north")
        monkeypatch.setattr(box.cabinet, "close", lambda: closed.append(CLOCK.monotonic()))
        box.daemon.writer.put(over.wait)
        asked_s = CLOCK.monotonic()
    over.set()
    assert CLOCK.monotonic() - asked_s < 8
    assert closed[0] - asked_s < 1, "every call is on before anything is waited for"


def test_what_cannot_be_taken_over_is_refused_before_anything_is_changed(
    boxes: Any, site: Callable[..., Path]
) -> None:
    broker = {"host": "127.0.0.1", "port": 1}
    with boxes.running(site(mqtt=broker)) as box:
        before, uplink, cameras = box.site, box.uplink, dict(box.daemon.cameras)
        for more, said in (
            ({"mqtt": {**broker, "host": "broker..example.org"}}, "host name"),
            ({"mqtt": {**broker, "tls": {"ca": "/nowhere/ca.pem"}}}, "/nowhere/ca.pem"),
            ({"mqtt": broker, "metrics": {"port": 9}}, "restart"),
        ):
            config = site(**more)
            config.write_text(config.read_text().replace("south:", "west:"))
            why = boxes.reload(box)
            assert why is not None and said in why
            assert (box.site, box.uplink, box.daemon.cameras) == (before, uplink, cameras)
        assert box.uplink.status().state != "stopped"


def test_two_boxes_never_share_a_folder(boxes: Any, site: Callable[..., Path]) -> None:
    config = site()
    second = Appliance(config, CLOCK, workers=1)
    refused = pytest.raises(UsageError, match="another edge-agent runs")
    with boxes.running(config), refused, second.running():
        pass


def test_a_box_that_was_renamed_says_so_instead_of_trying_for_ever(
    boxes: Any, site: Callable[..., Path]
) -> None:
    config = site()
    with boxes.running(config) as box:
        assert boxes.goes_on(box, "north")
    config.write_text(config.read_text().replace("plaza", "market"))
    renamed = Appliance(config, CLOCK, workers=1)
    refused = pytest.raises(ConfigError, match="holds the log and evidence of edge/plaza/box")
    with refused, renamed.running():
        pass


def test_weights_that_rot_on_the_disk_are_refused_when_they_are_read_again(
    boxes: Any, site: Callable[..., Path], tmp_path: Path, shared: Path
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for found in (shared / "models").rglob("FastestDet.onnx"):
        shutil.copy(found, folder)
    config = site(models_dir=str(folder))
    config.write_text(config.read_text().replace("model: motion", "model: fastestdet"))
    with boxes.running(config) as box:
        north = box.daemon.cameras["north"].vitals
        assert boxes.comes_true(lambda: north.inferred > 3)
        (folder / "FastestDet.onnx").write_bytes(b"rotten")
        seen = north.inferred
        assert boxes.comes_true(lambda: north.inferred > seen + 3)
        config.write_text(config.read_text() + "\nevidence: {jpeg_quality: 80}\n")
        why = boxes.reload(box)
        if why is not None:  # else the weights in memory went on serving
            assert "FastestDet.onnx" in why
        seen = north.inferred
        assert boxes.comes_true(lambda: north.inferred > seen + 3)


def test_a_folder_that_is_gone_is_noticed_and_waited_for(
    boxes: Any, site: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An SSD whose plug was drawn: what lies in its place must not be taken for it."""
    with boxes.running(site()) as box:
        assert boxes.goes_on(box, "north") and box.snapshot().is_well
        told = box.outbox.last_sequence
        (tmp_path / "data").rename(tmp_path / "away")
        (tmp_path / "data/paced").mkdir(parents=True)
        assert boxes.comes_true(lambda: not box.snapshot().is_well)
        assert boxes.comes_true(lambda: box.outbox.last_sequence > told)
        assert box.stuck(CLOCK.monotonic()) is None
        assert "is not there" in box.stuck(CLOCK.monotonic() + 61)
        assert [path.name for path in (tmp_path / "data/paced").iterdir()] == []
        (tmp_path / "data/paced").rmdir()
        (tmp_path / "data").rmdir()
        (tmp_path / "away").rename(tmp_path / "data")
        assert boxes.comes_true(lambda: box.snapshot().is_well)
        assert box.stuck(CLOCK.monotonic() + 1) is None
    said = [each.message for each in caplog.records]
    assert said.count("the data folder is gone") == 1 and "memory not written" not in said


def test_a_box_whose_folder_was_deleted_leaves_nothing_half_behind(
    boxes: Any, site: Callable[..., Path], tmp_path: Path
) -> None:
    config = site()
    with pytest.raises(EvidenceError, match="is not there"), boxes.running(config) as box:
        assert boxes.comes_true(lambda: box.outbox.last_sequence > 0)
        shutil.rmtree(tmp_path / "data")
        shutil.rmtree(tmp_path / "state")
        assert boxes.comes_true(lambda: not box.snapshot().is_well)
    with boxes.running(config) as box:
        assert boxes.comes_true(lambda: box.outbox.last_sequence > 0)


class Shifted:
    """The machine's clock, put forward or back by somebody."""

    def __init__(self) -> None:
        self.by = timedelta()

    def now(self) -> datetime:
        return CLOCK.now() + self.by

    def monotonic(self) -> float:
        return CLOCK.monotonic()

    def busy(self) -> float:
        return CLOCK.busy()

    def sleep(self, seconds: float) -> None:
        CLOCK.sleep(seconds)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_stepped_disturbs_no_camera(
    boxes: Any, site: Callable[..., Path], hours: int
) -> None:
    clock = Shifted()
    with boxes.running(site(), clock) as box:
        assert boxes.goes_on(box, "north")
        clock.by = timedelta(hours=hours)
        assert boxes.goes_on(box, "north", 15) and boxes.goes_on(box, "south", 15)
        pipeline = box.daemon.cameras["north"].pipeline
        assert pipeline._stepped_s is not None
        assert box.snapshot().cameras["north"].losses == 0


def test_whatever_becomes_of_the_site_file_the_old_one_stays(
    boxes: Any, site: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = site()
    with boxes.running(config) as box:
        before = box.site
        text = config.read_bytes()
        config.unlink()
        assert "no such file" in str(boxes.reload(box))
        config.mkdir()
        assert "is a folder" in str(boxes.reload(box))
        config.rmdir()
        config.write_bytes(b"{" * 100_000)
        assert boxes.reload(box) is not None
        config.write_bytes(text[: len(text) // 2])
        assert boxes.reload(box) is not None
        with monkeypatch.context() as broken:
            broken.setattr(box, "config", None)  # what nobody has foreseen
            assert boxes.reload(box) is not None
        assert box.site is before
        config.write_bytes(text)
        assert boxes.reload(box) is None
        assert boxes.goes_on(box, "north") and boxes.goes_on(box, "south")


def test_a_storm_of_reloads_is_one_or_two(
    boxes: Any, site: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with boxes.running(site()) as box:
        assert boxes.goes_on(box, "north")
        asked = [boxes.requests[box].ask_reload() for _ in range(50)]
        assert all(each.result(boxes.PATIENCE_S) is None for each in asked)
        assert boxes.goes_on(box, "north") and box.snapshot().cameras["north"].losses == 0
    assert 1 <= [each.message for each in caplog.records].count("site file taken over") <= 2


def _has_open(pid: int, path: Path) -> bool:
    with suppress(FileNotFoundError):  # closed while it was looked at
        return any(each.readlink() == path for each in Path(f"/proc/{pid}/fd").iterdir())
    return False


def test_a_box_whose_models_do_not_load_can_be_stopped(
    boxes: Any, site: Callable[..., Path], tmp_path: Path
) -> None:
    """As from a card or a network disk that does not answer."""
    folder = tmp_path / "models"
    folder.mkdir()
    weights = folder / "FastestDet.onnx"
    with weights.open("wb") as file:
        file.truncate(1 << 36)  # minutes, to be hashed
    config = site(models_dir=str(folder))
    config.write_text(config.read_text().replace("model: motion", "model: fastestdet"))
    command = [sys.executable, "-m", "edge_agent", "run", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert boxes.comes_true(lambda: _has_open(process.pid, weights))
            process.terminate()
            said = process.communicate(timeout=10)[1]
        finally:
            process.kill()
    assert process.returncode == 0 and "stopped before it had begun" in said
