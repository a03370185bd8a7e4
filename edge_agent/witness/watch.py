"""Which logs are silent, forked or cut back, and when that begins and ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

Trouble = Literal["fork", "truncated", "silent"]


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a faultless log does not do, or its end."""

    origin: str
    trouble: Trouble
    text: str
    is_over: bool = False


@dataclass
class Watch:
    """Raises every alarm once, and says when it is over; knows no clock.

    A fork never ends by itself: a log that has contradicted itself once is never whole again.
    """

    silence_s: float
    _heard_s: dict[str, float] = field(default_factory=dict, init=False)
    _troubles: set[tuple[str, Trouble]] = field(default_factory=set, init=False)

    def expect(self, origins: Iterable[str], now_s: float) -> None:
        """From now on each of these logs should be heard."""
        for origin in origins:
            self._heard_s.setdefault(origin, now_s)

    def hear(self, origin: str, now_s: float) -> Iterator[Alarm]:
        """A checkpoint of the log has arrived; ends its silence."""
        self._heard_s[origin] = now_s
        if (origin, "silent") in self._troubles:
            self._troubles.remove((origin, "silent"))
            yield Alarm(origin, "silent", "its log is heard again", is_over=True)

    def trouble(self, origin: str, trouble: Trouble, text: str) -> Iterator[Alarm]:
        """The log did what it never should; told once."""
        if (origin, trouble) not in self._troubles:
            self._troubles.add((origin, trouble))
            yield Alarm(origin, trouble, text)

    def silences(self, now_s: float) -> Iterator[Alarm]:
        """Logs of which nothing was heard for too long."""
        for origin, heard_s in sorted(self._heard_s.items()):
            if now_s - heard_s > self.silence_s:
                text = (
                    f"nothing was heard of its log for {self.silence_s:g} s: the box is off, "
                    "offline, or kept from publishing"
                )
                yield from self.trouble(origin, "silent", text)
