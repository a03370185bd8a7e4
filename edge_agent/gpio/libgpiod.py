"""Lines of any Linux GPIO chip as gpiozero pins, through libgpiod v2.

gpiozero's own factories expect a Raspberry Pi and make a line an output before they set its level.
Here direction and level are one request of the kernel's (GPIO_V2_GET_LINE_IOCTL), so that a relay
does not twitch when the service starts. Works on Pi 4, Pi 5, Jetson and the kernel's gpio-sim.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import gpiod
from gpiod.line import Bias, Clock, Direction, Edge, Value
from gpiozero.exc import PinFixedPull, PinInvalidPin, PinSetInput
from gpiozero.pins import Factory, Pin, PinInfo

from edge_agent.clock import SystemClock

Changed = Callable[[float, bool], None]
"""Told of the time (s, monotonic) and the level of an edge."""
CONSUMER = "edge-agent"
BUFFERED = 256
"""Edges that the kernel keeps until they are read."""
BIAS = {"floating": Bias.DISABLED, "up": Bias.PULL_UP, "down": Bias.PULL_DOWN}


class LibgpiodFactory(Factory):  # type: ignore[misc]
    """Pins of one chip, by offset or by the name that the board gives a line.

    `chip` is a device (/dev/gpiochip0) or a chip's label (pinctrl-rp1), which stays the same when
    the kernel numbers chips anew. Raises OSError when there is no such chip.
    """

    def __init__(self, chip: str = "/dev/gpiochip0") -> None:
        super().__init__()
        self.chip = gpiod.Chip(_path(chip))
        self._pins: dict[int, LibgpiodPin] = {}
        self._infos: dict[str, PinInfo] = {}
        self._watch: _Watch | None = None

    def close(self) -> None:
        """Give up every line and the chip."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        for pin in list(self._pins.values()):
            pin.close()
        self._pins.clear()
        self.chip.close()

    def pin(self, name: int | str) -> LibgpiodPin:
        """The line with that offset or name; the same object for the same line."""
        (_, info) = next(self.find_pin(name))
        if info.number not in self._pins:
            self._pins[info.number] = LibgpiodPin(self, info)
        return self._pins[info.number]

    def find_pin(self, name: int | str) -> Iterator[tuple[str, PinInfo]]:
        """What gpiozero asks a board for."""
        known = self._infos.get(str(name))
        if known is None:
            try:
                offset = self.chip.line_offset_from_id(name)
            except (OSError, ValueError):
                raise PinInvalidPin(f"{self.chip.path} has no line {name}") from None
            label = f"line {offset}"
            known = PinInfo(offset, label, frozenset({label}), "", 0, 0, frozenset({"gpio"}))
            self._infos[str(name)] = self._infos[label] = known
        yield self.chip.path, known

    def watch(self, pin: LibgpiodPin) -> None:
        """Tell the pin of its edges from now on."""
        if self._watch is None:
            self._watch = _Watch()
        self._watch.add(pin)

    def forget(self, pin: LibgpiodPin) -> None:
        """Tell the pin no more, and let another one have its line."""
        if self._watch is not None:
            self._watch.remove(pin)

    def ticks(self) -> float:
        """CLOCK_MONOTONIC in seconds, as edges are stamped."""
        return SystemClock().monotonic()

    def ticks_diff(self, later: float, earlier: float) -> float:
        return later - earlier

    def _get_board_info(self) -> LibgpiodFactory:
        return self


class LibgpiodPin(Pin):  # type: ignore[misc]
    """One line. Safe to use from several threads."""

    def __init__(self, factory: LibgpiodFactory, info: PinInfo) -> None:
        self._factory, self._info = factory, info
        self._lock = threading.RLock()
        self._settings = gpiod.LineSettings(direction=Direction.INPUT)
        self._request: gpiod.LineRequest | None = None
        self._bounce_s: float | None = None
        self._edges = "both"
        self._when_changed: Changed | None = None

    def __repr__(self) -> str:
        return f"{self._factory.chip.path} {self._info.name}"

    def close(self) -> None:
        """Give the line up, as it is."""
        with self._lock:
            self._factory.forget(self)
            self._when_changed = None
            if self._request is not None:
                self._request.release()
                self._request = None

    def output_with_state(self, state: bool) -> None:
        """Direction and level in one step."""
        self._ask_for(
            gpiod.LineSettings(direction=Direction.OUTPUT, output_value=Value(int(bool(state))))
        )

    def input_with_pull(self, pull: str) -> None:
        self._ask_for(gpiod.LineSettings(direction=Direction.INPUT, bias=BIAS[pull]))

    def fileno(self) -> int:
        assert self._request is not None
        return self._request.fd

    def drain(self) -> bool:
        """Tell of the edges that the kernel has kept; False when there will be no more."""
        with self._lock:
            request, tell = self._request, self._when_changed
            try:
                if request is None or not request.wait_edge_events(0):
                    return True
                events = request.read_edge_events()
            except OSError:
                return False
        for event in events:
            if tell is not None:
                is_high = event.event_type is event.Type.RISING_EDGE
                tell(event.timestamp_ns / 1e9, is_high)
        return True

    def _get_info(self) -> PinInfo:
        return self._info

    def _get_function(self) -> str:
        return "output" if self._settings.direction is Direction.OUTPUT else "input"

    def _set_function(self, value: str) -> None:
        if value == "output":
            if self._get_function() == "input":
                self.output_with_state(False)
        else:
            self.input_with_pull(self._get_pull())

    def _get_state(self) -> bool:
        with self._lock:
            if self._request is None:
                self._ask_for(self._settings)
            assert self._request is not None
            return self._request.get_value(self._info.number) is Value.ACTIVE

    def _set_state(self, value: float) -> None:
        with self._lock:
            if self._get_function() == "input" or self._request is None:
                raise PinSetInput(f"cannot set state of pin {self!r}")
            self._request.set_value(self._info.number, Value(int(bool(value))))
            self._settings.output_value = Value(int(bool(value)))

    def _get_pull(self) -> str:
        biases = {bias: name for name, bias in BIAS.items()}
        return biases.get(self._settings.bias, "floating")

    def _set_pull(self, value: str) -> None:
        if self._get_function() != "input":
            raise PinFixedPull(f"cannot set pull on non-input pin {self!r}")
        self._settings.bias = BIAS[value]
        self._ask_for(self._settings)

    def _get_bounce(self) -> float | None:
        return self._bounce_s

    def _set_bounce(self, value: float | None) -> None:
        """Edges are told as they are: whoever listens knows what counts as bouncing."""
        self._bounce_s = value

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        self._edges = value
        if self._when_changed is not None:
            self._listen(value)

    def _get_when_changed(self) -> Changed | None:
        return self._when_changed

    def _set_when_changed(self, value: Changed | None) -> None:
        with self._lock:
            is_new = (value is None) != (self._when_changed is None)
            self._when_changed = value
            if is_new and value is not None:
                self._listen(self._edges)
                self._factory.watch(self)
            elif is_new:
                self._factory.forget(self)
                self._listen("none")

    def _listen(self, edges: str) -> None:
        self._settings.edge_detection = Edge[edges.upper()]
        self._settings.event_clock = Clock.MONOTONIC
        self._ask_for(self._settings)

    def _ask_for(self, settings: gpiod.LineSettings) -> None:
        """Take the line with these settings, or change them if it is ours already."""
        with self._lock:
            if self._request is None:
                self._request = self._factory.chip.request_lines(
                    {self._info.number: settings},
                    consumer=CONSUMER,
                    event_buffer_size=BUFFERED,
                )
            else:
                self._request.reconfigure_lines({self._info.number: settings})
            self._settings = settings


class _Watch:
    """Waits for edges of all watched pins in one thread."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._pins: dict[int, LibgpiodPin] = {}
        self._lock = threading.Lock()
        self._closing = False
        self._wake_out, self._wake_in = os.pipe()
        self._poll.register(self._wake_out, select.POLLIN)
        self._thread = threading.Thread(target=self._run, name="gpio-edges", daemon=True)
        self._thread.start()

    def add(self, pin: LibgpiodPin) -> None:
        with self._lock:
            self._pins[pin.fileno()] = pin
            self._poll.register(pin.fileno(), select.POLLIN)
        os.write(self._wake_in, b"\0")  # what polls already does not know of it

    def remove(self, pin: LibgpiodPin) -> None:
        with self._lock:
            for number in [number for number, known in self._pins.items() if known is pin]:
                del self._pins[number]
                self._poll.unregister(number)

    def close(self) -> None:
        self._closing = True
        os.write(self._wake_in, b"\0")
        self._thread.join()
        os.close(self._wake_in)
        os.close(self._wake_out)

    def _run(self) -> None:
        while not self._closing:
            for number, what in self._poll.poll():
                if number == self._wake_out:
                    os.read(self._wake_out, 64)
                    continue
                with self._lock:
                    pin = self._pins.get(number)
                if pin is not None and not (what & select.POLLIN and pin.drain()):
                    self.remove(pin)  # the chip is gone


def _path(chip: str) -> str:
    """The device of a chip that is named by its device or its label."""
    if chip.startswith("/"):
        return chip
    for path in sorted(Path("/dev").glob("gpiochip*")):
        with gpiod.Chip(str(path)) as found:
            if found.get_info().label == chip:
                return str(path)
    raise FileNotFoundError(f"no GPIO chip has the label {chip}")
