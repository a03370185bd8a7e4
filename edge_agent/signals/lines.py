"""The lines that a site file names, opened as gpiozero devices."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from edge_agent.config.signal_io import Gpio, Line
from edge_agent.errors import ConfigError, SignalError
from edge_agent.gpio.factory import line_errors, open_factory

log = logging.getLogger(__name__)

_LIBRARIES = {"libgpiod": ("gpiod",), "lgpio": ("lgpio",), "mock": ()}


class Lines:
    """Every line of one chip that is in use.

    Raises ConfigError for a library that is not there, SignalError for a chip or line that is not
    there or is somebody else's.
    """

    def __init__(self, gpio: Gpio, is_guarded: bool | None = None) -> None:
        """is_guarded: another process holds the outputs; by default all but the mock's."""
        self.gpio = gpio
        self._devices: list[Any] = []
        if is_guarded is None:
            is_guarded = gpio.factory != "mock"
        try:
            self._gpiozero = importlib.import_module("gpiozero")
            self._errors = line_errors(gpio.factory)
            self.factory, self.relays = self._open(is_guarded)
        except ImportError as error:
            text = _how_to_get(str(error.name), gpio)
            raise ConfigError(f"gpio.factory {gpio.factory}: {text}") from error

    def beat(self, now_s: float) -> str | None:
        """Say that whoever drives the outputs is well; what has become of them, if not as asked.

        To be called more often than every 0.7 s, or they go to rest.
        """
        return self.relays.beat(now_s) if self.relays is not self.factory else None

    def output(self, where: str, line: Line, is_active_low: bool) -> Callable[[bool], None]:
        """What energises a relay (True) or lets it go; it is at rest from the very first."""
        device = self._device(
            where,
            line,
            lambda: self._gpiozero.OutputDevice(
                line, active_high=not is_active_low, initial_value=False, pin_factory=self.relays
            ),
        )

        def set_level(is_energised: bool) -> None:
            try:
                device.value = is_energised
            except self._errors as error:
                raise SignalError(f"{where}: line {line}: cannot be set: {error}") from error

        return set_level

    def input(self, where: str, line: Line, is_active_low: bool, pull: str) -> Input:
        """A lamp, followed from now on."""
        device = self._device(
            where,
            line,
            lambda: self._gpiozero.InputDevice(
                line,
                pull_up={"none": None, "up": True, "down": False}[pull],
                active_state=not is_active_low if pull == "none" else None,
                pin_factory=self.factory,
            ),
        )
        return Input(device.pin, is_active_low)

    def close(self) -> None:
        """Give up every line, as it is; one that cannot be set goes to rest with its guard."""
        for device in self._devices:
            try:
                device.close()
            except self._errors as error:
                log.warning("line not set as it was given up", extra={"why": str(error)})
        self.relays.close()
        self.factory.close()

    def _device(self, where: str, line: Line, make: Callable[[], Any]) -> Any:  # noqa: ANN401
        try:
            device = make()
        except self._errors as error:
            raise SignalError(
                f"{where}: line {line}: {error}: expected a free line of {self.gpio.chip} "
                f"({self.gpio.factory}); `gpioinfo` lists them"
            ) from error
        self._devices.append(device)
        return device

    def _open(self, is_guarded: bool) -> tuple[Any, Any]:
        """Whose pins are lamps, and whose are relays."""
        kind, chip = self.gpio.factory, self.gpio.chip
        try:
            factory = open_factory(kind, chip)
            if not is_guarded:
                return factory, factory
            with ExitStack() as stack:
                stack.callback(factory.close)
                guarded = importlib.import_module("edge_agent.gpio.guarded")
                relays = guarded.GuardedFactory(factory, kind, chip)
                stack.pop_all()
            return factory, relays
        except self._errors as error:
            raise SignalError(
                f"gpio: {kind} cannot open {chip}: {error}: expected a GPIO chip that "
                "the service may use; `gpiodetect` lists them"
            ) from error


class Input:
    """Edges of one line, kept until somebody asks."""

    def __init__(self, pin: Any, is_active_low: bool) -> None:  # noqa: ANN401
        self._pin, self._is_active_low = pin, is_active_low
        self._edges: deque[tuple[float, bool]] = deque(maxlen=1024)
        self._is_lit = self.read()
        pin.edges = "both"
        pin.when_changed = self._note

    def read(self) -> bool:
        """Whether the lamp is lit now."""
        return bool(self._pin.state) != self._is_active_low

    def edges(self, now_s: float) -> list[tuple[float, bool]]:
        """What has happened since the last time: (when, lit).

        An edge that got lost shows in the level, and counts from now on.
        """
        found = []
        while self._edges:
            t_s, is_lit = self._edges.popleft()
            found.append((min(t_s, now_s), is_lit))  # whatever clock stamped it
        is_lit = self.read()
        latest = found[-1][1] if found else self._is_lit
        if is_lit != latest and not self._edges:
            found.append((now_s, is_lit))
        self._is_lit = found[-1][1] if found else is_lit
        return found

    def _note(self, ticks: float, state: bool) -> None:
        self._edges.append((ticks, bool(state) != self._is_active_low))


def missing_library(gpio: Gpio) -> str | None:
    """What drives no line because it is not installed, and how to get it."""
    for name in ("gpiozero", *_LIBRARIES[gpio.factory]):
        if importlib.util.find_spec(name) is None:  # to import some would touch the board
            return _how_to_get(name, gpio)
    return None


def _how_to_get(library: str, gpio: Gpio) -> str:
    return f"needs {library}, which is not installed: `pip install 'edge-agent[gpio]'`" + (
        ", and python3-lgpio" if gpio.factory == "lgpio" else ""
    )
