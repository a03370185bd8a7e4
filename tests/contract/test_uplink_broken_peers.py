"""Brokers that are absent, silent, wrong or not to be trusted: clear words, nobody blocked."""

import random
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_agent.clock import SystemClock
from edge_agent.config.models import Mqtt
from edge_agent.errors import ConfigError, UplinkError
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import Media, ModelInfo
from edge_agent.uplink import EmbeddedBroker, Listener, Outbox, Uplink

PATIENCE_S = 30.0
START = datetime(2026, 1, 1, tzinfo=UTC)
MEDIA = Media("v", "replay", "a" * 64, START, "given")
ORIGIN = Origin(
    {"name": "s"}, "d", "b", "c" * 64, "edge 1", {"c": CameraOrigin(MEDIA, ModelInfo("m", None))}
)
Talk = Callable[[socket.socket], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Talk], Mqtt]]:
    """A TCP server that treats every client as the given function says."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def start(talk: Talk) -> Mqtt:
        def run() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with closing(client), suppress(OSError):
                    talk(client)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return Mqtt(host="127.0.0.1", port=listener.getsockname()[1])

    yield start
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for thread in threads:
        thread.join()


def await_reason(uplink: Uplink, pattern: str) -> str:
    clock = SystemClock()
    for _ in range(int(PATIENCE_S / 0.05)):
        reason = uplink.status().reason or ""
        if re.search(pattern, reason):
            return reason
        clock.sleep(0.05)
    raise AssertionError(f"expected {pattern!r}, got {uplink.status()}")


def hang_until_left(client: socket.socket) -> None:
    while client.recv(4096):
        pass


@pytest.mark.slow
def test_a_silent_broker_blocks_nobody(outbox: Outbox, serve: Callable[[Talk], Mqtt]) -> None:
    with Uplink(serve(hang_until_left), outbox, ORIGIN) as uplink:
        outbox.add({"id": "e1"}, "t")
        uplink.wake()
        assert not uplink.flush(0.1)
        await_reason(uplink, "no MQTT answer")
        assert uplink.status().waiting == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x20\x00",
        b"\x20\x02\x00",
        b"\x20\x03\x00\x00\xff",
        b"\x40\x02\x00\x01",
        b"\x30\x00",
        b"\xe0\x00",
        b"\x20\xff\xff\xff\xff\xff",
        random.Random(7).randbytes(300),
        random.Random(8).randbytes(300),
    ],
    ids=lambda answer: answer[:6].hex() or "nothing",
)
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_nonsense_is_survived(
    outbox: Outbox, serve: Callable[[Talk], Mqtt], answer: bytes, protocol: str
) -> None:
    def talk(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(answer)
        client.shutdown(socket.SHUT_WR)

    mqtt = serve(talk).model_copy(update={"protocol": protocol})
    with Uplink(mqtt, outbox, ORIGIN) as uplink:
        await_reason(uplink, "broker 127")
        assert uplink.status().state == "offline"
    assert outbox.waiting == 1


def test_a_closed_port_is_named(outbox: Outbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    mqtt = Mqtt(host="127.0.0.1", port=port)
    with Uplink(mqtt, outbox, ORIGIN) as uplink:
        await_reason(uplink, f"127.0.0.1:{port}: nothing listens there")
    with pytest.raises(UplinkError, match="nothing listens"), Listener(mqtt):
        pass


def test_a_name_that_cannot_be_resolved_is_named(outbox: Outbox) -> None:
    with Uplink(Mqtt(host="broker.invalid"), outbox, ORIGIN) as uplink:
        await_reason(uplink, r"broker\.invalid:1883: .*cannot be resolved")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"host": "a" * 70}, r"mqtt\.host"),
        ({"username": "u", "password_file": "none"}, r"mqtt\.password_file: .*none"),
        ({"username": "u", "password_file": "empty"}, r"mqtt\.password_file: .*first line"),
        ({"tls": {"ca": "none"}}, r"mqtt\.tls\.ca: .*none does not exist"),
        ({"tls": {"ca": "text"}}, r"mqtt\.tls\.ca: .*text is no PEM"),
        ({"tls": {"key": "text"}}, r"mqtt\.tls\.key: needs"),
        ({"tls": {"certificate": "text", "key": "text"}}, r"mqtt\.tls\.certificate: .*pair"),
    ],
)
def test_wrong_files_are_named_at_once(
    outbox: Outbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object],
    expected: str,
) -> None:
    (tmp_path / "text").write_text("this is no certificate")
    (tmp_path / "empty").write_text("\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=expected):
        Uplink(Mqtt.model_validate({"host": "127.0.0.1", **changes}), outbox, ORIGIN)


def test_without_amqtt_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "amqtt", None)
    monkeypatch.setitem(sys.modules, "amqtt.broker", None)
    with pytest.raises(UplinkError, match=r"pip install 'edge-agent\[demo\]'"):
        EmbeddedBroker()
