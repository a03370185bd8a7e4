"""What a site file may wire, and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.app import load
from edge_agent.config.coherence import unfed
from edge_agent.errors import ConfigError

SITE = """
site: {name: crossing}
device: box
gpio: {factory: libgpiod, chip: pinctrl-rp1}
cameras:
  street:
    zones: {stop: [[0, 0.5], [1, 0.5], [1, 1]]}
    rules: [{kind: camera.health}]
calls:
  ns: {line: 5, camera: street, zone: stop, phase: ns, delay_s: 255, extend_s: 25.5, max_age_s: 2}
outputs:
  gate: {line: GPIO6, active_low: true, pulse_ms: 100}
  lamp: {backend: mock}
phases:
  ns: {red: 17, amber: 22, green: 23, pull: up, active_low: true}
health_output: {line: 13}
"""


def complaint(folder: Path, old: str, new: str) -> str:
    """What is said of the site file with one thing changed."""
    path = folder / "site.yaml"
    assert SITE.count(old) >= 1
    path.write_text(SITE.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value)


def test_reads_the_whole_of_it(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    site = load(path)
    assert site.gpio is not None and site.gpio.chip == "pinctrl-rp1"
    assert (site.calls["ns"].delay_s, site.calls["ns"].extend_s) == (255, 25.5)
    assert (site.outputs["gate"].line, site.outputs["lamp"].line) == ("GPIO6", None)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("lamp: {", "preempt-1: {", "outputs.preempt-1"),
        ("lamp: {", "ns_hold: {", "outputs.ns_hold"),
        ("delay_s: 255", "mode: force_off", "calls.ns.mode"),
        ("delay_s: 255", "interval_advance: true", "calls.ns.interval_advance"),
        ("health_output:", "preempts: {p1: {line: 9}}\nhealth_output:", "preempts"),
        ("health_output:", "force-offs: {line: 9}\nhealth_output:", "force-offs"),
    ],
)
def test_what_would_command_a_controller_is_refused(
    tmp_path: Path, old: str, new: str, where: str
) -> None:
    said = complaint(tmp_path, old, new)
    assert f"{where}: `" in said
    assert "is refused: outputs only call" in said and "flow.emergency_vehicle" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("delay_s: 255", "delay_s: 256", "calls.ns.delay_s: 256 is above 255"),
        ("extend_s: 25.5", "extend_s: 25.6", "calls.ns.extend_s: 25.6 is above 25.5"),
        ("extend_s: 25.5", "pulse_ms: 99", "calls.ns.pulse_ms: 99 is below 100"),
        ("pulse_ms: 100", "pulse_ms: 501", "outputs.gate.pulse_ms: 501 is above 500"),
        ("delay_s: 255", "mode: pulse", "extend_s: a pulse has a length of its own"),
        ("phase: ns, delay_s: 255", "delay_on_red: true", "delay_on_red needs to know the signal"),
        ("phase: ns,", "phase: ew,", "there is no phase `ew`; known: ns"),
        ("zone: stop", "zone: stap", "camera street has no zone `stap`; known: stop"),
        ("camera: street", "camera: yard", "there is no camera `yard`; known: street"),
        ("[{kind: camera.health}]", "[]", "covered or frozen: add the rule"),
        ("    rules", "    detector: {rest: true}\n    rules", "leave that out"),
        ("    rules", "    detector: {max_fps: 0.5}\n    rules", "give 4 or more"),
        ("line: 13", "line: 5", "health_output.line: line 5 is that of calls.ns.line already"),
        ("gate: {line: GPIO6", "ns: {line: GPIO6", "outputs.ns: a call has that name"),
        ("lamp: {backend: mock}", "lamp: {backend: mock, line: 9}", "moves nothing"),
        ("gpio: {factory: libgpiod, chip: pinctrl-rp1}", "", "add e.g. `gpio: {factory: libgpiod"),
        ("factory: libgpiod", "factory: lgpio", "lgpio knows chips by number"),
        ("factory: libgpiod", "factory: pigpio", "gpio.factory"),
        ("line: 13", "line: -1", "health_output.line: -1 is below 0"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert said in complaint(tmp_path, old, new)


def test_a_line_below_zero_is_no_matter_of_quotes(tmp_path: Path) -> None:
    assert complaint(tmp_path, "line: 13", "line: -1").endswith("health_output.line: -1 is below 0")


def test_a_live_rule_whose_phase_nobody_feeds_is_told(tmp_path: Path) -> None:
    text = """
site: {name: crossing}
device: box
gpio: {factory: mock}
cameras:
  street:
    source: {kind: rtsp, url: "rtsp://192.0.2.10/stream1"}
    lines: {stop: {a: [0, 0.5], b: [1, 0.5]}}
    rules:
      - {kind: incident.red_light, line: stop, direction: forward, phase: main}
      - {kind: incident.red_light, line: stop, direction: forward, phase: side}
phases: {main: {red: 17, amber: 22, green: 23}}
"""
    path = tmp_path / "site.yaml"
    path.write_text(text)
    (found,) = unfed(load(path), "street")
    assert "incident.red_light says nothing: no input feeds the phase side" in found
    path.write_text(text.replace('source: {kind: rtsp, url: "rtsp://192.0.2.10/stream1"}', ""))
    assert unfed(load(path), "street") == []
