"""Brokers that speak MQTT and lie about what they have taken."""

import hashlib
import json
import random
import socket
import struct
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_agent.clock import SystemClock
from edge_agent.config.uplink import MediaSettings, Mqtt
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import Media, ModelInfo
from edge_agent.uplink import Outbox, Uplink

PATIENCE_S = 30.0
START = datetime(2026, 1, 1, tzinfo=UTC)
MEDIA = Media("v", "replay", "a" * 64, START, "given")
ORIGIN = Origin(
    {"name": "s"}, "d", "b", "c" * 64, "edge 1", {"c": CameraOrigin(MEDIA, ModelInfo("m", None))}
)
LIVE = replace(
    ORIGIN, cameras={"c": CameraOrigin(replace(MEDIA, kind="live"), ModelInfo("m", None))}
)
COUNT = 20
EVENT = "event"
CONNACK = b"\x20\x03\x00\x00\x00"
CONNECT, PUBLISH, PINGREQ, DISCONNECT = 1, 3, 12, 14

Answer = Callable[[int], bytes]
"""What is sent for a PUBLISH with this packet id."""


def puback(number: int, code: int = 0) -> bytes:
    return b"\x40\x03" + struct.pack(">HB", number, code)


def honest(number: int) -> bytes:
    return puback(number)


class Liar:
    """An MQTT 5 broker for one client at a time; `taken` is what it said that it took."""

    def __init__(self) -> None:
        self.answer: Answer = honest
        self.taken: list[bytes] = []
        self.seen: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with closing(client), suppress(OSError, EOFError):
                stream = client.makefile("rb")
                while True:
                    self._take(client, *_packet(stream.read))

    def _take(self, client: socket.socket, kind: int, body: bytes) -> None:
        if kind == CONNECT:
            client.sendall(CONNACK)
        elif kind == PINGREQ:
            client.sendall(b"\xd0\x00")
        elif kind == PUBLISH:
            (length,) = struct.unpack_from(">H", body)
            (number,) = struct.unpack_from(">H", body, 2 + length)
            is_event = body[2 : 2 + length].startswith(EVENT.encode())
            payload = body[4 + length + 1 + body[4 + length] :]  # after the properties: few, short
            answer = self.answer(number) if is_event else honest(number)
            if is_event:
                self.seen.append(payload)
                if answer[:5] == puback(number):
                    self.taken.append(payload)
            client.sendall(answer)
        elif kind == DISCONNECT:
            raise EOFError


def _packet(read: Callable[[int], bytes]) -> tuple[int, bytes]:
    head = read(1)
    if not head:
        raise EOFError
    size = shift = 0
    while True:
        (byte,) = read(1)
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return head[0] >> 4, read(size)


@pytest.fixture
def liar() -> Iterator[Liar]:
    found = Liar()
    yield found
    found.close()


@pytest.fixture
def outbox() -> Iterator[Outbox]:
    with Outbox(":memory:") as box:
        for n in range(COUNT):
            box.add({"id": f"e{n}"}, EVENT)
        yield box


def bodies(outbox: Outbox) -> list[bytes]:
    return [row.body for row in outbox.pending(limit=COUNT)]


@pytest.mark.parametrize("code", [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99, 0xFF])
def test_a_refusal_deletes_nothing(liar: Liar, outbox: Outbox, code: int) -> None:
    """Every reason code from 0x80 on is a failure, known or not."""
    liar.answer = lambda number: puback(number, code)
    mqtt = Mqtt(host="127.0.0.1", port=liar.port)
    wanted = bodies(outbox)
    with Uplink(mqtt, outbox, ORIGIN) as uplink:
        assert not uplink.flush(0.3)
        assert outbox.waiting == COUNT
        liar.answer = honest
        assert uplink.flush(PATIENCE_S)
    assert liar.taken == wanted


@pytest.mark.parametrize(
    "lie",
    [
        lambda number: puback(number + 7777),
        lambda number: b"\x50\x02" + struct.pack(">H", number),  # PUBREC, for a QoS 1 message
        lambda _number: b"",
    ],
    ids=["unknown id", "PUBREC", "never"],
)
@pytest.mark.slow
def test_an_answer_to_something_else_deletes_nothing(
    liar: Liar, outbox: Outbox, lie: Answer
) -> None:
    liar.answer = lie
    mqtt = Mqtt(host="127.0.0.1", port=liar.port, keepalive_s=5)
    wanted = bodies(outbox)
    with Uplink(mqtt, outbox, ORIGIN) as uplink:
        SystemClock().sleep(1.0)
        assert outbox.waiting == COUNT
        liar.answer = honest
        assert uplink.flush(PATIENCE_S)
    assert liar.taken == wanted


def test_acknowledged_twice_is_acknowledged_once(liar: Liar, outbox: Outbox) -> None:
    """The second answer must not be taken for one to another message."""
    liar.answer = lambda number: puback(number) * 2
    wanted = bodies(outbox)
    with Uplink(Mqtt(host="127.0.0.1", port=liar.port), outbox, ORIGIN) as uplink:
        assert uplink.flush(PATIENCE_S)
    assert liar.taken == wanted


def test_acknowledged_before_it_was_sent_is_not_acknowledged(liar: Liar, outbox: Outbox) -> None:
    """Answers to ids that are not in use yet."""
    liar.answer = lambda number: puback(number) + puback(number + 1) + puback(number + 2)
    wanted = bodies(outbox)
    with Uplink(Mqtt(host="127.0.0.1", port=liar.port), outbox, ORIGIN) as uplink:
        uplink.flush(PATIENCE_S)
    # What was on its way already cannot be told from the truth; what was not, must not be lost.
    assert set(liar.seen) == set(wanted)


@pytest.fixture
def photo(tmp_path: Path) -> bytes:
    """Of a case whose record is delivered."""
    data = random.Random(0).randbytes(70_000)
    listed = {"path": "derived/wide-redacted.jpg", "sha256": hashlib.sha256(data).hexdigest()}
    facts = {"privacy": {"delete_after": None}, "media": [], "derived": [listed]}
    with zipfile.ZipFile(tmp_path / "a.evb", "w") as bundle:
        bundle.writestr("manifest.json", json.dumps(facts))
        bundle.writestr("derived/wide-redacted.jpg", data)
    with Outbox(tmp_path / "o.db") as box:
        box.add({"id": "a", "dataref": "a.evb"}, f"{EVENT}/case/a")
        box.delivered(1, followers=("wide",))
    return data


@pytest.mark.parametrize(
    "lie",
    [
        lambda number: puback(number, 0x97),
        lambda number: puback(number + 7777),
        lambda number: b"\x50\x02" + struct.pack(">H", number),
        lambda number: b"",
        lambda number: puback(number) * 2,
    ],
    ids=["quota exceeded", "unknown id", "PUBREC", "never", "twice"],
)
@pytest.mark.slow
def test_a_photo_is_due_until_every_part_is_truly_taken(
    liar: Liar, tmp_path: Path, photo: bytes, lie: Answer
) -> None:
    liar.answer = lambda number: lie(number) if len(liar.seen) == 2 else honest(number)
    media = MediaSettings(roles=("wide",))
    mqtt = Mqtt(host="127.0.0.1", port=liar.port, keepalive_s=5, media=media)
    with Outbox(tmp_path / "o.db") as outbox, Uplink(mqtt, outbox, LIVE) as uplink:
        assert uplink.flush(PATIENCE_S)
        assert outbox.waiting_media == 0
    parts = {}
    for body in liar.taken:
        line, _, part = body.partition(b"\n")
        parts[json.loads(line)["index"]] = part
    assert b"".join(part for _, part in sorted(parts.items())) == photo
