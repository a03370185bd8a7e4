"""What is wired to the signal controller, and through which lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edge_agent.config.base import Name, Settings

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
