"""The whole agent against a real broker: whoever is killed in the middle, nothing is lost."""

import json
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.clock import SystemClock
from edge_agent.demo import CLIP, SITE

pytestmark = pytest.mark.slow

PATIENCE_S = 60.0
TREE = "edge/v1/demo-street/demo-box/replay"


class Consumer:
    """Remembers by id which sequences arrived; its session outlives the broker.

    It listens at QoS 0: the broker then writes to it before it acknowledges towards the agent, so
    what is missing here was lost by the agent, not by a broker that died with its memory.
    """

    def __init__(self, port: int) -> None:
        self.sequences: dict[str, set[str]] = {}
        self.arrived = 0
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="c", protocol=paho.MQTTv311, clean_session=False
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._keep
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.subscribe([(f"{TREE}/cam/#", 0), (f"{TREE}/case/#", 0)])

    def __enter__(self) -> Self:
        self._client.loop_start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _keep(self, _client: object, _user: object, message: paho.MQTTMessage) -> None:
        envelope = json.loads(message.payload)
        with self._changed:
            self.sequences.setdefault(envelope["id"], set()).add(envelope["sequence"])
            self.arrived += 1
            self._changed.notify_all()

    def wait(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.arrived >= count, PATIENCE_S)

    def wait_for(self, told: dict[str, set[str]]) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.sequences == told, PATIENCE_S)


@pytest.fixture
def site(tmp_path: Path) -> Callable[[int], Path]:
    """The demo street, reporting five times a second while the offence goes on."""

    def write(port: int) -> Path:
        text = SITE.read_text() + f"\nmqtt: {{host: 127.0.0.1, port: {port}}}\n"
        path = tmp_path / "site.yaml"
        path.write_text(text.replace("dwell_s: 15", "dwell_s: 3\n        update_s: 0.2"))
        return path

    return write


def start(
    site: Path, out: Path, environment: dict[str, str], *more: str
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "edge_agent", "replay", CLIP, "--config", site, "--out", out]
    return subprocess.Popen(
        [*map(str, command), "--publish", *more],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def written(out: Path, before_ns: int) -> int:
    """Bytes of `events.jsonl` since the run under way began it anew; `before_ns`: changed then."""
    return (out / "events.jsonl").stat().st_size if changed_ns(out) != before_ns else 0


def changed_ns(out: Path) -> int:
    """When `events.jsonl` was last written; 0: never."""
    path = out / "events.jsonl"
    return path.stat().st_mtime_ns if path.exists() else 0


def told(out: Path) -> dict[str, set[str]]:
    """Id -> sequence of every line in events.jsonl, after checking that no number is missing."""
    lines = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    assert [int(line["sequence"]) for line in lines] == list(range(1, len(lines) + 1))
    assert len(lines) > 100
    return {line["id"]: {line["sequence"]} for line in lines}


def test_the_agent_killed_at_twenty_random_moments(
    mosquitto: Callable[..., Any],
    site: Callable[[int], Path],
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    broker, chance, clock = mosquitto(), random.Random(20260513), SystemClock()
    config, out = site(broker.port), tmp_path / "out"
    undisturbed = start(config, tmp_path / "again", environment)
    undisturbed.communicate(timeout=2 * PATIENCE_S)
    whole = (tmp_path / "again/events.jsonl").stat().st_size
    with Consumer(broker.port) as consumer:
        for _ in range(20):
            before_ns = changed_ns(out)
            agent = start(config, out, environment)
            # By what it has done rather than by the time, so that it is never done already.
            share = chance.uniform(0.0, 0.8)
            while agent.poll() is None and written(out, before_ns) < share * whole:
                clock.sleep(0.002)
            clock.sleep(chance.uniform(0.0, 0.02))
            agent.send_signal(signal.SIGKILL)
            agent.communicate()
            assert agent.returncode == -signal.SIGKILL, "it was done before it was killed"
        agent = start(config, out, environment)
        _, errors = agent.communicate(timeout=2 * PATIENCE_S)
        assert agent.returncode == 0, errors.decode()
        assert consumer.wait_for(told(out)), "something is missing or has two numbers"
    assert (out / "events.jsonl").read_bytes() == (tmp_path / "again/events.jsonl").read_bytes()
    assert [p.name for p in (out / "evidence").iterdir() if p.suffix not in (".evb", ".json")] == []


def test_the_broker_killed_in_the_middle_of_a_replay(
    mosquitto: Callable[..., Any],
    site: Callable[[int], Path],
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    broker, clock = mosquitto(), SystemClock()
    out = tmp_path / "out"
    with Consumer(broker.port) as consumer:
        broker.save()
        agent = start(site(broker.port), out, environment)
        for count in (20, 80):
            assert consumer.wait(count)
            broker.kill()
            clock.sleep(1.0)
            broker.start()
        _, errors = agent.communicate(timeout=2 * PATIENCE_S)
        assert agent.returncode == 0, errors.decode()
        assert consumer.wait_for(told(out)), "something is missing or has two numbers"


def test_a_broker_that_is_away_delays_but_loses_nothing(
    mosquitto: Callable[..., Any],
    site: Callable[[int], Path],
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    broker = mosquitto()
    config, out = site(broker.port), tmp_path / "out"
    broker.kill()
    agent = start(config, out, environment)
    _, errors = agent.communicate(timeout=2 * PATIENCE_S)
    assert agent.returncode == 1
    assert b"run the same command again to deliver" in errors
    broker.start()
    with Consumer(broker.port) as consumer:
        agent = start(config, out, environment)
        _, errors = agent.communicate(timeout=2 * PATIENCE_S)
        assert agent.returncode == 0, errors.decode()
        assert consumer.wait_for(told(out))
