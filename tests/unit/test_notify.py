"""What systemd hears, over real sockets of both kinds."""

import errno
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.live.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """An address as systemd writes it, and the socket that listens there."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@edge-agent-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name[1:] if name[0] == "@" else name)
        listener.settimeout(2)
        yield name, listener


def test_says_what_systemd_expects(manager: tuple[str, socket.socket]) -> None:
    address, listener = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})
    notifier.ready()
    notifier.status("two\nlines: räumt auf\n")
    notifier.watchdog()
    notifier.reloading(1_234_567)
    notifier.stopping()
    assert [listener.recv(4096).decode() for _ in range(5)] == [
        "READY=1",
        "STATUS=two lines: räumt auf",
        "WATCHDOG=1",
        "RELOADING=1\nMONOTONIC_USEC=1234567",
        "STOPPING=1",
    ]


@pytest.mark.parametrize(
    ("environment", "expected_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "20000000"}, 20.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getppid())}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_waits_for_this_process_only(
    environment: dict[str, str], expected_s: float | None
) -> None:
    told = {"NOTIFY_SOCKET": "@x", "PATH": "/bin", **environment}
    assert Notifier.from_environment(told).watchdog_interval_s == expected_s
    assert told == {"PATH": "/bin"}, "children do not speak for the service"


@pytest.mark.parametrize("address", [None, "", "vsock:2:1234", "relative"])
def test_does_nothing_outside_systemd(address: str | None) -> None:
    environment = {"WATCHDOG_USEC": "1000000", **({"NOTIFY_SOCKET": address} if address else {})}
    notifier = Notifier.from_environment(environment)
    notifier.ready()
    assert notifier == Notifier(None, None)


def test_a_manager_that_is_gone_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Notifier(str(tmp_path / "gone")).watchdog()
    assert "systemd was not told" in caplog.text


def test_without_a_free_descriptor_it_says_nothing_and_goes_on(
    manager: tuple[str, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = manager

    def refuse(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("edge_agent.live.notify.socket.socket", refuse)
    Notifier(address).watchdog()
