"""The signal controller's wires: calls and alarms towards it, lamps from it.

A call's relay is energised while there is *no* call, so that a power cut, a reset and a crash all
mean "call". An alarm's relay is energised for the alarm, so that the same fails to no alarm.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import InitVar, dataclass, field
from datetime import datetime

from edge_agent.clock import ClockReading
from edge_agent.config import Site
from edge_agent.config.signal_io import Call, Output
from edge_agent.geometry import Polygon
from edge_agent.ports import LineState
from edge_agent.signals.call import BOOT, REST_S, STALL_S, CallLogic
from edge_agent.signals.lamps import CONFLICT, LAMPS, LiveSignals, PhaseLogic
from edge_agent.signals.lines import Input, Lines
from edge_agent.signals.outputs import MockOutputs
from edge_agent.signals.telling import Telling
from edge_agent.types import VEHICLES, Event, Pulse, Scene

SOUND_S = 5.0
"""A conflict is over when the lamps have made sense for so long: an amber may flash all night."""
ReadClock = Callable[[], tuple[datetime, ClockReading]]


@dataclass
class _Wire:
    """A relay, and when it last changed."""

    drive: Callable[[bool], None]
    is_on: bool
    since: datetime
    is_energised: bool = False

    def set(self, is_on: bool, is_energised: bool, now: datetime) -> None:
        if is_on != self.is_on:
            self.drive(is_energised)
            self.is_on, self.since, self.is_energised = is_on, now, is_energised

    def rest_again(self) -> None:
        """Own up to what another has done: from then on the line follows again."""
        if not self.is_energised:
            self.drive(False)


@dataclass
class _Call:
    name: str
    settings: Call
    zone: Polygon
    wire: _Wire
    logic: CallLogic

    def waiting(self, scene: Scene) -> list[int]:
        """The tracks that it serves and that stand in its zone, hidden ones included."""
        frame, classes = scene.frame, self.settings.classes
        return [
            track.id
            for track in scene.tracks
            if (track.cls in classes or ("vehicle" in classes and track.cls in VEHICLES))
            and self.zone.contains(track.box.foot, frame.width, frame.height)
        ]


@dataclass
class _Alarm:
    """A contact that is closed for a moment."""

    settings: Output
    wire: _Wire
    is_asked: bool = False
    end_s: float | None = None
    """When the present pulse is over."""
    rested_s: float = 0.0
    """Until when it stays open after the last one."""

    def advance(self, now_s: float) -> bool:
        if self.end_s is not None and now_s >= self.end_s:
            self.end_s, self.rested_s = None, now_s + REST_S
        elif self.is_asked and self.end_s is None and now_s >= self.rested_s:
            self.is_asked, self.end_s = False, now_s + self.settings.pulse_ms / 1000
        return self.end_s is not None


@dataclass
class _Phase:
    name: str
    logic: PhaseLogic
    inputs: dict[str, Input]
    relying: tuple[str, ...]
    """Cameras that rely on it."""
    since: datetime

    def edges(self, now_s: float) -> list[tuple[float, str, bool]]:
        """What its lamps did since the last time, in order."""
        found = [
            (t_s, lamp, is_lit)
            for lamp, wire in self.inputs.items()
            for t_s, is_lit in wire.edges(now_s)
        ]
        return sorted(found)


@dataclass
class _Health:
    """A contact that moves as frames are dealt with, and only then."""

    wire: _Wire
    changed_s: float = 0.0
    has_progress: bool = False

    def advance(self, now_s: float) -> bool:
        """It moves in the main thread's tick: that one has to be alive as well."""
        if self.has_progress and now_s - self.changed_s >= REST_S:
            self.changed_s, self.has_progress = now_s, False
            return not self.wire.is_on
        return self.wire.is_on


@dataclass
class WiredCabinet:
    """The wires of one site. Implements `ports.Cabinet`; safe to use from several threads.

    Opening takes the lines with every call on. Raises SignalError when a line cannot be had.
    """

    site: Site
    read: ReadClock
    """Wall clock, and what is known of it."""
    opened: InitVar[Lines | None] = None
    """By default what the site file names is opened."""
    cause: str = BOOT
    """Why the lines are taken now."""
    lines: Lines = field(init=False)

    def __post_init__(self, opened: Lines | None) -> None:
        self._lock = threading.RLock()
        self._is_closed = False
        self._troubles: dict[str, str | None] = {}
        self._ticked_s: float | None = None
        self._line_trouble: str | None = None
        self._wires: list[_Wire] = []
        self._signals = LiveSignals()
        self._telling = Telling(self.read)
        self._recorded = MockOutputs(
            {name: output for name, output in self.site.outputs.items() if output.line is None}
        )
        assert self.site.gpio is not None
        self.lines = opened or Lines(self.site.gpio)
        try:
            self._calls = [self._open_call(*item) for item in self.site.calls.items()]
            self._alarms = dict(self._open_alarms())
            self._phases = [self._open_phase(name) for name in self.site.phases]
            health = self.site.health_output
            self._health = (
                None
                if health is None
                else _Health(self._wire("health_output", health.line, health.active_low, False))
            )
        except BaseException:
            self.lines.close()
            raise

    def see(self, scene: Scene) -> None:
        camera, t_s = scene.frame.camera, scene.frame.t_s
        found = [
            (call, call.waiting(scene)) for call in self._calls if call.settings.camera == camera
        ]
        with self._lock:
            self._telling.see(scene)
            for call, inside in found:
                call.logic.see(inside, t_s)

    def fault(self, camera: str, reason: str | None) -> None:
        with self._lock:
            self._troubles[camera] = reason

    def progress(self, now_s: float) -> None:
        with self._lock:
            if self._is_closed:
                return
            if self._health is not None:
                self._health.has_progress = True
            if self._ticked_s is not None and now_s - self._ticked_s > STALL_S:
                self._drive(now_s)  # the main thread is stuck: somebody has to call

    def tick(self, now_s: float) -> Iterable[Event]:
        with self._lock:
            if self._is_closed:
                return ()
            line_trouble = self.lines.beat(now_s)
            # while the box was starting everything was at rest anyway
            self._line_trouble = None if self._ticked_s is None else line_trouble
            self._ticked_s = now_s
            self._read_lamps(now_s)
            self._drive(now_s)
            if line_trouble is not None:
                for wire in self._wires:
                    wire.rest_again()
            if self._health is not None:
                is_high = self._health.advance(now_s)
                self._health.wire.set(is_high, is_high, self.read()[0])
            return tuple(self._told(now_s))

    def feed(self, camera: str) -> LiveSignals:
        return self._signals

    def pulse(self, name: str, at: datetime) -> Pulse | None:
        with self._lock:
            alarm = self._alarms.get(name)
            if alarm is None:
                return self._recorded.pulse(name, at)
            if self._is_closed or alarm.is_asked or alarm.end_s is not None:
                return None
            alarm.is_asked = True
            backend = self.lines.gpio.factory
            return Pulse(name, at, alarm.settings.pulse_ms, backend=backend)

    def states(self) -> list[LineState]:
        with self._lock:
            calls = [(call.name, call.wire) for call in self._calls]
            alarms = [(name, alarm.wire) for name, alarm in self._alarms.items()]
            found = [
                LineState("out", name, "on" if wire.is_on else "off", wire.since)
                for name, wire in (*calls, *alarms)
            ]
            for phase in self._phases:
                state = phase.logic.state or "unknown"
                found.append(LineState("in", phase.name, state, phase.since))
            return found

    def move(self, name: str, is_on: bool) -> None:
        """Set a call or an alarm by hand, for who wires it; a tick may set it otherwise."""
        with self._lock:
            for call in self._calls:
                if call.name == name:
                    call.wire.set(is_on, not is_on, self.read()[0])
            if name in self._alarms:
                self._alarms[name].wire.set(is_on, is_on, self.read()[0])

    def close(self) -> None:
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            try:
                self._let_go()
            finally:
                self.lines.close()

    def _let_go(self) -> None:
        wall = self.read()[0]
        for call in self._calls:
            call.wire.set(True, False, wall)
        for alarm in self._alarms.values():
            alarm.wire.set(False, False, wall)
        if self._health is not None:
            self._health.wire.set(False, False, wall)

    def _read_lamps(self, now_s: float) -> None:
        for phase in self._phases:
            before = phase.logic.state
            believed = []
            for t_s, lamp, is_lit in phase.edges(now_s):
                believed += phase.logic.edge(lamp, is_lit, t_s)
            for t_s, state in (*believed, *phase.logic.advance(now_s)):
                self._signals.note(phase.name, state, t_s)
            if phase.logic.state != before:
                phase.since = self.read()[0]

    def _drive(self, now_s: float) -> None:
        shown = {phase.name: phase.logic.state for phase in self._phases}
        wall = self.read()[0]
        for call in self._calls:
            trouble = self._line_trouble or self._troubles.get(call.settings.camera, self.cause)
            phase = shown.get(call.settings.phase or "")
            is_on = call.logic.advance(now_s, trouble, phase)
            call.wire.set(is_on, not is_on, wall)
        for alarm in self._alarms.values():
            is_on = alarm.advance(now_s)
            alarm.wire.set(is_on, is_on, wall)

    def _told(self, now_s: float) -> Iterator[Event]:
        for camera in dict.fromkeys(call.settings.camera for call in self._calls):
            calls = [call for call in self._calls if call.settings.camera == camera]
            reasons = [call.logic.fault for call in calls if call.logic.fault is not None]
            facts = {"reason": next(iter(reasons), ""), "outputs": [call.name for call in calls]}
            yield from self._telling.tell(("io.fault", camera, ""), bool(reasons), now_s, facts)
        for call in self._calls:
            key = ("io.max_presence", call.settings.camera, call.name)
            limit = {"output": call.name, "limit_s": call.settings.max_presence_s}
            is_overdue = call.logic.is_overdue(now_s)
            yield from self._telling.tell(key, is_overdue, now_s, limit, zone=call.settings.zone)
        for phase in self._phases:
            for camera in phase.relying:
                key = ("io.conflict", camera, phase.name)
                is_odd = phase.logic.state == CONFLICT
                yield from self._telling.tell(
                    key, is_odd, now_s, {"input": phase.name}, rest_s=SOUND_S
                )

    def _open_call(self, name: str, settings: Call) -> _Call:
        zone = Polygon(self.site.cameras[settings.camera].zones[settings.zone])
        wire = self._wire(f"calls.{name}.line", settings.line, settings.active_low, True)
        return _Call(name, settings, zone, wire, CallLogic(settings, self.cause))

    def _open_alarms(self) -> Iterator[tuple[str, _Alarm]]:
        for name, settings in self.site.outputs.items():
            if settings.line is not None:
                where = f"outputs.{name}.line"
                wire = self._wire(where, settings.line, settings.active_low, False)
                yield name, _Alarm(settings, wire)

    def _open_phase(self, name: str) -> _Phase:
        settings = self.site.phases[name]
        inputs = {
            lamp: self.lines.input(
                f"phases.{name}.{lamp}", getattr(settings, lamp), settings.active_low, settings.pull
            )
            for lamp in LAMPS
        }
        wall, reading = self.read()
        logic = PhaseLogic(settings)
        for lamp, wire in inputs.items():
            logic.edge(lamp, wire.read(), reading.mono_ns / 1e9)
        return _Phase(name, logic, inputs, tuple(relying(self.site, name)), wall)

    def _wire(self, where: str, line: int | str, is_active_low: bool, is_on: bool) -> _Wire:
        wire = _Wire(self.lines.output(where, line, is_active_low), is_on, self.read()[0])
        self._wires.append(wire)
        return wire


def relying(site: Site, phase: str) -> Iterator[str]:
    """Cameras whose calls or rules look at that phase; the first one where there is none."""
    calls = {call.camera for call in site.calls.values() if call.phase == phase}
    found = [
        name
        for name, camera in site.cameras.items()
        if name in calls
        or any(getattr(rule.settings, "phase", None) == phase for rule in camera.rules)
    ]
    yield from found or list(site.cameras)[:1]
