"""Lights lamps of a signal phase, and reads from the service's log what it makes of them.

Runs inside the emulated machine; prints JSON: per step, how often it spoke of a conflict.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from tests.emulated.guest import lines

STEPS: dict[str, tuple[str, ...]] = {
    "red": ("red",),
    "red bounces": ("red",),
    "red and green": ("red", "green"),
    "green": ("green",),
    "dark": (),
}
SETTLES_S = 8.0
BOUNCE_S = 0.003


def _spoken() -> int:
    words = ["journalctl", "--unit=edge-agent", "--output=cat", "--no-pager"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout.count("edge.io.conflict.")


def _show(lit: tuple[str, ...]) -> None:
    for lamp in ("red", "amber", "green"):
        lines.pull(lamp, int(lamp in lit))


def _bounce(lamp: str) -> None:
    """As the contact of a lamp relay does; ends lit."""
    for level in (0, 1) * 6:
        lines.pull(lamp, level)
        time.sleep(BOUNCE_S)


def _step(name: str) -> int:
    before = _spoken()
    if "bounces" in name:
        _bounce("red")
    else:
        _show(STEPS[name])
    time.sleep(SETTLES_S)
    return _spoken() - before


if __name__ == "__main__":
    sys.stdout.write(json.dumps({name: _step(name) for name in STEPS}))
