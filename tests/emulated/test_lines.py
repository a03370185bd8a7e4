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
    "killed": (0, 0.1),
    "frozen": (1, 45.0),  # the service manager's watchdog
    "camera gone": (2, 1.0),
    "stopped": (3, 1.0),
    "bad site file": (4, 1.0),
}
"""Number in guest/faults.py; s within which the call has to be there."""


@pytest.fixture(scope="module")
def transcript() -> Iterator[list[str]]:
    """Lines of Markdown; kept where the environment says."""
    lines: list[str] = []
    yield lines
    if path := os.environ.get("EDGE_AGENT_TRANSCRIPT"):
        Path(path).write_text("\n".join(lines) + "\n")


def _falls_and_rises(result: dict[str, Any], line: str) -> list[int]:
    return [level for _, name, level, _ in result["edges"] if name == line]


def test_boot(machine: Machine, transcript: list[str]) -> None:
    boot = machine.measure("faults", "boot")
    assert boot["first"] == ["drive", 0], "requested as an output and low in one step"
    assert boot["edges"] == [[boot["edges"][0][0], "call", 1, "set"]], "one edge: call taken back"
    assert boot["released_s"] - boot["owned_s"] >= HEALTHY_S
    transcript.append(f"boot: {boot}")


@pytest.mark.parametrize("name", FAULTS)
def test_fault_means_call(machine: Machine, transcript: list[str], name: str) -> None:
    number, limit_s = FAULTS[name]
    result = machine.measure("faults", str(number))
    assert result["to_call_s"] <= limit_s
    assert _falls_and_rises(result, "call") == [0, 1], "one fall, one rise, nothing between"
    assert result["released_s"] >= HEALTHY_S
    assert (result["during"]["call"], result["during"]["beacon"]) == (0, 0)
    assert _falls_and_rises(result, "beacon") == [], "an alarm fails to no alarm"
    transcript.append(f"{name}: {result}")
