"""Threads that do what others ask for: whatever fails, they go on, and say so once."""

import threading

import pytest

from edge_agent.clock import SystemClock
from edge_agent.errors import EvidenceError
from edge_agent.live.writer import Repeater, Writer

SOON_S = 10.0


@pytest.mark.parametrize("error", [EvidenceError("the disk is full"), OSError("unplugged")])
def test_a_job_that_fails_costs_no_other(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[int] = []

    def fail() -> None:
        raise error

    writer = Writer(SystemClock())
    writer.start()
    for job in (lambda: done.append(1), fail, lambda: done.append(2)):
        writer.put(job)
    assert writer.close(SOON_S) and done == [1, 2]
    assert str(error) in caplog.text or str(error) in str(caplog.records[0].__dict__)


def test_what_fails_again_and_again_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    tries, enough = list[int](), threading.Event()

    def act() -> None:
        tries.append(len(tries))
        if len(tries) >= 20:
            enough.set()
        if tries[-1] not in (5, 6):
            raise KeyError("the same")

    repeater = Repeater("chore", 0.001, act)
    repeater.start()
    assert enough.wait(SOON_S)
    repeater.close()
    assert [each.message for each in caplog.records] == ["chore failed"] * 2


def test_a_repeater_that_hangs_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.live.writer.JOIN_S", 0.1)
    over = threading.Event()

    def hang() -> None:
        over.wait()

    repeater = Repeater("chore", 0.001, hang)
    repeater.start()
    repeater.close()
    assert repeater.is_alive()
    over.set()
    repeater.join(SOON_S)
