"""A whole computer in software, with a kernel of its own: its lines and its camera are real ones.

Its clock counts instructions (one ns each, so that it is about as fast as one core of a Pi) and
jumps while nothing happens: times measured inside do not depend on how busy this machine is, and
waiting costs nothing.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUEST = Path(__file__).with_name("guest")
NEEDS = ("qemu-system-x86_64", "mmdebstrap", "mke2fs", "systemd-sysusers", "make", "gcc")
MEMORY_MB = 1536
BOOT_S, BUILD_S = 300, 600
AGENT = "org.qemu.guest_agent.0"


class Machine:
    """A running emulated machine, asked over QEMU's guest agent."""

    def __init__(self, folder: Path, console: Path) -> None:
        self.console = console
        path = console.with_name("agent.sock")
        self._process = subprocess.Popen(
            ["nice", "-n", "5", "qemu-system-x86_64", *_arguments(folder, console, path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        self._socket = socket.socket(socket.AF_UNIX)
        while self._socket.connect_ex(str(path)):
            assert self._process.poll() is None, "qemu ended: see above"
            time.sleep(0.1)
        self._replies = self._socket.makefile("rb")
        self._socket.settimeout(BOOT_S)
        self._ask("guest-sync", id=1)  # answered once the system is up

    def run(self, command: str, stdin: str = "", timeout_s: float = 600) -> str:
        """What a shell command inside prints; fails with what it complains about."""
        self._socket.settimeout(30)
        given = base64.b64encode(stdin.encode()).decode()
        shell = {"path": "/bin/sh", "arg": ["-c", command], "input-data": given}
        pid = self._ask("guest-exec", **shell, **{"capture-output": True})["pid"]
        end_s = time.monotonic() + timeout_s
        while not (done := self._ask("guest-exec-status", pid=pid))["exited"]:
            assert time.monotonic() < end_s, f"{command}: not done after {timeout_s} s"
            time.sleep(0.2)
        out, error = (
            base64.b64decode(done.get(name, "")).decode(errors="replace")
            for name in ("out-data", "err-data")
        )
        assert done.get("exitcode") == 0, f"{command}: {done}\n{out[-3000:]}\n{error[-3000:]}"
        return out

    def measure(self, name: str, *arguments: str, timeout_s: float = 600) -> Any:
        """What a program of `guest/` found out."""
        python = "/opt/edge-agent/venv/bin/python"
        words = " ".join((name, *arguments))
        command = f"cd /run/tests && {python} -B -m tests.emulated.guest.{words}"
        return json.loads(self.run(command, timeout_s=timeout_s))

    def close(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _ask(self, command: str, **arguments: Any) -> Any:
        request = {"execute": command, "arguments": arguments}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(self._replies.readline())
        assert "return" in answer, answer
        return answer["return"]


def _arguments(folder: Path, console: Path, agent: Path) -> list[str]:
    # The disk is memory, not written back: while a guest waits for a real one, its clock would run.
    disk = f"memory-backend-file,id=disk,mem-path={folder / 'disk.img'},size=2G,share=off"
    words = "-machine q35,nvdimm=on -accel tcg -cpu max -nodefaults -display none -no-reboot"
    return [
        *words.split(),
        *("-icount", "shift=0,sleep=off", "-rtc", "clock=vm"),
        *("-m", f"{MEMORY_MB},slots=1,maxmem=8G", "-object", disk, "-device", "nvdimm,memdev=disk"),
        *("-kernel", str(folder / "vmlinuz"), "-initrd", str(folder / "initrd.img")),
        *("-append", "root=/dev/pmem0 rw console=ttyS0 quiet mitigations=off"),
        *("-serial", f"file:{console}", "-device", "virtio-serial"),
        *("-chardev", f"socket,path={agent},server=on,wait=off,id=agent"),
        *("-device", f"virtserialport,chardev=agent,name={AGENT}"),
    ]


def _refuse(reason: str) -> NoReturn:
    """Never silently: on CI these tests run."""
    if os.environ.get("CI"):
        pytest.fail(f"NO EMULATED MACHINE: {reason}")
    pytest.skip(f"NO EMULATED MACHINE: {reason}")


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The machine, booted, with the programs of `guest/` in it."""
    if os.geteuid() != 0:
        _refuse("building it needs root")
    if missing := [need for need in NEEDS if not shutil.which(need)]:
        _refuse(f"{', '.join(missing)} missing: run tools/emulated/install.sh")
    folder = tmp_path_factory.mktemp("machine")
    build = [str(ROOT / "tools/emulated/build.sh"), str(folder)]
    subprocess.run(build, check=True, timeout=BUILD_S)
    machine = Machine(folder, folder / "console.log")
    try:
        machine.run("mkdir -p /run/tests/tests/emulated/guest")
        for path in sorted(GUEST.glob("*.py")):
            machine.run(f"cat >/run/tests/tests/emulated/guest/{path.name}", path.read_text())
        yield machine
    finally:
        machine.close()
        shutil.rmtree(folder, ignore_errors=True)
