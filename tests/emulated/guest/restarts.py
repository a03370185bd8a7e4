"""Starts and kills what owns the lines, many times at random moments, and reads every edge.

Runs inside the emulated machine; prints JSON. Usage: restarts.py product|naive COUNT
"""

from __future__ import annotations

import json
import os
import pwd
import random
import signal
import sys
import time
from collections.abc import Callable

import gpiod
from gpiod.line import Direction, Value
from gpiozero import OutputDevice

from edge_agent.signals.libgpiod import LibgpiodFactory
from tests.emulated.guest import lines

LIVES_S = 0.6
"""At most, of an owner."""
HASTE = 100.0
"""Owners are told that time passes so much faster: 30 s of health are over in 0.3 s."""
ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV)


def naive() -> None:
    """What the machinery has to catch: an owner that begins with "no call"."""
    settings = gpiod.LineSettings(direction=Direction.OUTPUT, output_value=Value.ACTIVE)
    request = gpiod.request_lines("/dev/gpiochip0", config={0: settings}, consumer="naive")
    time.sleep(0.05)
    request.set_value(0, Value.INACTIVE)
    time.sleep(LIVES_S)


def contact() -> None:
    """A relay through the product's pins: off (call) until it is known better."""
    device = OutputDevice("call", pin_factory=LibgpiodFactory("box"), initial_value=False)
    time.sleep(LIVES_S / 2)
    device.on()
    time.sleep(LIVES_S)


OWNERS: dict[str, Callable[[], None]] = {"naive": naive, "contact": contact}


def _own(owner: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        user = pwd.getpwnam("edge-agent")
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        owner()
        os._exit(0)
    return pid


def _life(
    owner: Callable[[], None], chance: random.Random, end: signal.Signals
) -> dict[str, object]:
    begin_s = time.monotonic()
    pid = _own(owner)
    time.sleep(chance.uniform(0, LIVES_S))
    os.kill(pid, end)
    os.waitpid(pid, 0)
    moves = [move for move in lines.moves(begin_s) if move.line == "call"]
    return {
        "end": end.name,
        "first": (moves[0].how, moves[0].level) if moves else None,
        "edges": [(e.line, e.level, e.how) for e in lines.edges(begin_s) if e.line != "health"],
        "after": {line: lines.value(line) for line in lines.OUTPUTS},
    }


if __name__ == "__main__":
    chance = random.Random(1)
    owner = OWNERS[sys.argv[1]]
    lives = [_life(owner, chance, ENDS[n % len(ENDS)]) for n in range(int(sys.argv[2]))]
    sys.stdout.write(json.dumps(lives))
