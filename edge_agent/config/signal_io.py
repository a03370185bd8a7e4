"""What is wired to the signal controller, and through which lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from edge_agent.config.base import Name, Settings

if TYPE_CHECKING:
    from edge_agent.config.models import Site

Line = (
    Annotated[int, Field(ge=0, le=1023)]
    | Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.:+-]{0,31}$")]
)
"""A line's offset on its chip, or the name that the board gives it, e.g. 17 or GPIO17."""
Key = tuple[str, ...]


class Gpio(Settings):
    """What drives the lines."""

    factory: Literal["libgpiod", "lgpio", "mock"] = "libgpiod"
    """`mock` moves nothing."""
    chip: Annotated[str, Field(pattern=r"^(/dev/gpiochip\S*|[A-Za-z0-9][A-Za-z0-9_.:-]*)$")] = (
        "/dev/gpiochip0"
    )
    """The chip's device, or its label as `gpiodetect` shows it, e.g. pinctrl-rp1."""

    @model_validator(mode="after")
    def _is_numbered(self) -> Gpio:
        if self.factory == "lgpio" and not re.fullmatch(r"/dev/gpiochip\d+", self.chip):
            raise ValueError(
                f"chip `{self.chip}`: lgpio knows chips by number: write e.g. /dev/gpiochip0"
            )
        return self


class Contact(Settings):
    """A line that drives a relay."""

    line: Line
    active_low: bool = False
    """The relay board energises its relay when the line is low."""


class Call(Contact):
    """A contact that is closed while somebody waits in a zone; without power it is closed too."""

    camera: Name
    zone: Name
    classes: Annotated[tuple[str, ...], Field(min_length=1)] = ("vehicle",)
    """Whom it serves; `vehicle` stands for every kind of motor vehicle."""
    mode: Literal["presence", "pulse"] = "presence"
    """Closed as long as somebody is there, or for a moment at everyone who comes."""
    delay_s: Annotated[float, Field(ge=0, le=255)] = 0.0
    """Who stays for a shorter time does not call."""
    extend_s: Annotated[float, Field(ge=0, le=25.5)] = 0.0
    """The call goes on for so long when the zone has become empty."""
    pulse_ms: Annotated[int, Field(ge=100, le=500)] = 250
    phase: Name | None = None
    """The phase that serves the zone, as `phases` names it."""
    delay_on_red: bool = False
    """Delay only while that phase is red."""
    extend_on_green: bool = False
    """Extend only while that phase is green."""
    max_presence_s: Annotated[float, Field(ge=1, le=86400)] | None = None
    """A zone that is occupied for longer is reported; the call stays."""
    max_age_s: Annotated[float, Field(ge=0.5, le=10)] | None = None
    """A camera whose latest picture is older counts as lost; None: by how often they come."""

    @model_validator(mode="after")
    def _knows_its_phase(self) -> Call:
        for key in ("delay_on_red", "extend_on_green"):
            if getattr(self, key) and self.phase is None:
                raise ValueError(f"{key} needs to know the signal: name its `phase`")
        if self.mode == "pulse" and self.extend_s:
            raise ValueError("extend_s: a pulse has a length of its own, `pulse_ms`; leave it out")
        return self


class Output(Settings):
    """A contact that an alarm or a grant closes for a moment; without power it stays open."""

    line: Line | None = None
    """What drives it; without one it is only recorded."""
    active_low: bool = False
    backend: Literal["mock"] | None = None
    """`mock` says that it is meant to have no line."""
    pulse_ms: Annotated[int, Field(ge=100, le=500)] = 500

    @model_validator(mode="after")
    def _is_one(self) -> Output:
        if self.backend == "mock" and self.line is not None:
            raise ValueError("`backend: mock` moves nothing: leave it out, or the `line`")
        return self


class Phase(Settings):
    """The lamps of one signal phase."""

    red: Line
    amber: Line
    green: Line
    active_low: bool = False
    """A lit lamp pulls its line low, as an opto-coupler with a pull-up does."""
    pull: Literal["up", "down", "none"] = "none"
    """The board's own resistor."""
    red_with_amber: bool = False
    """The controller shows red and amber together before green; that counts as red."""


class HealthOutput(Contact):
    """A line that changes its level as frames are dealt with, for a watchdog relay."""


_REFUSED = re.compile(
    r"(?i)(?:^|[^a-z])(pre-?_?empt(?:ion)?|hold|force-?_?off|interval-?_?advance)s?(?:[^a-z]|$)"
)
_SECTIONS = ("calls", "outputs")


def refused(data: Mapping[str, Any]) -> Iterator[tuple[Key, str]]:
    """Where a site file asks for an output that this product does not have, and why not."""
    for key in data:
        if found := _REFUSED.search(str(key)):
            yield (str(key),), _why(found[1])
    for section in _SECTIONS:
        group = data.get(section)
        for name, contact in group.items() if isinstance(group, dict) else ():
            if found := _REFUSED.search(str(name)):
                yield (section, str(name)), _why(found[1])
            for key, value in contact.items() if isinstance(contact, dict) else ():
                texts = (str(key), value if isinstance(value, str) and key != "line" else "")
                if found := next(filter(None, map(_REFUSED.search, texts)), None):
                    yield (section, str(name), str(key)), _why(found[1])


def _why(word: str) -> str:
    return (
        f"`{word}` is refused: outputs only call (a vehicle waits) or raise an alarm; to preempt, "
        "hold, force off or advance a signal is the controller's decision, which no camera may "
        "take; for emergency vehicles there is the advisory event flow.emergency_vehicle"
    )


def problems(site: Site) -> Iterator[tuple[Key, str]]:
    """What the wiring of a site lacks: (where, what is wrong and what to do)."""
    lines = list(_lines(site))
    if lines and site.gpio is None:
        where, line = lines[0]
        yield (
            where,
            f"line {line}: nothing drives it: add e.g. "
            "`gpio: {factory: libgpiod, chip: /dev/gpiochip0}`",
        )
    owners: dict[Line, Key] = {}
    for where, line in lines:
        if line in owners:
            yield (
                where,
                f"line {line} is that of {'.'.join(owners[line])} already: give each its own",
            )
        owners[line] = where
    for name in site.outputs.keys() & site.calls.keys():
        yield ("outputs", name), "a call has that name: what is told of both would be mixed up"
    for name, call in site.calls.items():
        for key, text in _call_problems(site, call):
            yield ("calls", name, key), text


def unfed(site: Site, name: str) -> list[str]:
    """What a live camera's rules will never say, because no lamp tells them of their phase."""
    camera = site.cameras[name]
    if camera.source is None:  # a recording's signals come with it
        return []
    wanted = ((rule.kind, getattr(rule.settings, "phase", None)) for rule in camera.rules)
    return [
        f"{kind} says nothing: no input feeds the phase {phase}: wire its lamps under `phases`"
        for kind, phase in wanted
        if phase is not None and phase not in site.phases
    ]


def _lines(site: Site) -> Iterator[tuple[Key, Line]]:
    for name, call in site.calls.items():
        yield ("calls", name, "line"), call.line
    for name, output in site.outputs.items():
        if output.line is not None:
            yield ("outputs", name, "line"), output.line
    for name, phase in site.phases.items():
        for lamp in ("red", "amber", "green"):
            yield ("phases", name, lamp), getattr(phase, lamp)
    if site.health_output is not None:
        yield ("health_output", "line"), site.health_output.line


def _call_problems(site: Site, call: Call) -> Iterable[tuple[str, str]]:
    camera = site.cameras.get(call.camera)
    if camera is None:
        yield "camera", f"there is no camera `{call.camera}`; known: {', '.join(site.cameras)}"
        return
    if call.zone not in camera.zones:
        known = ", ".join(camera.zones) or "none: draw one under its `zones`"
        yield "zone", f"camera {call.camera} has no zone `{call.zone}`; known: {known}"
    if call.phase is not None and call.phase not in site.phases:
        known = ", ".join(site.phases) or "none: wire its lamps under `phases`"
        yield "phase", f"there is no phase `{call.phase}`; known: {known}"
    fps = camera.detector.max_fps
    if fps is not None and call.max_age_s is not None and call.max_age_s < 2 / fps:
        yield (
            "max_age_s",
            f"{call.max_age_s:g} s: camera {call.camera} looks {fps:g} times a second "
            f"(`detector.max_fps`), so its latest picture is often older: give {2 / fps:g} or more",
        )
    if camera.detector.rest:
        yield (
            "camera",
            f"camera {call.camera} may rest (`detector.rest`), and then sees who comes too late "
            "for a call: leave that out",
        )
    if not any(rule.kind == "camera.health" for rule in camera.rules):
        yield (
            "camera",
            f"camera {call.camera} would not notice that it is covered or frozen: add the rule "
            "`{kind: camera.health}`, so that this brings the call",
        )
