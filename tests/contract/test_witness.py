"""A device's log and its witness around a real broker that dies, forks told and silences heard."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.checkpoints import CheckpointFeed
from edge_agent.clock import SystemClock
from edge_agent.config.models import Mqtt
from edge_agent.evidence.log import Checkpoint, LogKey, MerkleLog, Note, Vkey
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import Media, ModelInfo
from edge_agent.uplink import Listener, Outbox, Uplink
from edge_agent.witness import Alarm, Watch, WitnessBook, WitnessService

TREE, NAME = "edge/v1/plaza/box-1", "edge/plaza/box-1"
PATIENCE_S = 20.0
CLOCK = SystemClock()


def origin() -> Origin:
    media = Media("camera", "live", None, CLOCK.now(), "clock")
    cameras = {"c1": CameraOrigin(media, ModelInfo("m", None))}
    return Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", cameras)


class Witness:
    """The service in a thread, as `edge-agent witness` runs it in its main one."""

    def __init__(self, mqtt: Mqtt, folder: Path, vkey: Vkey, silence_s: float = 300.0) -> None:
        key_path = folder / "key"
        folder.mkdir(exist_ok=True)
        if not key_path.exists():
            key_path.write_bytes(Ed25519PrivateKey.generate().private_bytes_raw())
        key = Ed25519PrivateKey.from_private_bytes(key_path.read_bytes())
        self.alarms: list[Alarm] = []
        self.book = WitnessBook(folder, "city.example/w1", key, {NAME: vkey})
        self._stop = threading.Event()
        service = WitnessService(mqtt, self.book, Watch(silence_s), CLOCK, self.alarms.append)
        self._thread = threading.Thread(target=service.serve, args=([NAME], self._stop.is_set))
        self._thread.start()
        assert wait(lambda: service.is_ready)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


def wait(is_so: Callable[[], object]) -> bool:
    until_s = CLOCK.monotonic() + PATIENCE_S
    while not is_so() and CLOCK.monotonic() < until_s:
        CLOCK.sleep(0.02)
    return bool(is_so())


@pytest.fixture
def log_key(tmp_path: Path) -> LogKey:
    return LogKey.load_or_create(tmp_path / "state")


@pytest.fixture
def log(tmp_path: Path, log_key: LogKey) -> MerkleLog:
    return MerkleLog(tmp_path / "log", log_key, NAME)


@pytest.fixture
def start_witness(tmp_path: Path, log_key: LogKey) -> Iterator[Callable[..., Witness]]:
    running: list[Witness] = []

    def start(mqtt: Mqtt, **settings: Any) -> Witness:
        running.append(Witness(mqtt, tmp_path / "witness", log_key.vkey(NAME), **settings))
        return running[-1]

    yield start
    for witness in running:
        witness.stop()


def feed_of(log: MerkleLog, uplink: Uplink, witness: Witness) -> CheckpointFeed:
    feed = CheckpointFeed(log, TREE, uplink.announce, [witness.book.vkey])
    uplink.listen(feed.answers, feed.hear)
    return feed


def grow(log: MerkleLog, count: int) -> None:
    for _ in range(count):
        log.append(b"record %d" % log.size)


def cosigned(feed: CheckpointFeed) -> int:
    return 0 if feed.cosigned is None else Checkpoint.parse(feed.cosigned.text).size


def is_cosigned(feed: CheckpointFeed, size: int) -> bool:
    """Asked again as it would be a minute later: whoever was away has not heard the first time."""
    if cosigned(feed) != size:
        feed.tell()
        CLOCK.sleep(0.2)
    return cosigned(feed) == size


def test_a_log_is_cosigned_whoever_was_away(
    mosquitto: Callable[..., Any], start_witness: Callable[..., Witness], log: MerkleLog
) -> None:
    broker = mosquitto()
    witness = start_witness(broker.mqtt())
    with Outbox(":memory:") as outbox, Uplink(broker.mqtt(), outbox, origin()) as uplink:
        feed = feed_of(log, uplink, witness)
        grow(log, 3)
        feed.tick(0)
        assert wait(lambda: cosigned(feed) == 3)
        broker.kill()
        grow(log, 300)
        feed.tick(61)
        broker.start()
        assert wait(lambda: is_cosigned(feed, 303))
        assert feed.cosigned is not None
        assert feed.cosigned.signed_by(witness.book.vkey) is not None
        assert feed.cosigned.signed_by(log.vkey) is not None
    # A device that has forgotten where its witness stands is told.
    with Outbox(":memory:") as outbox, Uplink(broker.mqtt(), outbox, origin()) as uplink:
        feed = CheckpointFeed(log, TREE, uplink.announce, [witness.book.vkey])
        grow(log, 1)
        feed.tick(0)
        uplink.listen(feed.answers, feed.hear)
        assert wait(lambda: is_cosigned(feed, 304))
    assert witness.alarms == []


def test_a_checkpoint_stands_at_the_broker_for_whoever_comes(
    mosquitto: Callable[..., Any], log: MerkleLog
) -> None:
    mqtt = mosquitto().mqtt()
    with Outbox(":memory:") as outbox, Uplink(mqtt, outbox, origin()) as uplink:
        feed = CheckpointFeed(log, TREE, uplink.announce)
        grow(log, 5)
        for now_s in (0, 30, 59, 60, 130):
            feed.tick(now_s)
        assert wait(lambda: uplink.status().state == "online")
    with Listener(mqtt, f"{TREE}/log/checkpoint") as listener:
        assert listener.wait(1, PATIENCE_S)
        note = Note.from_bytes(listener.bodies[0])
    assert Checkpoint.parse(note.text).size == 5
    assert note.signed_by(log.vkey) is not None


def test_forks_and_truncation_are_told(
    mosquitto: Callable[..., Any],
    start_witness: Callable[..., Witness],
    log: MerkleLog,
    log_key: LogKey,
    tmp_path: Path,
) -> None:
    mqtt = mosquitto().mqtt()
    witness = start_witness(mqtt)
    forked = MerkleLog(tmp_path / "forked", log_key, NAME)
    for _ in range(9):
        forked.append(b"another story")
    shorter = MerkleLog(tmp_path / "shorter", log_key, NAME)
    grow(shorter, 2)
    with (
        Listener(mqtt, f"{TREE}/log/alarm/+") as listener,
        Outbox(":memory:") as outbox,
        Uplink(mqtt, outbox, origin()) as uplink,
    ):
        feed = feed_of(log, uplink, witness)
        grow(log, 5)
        feed.tick(0)
        assert wait(lambda: cosigned(feed) == 5)
        feed.log = forked
        feed.tell()
        assert listener.wait(1, PATIENCE_S)
        feed.log = shorter
        feed.tell()
        assert listener.wait(2, PATIENCE_S)
        told = [payload for _, payload in listener.messages]
    assert [(alarm["alarm"], alarm["state"]) for alarm in told] == [
        ("fork", "raised"),
        ("truncated", "raised"),
    ]
    assert "does not continue the 5 that were cosigned" in told[0]["text"]
    assert witness.book.newest(NAME) is not None
    assert [alarm.trouble for alarm in witness.alarms] == ["fork", "truncated"]


def test_silence_is_told_and_ends(
    mosquitto: Callable[..., Any], start_witness: Callable[..., Witness], log: MerkleLog
) -> None:
    mqtt = mosquitto().mqtt()
    witness = start_witness(mqtt, silence_s=1.0)
    assert wait(lambda: [alarm.trouble for alarm in witness.alarms] == ["silent"])
    with Outbox(":memory:") as outbox, Uplink(mqtt, outbox, origin()) as uplink:
        feed_of(log, uplink, witness).tick(0)
        assert wait(lambda: [alarm.is_over for alarm in witness.alarms[:2]] == [False, True])


def test_the_command_serves_until_it_is_told_to_stop(
    mosquitto: Callable[..., Any],
    environment: dict[str, str],
    log: MerkleLog,
    tmp_path: Path,
) -> None:
    broker = mosquitto()
    config = tmp_path / "witness.yaml"
    config.write_text(
        f"name: city.example/w2\nstate_dir: w2\nlogs: ['{log.vkey}']\n"
        f"mqtt: {{host: 127.0.0.1, port: {broker.port}}}\n"
    )
    command = [sys.executable, "-m", "edge_agent", "witness", "--config", str(config)]
    shown = subprocess.run(
        [*command, "--show-key"], env=environment, capture_output=True, text=True, check=True
    )
    vkey = Vkey.parse(shown.stdout.strip())
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        with (
            Outbox(":memory:") as outbox,
            Uplink(broker.mqtt(), outbox, origin()) as uplink,
        ):
            feed = CheckpointFeed(log, TREE, uplink.announce, [vkey])
            uplink.listen(feed.answers, feed.hear)
            grow(log, 2)
            assert wait(lambda: is_cosigned(feed, 2))
    finally:
        process.terminate()
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
