"""The packaged service at real kernel lines and a V4L2 camera: booted, killed, frozen, starved.

`EDGE_AGENT_TRANSCRIPT=docs/gpio-transcript.md` keeps what was measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.emulated.conftest import Machine

pytestmark = pytest.mark.slow

HEALTHY_S = 30.0
"""A call is taken back after so much health."""
FAULTS = {
    "process killed (SIGKILL)": 0.2,
    "process frozen (SIGSTOP)": 1.0,
    "camera unplugged": 1.2,  # a picture of five a second is due 0.2 s after the last one
    "camera sends nothing": 1.2,
    "lens covered": 1.2,
    "stopped (SIGTERM)": 1.0,
    "bad site file": 1.0,
}
"""As guest/faults.py numbers them; s within which the call has to be there."""
SERVICE_RESTARTS = int(os.environ.get("EDGE_AGENT_RESTARTS", "3"))
"""Of the whole packaged service: each takes half a minute and more."""
RESTARTS = max(20, 4 * SERVICE_RESTARTS)
"""Of its signal I/O alone."""
CALLS = 60


class Transcript:
    """What was measured, as Markdown."""

    def __init__(self, machine: Machine) -> None:
        kernel = machine.run("uname -r").strip()
        self.text = HEAD.format(kernel=kernel)
        self.faults: list[tuple[object, ...]] = []

    def table(self, title: str, *rows: tuple[object, ...]) -> None:
        head, *body = ([str(cell) for cell in row] for row in rows)
        lines = [head, ["---"] * len(head), *body]
        self.text += f"\n## {title}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in lines)


HEAD = """# Real lines: transcript

Made by `EDGE_AGENT_TRANSCRIPT=docs/gpio-transcript.md pytest tests/emulated`: Debian's kernel
{kernel} in an emulated machine (QEMU, software emulation, one core, one instruction a
nanosecond), the packaged service with its sandbox, a V4L2 camera (vivid), and a chip of the
kernel's gpio-sim driven through libgpiod. Probes on every function of gpio-sim that writes a
line's level record each of them with its time: nothing is polled, so nothing is missed. Levels: a
call is low (the relay falls, its contact closes), "no call" is high; lines are pulled down.

Restarts of what owns the lines are of a process with the product's signal I/O alone and of what
holds its lines, told that time passes faster. A blip is any other edge than the one end of a call
and the return to it. What a kernel driver does with a line whose owner died is the driver's:
gpio-sim follows the pull. "Decision to edge" is from a judged picture to the line's own edge, the
wait for the next of 50 ticks a second and the way through the process that holds the lines
included.
"""


@pytest.fixture(scope="module")
def transcript(machine: Machine) -> Iterator[Transcript]:
    transcript = Transcript(machine)
    yield transcript
    head = ("fault", "s to call", "the line was", "s from cure to call taken back")
    transcript.table("Fault to call", head, *transcript.faults)
    if path := os.environ.get("EDGE_AGENT_TRANSCRIPT"):
        Path(path).write_text(transcript.text)


def _levels(result: dict[str, Any], line: str) -> list[int]:
    return [level for _, name, level, _ in result["edges"] if name == line]


def test_boot(machine: Machine, transcript: Transcript) -> None:
    boot = machine.measure("faults", "boot")
    assert boot["first"] == ["drive", 0], "made an output and low in one step"
    assert _levels(boot, "call") == [1], "one edge since the kernel started: the call taken back"
    assert _levels(boot, "beacon") == []
    assert boot["released_s"] - boot["owned_s"] >= HEALTHY_S
    transcript.table(
        "Boot",
        ("since the kernel started", "s"),
        ("line driven, low: call", f"{boot['owned_s']:.2f}"),
        ("service ready", f"{boot['ready_s']:.2f}"),
        ("first and only edge: the call taken back", f"{boot['released_s']:.2f}"),
    )


def test_restarts_without_a_blip(machine: Machine, transcript: Transcript) -> None:
    machine.run("systemctl stop edge-agent")
    limit_s = 300.0 + 20.0 * RESTARTS
    lives = machine.measure("restarts", "product", str(RESTARTS), timeout_s=limit_s)
    blips = [blip for life in lives for blip in _blips(life)]
    released = sum(("call", 1) in [tuple(e[:2]) for e in life["edges"]] for life in lives)
    assert blips == []
    assert 0.2 * RESTARTS < released < 0.9 * RESTARTS, "killed before and after the call ended"
    assert all(set(life["after"].values()) == {0} for life in lives)
    caught = sum(bool(_blips(life)) for life in machine.measure("restarts", "naive", "5"))
    assert caught == 5, "the measurement sees an owner that begins with no call"
    machine.run("systemctl start edge-agent")
    transcript.table(
        f"{RESTARTS} restarts of what owns the lines",
        ("", "count"),
        ("owner ended by SIGKILL, SIGTERM, SIGINT, SIGSEGV at a random moment", len(lives)),
        ("of these after the call had been taken back", released),
        ("blips", len(blips)),
        ("control: blips of 5 starts that begin high", caught),
    )


def test_restarts_of_the_whole_service(machine: Machine, transcript: Transcript) -> None:
    limit_s = 300.0 + 120.0 * SERVICE_RESTARTS
    count = str(SERVICE_RESTARTS)
    lives = machine.measure("service_restarts", count, timeout_s=limit_s)
    blips = [blip for life in lives for blip in _blips(life)]
    released = [life for life in lives if life["edges"]]
    assert blips == []
    assert all(life["owned_s"] >= HEALTHY_S for life in released), lives
    assert all(life["after"] == {"call": 0, "beacon": 0} for life in lives)
    transcript.table(
        f"{len(lives)} restarts of the whole service",
        ("", "count"),
        ("ended by SIGKILL, SIGTERM, systemctl restart, SIGSEGV at a random moment", len(lives)),
        ("of these before the line was taken", sum(life["first"] is None for life in lives)),
        ("of these after the call had been taken back", len(released)),
        ("blips", len(blips)),
    )


def test_decision_to_edge(machine: Machine, transcript: Transcript) -> None:
    machine.run("systemctl stop edge-agent")
    found = sorted(machine.measure("latency", str(CALLS)))
    machine.run("systemctl start edge-agent")
    assert found[0] > 0.0, "every decision moved the line"
    p50_ms, p99_ms = found[len(found) // 2], found[-1 - len(found) // 100]
    transcript.table(
        "Decision to edge",
        ("", "ms"),
        ("p50", f"{p50_ms:.1f}"),
        ("p99", f"{p99_ms:.1f}"),
        (f"longest of {len(found)}", f"{found[-1]:.1f}"),
    )
    assert p99_ms <= 100.0


def test_lamps(machine: Machine, transcript: Transcript) -> None:
    """At boot all lamps were dark: a conflict had begun."""
    spoken = machine.measure("lamps")
    assert spoken["red"] >= 1, "the conflict ends"
    assert spoken["red bounces"] == 0, "relays bounce"
    assert spoken["red and green"] >= 1
    assert spoken["green"] >= 1
    assert spoken["dark"] >= 1
    rows = [(name, count) for name, count in spoken.items()]
    transcript.table("Lamps", ("lit", "conflict told (begin, end)"), *rows)


@pytest.mark.parametrize("name", FAULTS)
def test_fault_means_call(machine: Machine, transcript: Transcript, name: str) -> None:
    result = machine.measure("faults", str(list(FAULTS).index(name)))
    assert result["fault"] == name
    assert _levels(result, "call") == [0, 1], f"one fall, one rise: {result}"
    assert _levels(result, "beacon") == [], "an alarm fails to no alarm"
    assert (result["during"]["call"], result["during"]["beacon"]) == (0, 0)
    transcript.faults.append(
        (name, f"{result['to_call_s']:.4f}", result["how"], f"{result['released_s']:.1f}")
    )
    assert result["to_call_s"] <= FAULTS[name], result
    assert result["released_s"] >= HEALTHY_S - 5.0, result  # some heal by themselves meanwhile


def _blips(life: dict[str, Any]) -> list[Any]:
    """Edges that are neither the one end of a call nor the return to it."""
    edges = [tuple(edge) for edge in life["edges"]]
    first = life["first"] and tuple(life["first"])
    is_clean = edges in ([], [("call", 1, "set"), ("call", 0, "release")]) or (
        edges == [("call", 1, "set"), ("call", 0, "set")]
    )
    return [] if is_clean and first in (None, ("drive", 0)) else [edges, first]
