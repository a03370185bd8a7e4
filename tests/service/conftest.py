"""A Debian that boots a real systemd in a container, with the agent installed as on a box."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOME = Path("/opt/edge-agent")
"""Where the program lies in the container."""
PACKAGES = "systemd,systemd-sysv,dbus,python3,libstdc++6,sudo"
NEEDS = ("systemd-nspawn", "mmdebstrap", "nsenter")
LAUNCHER = f"""#!/bin/sh
export LD_LIBRARY_PATH={HOME}/python/lib PYTHONPATH={HOME}/src
exec {HOME}/venv/bin/python -m edge_agent "$@"
"""
SITE = f"""
site: {{name: test-site}}
device: box
cameras:
  street:
    source: {{kind: file, path: {HOME}/src/edge_agent/demo/street.mp4, loop: true}}
    detector: {{model: motion}}
    zones:
      kerb: [[0.602, 0.399], [0.757, 0.409], [0.721, 1.0], [0.378, 1.0]]
    rules:
      - {{kind: parking.illegal, zone: kerb, dwell_s: 15}}
"""
BOOT = "dtparam=audio=on\n[cm5]\ndtoverlay=dwc2\n"
OUT_OF_THE_WAY = ("console-getty", "apt-daily.timer", "apt-daily-upgrade.timer", "systemd-logind")


@dataclass
class Box:
    """A running container."""

    tree: Path
    init: int
    """Process id of its systemd, as seen from outside."""

    def run(self, *command: str, check: bool = True, timeout_s: float = 60) -> str:
        """What a command inside prints, on either stream."""
        enter = ("nsenter", f"--target={self.init}", "-m", "-u", "-i", "-n", "-p", "-C")
        done = subprocess.run(
            [*enter, "env", "-i", f"PATH={os.defpath}:/usr/sbin:/usr/local/bin", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{command}: {done.returncode}: {done.stdout}"
        return done.stdout

    def show(self, name: str) -> str:
        """A property of the service, e.g. `MainPID`."""
        return self.run("systemctl", "show", "edge-agent", "--value", f"--property={name}").strip()

    def journal(self, *options: str) -> str:
        return self.run("journalctl", "--unit=edge-agent", "--no-pager", "--quiet", *options)

    def restart(self) -> None:
        """Begin anew, whatever went before; returns when the service says that it is ready."""
        self.run("systemctl", "restart", "edge-agent", check=False)
        assert self.show("ActiveState") == "active", self.journal("--lines=40")

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> float:
        """Seconds until it came true."""
        begin_s = time.monotonic()
        while not condition():
            waited_s = time.monotonic() - begin_s
            assert waited_s < timeout_s, self.journal("--lines=40")
            time.sleep(0.1)
        return time.monotonic() - begin_s


def _refuse(reason: str) -> NoReturn:
    """Never silently: on CI these tests run."""
    if os.environ.get("CI"):
        pytest.fail(f"SYSTEMD-NSPAWN CANNOT RUN: {reason}")
    pytest.skip(f"SYSTEMD-NSPAWN CANNOT RUN: {reason}")


def _archive() -> Path:
    """A minimal Debian of this machine's release, or of EDGE_AGENT_TEST_RELEASE; made once."""
    told = platform.freedesktop_os_release().get("VERSION_CODENAME", "bookworm")
    release = os.environ.get("EDGE_AGENT_TEST_RELEASE", told)
    name = f"{release}-{PACKAGES.replace(',', '-')}.tar"
    path = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "edge-agent/tests", name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{os.getpid()}-{name}")
        made = subprocess.run(
            ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", release, str(part)],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            part.unlink(missing_ok=True)
            _refuse(f"mmdebstrap: {made.stderr[-300:]}")
        part.replace(path)
    return path


def _program(tree: Path) -> list[str]:
    """The checkout as if it were installed under /opt; returns what has to be bound there."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = Path("/usr") if sys.base_prefix == "/usr" else HOME / "python"
    packages = HOME / "venv/lib" / version / "site-packages"
    bound = [(sysconfig.get_path("purelib"), packages)]
    bound += [(sys.base_prefix, base)] if sys.base_prefix != "/usr" else []
    bound += [(str(ROOT / part), HOME / "src" / part) for part in ("edge_agent", "models")]
    for _, inside in bound:
        (tree / inside.relative_to("/")).mkdir(parents=True, exist_ok=True)
    programs = tree / HOME.relative_to("/") / "venv/bin"
    programs.mkdir()
    (programs / "python").symlink_to(base / "bin" / version)
    (programs.parent / "pyvenv.cfg").write_text(f"home = {base}/bin\n")
    (programs / "edge-agent").write_text(LAUNCHER)
    (programs / "edge-agent").chmod(0o755)
    return [f"--bind-ro={outside}:{inside}" for outside, inside in bound]


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system with the service installed, not running."""
    if os.geteuid() != 0:
        _refuse("these tests need root")
    if missing := [need for need in NEEDS if not shutil.which(need)]:
        _refuse(f"{', '.join(missing)} missing: run tools/install_test_needs.sh")
    tree = tmp_path_factory.mktemp("box") / "tree"
    tree.mkdir()
    unpack = ["tar", "-C", str(tree), "--exclude=./dev/*", "-xf", str(_archive())]
    subprocess.run(unpack, check=True)
    boot = tree / "boot/firmware/config.txt"
    boot.parent.mkdir(parents=True)
    boot.write_text(BOOT)
    install = ["tools/install_service.sh", "--root", str(tree), "--no-program", "--board", "pi5"]
    for _ in range(2):  # again is how it is updated
        subprocess.run(install, check=True, capture_output=True, cwd=ROOT)
    return tree


@pytest.fixture(scope="session")
def box(tree: Path) -> Iterator[Box]:
    """The system, booted."""
    binds = _program(tree)
    (tree / "etc/edge-agent/site.yaml").write_text(SITE)
    for unit in OUT_OF_THE_WAY:
        name = unit if "." in unit else f"{unit}.service"
        (tree / "etc/systemd/system" / name).symlink_to("/dev/null")
    log = tree.parent / "boot.log"
    with log.open("wb") as output:
        options = ["--boot", "--register=no", "--keep-unit", "--private-network"]
        # a container may not even ask how right the clock is, unless allowed to
        options += ["--system-call-filter=adjtimex clock_adjtime"]
        options += [f"--machine=box{os.getpid()}", *binds]
        container = subprocess.Popen(
            ["systemd-nspawn", "--quiet", f"--directory={tree}", *options],
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},  # as on any box
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _booted(container, tree, log)
    finally:
        container.kill()  # everything inside goes with it
        container.wait()
        shutil.rmtree(tree, ignore_errors=True)


def _booted(container: subprocess.Popen[bytes], tree: Path, log: Path) -> Box:
    children = Path(f"/proc/{container.pid}/task/{container.pid}/children")
    for _ in range(300):
        time.sleep(0.1)
        if container.poll() is not None:
            break
        if init := children.read_text().split():
            box = Box(tree, int(init[0]))
            state = box.run("systemctl", "is-system-running", check=False).strip()
            if state in ("running", "degraded"):
                return box
    _refuse(log.read_text(errors="replace")[-500:])
