"""The folder that a replay writes, and whose replay it is; the folder that a live box keeps."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_agent.errors import EvidenceError, UsageError
from edge_agent.evidence.staging import write_whole

MARKER = "replay.json"
STAGED = f".{MARKER}.part"
"""What a kill may leave before there is a marker."""
OWN_FILES = ("events.jsonl", "report.html", "outbox.db", "outbox.db-wal", "outbox.db-shm")


@dataclass(frozen=True, slots=True)
class Folder:
    """What replays and live boxes both keep."""

    path: Path

    @property
    def evidence(self) -> Path:
        return self.path / "evidence"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def outbox(self) -> Path:
        return self.path / "outbox.db"


@dataclass(frozen=True, slots=True)
class OutFolder(Folder):
    """One replay's results: made new, resumed after an interruption, or refused."""

    run: str
    """Id of the run; only the same footage with the same site file may resume."""

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @contextmanager
    def claimed(self, overwrite: bool) -> Iterator[bool]:
        """Keep the folder to this process and ready; True when a replay is being resumed.

        Raises UsageError rather than mixing two replays or erasing finished evidence unasked.
        """
        try:
            if self.path.exists() and not self.path.is_dir():
                raise UsageError(f"{self.path}: is not a folder: name a new folder for --out")
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise self._unusable(error) from error
        with _alone(handle, f"{self.path}: another replay is writing here: let it end"):
            yield self._prepare(overwrite)

    def _prepare(self, overwrite: bool) -> bool:
        try:
            state = self._state()
            resumes = state == {"run": self.run, "finished": False} and not overwrite
            if not resumes:
                self._clear(state, overwrite)
            self._mark(finished=False)
            self.evidence.mkdir(exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from error
        return resumes

    def _unusable(self, error: OSError) -> EvidenceError:
        return EvidenceError(
            f"{self.path}: cannot be used for results ({error.strerror}): "
            "choose another --out or make it writable"
        )

    def finish(self) -> None:
        """Say that everything is there."""
        self._mark(finished=True)

    def _state(self) -> dict[str, object]:
        try:
            state = json.loads((self.path / MARKER).read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            return {"run": None}
        return state if isinstance(state, dict) else {"run": None}

    def _clear(self, state: dict[str, object], overwrite: bool) -> None:
        if all(found.name == STAGED for found in self.path.iterdir()):
            return
        if not state:
            raise UsageError(
                f"{self.path}: holds files that no replay wrote: choose a new folder for --out"
            )
        if not overwrite:
            what = "a finished" if state.get("finished") else "another, unfinished"
            raise UsageError(
                f"{self.path}: holds {what} replay: choose a new folder for --out, "
                "or pass --overwrite to replace it"
            )
        for name in OWN_FILES:
            (self.path / name).unlink(missing_ok=True)
        for folder in (self.evidence, self.log):
            shutil.rmtree(folder, ignore_errors=True)

    def _mark(self, finished: bool) -> None:
        state = json.dumps({"run": self.run, "finished": finished})
        write_whole(self.path / MARKER, state.encode())


@dataclass(frozen=True, slots=True)
class BoxFolder(Folder):
    """What a live box keeps on its disk."""

    @property
    def memory(self) -> Path:
        return self.path / "memory.json"

    @contextmanager
    def claimed(self) -> Iterator[Callable[[], bool]]:
        """Keep it to this process; yields what tells whether it is still there.

        Raises UsageError when another one has it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.evidence.mkdir(exist_ok=True)
            # the folder itself is what the log key locks, perhaps for this very process
            mark = self.path / ".claimed"
            handle = os.open(mark, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise EvidenceError(
                f"{self.path}: cannot be used for evidence ({error.strerror}): name another "
                "`data_dir` or make it writable"
            ) from error
        busy = (
            f"{self.path}: another edge-agent runs on it: stop that one first, e.g. "
            "`systemctl stop edge-agent`"
        )
        with _alone(handle, busy):
            yield lambda: _is_same(mark, handle)


def _is_same(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except OSError:
        return False


@contextmanager
def _alone(handle: int, busy: str) -> Iterator[None]:
    """Hold what the file handle locks, and close it in the end; UsageError if somebody has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise UsageError(busy) from error
    finally:
        os.close(handle)
