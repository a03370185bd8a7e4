"""Ends the packaged service many times at random moments, and reads every edge of its call.

Runs inside the emulated machine; prints JSON. Usage: service_restarts COUNT
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from tests.emulated.guest import lines
from tests.emulated.guest.faults import UNIT, WAIT_S, systemctl
from tests.emulated.guest.restarts import await_end

SOON_S = 15.0
"""Loading takes some 10 s of that, and the call is taken back after 30 s more."""
SHARE_RELEASED = 0.3
"""So many live until their call has been taken back, and a moment longer."""


def _signal(number: int) -> Callable[[], None]:
    return lambda: os.kill(main_pid(), number)


def _restart() -> None:
    subprocess.Popen(["systemctl", "restart", UNIT])


ENDS: dict[str, Callable[[], None]] = {
    "SIGKILL": _signal(signal.SIGKILL),
    "SIGTERM": _signal(signal.SIGTERM),
    "systemctl restart": _restart,
    "SIGSEGV": _signal(signal.SIGSEGV),
}


def main_pid() -> int:
    """The service's, once it has been started again."""
    end_s = time.monotonic() + WAIT_S
    while not (pid := int(systemctl("show", UNIT, "--value", "--property=MainPID"))):
        if time.monotonic() > end_s:
            raise TimeoutError(f"{UNIT} is not running after {WAIT_S} s")
        time.sleep(0.1)
    return pid


def _life(end: str, chance: random.Random) -> dict[str, object]:
    """From a start to the end of all its processes."""
    pid = main_pid()
    if chance.random() < SHARE_RELEASED:
        lines.wait("call", 1, WAIT_S)
        time.sleep(chance.uniform(0.0, 1.0))
    else:
        time.sleep(chance.uniform(0.0, SOON_S))
    died_s = time.monotonic()
    ENDS[end]()
    while os.path.exists(f"/proc/{pid}"):
        time.sleep(0.005)
    await_end()
    moves = [move for move in lines.moves() if move.line == "call" and move.t_s < died_s + 2.0]
    result: dict[str, object] = {
        "end": end,
        "first": (moves[0].how, moves[0].level) if moves else None,
        "owned_s": died_s - moves[0].t_s if moves else 0.0,
        "edges": [(e.line, e.level, e.how) for e in lines.edges() if e.line == "call"],
        "after": {"call": lines.value("call"), "beacon": lines.value("beacon")},
    }
    lines.forget()
    return result


if __name__ == "__main__":
    systemctl("stop", UNIT)
    lines.forget()
    systemctl("start", "--no-block", UNIT)
    chance, names = random.Random(1), list(ENDS)
    lives = [_life(names[n % len(names)], chance) for n in range(int(sys.argv[1]))]
    sys.stdout.write(json.dumps(lives))
