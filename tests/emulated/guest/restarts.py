"""Starts and kills what owns the lines, many times at random moments, and reads every edge.

Runs inside the emulated machine; prints JSON. Usage: restarts product|naive COUNT
"""

from __future__ import annotations

import json
import os
import pwd
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import gpiod
import numpy as np
from gpiod.line import Direction, Value

from edge_agent.clock import SystemClock
from edge_agent.live.appliance import make_cabinet
from edge_agent.live.site_file import load_live
from edge_agent.live.timekeeping import FirstToKnow, Timekeeper
from edge_agent.picture import ArrayPicture
from edge_agent.types import Detections, Frame, Scene
from tests.emulated.guest import lines

LIVES_S = 2.5
"""At most, of an owner; it begins with half a second of loading what holds its lines."""
STEP_S = 0.5
"""An owner is told that so much time has passed, every `PAUSE_S`: 30 s of health in 0.6 s."""
PAUSE_S = 0.01
ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV)
EMPTY = Detections(
    np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), ("car",)
)
SITE = load_live(Path("/etc/edge-agent/site.yaml"))
PICTURE = ArrayPicture(np.zeros((180, 320, 3), np.uint8))


def product() -> None:
    """The product's own wiring, as the site file has it, above a healthy camera and no traffic."""
    clock = Timekeeper(SystemClock(), FirstToKnow())
    cabinet = make_cabinet(SITE, clock.read)
    now_s = time.monotonic()
    cabinet.fault("street", None)
    while True:
        now_s += STEP_S
        frame = Frame("street", 0, now_s, datetime.now(UTC), PICTURE)
        cabinet.see(Scene(frame, EMPTY, ()))
        cabinet.progress(now_s)
        list(cabinet.tick(now_s))
        time.sleep(PAUSE_S)


def naive() -> None:
    """What the measurement has to catch: an owner that begins with "no call"."""
    settings = gpiod.LineSettings(direction=Direction.OUTPUT, output_value=Value.ACTIVE)
    with gpiod.request_lines("/dev/gpiochip0", config={0: settings}) as request:
        time.sleep(0.05)
        request.set_value(0, Value.INACTIVE)
        time.sleep(LIVES_S)


OWNERS: dict[str, Callable[[], None]] = {"product": product, "naive": naive}


def _own(owner: Callable[[], None]) -> int:
    """A process of its own, as the service's user."""
    pid = os.fork()
    if pid == 0:
        user = pwd.getpwnam("edge-agent")
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        for end in ENDS:
            if end != signal.SIGKILL:
                signal.signal(end, signal.SIG_DFL)
        owner()
        os._exit(0)
    return pid


def await_end(name: str = "edge_agent.gpio.guard", timeout_s: float = 5.0) -> None:
    """Until what holds the lines has followed its owner."""
    end_s = time.monotonic() + timeout_s
    while any(name.encode() in words for words in _command_lines()):
        if time.monotonic() > end_s:
            raise TimeoutError(f"{name} is still there after {timeout_s} s")
        time.sleep(0.01)


def _command_lines() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes()


def _life(
    owner: Callable[[], None], chance: random.Random, end: signal.Signals
) -> dict[str, object]:
    lines.forget()
    pid = _own(owner)
    time.sleep(chance.uniform(0.0, LIVES_S))
    os.kill(pid, end)
    _, status = os.waitpid(pid, 0)
    await_end()
    moves = [move for move in lines.moves() if move.line == "call"]
    return {
        "end": end.name,
        "died": os.WTERMSIG(status) == end,
        "first": (moves[0].how, moves[0].level) if moves else None,
        "edges": [(e.line, e.level, e.how) for e in lines.edges() if e.line != "health"],
        "after": {line: lines.value(line) for line in lines.OUTPUTS},
    }


if __name__ == "__main__":
    chance = random.Random(1)
    owner = OWNERS[sys.argv[1]]
    lives = [_life(owner, chance, ENDS[n % len(ENDS)]) for n in range(int(sys.argv[2]))]
    sys.stdout.write(json.dumps(lives))
