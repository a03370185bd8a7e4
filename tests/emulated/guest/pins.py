"""gpiozero devices on the simulated chip through libgpiod: what the kernel's lines say of them.

Runs inside the emulated machine, on lines that nothing else uses; prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import gpiozero

from edge_agent.gpio.libgpiod import LibgpiodFactory

CHIP = "box"
FIRST, SECOND = 6, 7
TOGGLES, EVERY_S = 200, 0.002


def _file(line: int, name: str) -> Path:
    return next(Path("/sys/devices/platform").glob(f"gpio-sim.*/gpiochip*/sim_gpio{line}/{name}"))


def _levels() -> list[int]:
    return [int(_file(line, "value").read_text()) for line in (FIRST, SECOND)]


def _pull(line: int, is_up: bool) -> None:
    _file(line, "pull").write_text("pull-up" if is_up else "pull-down")


def outputs(factory: LibgpiodFactory) -> dict[str, object]:
    """Levels of a relay and of one that is energised by low: at rest, energised, given up."""
    relays = [
        gpiozero.OutputDevice(line, active_high=is_high, pin_factory=factory)
        for line, is_high in ((FIRST, True), (SECOND, False))
    ]
    found: dict[str, object] = {"rest": _levels()}
    for relay in relays:
        relay.on()
    found["energised"] = _levels()
    for relay in relays:
        relay.off()
        relay.close()
    return found


def edges(factory: LibgpiodFactory) -> dict[str, object]:
    """Whether fast edges all arrive, in turn, with the time of their own."""
    lamp = gpiozero.InputDevice(FIRST, pull_up=None, active_state=True, pin_factory=factory)
    seen: list[tuple[float, bool]] = []
    lamp.pin.edges = "both"
    lamp.pin.when_changed = note = lambda t_s, is_high: seen.append((t_s, is_high))
    begin_s = time.monotonic()
    for number in range(TOGGLES):
        _pull(FIRST, number % 2 == 0)
        time.sleep(EVERY_S)
    time.sleep(0.3)
    lamp.close()
    assert note is not None
    times = [t_s for t_s, _ in seen]
    return {
        "count": len(seen),
        "in_turn": [is_high for _, is_high in seen] == [n % 2 == 0 for n in range(len(seen))],
        "in_time": times == sorted(times) and begin_s <= times[0] <= times[-1] <= time.monotonic(),
    }


if __name__ == "__main__":
    with LibgpiodFactory(CHIP) as opened:
        sys.stdout.write(json.dumps({"outputs": outputs(opened), "edges": edges(opened)}))
