"""Output pins that another process holds, for gpiozero devices: what `guard` is for."""

from __future__ import annotations

import json
import logging
import math
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from gpiozero.exc import PinInvalidFunction, PinInvalidPin
from gpiozero.pins import Factory, Pin, PinInfo

from edge_agent.gpio.guard import MESSAGE, SILENCE_S

log = logging.getLogger(__name__)

BEAT_S = 0.1
ANSWER_S = 0.5
"""A guard that takes longer hangs: it is killed, and the kernel lets its lines go."""
START_S, AGAIN_S = 30.0, 8.0
"""A guard may take so long to begin: while a box boots, and while systemd's watchdog waits."""
RETRY_S = 1.0
Line = int | str


class GuardedFactory(Factory):  # type: ignore[misc]
    """Output pins that go to rest when `beat` is not called for 0.7 s, or this process ends.

    `known` is an open factory of the same chip: it knows the lines' names, and who uses which.
    Safe to use from several threads. Raises OSError when there can be no guard.
    """

    def __init__(self, known: Factory, kind: str, chip: str) -> None:
        super().__init__()
        self._known, self._kind, self._chip = known, kind, chip
        self._lock = threading.RLock()
        self._pins: dict[PinInfo, GuardedPin] = {}
        self._lapses = 0
        self._trouble: str | None = None
        self._beaten_s = -math.inf
        self._guard: _Guard | None = _Guard(kind, chip, START_S)
        self._coming: Future[_Guard] | None = None
        """Another one, as long as there is none."""

    @property
    def guard_pid(self) -> int | None:
        """The process; None while there is none."""
        guard = self._guard
        return None if guard is None else guard.pid

    def close(self) -> None:
        """Let the guard put every line at rest and end."""
        with self._lock:
            if self._guard is not None:
                self._guard.end()
                self._guard = None
            if self._coming is not None:
                self._coming.add_done_callback(_end)
                self._coming = None

    def pin(self, name: Line) -> GuardedPin:
        """The line of that offset or name; the same object for the same line."""
        for _, info in self.board_info.find_pin(name):
            return self._pins.setdefault(info, GuardedPin(self, info, name))
        raise PinInvalidPin(f"{name} is not a valid pin name")

    def beat(self, now_s: float) -> str | None:
        """Say that all is well here; what has become of the lines since the last time, if it is
        not what was asked for.
        """
        with self._lock:
            if self._guard is None:
                self._revive(now_s)
            elif now_s - self._beaten_s >= BEAT_S:
                self._beaten_s = now_s
                self.ask("beat")
            trouble = self._trouble
            if self._guard is not None:
                self._trouble = None
            return trouble

    def ask(self, do: str, line: Line | None = None, **what: bool) -> dict[str, Any]:
        """What the guard answers; nothing while there is none, for then all lines are at rest.

        Raises OSError for what it could not do.
        """
        with self._lock:
            if self._guard is None:
                return {}
            try:
                answer = self._guard.ask({"do": do, "line": line, **what})
            except OSError as error:
                self._give_up(f"what holds the outputs does not answer: {error or 'it has ended'}")
                return {}
            if answer["lapses"] != self._lapses:
                self._lapses = answer["lapses"]
                self._trouble = f"the daemon hung for {SILENCE_S:g} s or more"
            if "error" in answer:
                raise OSError(answer["error"])
            return answer

    def reserve_pins(self, requester: object, *names: Line) -> None:
        self._known.reserve_pins(requester, *names)

    def release_pins(self, reserver: object, *names: Line) -> None:
        self._known.release_pins(reserver, *names)

    def ticks(self) -> float:
        return float(self._known.ticks())

    def ticks_diff(self, later: float, earlier: float) -> float:
        return float(self._known.ticks_diff(later, earlier))

    def _get_board_info(self) -> Any:  # noqa: ANN401
        return self._known.board_info

    def _give_up(self, why: str) -> None:
        assert self._guard is not None
        log.error("outputs let go", extra={"why": why})
        self._guard.kill()
        self._guard, self._trouble = None, why

    def _revive(self, now_s: float) -> None:
        """Begin with a new guard, every line at rest; nobody waits while it starts."""
        coming = self._coming
        if coming is None and now_s - self._beaten_s >= RETRY_S:
            self._beaten_s, self._coming = now_s, _begin(self._kind, self._chip)
        if coming is None or not coming.done():
            return
        self._coming = None
        try:
            self._guard, self._lapses = coming.result(), 0
            for pin in self._pins.values():
                pin.take_again()
        except (OSError, ValueError) as error:
            if self._guard is not None:
                self._give_up(f"the outputs cannot be had again: {error}")
            return
        log.warning("outputs taken again")


class GuardedPin(Pin):  # type: ignore[misc]
    """An output line in the guard's hands."""

    def __init__(self, factory: GuardedFactory, info: PinInfo, name: Line) -> None:
        self._factory, self._info, self._name = factory, info, name
        self._rest: bool | None = None

    def __repr__(self) -> str:
        return f"guarded {self._info.name}"

    def output_with_state(self, state: bool) -> None:
        """Direction and level in one step; this is its level at rest."""
        self._factory.ask("take", self._name, level=bool(state), is_held=False)
        self._rest = bool(state)

    def take_again(self) -> None:
        """From a new guard, which keeps it at rest until that has been asked for."""
        if self._rest is not None:
            self._factory.ask("take", self._name, level=self._rest, is_held=True)

    def close(self) -> None:
        """It goes when the guard goes; until then it is at rest."""
        if self._rest is not None:
            self._set_state(self._rest)

    def _get_info(self) -> PinInfo:
        return self._info

    def _get_function(self) -> str:
        return "input" if self._rest is None else "output"

    def _set_function(self, value: str) -> None:
        if value != "output":
            raise PinInvalidFunction(f"{self!r} is an output")
        self.output_with_state(False)

    def _get_state(self) -> bool:
        return bool(self._factory.ask("read", self._name).get("level", self._rest))

    def _set_state(self, value: float) -> None:
        self._factory.ask("set", self._name, level=bool(value))


def _begin(kind: str, chip: str) -> Future[_Guard]:
    coming: Future[_Guard] = Future()

    def start() -> None:
        try:
            coming.set_result(_Guard(kind, chip, AGAIN_S))
        except (OSError, ValueError) as error:
            coming.set_exception(error)

    threading.Thread(target=start, name="guard", daemon=True).start()
    return coming


def _end(come: Future[_Guard]) -> None:
    """It has come too late."""
    if come.exception() is None:
        come.result().end()


class _Guard:
    """The process, from outside."""

    def __init__(self, kind: str, chip: str, patience_s: float) -> None:
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            program = [sys.executable, "-P", "-m", "edge_agent.gpio.guard"]
            self._process = subprocess.Popen(
                [*program, str(number), kind, chip], pass_fds=[number], stdin=subprocess.DEVNULL
            )
        self._link.settimeout(patience_s)
        try:
            self.ask({"do": "beat"})
        except OSError:
            self.kill()
            raise
        self._link.settimeout(ANSWER_S)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self._link.send(json.dumps(request).encode())
        data = self._link.recv(MESSAGE)
        if not data:
            raise ConnectionResetError("it has ended")
        answer: dict[str, Any] = json.loads(data)
        return answer

    def end(self) -> None:
        self._link.close()
        try:
            self._process.wait(ANSWER_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self._link.close()
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):  # as long as the kernel is busy with its lines
            self._process.wait(ANSWER_S)
