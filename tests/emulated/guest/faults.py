"""Does to the running service what happens to boxes, and reads from its lines what that means.

Runs inside the emulated machine; prints JSON.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.emulated.guest import lines

UNIT = "edge-agent"
SITE = Path("/etc/edge-agent/site.yaml")
CAMERA = Path("/sys/bus/platform/drivers/vivid")
SET_CONTROL = 0xC008561C
"""VIDIOC_S_CTRL of videodev2.h; below, vivid's own controls (vivid-ctrls.c)."""
PATTERN, DROPPED = 0xF0F000, 0xF0F040
BARS, BLACK = 0, 5
WAIT_S = 400.0


def systemctl(*words: str) -> str:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _pid() -> int:
    return int(systemctl("show", UNIT, "--value", "--property=MainPID"))


def _kill(number: int) -> Callable[[], None]:
    return lambda: os.kill(_pid(), number)


def _stop() -> None:
    subprocess.Popen(["systemctl", "stop", UNIT])  # when it is back says nothing of the lines


def _start() -> None:
    systemctl("start", UNIT)


def _spoil() -> None:
    SITE.with_suffix(".good").write_text(SITE.read_text())
    SITE.write_text(SITE.read_text() + "\nnonsense: 1\n")
    subprocess.Popen(["systemctl", "restart", UNIT])


def _mend() -> None:
    SITE.write_text(SITE.with_suffix(".good").read_text())
    systemctl("restart", UNIT)


def _unplug() -> None:
    (CAMERA / "unbind").write_text("vivid.0")


def _plug_in() -> None:
    """As it was: a new one writes what it likes all over the picture."""
    (CAMERA / "bind").write_text("vivid.0")
    while subprocess.run(["/usr/local/sbin/emulated-camera"], check=False).returncode:
        time.sleep(0.1)


def _set(control: int, value: int) -> Callable[[], None]:
    """What the camera films, and how well."""

    def set_it() -> None:
        with Path("/dev/video0").open("rb") as device:
            fcntl.ioctl(device, SET_CONTROL, struct.pack("Ii", control, value))

    return set_it


def _leave() -> None:
    """It cures itself."""


FAULTS: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
    "process killed (SIGKILL)": (_kill(signal.SIGKILL), _leave),
    "process frozen (SIGSTOP)": (_kill(signal.SIGSTOP), _leave),
    "camera unplugged": (_unplug, _plug_in),
    "camera sends nothing": (_set(DROPPED, 100), _set(DROPPED, 0)),
    "lens covered": (_set(PATTERN, BLACK), _set(PATTERN, BARS)),
    "stopped (SIGTERM)": (_stop, _start),
    "bad site file": (_spoil, _mend),
}


def _inflict(name: str) -> dict[str, object]:
    """A fault, its cure, and what the lines did from the one until well after the other."""
    hurt, cure = FAULTS[name]
    lines.wait("call", 1, WAIT_S)
    begin_s = time.monotonic()
    hurt()
    lines.wait("call", 0, WAIT_S)
    time.sleep(5.0)
    during = {line: lines.value(line) for line in lines.OUTPUTS}
    cured_s = time.monotonic()
    cure()
    healthy_s = lines.wait("call", 1, WAIT_S)
    changes = [edge for edge in lines.edges(begin_s) if edge.line != "health"]
    return {
        "fault": name,
        "to_call_s": next((e.t_s for e in changes if (e.line, e.level) == ("call", 0)), healthy_s)
        - begin_s,
        "how": next((e.how for e in changes if (e.line, e.level) == ("call", 0)), "never"),
        "during": during,
        "released_s": healthy_s - cured_s,
        "edges": [(round(e.t_s - begin_s, 6), e.line, e.level, e.how) for e in changes],
    }


def _boot() -> dict[str, object]:
    """What the lines did from the kernel's start until the first call was taken back."""
    released_s = lines.wait("call", 1, WAIT_S)
    pid = _pid()
    shown = systemctl("show", UNIT, "--property=ActiveEnterTimestampMonotonic", "--value")
    owned = [move for move in lines.moves() if move.line == "call"]
    return {
        "ready_s": int(shown) / 1e6,
        "owned_s": owned[0].t_s,
        "first": (owned[0].how, owned[0].level),
        "released_s": released_s,
        "edges": [(e.t_s, e.line, e.level, e.how) for e in lines.edges() if e.line != "health"],
        "pid": pid,
    }


if __name__ == "__main__":
    result = _boot() if sys.argv[1] == "boot" else _inflict(list(FAULTS)[int(sys.argv[1])])
    sys.stdout.write(json.dumps(result))
