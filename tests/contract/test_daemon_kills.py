"""The daemon killed at random moments, its broker as well: nothing that was decided is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.clock import SystemClock
from edge_agent.evidence import verify
from edge_agent.uplink import Outbox

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("EDGE_AGENT_KILLS", "25"))
"""Of the agent; a hundred take five minutes."""
PATIENCE_S = 30.0
CLOCK = SystemClock()
SITE = """
site: {{name: plaza}}
device: box
data_dir: {folder}/data
state_dir: {folder}/state
mqtt: {{host: 127.0.0.1, port: {port}}}
evidence: {{clip_after_s: 0.1, clip_before_s: 0.1, sheet: false}}
cameras:
  north:
    source: {{kind: file, path: {video}, loop: true}}
    detector: {{model: motion}}
    tracker: {{confirm_s: 0, lost_still_s: 1}}
    zones: {{all: [[0, 0], [1, 0], [1, 1], [0, 1]]}}
    lines: {{middle: {{a: [0.5, 0], b: [0.5, 1]}}}}
    rules:
      - {{kind: flow.line_crossing, line: middle}}
      - {{kind: parking.illegal, zone: all, dwell_s: 0.2, update_s: 0.2, reentry_s: 0}}
"""


def sketches() -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
    """A box drives in, stops beyond the middle for a moment, and drives on; then nothing."""
    ground = np.random.default_rng(0).integers(90, 130, (120, 160, 3), np.uint8)
    for i in range(80):
        x = 4 * i if i < 25 else 100 if i < 70 else 100 + 6 * (i - 70)
        picture = ground.copy()
        if x < 160:
            cv2.rectangle(picture, (x, 50), (x + 30, 80), (20, 20, 220), -1)
        yield picture
    yield from (ground for _ in range(15))


class Consumer:
    """Id -> sequences of all that arrived; at QoS 0, so that only what the agent loses is lost."""

    def __init__(self, port: int) -> None:
        self.sequences: dict[str, set[int]] = {}
        version = CallbackAPIVersion.VERSION2
        self._client = paho.Client(version, "c", clean_session=False, protocol=paho.MQTTv311)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._keep
        self._client.connect("127.0.0.1", port)
        tree = "edge/v1/plaza/box/replay"
        self._client.subscribe([(f"{tree}/cam/+/event/#", 0), (f"{tree}/case/+", 0)])
        self._client.loop_start()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _keep(self, _client: object, _user: object, message: paho.MQTTMessage) -> None:
        envelope = json.loads(message.payload)
        self.sequences.setdefault(envelope["id"], set()).add(int(envelope["sequence"]))


class Lives:
    """The agent's lives, one after the other."""

    def __init__(self, config: Path, environment: dict[str, str], log: Path) -> None:
        script = Path(__file__).with_name("reborn.py")
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, str(script), "run", "--config", str(config)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        assert self._told() == "ready"

    def begin(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return int(self._told())

    def end(self, child: int, how: signal.Signals) -> int:
        os.kill(child, how)
        return int(self._told().removeprefix("gone "))

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        self._log.close()

    def _told(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def test_the_daemon_killed_at_random_moments_loses_nothing(
    mosquitto: Callable[..., Any],
    make_video: Callable[..., Path],
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    broker = mosquitto()
    video = make_video(tmp_path / "lane.mp4", sketches(), fps=50)
    config = tmp_path / "site.yaml"
    config.write_text(SITE.format(folder=tmp_path, port=broker.port, video=video))
    consumer, chance = Consumer(broker.port), random.Random(20261125)
    lives = Lives(config, environment, tmp_path / "agent.log")
    folder = tmp_path / "data" / "paced"
    try:
        for life in range(KILLS):
            child = lives.begin()
            CLOCK.sleep(chance.uniform(0.1, 4.0))
            if life % 10 == 5:
                broker.kill()
            assert lives.end(child, signal.SIGKILL) == -signal.SIGKILL
            if life % 10 == 5:
                broker.start()
        child = lives.begin()
        known = len(consumer.sequences)
        assert _comes_true(lambda: len(consumer.sequences) > known)
        assert lives.end(child, signal.SIGTERM) == 0
        assert _comes_true(lambda: _state(folder) == (0, len(consumer.sequences))), _state(folder)
    finally:
        lives.close()
        consumer.close()
    numbers = sorted(number for numbers in consumer.sequences.values() for number in numbers)
    assert numbers == list(range(1, len(numbers) + 1)), "a gap, or one id under two numbers"
    assert len(numbers) > KILLS / 2
    reports = [verify(path) for path in sorted((folder / "evidence").glob("*.evb"))]
    assert reports and not [report for report in reports if report.findings]
    log = (tmp_path / "agent.log").read_text()
    assert "Traceback" not in log, log


def _comes_true(holds: Callable[[], bool]) -> bool:
    for _ in range(round(PATIENCE_S / 0.1)):
        if holds():
            return True
        CLOCK.sleep(0.1)
    return False


def _state(folder: Path) -> tuple[int, int]:
    """Events that no broker has acknowledged, and all that there ever were."""
    with Outbox(folder / "outbox.db") as outbox:
        return outbox.waiting, outbox.last_sequence
