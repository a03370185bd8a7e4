"""The process that holds the outputs, as it is started: silence, deaths, and what it is deaf to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gpiozero.pins.mock import MockFactory

from edge_agent.app import load
from edge_agent.clock import ClockReading, ManualClock, Sync, SystemClock
from edge_agent.config.signal_io import Gpio
from edge_agent.errors import SignalError
from edge_agent.gpio.guard import SILENCE_S
from edge_agent.gpio.guarded import GuardedPin
from edge_agent.signals import Lines, WiredCabinet
from edge_agent.types import ArrayPicture, Detections, Frame, Scene

CLOCK = SystemClock()
LATE_S = 1.0
"""A machine with other things to do; how soon is measured on real lines (tests/emulated)."""


class Rig:
    """One relay behind a guard."""

    def __init__(self) -> None:
        self.lines = Lines(Gpio(factory="mock"), is_guarded=True)
        self.relay = self.lines.output("calls.ns.line", 5, False)

    @property
    def is_energised(self) -> bool:
        return bool(self.lines.relays.pin(5).state)

    def beat(self) -> str | None:
        return self.lines.beat(CLOCK.monotonic())

    def beats(self, seconds: float) -> list[str]:
        """What is told while it beats as the daemon does."""
        end_s, told = CLOCK.monotonic() + seconds, []
        while CLOCK.monotonic() < end_s:
            told.append(self.beat())
            CLOCK.sleep(0.02)
        return [each for each in told if each]

    def signal(self, number: int) -> None:
        pid = self.lines.relays.guard_pid
        assert pid is not None
        os.kill(pid, number)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.lines.close()


def _until(is_so: Callable[[], bool], limit_s: float) -> float:
    begin_s = CLOCK.monotonic()
    while not is_so() and CLOCK.monotonic() - begin_s < limit_s:
        CLOCK.sleep(0.005)
    return CLOCK.monotonic() - begin_s


def test_who_beats_keeps_its_lines_and_who_is_silent_does_not(rig: Rig) -> None:
    rig.beats(0.2)
    rig.relay(True)
    assert rig.beats(1.5 * SILENCE_S) == []
    assert rig.is_energised
    rested_s = _until(lambda: not rig.is_energised, 2.0)  # asking is no beat
    assert SILENCE_S - 0.15 <= rested_s <= SILENCE_S + LATE_S
    rig.relay(True)
    assert not rig.is_energised
    assert rig.beats(0.3) == [f"the daemon hung for {SILENCE_S} s or more"], "told once"
    rig.relay(False)
    rig.relay(True)
    assert rig.is_energised


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_guard_that_dies_or_hangs_is_replaced(rig: Rig, end: signal.Signals) -> None:
    rig.relay(True)
    old = rig.lines.relays.guard_pid
    rig.signal(end)
    begin_s = CLOCK.monotonic()
    while rig.lines.relays.guard_pid == old and CLOCK.monotonic() - begin_s < 5:
        rig.beats(0.02)
    assert CLOCK.monotonic() - begin_s <= 0.1 + 0.5 + LATE_S
    with pytest.raises(ProcessLookupError):
        os.kill(old or 0, 0)
    told = rig.beats(2.5)
    assert any("what holds the outputs does not answer" in each for each in told)
    assert rig.lines.relays.guard_pid not in (None, old)
    assert not rig.is_energised
    rig.relay(True)
    assert not rig.is_energised, "held until rest is asked for"
    rig.relay(False)
    rig.relay(True)
    assert rig.is_energised and rig.beats(0.3) == []


class Starts:
    """Guards that take their time to begin."""

    SLOW_S = 1.5

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[subprocess.Popen[bytes]] = []
        self._begin = subprocess.Popen
        monkeypatch.setattr("edge_agent.gpio.guarded.subprocess.Popen", self._late)

    def _late(self, *args: Any, **more: Any) -> subprocess.Popen[bytes]:
        CLOCK.sleep(self.SLOW_S)
        self.begun.append(self._begin(*args, **more))
        return self.begun[-1]


def test_nobody_waits_while_another_guard_begins(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = Starts(monkeypatch)
    rig.signal(signal.SIGKILL)
    longest_s, begin_s = 0.0, CLOCK.monotonic()
    while rig.lines.relays.guard_pid is None or not starts.begun:
        before_s = CLOCK.monotonic()
        assert before_s - begin_s < 20
        rig.beat()
        longest_s = max(longest_s, CLOCK.monotonic() - before_s)
        CLOCK.sleep(0.02)
    assert longest_s < starts.SLOW_S
    rig.relay(False)
    rig.relay(True)
    assert rig.is_energised and rig.beats(0.3) == []


def test_a_guard_that_begins_too_late_ends_at_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = Starts(monkeypatch)
    rig.signal(signal.SIGKILL)
    rig.beats(1.5)
    assert not starts.begun
    rig.lines.close()
    assert _until(lambda: bool(starts.begun), 20) < 20
    assert starts.begun[0].wait(20) is not None


def test_a_line_that_cannot_be_set_does_not_keep_the_guard(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_pin: object) -> None:
        raise OSError("input/output error")

    pid = rig.lines.relays.guard_pid
    assert pid is not None
    with monkeypatch.context() as patch:
        patch.setattr(GuardedPin, "close", refuse)
        rig.lines.close()
    assert rig.lines.relays.guard_pid is None and _is_over(pid)
    assert "input/output error" in str(caplog.records[-1].__dict__["why"])


def test_a_chip_is_closed_where_no_guard_can_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = list[object]()

    def close(factory: object) -> None:
        closed.append(factory)

    monkeypatch.setattr(MockFactory, "close", close)
    monkeypatch.setattr("edge_agent.gpio.guarded.sys.executable", "/nowhere")
    with pytest.raises(SignalError, match="cannot open"):
        Lines(Gpio(factory="mock"), is_guarded=True)
    assert len(closed) == 1


SITE = """
site: {name: crossing}
device: box
gpio: {factory: mock}
cameras:
  street:
    zones: {stop: [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]}
    rules: [{kind: camera.health}]
calls: {ns: {line: 5, camera: street, zone: stop}}
outputs: {gate: {line: 6, pulse_ms: 300}}
"""


class Crossing:
    """A cabinet behind a guard; the cabinet's time is played, the guard's is real."""

    def __init__(self, path: Path) -> None:
        path.write_text(SITE)
        self.clock, site = ManualClock(), load(path)
        lines = Lines(Gpio(factory="mock"), is_guarded=True)
        self.cabinet = WiredCabinet(site, self._read, lines)
        self.cabinet.fault("street", None)

    def _read(self) -> tuple[datetime, ClockReading]:
        mono_ns = round(self.clock.monotonic() * 1e9)
        return self.clock.now(), ClockReading(mono_ns, Sync("ntp", True, 1.0))

    def run(self, seconds: float) -> list[tuple[bool, bool]]:
        """What call and alarm were like, energised or not, while nobody came."""
        found, pins = [], [self.cabinet.lines.relays.pin(line) for line in (5, 6)]
        for _ in range(round(seconds / 0.1)):
            self.clock.advance(0.1)
            t_s = self.clock.monotonic()
            picture = ArrayPicture(np.zeros((100, 100, 3), np.uint8))
            frame = Frame("street", int(10 * t_s), t_s, self.clock.now(), picture)
            self.cabinet.see(Scene(frame, Detections.none(), ()))
            list(self.cabinet.tick(t_s))
            found.append((bool(pins[0].state), bool(pins[1].state)))
        return found


@pytest.mark.parametrize("is_late", [False, True])
def test_after_silence_a_call_is_taken_back_and_no_alarm_is_lost(
    tmp_path: Path, is_late: bool
) -> None:
    crossing = Crossing(tmp_path / "site.yaml")
    with closing(crossing.cabinet):
        if is_late:
            crossing.run(31)
        CLOCK.sleep(SILENCE_S + 0.3)  # a box loads its models, or hangs
        found = crossing.run(31)
        assert found[10] == (False, False) and found[-1] == (True, False)
        crossing.cabinet.pulse("gate", crossing.clock.now())
        assert any(gate for _, gate in crossing.run(1))


def test_it_ends_after_its_owner_only(rig: Rig) -> None:
    rig.relay(True)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        rig.signal(number)
    assert rig.beats(0.2) == [] and rig.is_energised


OWNER = """
import sys
from edge_agent.config.signal_io import Gpio
from edge_agent.signals import Lines
lines = Lines(Gpio(factory="mock"), is_guarded=True)
lines.output("a", 5, False)(True)
print(lines.relays.guard_pid, flush=True)
sys.stdin.read()
"""


def test_it_does_not_outlive_its_owner() -> None:
    words = [sys.executable, "-c", OWNER]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        guard = int(owner.stdout.readline())
        owner.kill()
    assert _until(lambda: _is_over(guard), 5.0) < 5.0


def _is_over(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"
