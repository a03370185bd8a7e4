"""What the journal and the terminal are told."""

import logging
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.live import logbook


def _record(text: str, **extra: object) -> logging.LogRecord:
    logger = logging.getLogger("edge_agent.live.daemon")
    return logger.makeRecord(
        logger.name, logging.WARNING, "daemon.py", 7, text, (), None, "_read", extra
    )


def _fields(data: bytes) -> dict[str, str]:
    """Reads the protocol back, as its description says."""
    found = {}
    while data:
        head, _, data = data.partition(b"\n")
        name, equals, value = head.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", data[:8])
            value, data = data[8 : 8 + length], data[9 + length :]
        found[name.decode()] = value.decode()
    return found


@pytest.fixture
def journal(tmp_path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(tmp_path / "journal"))
    listener.settimeout(2)
    return listener


def test_fields_reach_the_journal(journal: socket.socket) -> None:
    with journal:
        handler = logbook.JournalHandler(journal.getsockname())
        handler.setFormatter(logbook.FieldFormatter("%(message)s"))
        handler.emit(_record("camera lost", camera="north", why="no route\nto host", _1st="x"))
        told = _fields(journal.recv(65536))
        handler.close()
    assert told["MESSAGE"] == "camera lost camera=north why=no route\nto host _1st=x"
    assert told["CAMERA"] == "north"
    assert told["WHY"] == "no route\nto host"
    assert told["ST"] == "x"
    assert (told["PRIORITY"], told["LOGGER"], told["CODE_LINE"]) == (
        "4",
        "edge_agent.live.daemon",
        "7",
    )


def test_no_field_passes_itself_off_as_another() -> None:
    told = _fields(logbook.entry(_record("fine", priority=0, MESSAGE="forged"), "fine"))
    assert (told["MESSAGE"], told["PRIORITY"]) == ("fine", "4")


def test_a_long_text_fits_a_datagram(journal: socket.socket) -> None:
    with journal:
        handler = logbook.JournalHandler(journal.getsockname())
        handler.emit(_record("x" * 1_000_000))
        handler.close()
        assert len(_fields(journal.recv(1 << 20))["MESSAGE"]) == logbook.MAX_BYTES


def test_without_a_journal_nothing_is_lost(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    handler = logbook.JournalHandler(str(tmp_path / "gone"))
    handler.emit(_record("camera lost", camera="north"))
    handler.close()
    assert capfd.readouterr().err.startswith("camera lost (journal: ")


@pytest.mark.parametrize("is_frozen", [True, False])
def test_a_journal_that_is_gone_or_frozen_stops_nobody(tmp_path: Path, is_frozen: bool) -> None:
    """As a service has it: stderr leads to the journal as well, by a stream."""
    script = (
        "import logging, sys; from edge_agent.live import logbook\n"
        "logbook.SEND_S = 0.001\n"
        f"logging.getLogger().addHandler(logbook.JournalHandler({str(tmp_path / 'gone')!r}))\n"
        "for _ in range(1000):\n"
        "    logging.warning('x' * 1000)\n"
        "print('went on')\n"
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        if not is_frozen:
            theirs.close()
        done = subprocess.run(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            stderr=ours.fileno(),
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.stdout, done.returncode) == ("went on\n", 0)


@pytest.mark.parametrize("is_ours", [True, False])
def test_the_journal_is_used_where_stderr_leads_to_it(tmp_path: Path, is_ours: bool) -> None:
    script = (
        "import logging, os; from edge_agent.live.logbook import open_logbook\n"
        "open_logbook(logging.INFO, os.environ)\n"
        "print(type(logging.getLogger().handlers[0]).__name__)"
    )
    with (tmp_path / "stderr").open("wb") as stderr:
        found = os.fstat(stderr.fileno())
        stream = f"{found.st_dev}:{found.st_ino if is_ours else found.st_ino + 1}"
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "JOURNAL_STREAM": stream},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            check=True,
        )
    assert done.stdout.strip() == ("JournalHandler" if is_ours else "StreamHandler")
