"""For contract tests: a real mosquitto, started and killed at will; what a refusal looks like."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import pytest

from edge_agent.clock import Clock, SystemClock
from edge_agent.config.models import Mqtt
from edge_agent.evidence import Report
from edge_agent.evidence.keys.identity import Home
from edge_agent.live.appliance import Appliance
from edge_agent.live.notify import Notifier
from edge_agent.live.remote import Remote
from edge_agent.live.requests import Requests
from edge_agent.live.service import serve
from edge_agent.uplink import Outbox
from tamper.browser import Browser, Trust, opened_page
from tamper.bundles import Device
from tamper.recent import Judge, recent_device


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


Outcome = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def run_all(edge_agent: Callable[..., Outcome]) -> Callable[..., dict[str, Outcome]]:
    """Runs many commands, two at a time: starting up is most of what each of them costs."""

    def run(commands: Mapping[str, Sequence[object]]) -> dict[str, Outcome]:
        with ThreadPoolExecutor(2) as pool:
            ends = pool.map(lambda args: edge_agent(*args, timeout_s=60), commands.values())
            return dict(zip(commands, ends, strict=True))

    return run


@pytest.fixture(scope="session")
def refused() -> Callable[..., None]:
    """Checks that a command ended as it must with a bad input: `refused(outcome, 78, "dwell_s")`.

    One message that a person understands, which holds all the given words, and the exit status.
    """

    def check(outcome: Outcome, status: int, *words: str, lines: int = 1) -> None:
        said = outcome.stderr
        assert outcome.returncode == status, said or outcome.stdout
        assert len(said.splitlines()) == lines, said
        for noise in ("Traceback", "\x1b", "libpng", "OpenCV", "onnxruntime:"):
            assert noise not in said
        missing = [word for word in words if word not in said]
        assert not missing, f"{missing} not in: {said}"

    return check


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A small disk of its own, as large as one says, or read-only; for the superuser only."""
    path = tmp_path / "disk"
    path.mkdir()
    make = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(path)]
    if os.geteuid() or subprocess.run(make, capture_output=True, check=False).returncode:
        pytest.skip("NO DISK: only the superuser may mount one")

    def change(options: str) -> Path:
        subprocess.run(["mount", "-o", f"remount,{options}", str(path)], check=True)
        return path

    try:
        yield change
    finally:
        subprocess.run(["umount", str(path)], check=True)


@pytest.fixture(scope="session")
def crash_part() -> Callable[[str], ModuleType]:
    """Loads a module of `crash/`, which is no package."""

    def load(name: str) -> ModuleType:
        path = Path(__file__).with_name("crash") / f"{name}.py"
        spec = spec_from_file_location(f"crash_{name}", path)
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[spec.name] = module  # where dataclasses look for their annotations
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A real browser that has opened `verify.html`; starting it is most of what a test costs."""
    with opened_page(tmp_path_factory.mktemp("page")) as opened:
        yield opened


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """A live one, whose cases were yesterday."""
    return recent_device(tmp_path / "box")


@pytest.fixture
def home(device: Device, tmp_path: Path) -> Home:
    return Home.of(tmp_path / "box" / "state", "box-1", None)


@pytest.fixture
def judge(browser: Browser, tmp_path: Path) -> Judge:
    """What the page and the command line say of a bundle, which must be the same."""

    def both(bundle: bytes, trust: Trust) -> Report:
        return browser.agreed([bundle], trust, tmp_path / "case.evb")[0]

    return both


@pytest.fixture
def outbox() -> Iterator[Outbox]:
    """With one event that waits."""
    with Outbox(":memory:") as box:
        box.add({"id": "e0"}, "t")
        yield box


class Boxes:
    """Boxes run inside the test, so that their counters can be looked at."""

    PATIENCE_S = 30.0

    def __init__(self) -> None:
        self.requests: dict[Appliance, Requests] = {}

    @contextmanager
    def running(self, config: Path, clock: Clock | None = None) -> Iterator[Appliance]:
        """The box of a site file, watched over by a thread."""
        box, requests = Appliance(config, clock or SystemClock(), workers=2), Requests()
        remote = Remote(box, requests)
        box.on_uplink = remote.join
        self.requests[box] = requests
        with box.running():
            watch = threading.Thread(target=serve, args=(box, requests, Notifier(None), remote))
            watch.start()
            try:
                yield box
            finally:
                requests.stop.set()
                watch.join(self.PATIENCE_S)

    def comes_true(self, holds: Callable[[], bool]) -> bool:
        """Wait for it; the patience only bounds a failure."""
        clock = SystemClock()
        for _ in range(round(self.PATIENCE_S / 0.05)):
            if holds():
                return True
            clock.sleep(0.05)
        return False

    def reload(self, box: Appliance) -> str | None:
        """Have the site file read again; returns why it was refused."""
        return self.requests[box].ask_reload().result(self.PATIENCE_S)

    def goes_on(self, box: Appliance, camera: str, frames: int = 5) -> bool:
        """True once a camera has delivered so many frames more."""
        vitals = box.daemon.cameras[camera].vitals
        enough = vitals.frames + frames
        return self.comes_true(lambda: vitals.frames >= enough)


@pytest.fixture(scope="session")
def boxes() -> Boxes:
    return Boxes()


class Camera:
    """GStreamer's RTSP server in a process of its own."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self.url = f"rtsp://127.0.0.1:{self.port}/main"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        script, streams = Path(__file__).with_name("rtsp_server.py"), '{"main": {"codec": "h264"}}'
        self.process = subprocess.Popen(
            ["/usr/bin/python3", str(script), str(self.port), streams],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


@pytest.fixture
def rtsp_cameras() -> Iterator[list[Camera]]:
    """Two real cameras, as far as anybody can tell over the network."""
    probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if subprocess.call(["/usr/bin/python3", "-c", probe], stderr=subprocess.DEVNULL):
        absent = "GSTREAMER'S RTSP SERVER ABSENT: run tools/install_test_needs.sh"
        pytest.fail(absent) if os.environ.get("CI") else pytest.skip(absent)
    cameras = [Camera(), Camera()]
    try:
        for camera in cameras:
            camera.start()
        yield cameras
    finally:
        for camera in cameras:
            camera.kill()
