"""The process that holds the output lines: at rest is where they go when its owner falls silent.

`python -m edge_agent.gpio.guard SOCKET KIND CHIP` is started by `guarded.GuardedFactory` and
answers it over a socket of whole messages (JSON). At rest means a call, and no alarm. It imports
only what lines need, so that it is small and whatever slows or stops its owner does not touch it.
"""

from __future__ import annotations

import json
import select
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.clock import SystemClock
from edge_agent.gpio.factory import line_errors, open_factory

SILENCE_S = 0.7
"""An owner that has not said for so long that all is well does not know what the traffic does."""
MESSAGE = 4096
"""bytes; the longest."""
DEAF_TO = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Who stops the service tells all of its processes; this one ends after its owner."""


@dataclass
class _Kept:
    pin: Any
    rest: bool
    """The level that energises nothing."""
    is_held: bool
    """At rest until its owner has asked for that itself."""


class Keeper:
    """The output lines of one owner. No clock, no socket.

    An owner that was silent may still think that its lines are as it left them, so each stays at
    rest until the owner has put it there.
    """

    def __init__(self, factory: Any, errors: tuple[type[Exception], ...]) -> None:  # noqa: ANN401
        self._factory, self._errors = factory, errors
        self._lines: dict[object, _Kept] = {}
        self.lapses = 0
        """How often the owner has been silent."""

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do what is asked for: `take`, `set` or `read` a line, or nothing.

        `error`: why it could not be done; `level`: that of a line that is read.
        """
        answer: dict[str, Any] = {"lapses": self.lapses}
        line, level = request.get("line"), bool(request.get("level"))
        try:
            if request["do"] == "take":
                self._take(line, level, bool(request["is_held"]))
            elif request["do"] == "set":
                self._set(self._lines[line], level)
            elif request["do"] == "read":
                answer["level"] = bool(self._lines[line].pin.state)
        except self._errors as error:
            answer["error"] = str(error)
        return answer

    def lapse(self) -> None:
        """The owner is silent: every line to rest."""
        self.lapses += 1
        for kept in self._lines.values():
            kept.is_held = True
            kept.pin.state = kept.rest

    def _take(self, line: object, rest: bool, is_held: bool) -> None:
        pin = self._factory.pin(line)
        pin.output_with_state(rest)
        self._lines[line] = _Kept(pin, rest, is_held)

    def _set(self, kept: _Kept, level: bool) -> None:
        kept.is_held = kept.is_held and level != kept.rest
        if not kept.is_held:
            kept.pin.state = level


def keep(link: socket.socket, keeper: Keeper) -> None:
    """Serve an owner until it is gone, and leave every line at rest."""
    clock = SystemClock()
    poll = select.poll()
    poll.register(link, select.POLLIN)
    end_s = clock.monotonic() + SILENCE_S
    while True:
        wait_s = end_s - clock.monotonic()
        if wait_s <= 0:
            keeper.lapse()
            end_s = clock.monotonic() + SILENCE_S
        elif poll.poll(wait_s * 1000):
            data = link.recv(MESSAGE)
            if not data:
                break
            request = json.loads(data)
            if request["do"] in ("beat", "take"):
                end_s = clock.monotonic() + SILENCE_S
            link.send(json.dumps(keeper.answer(request)).encode())


def main(descriptor: str, kind: str, chip: str) -> None:
    """Be the guard of whoever is at the other end of the socket."""
    for number in DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=int(descriptor)) as link:
        keeper = Keeper(open_factory(kind, chip), line_errors(kind))
        try:
            keep(link, keeper)
        except ConnectionError:
            pass  # gone while it was being answered
        finally:
            keeper.lapse()


if __name__ == "__main__":
    main(*sys.argv[1:])
