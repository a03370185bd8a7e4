"""gpiozero devices over pin factories: the mock that ships, and a real chip where there is one.

`EDGE_AGENT_GPIO=CHIP:LINE:LINE` names a chip and two lines that are wired together, or that
nothing is wired to.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_agent.cli import cli
from edge_agent.clock import SystemClock
from edge_agent.config.signal_io import Gpio, Line
from edge_agent.errors import SignalError
from edge_agent.signals import Lines

Opened = tuple[Lines, Line, Line]


@pytest.fixture(params=["mock", "guarded mock", "libgpiod"])
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    chip, first, second = "/dev/gpiochip0", "5", "6"
    factory = request.param.removeprefix("guarded ")
    if factory == "libgpiod":
        if "EDGE_AGENT_GPIO" not in os.environ:
            pytest.skip("no GPIO chip to play with: EDGE_AGENT_GPIO is not set")
        chip, first, second = os.environ["EDGE_AGENT_GPIO"].split(":")
    gpio = Gpio.model_validate({"factory": factory, "chip": chip})
    lines = Lines(gpio, is_guarded=request.param != "mock")
    yield lines, _line(first), _line(second)
    lines.close()


def _line(text: str) -> Line:
    return int(text) if text.isdigit() else text


def test_relays_are_at_rest_first_and_follow(opened: Opened) -> None:
    lines, first, second = opened
    set_first, set_second = lines.output("a", first, False), lines.output("b", second, True)
    pins = lines.relays.pin(first), lines.relays.pin(second)
    assert [(pin.function, bool(pin.state)) for pin in pins] == [("output", 0), ("output", 1)]
    for is_energised in (True, False, True):
        set_first(is_energised)
        set_second(is_energised)
        assert [bool(pin.state) for pin in pins] == [is_energised, not is_energised]


def test_a_line_belongs_to_one(opened: Opened) -> None:
    lines, first, _ = opened
    lines.output("calls.ns.line", first, False)
    with pytest.raises(SignalError, match=r"health_output\.line: line .* already in use"):
        lines.output("health_output.line", first, False)


def test_a_line_that_is_not_there_is_named(opened: Opened) -> None:
    with pytest.raises(SignalError, match=r"calls\.ns\.line: line nowhere: .*expected a free line"):
        opened[0].output("calls.ns.line", "nowhere", False)


def test_a_lamp_is_read_either_way(opened: Opened) -> None:
    lines, first, second = opened
    high, low = lines.input("a", first, False, "down"), lines.input("b", second, True, "up")
    assert (high.read(), low.read()) == (False, False)
    now_s = SystemClock().monotonic()
    assert high.edges(now_s) == low.edges(now_s) == []


def test_edges_are_kept_with_their_time() -> None:
    lines = Lines(Gpio(factory="mock"))
    lamp, pin = lines.input("a", 5, True, "up"), lines.factory.pin(5)
    before_s = SystemClock().monotonic()
    for drive in (pin.drive_low, pin.drive_high, pin.drive_low):
        drive()
    after_s = SystemClock().monotonic()
    edges = lamp.edges(after_s)
    assert [is_lit for _, is_lit in edges] == [True, False, True]
    assert all(before_s <= t_s <= after_s for t_s, _ in edges)
    pin.when_changed = None
    pin.drive_high()
    assert lamp.edges(after_s) == [(after_s, False)], "an edge got lost, its level did not"
    lines.close()


SITE = """
site: {name: crossing}
device: box
gpio: {factory: mock}
cameras:
  street:
    zones: {stop: [[0, 0.5], [1, 0.5], [1, 1]]}
    rules: [{kind: camera.health}]
calls: {ns: {line: 5, camera: street, zone: stop}}
outputs: {gate: {line: 6}, lamp: {pulse_ms: 200}}
phases: {main: {red: 17, amber: 22, green: 23}}
"""


def test_the_technicians_commands(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    ask = CliRunner().invoke
    shown = ask(cli, ["io", "show", "--config", str(path)], standalone_mode=False)
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["call", "ns", "5", "on"] in [row[:4] for row in rows]
    assert ["alarm", "gate", "6", "off"] in [row[:4] for row in rows]
    assert rows[-1][-1] == "conflict"
    words = ["--seconds", "0.1", "--config", str(path)]
    assert "gate: on for 0.1 s" in ask(cli, ["io", "pulse", "gate", *words]).stdout
    assert "ns: off for 0.1 s" in ask(cli, ["io", "pulse", "ns", *words]).stdout
    refused = ask(cli, ["io", "pulse", "lamp", *words], standalone_mode=False)
    assert "there is no contact `lamp`; known: ns, gate" in str(refused.exception)
    assert "main: conflict" in ask(cli, ["io", "watch", *words]).stdout
    path.write_text(SITE.partition("phases:")[0])
    refused = ask(cli, ["io", "watch", *words], standalone_mode=False)
    assert "no signal is wired: it has no `phases:`" in str(refused.exception)


def test_ctrl_c_ends_watching_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    run, pipe = ["io", "watch", "--config", str(path)], subprocess.PIPE
    begun = [sys.executable, "-m", "edge_agent", *run]
    with subprocess.Popen(begun, text=True, stdout=pipe, stderr=pipe) as process:
        try:
            assert process.stdout is not None and "main: " in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, said) == (130, ("", ""))
