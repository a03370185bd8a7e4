"""How long it takes from a picture to a decision, to the broker's word, and to a contact.

    python tools/bench_latency.py --seconds 120 --cameras 2 --model fastestdet

The demo's street is played at its own pace by the real daemon, against a real mosquitto with
persistence on this machine. Frame to decision is the daemon's own figure: from the moment at which
a picture was due at the camera to the end of its rules. Decision to PUBACK is from the moment at
which an envelope lies in the outbox (synced to the disk) to the one at which it has left it; the
outbox is looked at every millisecond. Frame to contact is from the moment at which the first
picture with somebody in a call's zone was due to the answer of the process that holds the lines
(mock pins there: a real line's edge adds what docs/gpio-transcript.md says of the kernel).
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from edge_agent.clock import SystemClock
from edge_agent.config.signal_io import Line
from edge_agent.geometry import Polygon
from edge_agent.live.appliance import Appliance
from edge_agent.live.notify import Notifier
from edge_agent.live.remote import Remote
from edge_agent.live.requests import Requests
from edge_agent.live.service import serve
from edge_agent.signals import Lines, WiredCabinet
from edge_agent.types import Scene
from edge_agent.uplink import Outbox
from soak import write_site

CLOCK = SystemClock()
CALLED = "street-0"
CORNERS = ((0.2, 0.55), (0.75, 0.55), (0.75, 0.62), (0.2, 0.62))
"""A strip across the lanes of the demo's street: everybody who passes calls for a moment."""
APPROACH = Polygon(CORNERS)


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """A mosquitto that keeps what it acknowledges."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
        f"persistence_location {folder}/\nautosave_interval 1\nuser root\n"
    )
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") or "mosquitto"
    process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        CLOCK.sleep(1.0)
        yield port
    finally:
        process.kill()
        process.wait()


class Watch:
    """When envelopes were stored, and when they were acknowledged."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._stored: dict[int, float] = {}
        self._over = threading.Event()
        self.waits_ms: list[float] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def store(self) -> None:
        self._stored[self._outbox.last_sequence] = CLOCK.monotonic()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.001):
            if not self._stored:
                continue
            known = list(self._stored)
            waiting = {row.sequence for row in self._outbox.pending()}
            now_s = CLOCK.monotonic()
            for sequence in known:
                if sequence not in waiting:
                    self.waits_ms.append(1000 * (now_s - self._stored.pop(sequence)))


class TimedLines(Lines):
    """Lines of the mock behind a real guard; tells when a call went on."""

    on_call: Callable[[], None] = staticmethod(lambda: None)

    def output(self, where: str, line: Line, is_active_low: bool) -> Callable[[bool], None]:
        set_level = super().output(where, line, is_active_low)

        def timed(is_energised: bool) -> None:
            set_level(is_energised)
            if not is_energised:
                self.on_call()

        return timed


class TimedCabinet(WiredCabinet):
    """How long its one call took from the picture that it was for."""

    def time(self, lines: TimedLines) -> None:
        lines.on_call = self._called
        self.waits_ms: list[float] = []
        self._since_s: float | None = None

    def see(self, scene: Scene) -> None:
        frame = scene.frame
        is_there = any(
            APPROACH.contains(t.box.foot, frame.width, frame.height) for t in scene.tracks
        )
        if frame.camera == CALLED:
            self._since_s = (self._since_s or frame.t_s) if is_there else None
        super().see(scene)

    def _called(self) -> None:
        if self._since_s is not None:
            self.waits_ms.append(1000 * (CLOCK.monotonic() - self._since_s))


def wire(box: Appliance) -> TimedCabinet:
    """Put lines behind a guard into the place of the box's own."""
    assert box.site.gpio is not None
    box.cabinet.close()
    lines = TimedLines(box.site.gpio, is_guarded=True)
    cabinet = TimedCabinet(box.site, box.timekeeper.read, lines)
    cabinet.time(lines)
    box.cabinet = box.daemon.cabinet = box.journal.outputs = cabinet
    return cabinet


def measure(config: Path, seconds: float) -> dict[str, Any]:
    """Run the box for so long."""
    requests = Requests()
    box = Appliance(config, CLOCK, workers=2)
    with box.running():
        cabinet = wire(box)
        watch, wake = Watch(box.outbox), box.journal.on_envelope

        def told() -> None:
            watch.store()
            wake()

        box.journal.on_envelope = told
        remote = Remote(box, requests)
        main = threading.Thread(target=serve, args=(box, requests, Notifier(None), remote))
        main.start()
        CLOCK.sleep(seconds)
        cameras = box.snapshot().cameras
        requests.stop.set()
        main.join()
        watch.close()
    acks = np.percentile(watch.waits_ms or [float("nan")], [50, 99])
    contacts = np.percentile(cabinet.waits_ms or [float("nan")], [50, 99])
    return {
        "frame_to_contact_ms": [round(float(figure), 1) for figure in contacts],
        "calls": len(cabinet.waits_ms),
        "frame_to_decision_ms": {name: each.lag_ms for name, each in cameras.items()},
        "decision_to_puback_ms": [round(float(figure), 1) for figure in acks],
        "envelopes": len(watch.waits_ms),
        "frames": sum(each.frames for each in cameras.values()),
        "dropped": sum(each.dropped for each in cameras.values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the daemon's delays.")
    parser.add_argument("--cameras", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--model", default="motion")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, broker(Path(name)) as port:
        config = write_site(Path(name), options.cameras, 1.0)
        site = yaml.safe_load(config.read_text())
        site["mqtt"] = {"host": "127.0.0.1", "port": port}
        for camera in site["cameras"].values():
            camera["detector"]["model"] = options.model
            camera["zones"]["approach"] = [list(corner) for corner in CORNERS]
            camera["rules"].append({"kind": "camera.health"})
        site["gpio"] = {"factory": "mock"}
        site["calls"] = {"ns": {"line": 5, "camera": CALLED, "zone": "approach"}}
        config.write_text(yaml.safe_dump(site))
        print(json.dumps(measure(config, options.seconds), indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
