"""The durable queue between deciding and delivering: one SQLite file.

Every envelope gets its gapless `sequence` in the transaction that stores it; its body leaves the
file only when a broker has acknowledged it. An id stays known after delivery, so that adding the
same event again (a replay that resumes, a restart in the middle) neither repeats nor renumbers.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from edge_agent.errors import UplinkError
from edge_agent.identity import LogPlace, leaf_hash
from edge_agent.uplink.envelope import canonical
from edge_agent.uplink.topics import is_case, medium

_APPLICATION_ID = 0x65646765  # "edge": a foreign database is refused, never written to
_MIGRATIONS = (
    """
    CREATE TABLE known(sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
    CREATE TABLE queue(sequence INTEGER PRIMARY KEY, topic TEXT NOT NULL, body BLOB NOT NULL);
    CREATE TABLE meter(count INTEGER NOT NULL, bytes INTEGER NOT NULL);
    INSERT INTO meter VALUES (0, 0);
    CREATE TRIGGER queued AFTER INSERT ON queue BEGIN
      UPDATE meter SET count = count + 1, bytes = bytes + length(NEW.body); END;
    CREATE TRIGGER taken AFTER DELETE ON queue BEGIN
      UPDATE meter SET count = count - 1, bytes = bytes - length(OLD.body); END;
    """,
    """
    ALTER TABLE known ADD COLUMN leaf INTEGER;
    CREATE TABLE leaves(leaf INTEGER PRIMARY KEY, hash BLOB NOT NULL);
    """,
    """
    CREATE TABLE media(topic TEXT PRIMARY KEY, sequence INTEGER NOT NULL, bundle TEXT NOT NULL,
      is_due INTEGER NOT NULL, sha256 TEXT);
    CREATE INDEX due_media ON media(is_due, sequence);
    """,
)
_REMEDIES = {
    sqlite3.SQLITE_FULL: "free space on its disk; nothing that was stored is lost",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable for this user",
    sqlite3.SQLITE_CANTOPEN: "make sure that the folder exists and is writable for this user",
    sqlite3.SQLITE_PERM: "make the file and its folder writable for this user",
    sqlite3.SQLITE_BUSY: "another process holds it: stop that one, then try again",
    sqlite3.SQLITE_LOCKED: "another process holds it: stop that one, then try again",
    sqlite3.SQLITE_IOERR: "check the disk (full, worn out or removed)",
}
_DAMAGED = (
    "the file is damaged or not an outbox; restore it, or move it away to start with an empty one "
    "(undelivered events in it are then not sent, and numbering starts anew)"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One undelivered envelope."""

    sequence: int
    topic: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Errand:
    """A file of a bundle that is to follow the record of its case."""

    topic: str
    sequence: int
    """Of the record."""
    bundle: str
    """Its path, relative to the folder of the outbox."""
    sha256: str | None
    """Of what was last delivered on this topic."""

    @property
    def role(self) -> str:
        return self.topic.rpartition("/")[2]


@contextmanager
def _explained(path: Path | str) -> Iterator[None]:
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # a mistake of ours, such as using a closed outbox
    except sqlite3.Error as error:
        # The low byte is the primary result code (sqlite.org/rescode.html).
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        raise UplinkError(f"outbox {path}: {error}: {_REMEDIES.get(code, _DAMAGED)}") from error


class Outbox:
    """A queue that survives `kill -9` and power cuts; usable from several threads.

    `max_bytes` bounds the bodies that wait; beyond it `add` raises UplinkError and stores nothing,
    so that the caller stops instead of losing events silently: what was stored stays, and adding
    the same events again resumes. `keep` is how many delivered ids stay known.
    """

    def __init__(
        self,
        path: Path | Literal[":memory:"],
        max_bytes: int = 256 * 2**20,
        keep: int = 100_000,
    ) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._keep = max(keep, 1)  # the newest id carries the numbering on
        self._lock = threading.Lock()
        with _explained(path):
            # One connection under one lock: simpler than one per thread, and as fast.
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(
        self, envelope: Mapping[str, Any], topic: str, place: LogPlace | None = None
    ) -> dict[str, Any]:
        """Store an envelope for delivery and return it with its `sequence`, and place in the log.

        An id that is already known gets its old sequence and place and is not queued again.
        `place` is the log's next entry; its leaf is kept until `forget_leaves` says that the log
        itself has it on the disk.
        """
        with self._guard(), self._transaction():
            known = self._db.execute(
                "SELECT sequence, leaf FROM known WHERE id = ?", (envelope["id"],)
            ).fetchone()
            if known:
                return _numbered(_placed(envelope, place, known[1]), known[0])
            number, leaf = self._last() + 1, None if place is None else place.index
            final = _numbered(_placed(envelope, place, leaf), number)
            body = canonical(final)
            self._check_budget(len(body))
            known = (number, envelope["id"], leaf)
            self._db.execute("INSERT INTO known(sequence, id, leaf) VALUES (?, ?, ?)", known)
            self._db.execute("INSERT INTO queue VALUES (?, ?, ?)", (number, topic, body))
            if leaf is not None:
                row = (leaf, leaf_hash(body))
                self._db.execute("INSERT OR REPLACE INTO leaves VALUES (?, ?)", row)
            return final

    def knows(self, identity: str) -> bool:
        """True for the id of an envelope that was stored once, delivered or not."""
        with self._guard():
            query = "SELECT 1 FROM known WHERE id = ?"
            return self._db.execute(query, (identity,)).fetchone() is not None

    def keep_leaf(self, index: int, leaf: bytes) -> None:
        """Keep the leaf of an entry that is no envelope, e.g. a bundle's, as `add` does."""
        with self._guard(), self._transaction():
            self._db.execute("INSERT OR REPLACE INTO leaves VALUES (?, ?)", (index, leaf))

    def leaves(self, start: int) -> list[tuple[int, bytes]]:
        """Index and hash of the log's entries from `start` on that are still kept here."""
        with self._guard():
            found = self._db.execute(
                "SELECT leaf, hash FROM leaves WHERE leaf >= ? ORDER BY leaf", (start,)
            )
            return [(int(leaf), bytes(hashed)) for leaf, hashed in found]

    def forget_leaves(self, end: int) -> None:
        """Drop the leaves before `end`: the log has them on the disk."""
        with self._guard(), self._transaction():
            self._db.execute("DELETE FROM leaves WHERE leaf < ?", (end,))

    @property
    def last_leaf(self) -> int:
        """The newest entry of the log that an envelope is known to have; -1: none."""
        with self._guard():
            (last,) = self._db.execute("SELECT coalesce(max(leaf), -1) FROM known").fetchone()
            return int(last)

    def pending(self, after: int = 0, limit: int = 100) -> list[Row]:
        """The undelivered rows with a sequence above `after`, oldest first."""
        with self._guard():
            found = self._db.execute(
                "SELECT sequence, topic, body FROM queue WHERE sequence > ? "
                "ORDER BY sequence LIMIT ?",
                (after, limit),
            )
            return [Row(*values) for values in found]

    def delivered(self, *sequences: int, followers: Sequence[str] = ()) -> None:
        """Forget the bodies that a broker has acknowledged; their ids stay known.

        `followers` are the roles of the files that become due with the record of a case.
        """
        with self._guard(), self._transaction():
            for number in sequences if followers else ():
                self._make_due(number, followers)
            self._db.executemany("DELETE FROM queue WHERE sequence = ?", [(n,) for n in sequences])
            self._db.execute(
                "DELETE FROM known WHERE sequence <= (SELECT max(sequence) FROM known) - ? "
                "AND sequence NOT IN (SELECT sequence FROM queue)",
                (self._keep,),
            )
            self._db.execute(
                "DELETE FROM media WHERE is_due = 0 "
                "AND sequence < (SELECT min(sequence) FROM known)"
            )

    def next_media(self, without: Collection[str] = ()) -> Errand | None:
        """The file that is due for longest, leaving out these topics."""
        with self._guard():
            found = self._db.execute(
                "SELECT topic, sequence, bundle, sha256 FROM media WHERE is_due = 1 "
                "ORDER BY sequence, rowid"
            )
            errands = (Errand(*values) for values in found)
            return next((each for each in errands if each.topic not in without), None)

    def settle_media(self, errand: Errand, sha256: str | None) -> None:
        """Strike off what was delivered, or (None) will never be; not what has become due anew."""
        with self._guard(), self._transaction():
            self._db.execute(
                "UPDATE media SET is_due = (sequence <> ?), sha256 = coalesce(?, sha256) "
                "WHERE topic = ?",
                (errand.sequence, sha256, errand.topic),
            )

    @property
    def waiting_media(self) -> int:
        """Number of files that are due."""
        with self._guard():
            (count,) = self._db.execute("SELECT count(*) FROM media WHERE is_due = 1").fetchone()
            return int(count)

    @property
    def waiting(self) -> int:
        """Number of undelivered envelopes."""
        with self._guard():
            return self._meter()[0]

    @property
    def waiting_bytes(self) -> int:
        """Total size of the undelivered bodies."""
        with self._guard():
            return self._meter()[1]

    @property
    def last_sequence(self) -> int:
        """The highest number given so far; 0 when there is none."""
        with self._guard():
            return self._last()

    def close(self) -> None:
        """Release the file; what waits stays in it."""
        with self._guard():
            self._db.close()

    def _make_due(self, number: int, roles: Sequence[str]) -> None:
        row = self._db.execute("SELECT topic, body FROM queue WHERE sequence = ?", (number,))
        topic, body = row.fetchone() or ("", b"")
        if not is_case(topic):
            return
        bundle = json.loads(body)["dataref"]
        self._db.executemany(
            "INSERT INTO media(topic, sequence, bundle, is_due) VALUES (?, ?, ?, 1) ON CONFLICT "
            "DO UPDATE SET sequence = excluded.sequence, bundle = excluded.bundle, is_due = 1",
            [(medium(topic, role), number, bundle) for role in roles],
        )

    def _meter(self) -> tuple[int, int]:
        count, size = self._db.execute("SELECT count, bytes FROM meter").fetchone()
        return count, size

    def _last(self) -> int:
        (last,) = self._db.execute("SELECT coalesce(max(sequence), 0) FROM known").fetchone()
        return int(last)

    def _check_budget(self, extra: int) -> None:
        count, size = self._meter()
        if size + extra > self._max_bytes:
            raise UplinkError(
                f"outbox {self.path}: {count} undelivered events fill {size} of {self._max_bytes} "
                "bytes: bring the broker back (or raise the limit), then run again; it resumes "
                "where it stopped"
            )

    def _prepare(self) -> None:
        self._db.execute("PRAGMA busy_timeout = 10000")
        (owner,) = self._db.execute("PRAGMA application_id").fetchone()
        (objects,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if objects and owner != _APPLICATION_ID:
            raise UplinkError(f"outbox {self.path}: this is some other database: {_DAMAGED}")
        (finding,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if finding != "ok":
            raise UplinkError(f"outbox {self.path}: {finding.splitlines()[-1]}: {_DAMAGED}")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        with self._transaction():
            self._migrate()

    def _migrate(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(_MIGRATIONS):
            raise UplinkError(
                f"outbox {self.path}: written by a newer edge-agent (format {version}, this one "
                f"knows {len(_MIGRATIONS)}): install that version, or use another file"
            )
        for script in _MIGRATIONS[version:]:
            for statement in _statements(script):
                self._db.execute(statement)
        self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        self._db.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """One thread at a time, and SQLite's errors in words that a person can act on."""
        with self._lock, _explained(self.path):
            yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def _numbered(envelope: Mapping[str, Any], sequence: int) -> dict[str, Any]:
    return {**envelope, "sequence": f"{sequence:020d}"}


def _placed(
    envelope: Mapping[str, Any], place: LogPlace | None, index: int | None
) -> Mapping[str, Any]:
    if place is None or index is None:
        return envelope
    log = LogPlace(place.origin, index).as_json()
    return {**envelope, "data": {**envelope["data"], "log": log}}


def _statements(script: str) -> Iterator[str]:
    """Split at the ends of statements; `executescript` would commit the transaction."""
    statement = ""
    for line in script.strip().splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
