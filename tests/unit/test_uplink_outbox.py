"""The outbox: gapless, durable, idempotent, and clear about every kind of trouble."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from edge_agent.errors import UplinkError
from edge_agent.identity import LogPlace, leaf_hash
from edge_agent.uplink import Outbox, canonical
from edge_agent.uplink.outbox import _APPLICATION_ID, _MIGRATIONS, _statements


def envelope(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "data": {}, **more}


def fill(outbox: Outbox, count: int, prefix: str = "e") -> list[str]:
    return [outbox.add(envelope(f"{prefix}{n}"), "t")["sequence"] for n in range(count)]


def test_sequence_is_gapless_padded_and_part_of_the_body(tmp_path: Path) -> None:
    with Outbox(tmp_path / "outbox.db") as outbox:
        assert fill(outbox, 3) == [f"{n:020d}" for n in (1, 2, 3)]
        rows = outbox.pending()
        assert [(row.sequence, row.topic) for row in rows] == [(1, "t"), (2, "t"), (3, "t")]
        assert rows[0].body == canonical(envelope("e0", sequence=f"{1:020d}"))
        assert outbox.waiting_bytes == sum(len(row.body) for row in rows)
        assert [row.sequence for row in outbox.pending(after=1, limit=1)] == [2]


def test_known_ids_keep_their_number_and_are_not_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with Outbox(path) as outbox:
        first = fill(outbox, 3)
        outbox.delivered(1, 2)
    with Outbox(path) as outbox:
        assert fill(outbox, 4) == [*first, f"{4:020d}"]
        assert [row.sequence for row in outbox.pending()] == [3, 4]
        assert (outbox.waiting, outbox.last_sequence) == (2, 4)


def test_delivering_twice_or_something_unknown_changes_nothing() -> None:
    with Outbox(":memory:") as outbox:
        fill(outbox, 2)
        outbox.delivered(1, 1, 99)
        outbox.delivered(1)
        outbox.delivered()
        assert (outbox.waiting, outbox.pending()[0].sequence) == (1, 2)


def test_budget_stops_before_anything_is_lost_and_resumes(tmp_path: Path) -> None:
    size = len(canonical(envelope("e0", sequence="0" * 20)))
    with Outbox(tmp_path / "o.db", max_bytes=2 * size) as outbox:
        fill(outbox, 2)
        with pytest.raises(UplinkError, match=r"o\.db: 2 undelivered events fill.*run again"):
            outbox.add(envelope("e2"), "t")
        assert (outbox.waiting, outbox.last_sequence) == (2, 2)
        outbox.delivered(1)
        assert fill(outbox, 3)[-1] == f"{3:020d}"


def test_an_envelope_that_is_no_json_leaves_no_gap() -> None:
    with Outbox(":memory:") as outbox:
        with pytest.raises(ValueError, match=r"nan|finite"):
            outbox.add(envelope("bad", number=float("nan")), "t")
        assert fill(outbox, 1) == [f"{1:020d}"]


def test_old_ids_are_forgotten_but_numbering_goes_on(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o.db", keep=2) as outbox:
        fill(outbox, 5)
        outbox.delivered(1, 3, 4, 5)
        known = sqlite3.connect(tmp_path / "o.db")
        # 2 still waits, 4 and 5 are the newest
        assert known.execute("SELECT sequence FROM known ORDER BY 1").fetchall() == [
            (2,),
            (4,),
            (5,),
        ]
        known.close()
        outbox.delivered(2)
        assert outbox.add(envelope("new"), "t")["sequence"] == f"{6:020d}"


def test_threads_and_connections_share_one_numbering(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    with Outbox(path) as one, Outbox(path) as two:
        threads = [
            threading.Thread(target=fill, args=(box, 40, f"{n}-"))
            for n, box in enumerate((one, one, two))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [row.sequence for row in one.pending(limit=1000)] == list(range(1, 121))
        assert two.waiting == 120


def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    path.write_bytes(b"not a database, but long enough to look like one" * 50)
    before = path.read_bytes()
    with pytest.raises(UplinkError, match=r"o\.db: .*not a database.*move it away"):
        Outbox(path)
    assert path.read_bytes() == before


def test_a_page_that_rotted_is_found_on_opening(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    with Outbox(path) as outbox:
        fill(outbox, 300)
    content = bytearray(path.read_bytes())
    for page in range(2 * 4096, len(content), 4096):
        content[page : page + 200] = b"\xa5" * 200
    path.write_bytes(content)
    with pytest.raises(UplinkError, match=r"o\.db: .*(malformed|damaged)"):
        Outbox(path)
    assert path.read_bytes() == bytes(content)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    with Outbox(path) as outbox:
        fill(outbox, 300)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UplinkError, match=r"o\.db: .*damaged"):
        Outbox(path)


def test_someone_elses_database_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE precious(x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(UplinkError, match="some other database"):
        Outbox(path)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    Outbox(path).close()
    later = sqlite3.connect(path)
    later.execute("PRAGMA user_version = 99")
    later.close()
    with pytest.raises(UplinkError, match=r"newer edge-agent.*format 99"):
        Outbox(path)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UplinkError, match=r"none/o\.db: .*folder exists"):
        Outbox(tmp_path / "none" / "o.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_explained(tmp_path: Path) -> None:
    Outbox(tmp_path / "o.db").close()
    (tmp_path / "o.db").chmod(0o444)
    tmp_path.chmod(0o555)
    with pytest.raises(UplinkError, match="writable"):
        Outbox(tmp_path / "o.db")


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from edge_agent.errors import UplinkError
from edge_agent.uplink import Outbox
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
done = 0
try:
    with Outbox(Path(sys.argv[1])) as outbox:
        while done < 1000:
            outbox.add({"id": f"e{done}", "data": {"pad": "x" * 3000}}, "t")
            done += 1
except UplinkError as error:
    print(done, error)
"""


def test_a_disk_that_fills_up_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = [sys.executable, "-c", FULL_DISK, str(path)]
    answer = subprocess.run(run, env=env, capture_output=True, text=True, check=True).stdout
    done, message = answer.split(" ", 1)
    assert "o.db" in message and "disk" in message
    with Outbox(path) as outbox:
        assert outbox.waiting == int(done) > 5
        assert outbox.add(envelope("next"), "t")["sequence"] == f"{int(done) + 1:020d}"


LOG = "edge/plaza/box-1"


def test_an_envelope_keeps_its_place_in_the_log(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with Outbox(path) as outbox:
        stored = outbox.add(envelope("a"), "t", LogPlace(LOG, 7))
        assert stored["data"]["log"] == {"origin": LOG, "index": 7}
        (row,) = outbox.pending()
        assert outbox.leaves(0) == [(7, leaf_hash(row.body))] and row.body == canonical(stored)
        outbox.delivered(1)
    with Outbox(path) as outbox:
        assert outbox.add(envelope("a"), "t", LogPlace(LOG, 9)) == stored
        outbox.add(envelope("b"), "t", LogPlace(LOG, 9))
        outbox.keep_leaf(8, bytes(32))
        assert [index for index, _ in outbox.leaves(0)] == [7, 8, 9] and outbox.last_leaf == 9
        outbox.forget_leaves(9)
        assert [index for index, _ in outbox.leaves(0)] == [9] and outbox.last_leaf == 9
        assert "log" not in outbox.add(envelope("c"), "t")["data"]


def test_what_an_older_version_stored_has_no_place(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    older = sqlite3.connect(path)
    for statement in _statements(_MIGRATIONS[0]):
        older.execute(statement)
    older.execute("INSERT INTO known VALUES (1, 'a')")
    older.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    older.execute("PRAGMA user_version = 1")
    older.commit()
    older.close()
    with Outbox(path) as outbox:
        assert outbox.last_leaf == -1
        assert outbox.add(envelope("a"), "t", LogPlace(LOG, 0)) == envelope(
            "a", sequence=f"{1:020d}"
        )
        assert outbox.add(envelope("b"), "t", LogPlace(LOG, 0))["data"]["log"]["index"] == 0
