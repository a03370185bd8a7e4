"""Peers for contract tests: a real mosquitto, started and killed at will."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

from edge_agent.clock import SystemClock
from edge_agent.config.models import Mqtt


def program() -> str:
    found = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if found is None and os.environ.get("CI"):
        pytest.fail("mosquitto is missing on CI: run tools/install_test_needs.sh")
    if found is None:
        pytest.skip("MOSQUITTO ABSENT: run tools/install_test_needs.sh to run this test")
    return found


class Mosquitto:
    """A broker process with a folder of its own; remembers across restarts."""

    def __init__(self, folder: Path, *lines: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self._program = program()
        self._config = folder / "mosquitto.conf"
        settings = [
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            f"persistence_location {folder}/",
            "autosave_interval 1",
            "max_queued_messages 0",
            "queue_qos0_messages true",
            f"user {os.environ.get('USER', 'root')}" if os.geteuid() == 0 else "",
            *(lines or ["allow_anonymous true"]),
        ]
        self._config.write_text("\n".join(settings) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        quiet, run = subprocess.DEVNULL, [self._program, "-c", str(self._config)]
        self._process = subprocess.Popen(run, stdout=quiet, stderr=quiet)
        clock = SystemClock()
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            assert self._process.poll() is None, "mosquitto has ended: " + self._config.read_text()
            clock.sleep(0.05)
        raise AssertionError("mosquitto does not listen")

    def save(self) -> None:
        """Write sessions to disk now, rather than within the next second."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def mqtt(self, **more: Any) -> Mqtt:
        return Mqtt(host="127.0.0.1", port=self.port, **more)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    with ExitStack() as stack:

        def start(*lines: str) -> Mosquitto:
            broker = Mosquitto(tmp_path, *lines)
            stack.callback(broker.kill)
            return broker.start()

        yield start
