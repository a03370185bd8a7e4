"""From a decision to the line's edge: somebody steps into the zone, and the call goes on.

Runs inside the emulated machine, with the product's own wiring and its rhythm, while the service
is stopped; prints JSON: ms. Usage: latency COUNT
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from edge_agent.clock import SystemClock
from edge_agent.live.appliance import make_cabinet
from edge_agent.live.service import TICK_S
from edge_agent.live.timekeeping import FirstToKnow, Timekeeper
from edge_agent.ports import Cabinet
from edge_agent.types import Box, Frame, Scene, Track
from tests.emulated.guest import lines
from tests.emulated.guest.restarts import EMPTY, PICTURE, SITE

FRAME_S = 0.2
STAYS_S, GOES_S = 0.5, 3.5
"""A call outlives who waited by the site file's two seconds."""


def _scene(is_there: bool) -> Scene:
    now_s = time.monotonic()
    frame = Frame("street", 0, now_s, datetime.now(UTC), PICTURE)
    box = Box(230, 100, 260, 170)
    car = Track(1, "car", 0.9, box, (0, 0), now_s, now_s, None)
    return Scene(frame, EMPTY, (car,) if is_there else ())


def _drive(cabinet: Cabinet, seconds: float, is_there: bool, chance: random.Random) -> float:
    """Go on as the daemon does; returns when the first of its pictures was judged."""
    begin_s = time.monotonic()
    first_s = seen_s = 0.0
    while time.monotonic() - begin_s < seconds:
        before_s = chance.uniform(0.0, TICK_S)  # workers do not wait for ticks
        time.sleep(before_s)
        if time.monotonic() - seen_s >= FRAME_S:
            seen_s = time.monotonic()
            first_s = first_s or seen_s
            cabinet.see(_scene(is_there))
            cabinet.progress(seen_s)
        time.sleep(TICK_S - before_s)
        list(cabinet.tick(time.monotonic()))
    return first_s


def measure(count: int) -> Sequence[float]:
    """ms from `see` to the edge that the kernel recorded."""
    chance = random.Random(1)
    cabinet = make_cabinet(SITE, Timekeeper(SystemClock(), FirstToKnow()).read)
    cabinet.fault("street", None)
    _drive(cabinet, 32.0, False, chance)
    found = []
    for _ in range(count):
        begin_s = _drive(cabinet, STAYS_S, True, chance)
        edges = [m.t_s for m in lines.moves(begin_s) if (m.line, m.level) == ("call", 0)]
        found.append(round(1000 * (edges[0] - begin_s), 3) if edges else -1.0)
        _drive(cabinet, GOES_S, False, chance)
    cabinet.close()
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(int(sys.argv[1]))))
