"""A live device on a disk that fills up or turns read-only: what it decides waits, none is lost."""

import errno
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from edge_agent.errors import EvidenceError
from edge_agent.live.backlog import Backlog

BLOCK = bytes(4096)


@pytest.fixture(scope="module")
def story(crash_part: Callable[[str], ModuleType]) -> ModuleType:
    return crash_part("story")


def fill(path: Path) -> None:
    """Leave no byte."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(BLOCK):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC


def test_a_full_disk_takes_records_and_then_they_wait(
    story: ModuleType, disk: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = disk("size=3m")
    decided: list[str] = []
    with story.device(folder, tmp_path / "state") as journal:
        backlog, waited = Backlog(journal), 0

        def live(name: str, begin_s: float) -> None:
            backlog.event(story.event(name, "begin", begin_s))
            backlog.case(story.case(name, begin_s, has_photos=True), b"clip" * 20_000)
            decided.append(name)

        live("roomy", 14.0)
        fill(folder / "somebody else's")
        for number in range(16):
            live(f"full/{number}", 24.0 + 10 * number)
            waited = max(waited, backlog.waiting)
        assert waited == backlog.waiting > 8, "the disk was not full"
        assert not backlog.retry()
        (folder / "somebody else's").unlink()
        disk("size=20m")
        assert backlog.retry() and backlog.waiting == 0
        live("roomy again", 204.0)
        told = [each["data"] for each in journal.envelopes if "what" in each["data"]]
    found = story.inspect(folder, tmp_path / "state")
    assert found["flaws"] == []
    assert found["sequences"] == list(range(1, len(found["ids"]) + 1))
    assert found["types"].count("edge.parking.illegal.v1") == len(decided)
    assert len(found["cases"]) == len(decided) and found["types"].count(
        "edge.evidence.case.v1"
    ) == len(decided)
    assert all(case["is_told"] for case in found["cases"].values())
    assert 0 < len(told) < len(decided), "some had to give something up, some had only to wait"
    assert told[0]["what"] == ["clip", "derived", "enter", "leave", "wide", "close"]
    assert {each["why"] for each in told} == {"disk full"}


def test_a_disk_that_turns_read_only_delays_cases_not_events(
    story: ModuleType, disk: Callable[[str], Path], tmp_path: Path
) -> None:
    folder, state = disk("size=3m"), tmp_path / "state"
    with story.device(folder, state, tmp_path) as journal:
        backlog = Backlog(journal)
        backlog.event(story.event("a", "begin", 14.0))
        backlog.case(story.case("a", 14.0), None)
        disk("ro")
        backlog.event(story.event("a", "end", 18.0))
        backlog.case(story.case("a", 14.0, revision=2), None)
        backlog.event(story.event("b", "begin", 24.0))
        backlog.case(story.case("b", 24.0, has_photos=True), b"clip")
        with pytest.raises(EvidenceError, match="Read-only file system"):
            journal.checkpoint()
        assert (len(backlog.events), len(backlog.cases), backlog.retry()) == (0, 2, False)
        disk("rw")
        assert backlog.retry()
    found = story.inspect(folder, state, tmp_path)
    assert found["flaws"] == []
    assert found["sequences"] == [1, 2, 3, 4, 5, 6]
    assert sorted(case["revision"] for case in found["cases"].values()) == [1, 2]
    assert all(case["is_told"] for case in found["cases"].values())
