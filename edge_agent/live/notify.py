"""What the service tells systemd about itself: sd_notify(3), without its library.

Outside systemd, or when it does not listen, nothing happens: a box watches with or without it.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

log = logging.getLogger(__name__)

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
SEND_S = 1.0
"""systemd that does not take a datagram for so long is busy; the next one will do."""


@dataclass(frozen=True, slots=True)
class Notifier:
    """A service's line to the system manager."""

    address: str | None
    """A Unix datagram socket; `@` begins the name of an abstract one. None: nobody listens."""
    watchdog_interval_s: float | None = None
    """`watchdog` has to be called more often than that; None when nobody waits for it."""

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> Notifier:
        """As systemd left it in NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.

        They are taken out: a program that the agent starts must not speak for it.
        """
        told = {name: environment.pop(name, "") for name in VARIABLES}
        address = told["NOTIFY_SOCKET"]
        is_known = address[:1] in ("/", "@")
        return cls(address if is_known else None, _interval_s(told) if is_known else None)

    def ready(self) -> None:
        """It has started, or has taken over what was changed."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line that `systemctl status` shows."""
        self._send("STATUS=" + " ".join(text.split()))

    def watchdog(self) -> None:
        """It makes progress."""
        self._send("WATCHDOG=1")

    def reloading(self, mono_us: int) -> None:
        """It begins to take over what was changed, at that CLOCK_MONOTONIC in microseconds."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={mono_us}")

    def stopping(self) -> None:
        """It is on its way out."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if self.address is None:
            return
        # an abstract name begins with NUL, which no environment can hold
        address = "\0" + self.address[1:] if self.address[0] == "@" else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.settimeout(SEND_S)
                line.sendto(message.encode(), address)
        except OSError as error:
            log.warning("systemd was not told", extra={"what": message, "why": str(error)})


def _interval_s(told: Mapping[str, str]) -> float | None:
    """None where the watchdog is off or waits for another process."""
    try:
        interval_us = int(told["WATCHDOG_USEC"] or 0)
        pid = int(told["WATCHDOG_PID"] or os.getpid())
    except ValueError:
        return None
    return interval_us / 1e6 if interval_us > 0 and pid == os.getpid() else None
