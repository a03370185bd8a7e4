"""A real chronyd says how far off it is, from being lost to being synchronised."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge_agent.clock import SystemClock
from edge_agent.live.timekeeping import ChronySync


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def chronyd(tmp_path: Path) -> Iterator[Callable[..., ChronySync]]:
    """Starts a chronyd that leaves the machine's clock alone (`-x`); returns how to ask it."""
    program = shutil.which("chronyd", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if program is None or os.geteuid():
        # Not among the tests' needs: installing it takes over the machine's own clock.
        pytest.skip("CHRONY ABSENT (or not root): install chrony to run this test")
    with ExitStack() as stack:

        def start(*lines: str) -> ChronySync:
            port = free_port()
            settings = [*lines, f"cmdport {port}", "bindcmdaddress 127.0.0.1", "bindcmdaddress /"]
            config = tmp_path / f"{port}.conf"
            config.write_text("\n".join([*settings, f"pidfile {tmp_path}/{port}.pid"]) + "\n")
            command = [program, "-x", "-d", "-u", "root", "-f", str(config)]
            quiet = subprocess.DEVNULL
            process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return ChronySync(("chronyc", "-h", "127.0.0.1", "-p", str(port)))

        yield start


def test_from_lost_to_synchronised(chronyd: Callable[..., ChronySync]) -> None:
    port, clock = free_port(), SystemClock()
    client = chronyd(f"server 127.0.0.1 port {port} iburst minpoll -4 maxpoll -4", "port 0")
    state = None
    for _ in range(100):
        state = client.state()
        if state is not None:
            break
        clock.sleep(0.05)
    assert state is not None and not state.is_synced and not state.is_trusted
    server = chronyd("local stratum 3", "allow 127.0.0.1", f"port {port}")
    for _ in range(200):
        state = client.state()
        if state is not None and state.is_synced:
            break
        clock.sleep(0.05)
    assert state is not None and state.is_trusted and state.ref == "ntp"
    assert state.max_error_ms is not None and 0 < state.max_error_ms < 100
    alone = server.state()
    assert alone is not None and not alone.is_synced, "a clock that follows itself follows nothing"
