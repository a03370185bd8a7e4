"""A cabinet on mock pins: what the relays do when traffic, cameras, threads and lamps do things."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from edge_agent.app import load
from edge_agent.clock import ClockReading, ManualClock, Sync
from edge_agent.config import Site
from edge_agent.config.signal_io import Gpio
from edge_agent.errors import ConfigError, SignalError
from edge_agent.ports import Cabinet
from edge_agent.signals import WiredCabinet
from edge_agent.types import ArrayPicture, Box, Detections, Event, Frame, Scene, Track
from edge_agent.uplink.schema import schemas

SITE = """
site: {name: crossing}
device: box
gpio: {factory: mock}
cameras:
  street:
    zones: {stop: [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]}
    rules: [{kind: camera.health}]
calls:
  ns: {line: 5, camera: street, zone: stop, phase: ns, max_presence_s: 10}
  walk: {line: GPIO12, camera: street, zone: stop, classes: [person], active_low: true}
outputs:
  gate: {line: 6, pulse_ms: 300}
  lamp: {pulse_ms: 200}
phases:
  ns: {red: 17, amber: 22, green: 23, active_low: true, pull: up}
health_output: {line: 13}
"""
NS, WALK, GATE, HEALTH, RED, GREEN = 5, 12, 6, 13, 17, 23


class Rig:
    """A cabinet, its pins, and a clock; `run` plays a stretch of time."""

    def __init__(self, site: Site) -> None:
        self.clock = ManualClock()
        self.cabinet = WiredCabinet(site, self.read)
        port: Cabinet = self.cabinet
        port.fault("street", None)
        self.events: list[Event] = []

    def read(self) -> tuple[Any, ClockReading]:
        mono_ns = round(self.clock.monotonic() * 1e9)
        return self.clock.now(), ClockReading(mono_ns, Sync("ntp", True, 1.0))

    def pin(self, number: int) -> Any:
        return self.cabinet.lines.factory.pin(number)

    def levels(self) -> tuple[int, ...]:
        return tuple(int(self.pin(number).state) for number in (NS, WALK, GATE))

    def scene(self, *feet: tuple[str, float]) -> Scene:
        """Class and height of everybody's foot, as a share of the picture."""
        t_s = self.clock.monotonic()
        picture = ArrayPicture(np.zeros((100, 100, 3), np.uint8))
        frame = Frame("street", int(t_s * 10), t_s, self.clock.now(), picture)
        tracks = tuple(
            Track(i, cls, 0.9, Box(40, 10, 60, y * 100), (0, 0), t_s, t_s, None)
            for i, (cls, y) in enumerate(feet, 1)
        )
        return Scene(frame, Detections.none(), tracks)

    def run(self, seconds: float, *feet: tuple[str, float], sees: bool = True) -> None:
        for step in range(round(seconds / 0.02)):
            self.clock.advance(0.02)
            if sees and step % 5 == 0:
                self.cabinet.see(self.scene(*feet))
                self.cabinet.progress(self.clock.monotonic())
            self.events += self.cabinet.tick(self.clock.monotonic())


@pytest.fixture
def rig(tmp_path: Any) -> Iterator[Rig]:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    rig = Rig(load(path))
    yield rig
    rig.cabinet.close()


def test_starts_in_call_and_takes_it_back_after_thirty_seconds(rig: Rig) -> None:
    assert rig.levels() == (0, 1, 0), "at rest: calls on, no alarm; `walk` is energised by low"
    rig.run(29.9)
    assert rig.levels() == (0, 1, 0)
    rig.run(0.3)
    assert rig.levels() == (1, 0, 0)


def test_calls_for_whom_it_serves_and_where(rig: Rig) -> None:
    rig.run(31)
    rig.run(1, ("car", 0.4), ("person", 0.4))
    assert rig.levels() == (1, 0, 0)
    rig.run(1, ("bus", 0.6))
    assert rig.levels() == (0, 0, 0)
    rig.run(1, ("person", 0.6))
    assert rig.levels() == (1, 1, 0)


@pytest.mark.parametrize("reason", ["camera covered", "no picture"])
def test_a_fault_is_a_call_within_a_second(rig: Rig, reason: str) -> None:
    rig.run(31)
    rig.cabinet.fault("street", reason)
    rig.run(0.3)
    assert rig.levels() == (0, 1, 0)
    assert rig.cabinet.states()[0].state == "on"
    assert [(e.kind, e.phase, e.facts["reason"]) for e in rig.events if e.kind == "io.fault"] == [
        ("io.fault", "begin", "boot"),
        ("io.fault", "end", "boot"),
        ("io.fault", "begin", reason),
    ]


def test_when_frames_stop_coming_it_calls(rig: Rig) -> None:
    rig.run(31)
    rig.run(1.2, sees=False)
    assert rig.levels() == (0, 1, 0)


def test_when_the_main_thread_hangs_the_workers_call(rig: Rig) -> None:
    rig.run(31)
    rig.clock.advance(1.1)
    rig.cabinet.see(rig.scene())
    rig.cabinet.progress(rig.clock.monotonic())
    assert rig.levels() == (0, 1, 0)


def test_health_moves_with_frames_only(rig: Rig) -> None:
    rig.run(10)
    moves = len(rig.pin(HEALTH).states)
    assert 30 <= moves <= 41
    rig.run(10, sees=False)
    assert len(rig.pin(HEALTH).states) <= moves + 1


def test_a_grant_closes_its_contact_for_its_time(rig: Rig) -> None:
    rig.run(1)
    pulse = rig.cabinet.pulse("gate", rig.clock.now())
    assert pulse is not None and (pulse.pulse_ms, pulse.backend) == (300, "mock")
    assert rig.cabinet.pulse("gate", rig.clock.now()) is None, "one goes on already"
    rig.run(0.02)
    assert rig.pin(GATE).state == 1
    rig.run(0.28)
    assert rig.pin(GATE).state == 1
    rig.run(0.04)
    assert rig.pin(GATE).state == 0
    assert rig.cabinet.pulse("lamp", rig.clock.now()) is not None, "without a line: recorded"


def test_lamps_become_states_and_conflicts(rig: Rig) -> None:
    rig.pin(RED).drive_low()
    rig.run(1)
    begin_s = rig.clock.monotonic()
    for number, drive in ((RED, "drive_high"), (GREEN, "drive_low")):
        getattr(rig.pin(number), drive)()
    rig.run(1)
    feed = rig.cabinet.feed("street")
    states = [feed.at(t_s)["ns"] for t_s in (begin_s - 0.5, rig.clock.monotonic())]
    assert states == ["red", "green"]
    assert rig.cabinet.states()[-1][:3] == ("in", "ns", "green")
    rig.pin(RED).drive_low()
    rig.run(1)
    assert feed.at(rig.clock.monotonic())["ns"] == "conflict"
    rig.pin(RED).drive_high()
    rig.run(4)
    told = [e.phase for e in rig.events if e.kind == "io.conflict"]
    assert told == ["begin"], "the lamps have to make sense for a while"
    rig.run(2)
    assert [e.phase for e in rig.events if e.kind == "io.conflict"] == ["begin", "end"]


def test_everything_told_is_as_its_schema_says(rig: Rig) -> None:
    rig.pin(RED).drive_low()
    rig.run(31)
    rig.run(11, ("car", 0.9))
    rig.run(1)
    registry: Registry[Any] = Registry().with_resources(
        (name, Resource.from_contents(schema)) for name, schema in schemas().items()
    )
    kinds = set()
    for event in rig.events:
        own = schemas()[f"urn:edge-agent:schema:{event.kind}:1"]
        for name, fact in event.facts.items():
            Draft202012Validator(own["properties"][name], registry=registry).validate(fact)
        assert set(own["required"]) <= event.facts.keys() <= own["properties"].keys()
        kinds.add((event.kind, event.phase))
    assert {("io.max_presence", "begin"), ("io.max_presence", "end"), ("io.fault", "end")} <= kinds
    subjects = [(event.subject, event.phase) for event in rig.events]
    assert len(subjects) == len(set(subjects))


def test_let_go_it_calls_and_does_nothing_more(rig: Rig) -> None:
    rig.run(31)
    rig.cabinet.pulse("gate", rig.clock.now())
    rig.run(0.1)
    pins = [rig.pin(number) for number in (NS, WALK, GATE)]
    rig.cabinet.close()
    assert [pin.states[-1].state for pin in pins] == [False, True, False]
    rig.cabinet.close()
    rig.run(1)


def test_several_threads_at_once(rig: Rig) -> None:
    rig.run(31)
    scenes = (rig.scene(("car", 0.9)), rig.scene())
    stop, failures = threading.Event(), list[BaseException]()

    def work(action: Any) -> None:
        try:
            while not stop.is_set():
                action()
        except BaseException as error:  # noqa: BLE001  (told below)
            failures.append(error)

    now_s = rig.clock.monotonic()
    actions = (
        lambda: rig.cabinet.see(scenes[0]),
        lambda: rig.cabinet.see(scenes[1]),
        lambda: rig.cabinet.progress(now_s),
        lambda: list(rig.cabinet.tick(now_s)),
        lambda: rig.cabinet.feed("street").at(now_s),
        rig.cabinet.states,
    )
    threads = [threading.Thread(target=work, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    stop.wait(0.3)
    rig.cabinet.close()
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_lines_that_cannot_be_had_are_named(tmp_path: Any) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE.replace("line: 6", "line: gate"))
    with pytest.raises(SignalError, match=r"outputs\.gate\.line: line gate: .*not a valid pin"):
        Rig(load(path))
    path.write_text(SITE.replace("line: GPIO12", "line: GPIO5"))
    with pytest.raises(SignalError, match=r"calls\.walk\.line: line GPIO5: .*already in use"):
        Rig(load(path))
    site = load(path)
    for factory in ("libgpiod", "lgpio"):
        gone = Gpio.model_validate({"factory": factory, "chip": "/dev/gpiochip99"})
        # a library that is missing does not come by trying again, a chip may
        with pytest.raises((ConfigError, SignalError), match=r"gpio"):
            Rig(site.model_copy(update={"gpio": gone}))
