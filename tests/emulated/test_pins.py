"""The pin factory over libgpiod at the kernel's own lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.emulated.conftest import Machine

pytestmark = pytest.mark.slow


def test_gpiozero_devices_drive_and_hear_the_kernels_lines(machine: Machine) -> None:
    found = machine.measure("pins")
    assert found["outputs"] == {"rest": [0, 1], "energised": [1, 0]}
    assert found["edges"] == {"count": 200, "in_turn": True, "in_time": True}
