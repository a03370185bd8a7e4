"""Real cameras that die, freeze, come back, talk nonsense; a disk that is full."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_agent.evidence.log import Checkpoint, Note

pytestmark = pytest.mark.slow


def site(folder: Path, urls: list[str], **more: object) -> Path:
    """A site with a camera per address, named a, b, ..."""
    cameras = {
        name: {
            "source": {"kind": "rtsp", "url": url, "stall_s": 1},
            "detector": {"model": "motion"},
            "rules": [{"kind": "camera.health", "after_s": 1}],
        }
        for name, url in zip("ab", urls, strict=False)
    }
    text = {
        "site": {"name": "plaza"},
        "device": "box",
        "state_dir": str(folder / "state"),
        "data_dir": str(folder / "data"),
        "cameras": cameras,
        **more,
    }
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(text))
    return path


def test_a_camera_killed_frozen_and_back_disturbs_nobody(
    boxes: Any, rtsp_cameras: list[Any], tmp_path: Path
) -> None:
    first, _ = rtsp_cameras
    with boxes.running(site(tmp_path, [camera.url for camera in rtsp_cameras])) as box:
        a, b = (box.daemon.cameras[name].vitals for name in "ab")
        assert boxes.goes_on(box, "a") and boxes.goes_on(box, "b")
        assert not box.journal.origin.is_replay

        first.process.send_signal(signal.SIGSTOP)
        assert boxes.comes_true(lambda: a.state == "lost" and "has sent nothing" in a.reason)
        assert boxes.goes_on(box, "b")
        first.process.send_signal(signal.SIGCONT)
        assert boxes.comes_true(lambda: a.state == "online") and boxes.goes_on(box, "a")

        first.kill()
        assert boxes.comes_true(lambda: a.state == "lost")
        assert boxes.goes_on(box, "b")
        first.start()
        assert boxes.comes_true(lambda: a.state == "online") and boxes.goes_on(box, "a")
        assert (a.losses, b.losses) == (2, 0)


def test_a_camera_that_talks_nonsense_is_named_and_disturbs_nobody(
    boxes: Any, rtsp_cameras: list[Any], tmp_path: Path
) -> None:
    first, second = rtsp_cameras
    first.kill()
    with nonsense(first.port), boxes.running(site(tmp_path, [first.url, second.url])) as box:
        a = box.daemon.cameras["a"].vitals
        assert boxes.goes_on(box, "b", 20)
        assert boxes.comes_true(lambda: a.state == "lost")
        assert a.frames == 0 and a.reason and str(first.port) in a.reason
        assert box.daemon.cameras["b"].vitals.losses == 0


@contextmanager
def nonsense(port: int) -> Iterator[None]:
    """Answers every connection with bytes that mean nothing."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(0.1)

        def serve() -> None:
            while not over.is_set():
                try:
                    peer, _ = server.accept()
                except TimeoutError:
                    continue
                with peer:
                    peer.sendall(os.urandom(4096))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """24 MB of their own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.call(mount, stderr=subprocess.DEVNULL):
        pytest.skip("NO RIGHT TO MOUNT: run as root to run this test")
    try:
        yield folder
    finally:
        subprocess.call(["umount", "-l", str(folder)])


@pytest.fixture
def full(make_video: Callable[..., Path], tmp_path: Path, small_disk: Path) -> Path:
    """The site file of a box that tells much, with its data on the small disk."""
    video = make_video(tmp_path / "lane.mp4", 50)
    config = site(tmp_path, ["rtsp://127.0.0.1:1/x"], data_dir=str(small_disk / "data"))
    text = yaml.safe_load(config.read_text())
    text["cameras"]["a"]["source"] = {"kind": "file", "path": str(video), "loop": True}
    text["cameras"]["a"]["lines"] = {"middle": {"a": [0.5, 0], "b": [0.5, 1]}}
    text["cameras"]["a"]["rules"] = [{"kind": "flow.line_crossing", "line": "middle"}]
    text["evidence"] = {"min_free_mb": 1}
    config.write_text(yaml.safe_dump(text))
    return config


def test_what_a_full_disk_does_not_take_waits_and_is_told_in_the_end(
    boxes: Any, full: Path, small_disk: Path
) -> None:
    with boxes.running(full) as box:
        assert boxes.comes_true(lambda: box.outbox.last_sequence > 0)

        def is_full() -> bool:
            fill(small_disk)  # again, since the box gives up its ballast first
            return bool(box.backlog.waiting > 1)

        assert boxes.comes_true(is_full)
        assert boxes.goes_on(box, "a", 20) and not box.snapshot().is_well
        told = box.outbox.last_sequence
        (small_disk / "filler").unlink()
        assert boxes.comes_true(lambda: box.backlog.waiting == 0)
        assert box.outbox.last_sequence > told + 1
        told = box.outbox.last_sequence
    log = (small_disk / "data" / "paced" / "log" / "checkpoint").read_bytes()
    assert Checkpoint.parse(Note.from_bytes(log).text).size >= told


def test_a_camera_that_joins_while_the_disk_is_full_is_told_in_the_end(
    boxes: Any, full: Path, small_disk: Path
) -> None:
    with boxes.running(full) as box:
        assert boxes.comes_true(lambda: box.outbox.last_sequence > 0)

        def is_full() -> bool:
            fill(small_disk)
            return bool(box.backlog.waiting > 1)

        assert boxes.comes_true(is_full)
        text = yaml.safe_load(full.read_text())
        text["cameras"]["b"] = text["cameras"].pop("a")
        full.write_text(yaml.safe_dump(text))
        assert boxes.reload(box) is None
        told = box.outbox.last_sequence

        def has_seen() -> bool:
            fill(small_disk)
            return any(event.camera == "b" for event in box.backlog.events)

        assert boxes.comes_true(has_seen)
        (small_disk / "filler").unlink()
        assert boxes.comes_true(lambda: box.backlog.waiting == 0)
        assert box.outbox.last_sequence > told + 2


def test_a_box_starts_on_a_disk_that_is_full(boxes: Any, full: Path, small_disk: Path) -> None:
    with boxes.running(full) as box:
        assert boxes.comes_true(lambda: box.outbox.last_sequence > 0)
    fill(small_disk)
    with boxes.running(full) as box:
        told = box.outbox.last_sequence
        assert boxes.comes_true(lambda: box.outbox.last_sequence > told)
        assert boxes.goes_on(box, "a", 20)


def fill(folder: Path) -> None:
    """Leave no room."""
    with (folder / "filler").open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return
