"""Where log lines go: the terminal, or systemd's journal with every field its own.

`log.warning("camera lost", extra={"camera": "north"})` reads `camera lost camera=north`; in the
journal it is found by `journalctl -u edge-agent CAMERA=north`.
"""

from __future__ import annotations

import logging
import os
import re
import select
import socket
import struct
import sys
from collections.abc import Mapping
from typing import TextIO

JOURNAL = "/run/systemd/journal/socket"
SEND_S = 0.2
"""A journal that does not take a line for so long has lost it; the agent goes on."""
MAX_BYTES = 48 * 1024
"""Of one field; longer ones would need a memory file to be handed over."""

_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def open_logbook(level: int, environment: Mapping[str, str]) -> None:
    """Send what is logged from now on to the journal if stderr is connected to it, else there."""
    handler: logging.Handler
    if sys.stderr is None:  # closed by whoever started us
        handler = logging.NullHandler()
    elif _is_stream(sys.stderr, environment.get("JOURNAL_STREAM", "")):
        handler = JournalHandler(JOURNAL)
    else:
        handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FieldFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


class FieldFormatter(logging.Formatter):
    """Appends `name=value` for everything in `extra`."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        return " ".join(
            [super().formatMessage(record), *(f"{k}={v}" for k, v in fields(record).items())]
        )


class JournalHandler(logging.Handler):
    """Speaks the journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.settimeout(SEND_S)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._line.sendto(entry(record, self.format(record)), self._address)
        except OSError as error:
            _mutter(f"{self.format(record)} (journal: {error.strerror or error})\n")

    def close(self) -> None:
        self._line.close()
        super().close()


def _mutter(text: str) -> None:
    """To stderr, if that takes it: it may lead to the same journal, gone or standing still."""
    try:
        stderr, ready = sys.stderr.fileno(), select.poll()
        ready.register(stderr, select.POLLOUT)
        if ready.poll(0):
            os.write(stderr, text.encode("utf-8", "replace")[:MAX_BYTES])
    except (OSError, ValueError):  # nobody is left to hear it
        return


def fields(record: logging.LogRecord) -> dict[str, object]:
    """What the caller gave as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _KNOWN}


def entry(record: logging.LogRecord, text: str) -> bytes:
    """One record as the journal takes it: the text for people, everything else to search for."""
    told: dict[str, object] = {
        "MESSAGE": text,
        "PRIORITY": next((p for level, p in _PRIORITIES if record.levelno >= level), 7),
        "SYSLOG_IDENTIFIER": "edge-agent",
        "LOGGER": record.name,
        "THREAD": record.threadName,
        "CODE_FILE": record.pathname,
        "CODE_LINE": record.lineno,
        "CODE_FUNC": record.funcName,
    }
    own = {_field_name(name): value for name, value in fields(record).items()}
    return b"".join(_encoded(name, str(value)) for name, value in {**own, **told}.items())


def _field_name(name: str) -> str:
    """Capitals, digits and underscores, none of these first (systemd.journal-fields(7))."""
    return re.sub(r"[^A-Z0-9_]", "_", name.upper()).lstrip("_0123456789")[:64] or "FIELD"


def _encoded(name: str, value: str) -> bytes:
    data = value.encode("utf-8", "replace")[:MAX_BYTES]
    if b"\n" not in data:
        return b"%s=%s\n" % (name.encode(), data)
    return b"%s\n%s%s\n" % (name.encode(), struct.pack("<Q", len(data)), data)


def _is_stream(stream: TextIO, name: str) -> bool:
    """True when the stream is the one that systemd named as `device:inode`."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return name == f"{found.st_dev}:{found.st_ino}"
