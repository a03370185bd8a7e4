"""The simulated chip from outside: what its lines show, who moved them when, what is wired to it.

Runs inside the emulated machine.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NAMES = ("call", "beacon", "health", "red", "amber", "green")
"""Of the lines, in their order on the chip."""
OUTPUTS = NAMES[:3]
_TRACE = Path("/sys/kernel/tracing/trace")
_EVENT = re.compile(r"^\s*(.+)-(\d+)\s+\[\d+\]\s+\S+\s+(\d+\.\d+): (\w+): \(.*?\)(.*)$")


@dataclass(frozen=True)
class Move:
    """Something that set a line's level: the kernel's own record of it."""

    t_s: float
    """CLOCK_MONOTONIC."""
    line: str
    level: int
    how: str
    """drive: requested as output; set; release: given up, by its owner or the kernel."""
    pid: int


def moves(since_s: float = 0.0) -> list[Move]:
    """Every time an output's level was set, also to what it was, in order."""
    return [
        move
        for text in _TRACE.read_text().splitlines()
        if (found := _EVENT.match(text))
        for move in _read(found)
        if move.t_s >= since_s and move.line in OUTPUTS
    ]


def edges(since_s: float = 0.0) -> list[Move]:
    """Of those, the changes."""
    levels = dict.fromkeys(OUTPUTS, 0)
    changed = []
    for move in moves():
        if levels[move.line] != move.level:
            levels[move.line] = move.level
            if move.t_s >= since_s:
                changed.append(move)
    return changed


def forget() -> None:
    """Drop what was recorded; every output has to be low."""
    _TRACE.write_text("")


def _read(found: re.Match[str]) -> Iterator[Move]:
    _, pid, t_s, how, rest = found.groups()
    values = {name: int(text, 0) for name, _, text in (w.partition("=") for w in rest.split())}
    if how == "set_many":
        for number, name in enumerate(NAMES):
            if values["mask"] >> number & 1:
                yield Move(float(t_s), name, values["bits"] >> number & 1, "set", int(pid))
    elif how in ("drive", "set", "release"):
        # a released line follows what it is wired to: outputs are pulled down
        level = 0 if how == "release" else min(1, values["level"])
        name = dict(enumerate(NAMES)).get(values["line"], "")
        yield Move(float(t_s), name, level, how, int(pid))


def _attribute(line: str, name: str) -> Path:
    (chip,) = Path("/sys/devices/platform").glob("gpio-sim.*/gpiochip*")
    return chip / f"sim_gpio{NAMES.index(line)}" / name


def value(line: str) -> int:
    """The level that whoever is wired to a line would measure."""
    return int(_attribute(line, "value").read_text())


def pull(line: str, level: int) -> None:
    """Wire an input to something else."""
    _attribute(line, "pull").write_text("pull-up" if level else "pull-down")


def wait(line: str, level: int, timeout_s: float) -> float:
    """CLOCK_MONOTONIC when a line was seen at a level."""
    end_s = time.monotonic() + timeout_s
    while value(line) != level:
        if time.monotonic() > end_s:
            raise TimeoutError(f"{line} is not {level} after {timeout_s} s")
        time.sleep(0.02)
    return time.monotonic()
