"""Lists of plates: read from files, looked up, hashed."""

import stat
from datetime import datetime
from pathlib import Path

import pytest

from edge_agent.errors import ConfigError
from edge_agent.plates import Entry, PlateBook, PlateList, hashed
from edge_agent.plates.rows import hash_rows, read_rows, write_rows
from edge_agent.plates.secrecy import make_key, read_key
from edge_agent.plates.spelling import spelled

local = datetime.fromisoformat

KEY = bytes(range(32))
NOON = local("2026-05-13T12:00")


def listed(tmp_path: Path, text: str) -> list[Entry]:
    path = tmp_path / "list.csv"
    path.write_text(text, "utf-8-sig")
    return [row.entry for row in read_rows(path)]


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        listed(tmp_path, text)
    return str(caught.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("text", "plate"),
    [
        ("b ab-12.3", "BAB123"),
        ("TÜ·AB 12", "TUAB12"),
        ("京A·12345", "京A12345"),
        ("\uff21\uff22\uff11\uff12", "AB12"),
        ("A", None),
        ("AB 12?", None),
        ("ABCDEFGHIJKLM", None),
        ("", None),
    ],
)
def test_spelling(text: str, plate: str | None) -> None:
    assert spelled(text) == plate


def test_columns_stand_in_any_order_and_are_separated_as_spreadsheets_do(tmp_path: Path) -> None:
    text = 'note;Plate;valid_until\n"a;b";B AB 12;2026-12-31\n;;\nlate;XY99;2026-12-31T18:00\n'
    first, second = listed(tmp_path, text)
    assert first == Entry("BAB12", None, local("2027-01-01"), "a;b")
    assert second.valid_until == local("2026-12-31T18:00")
    assert listed(tmp_path, "plate\nAB12\n") == [Entry("AB12")]


def test_the_last_day_counts_as_a_whole() -> None:
    entry = Entry("AB12", local("2026-05-01"), local("2026-06-01"))
    moments = (local("2026-04-30T23:59"), local("2026-05-01"), local("2026-05-31T23:59"))
    assert [entry.holds(moment) for moment in moments] == [False, True, True]
    assert not entry.holds(local("2026-06-01"))


def test_every_mistake_is_named_by_line(tmp_path: Path) -> None:
    said = refusal(
        tmp_path,
        "plate,valid_from,valid_until\n"
        "AB 12,,\n"
        "A?12,,\n"
        "AB 13,soon,\n"
        "AB 14,2026-05-02,2026-05-01\n"
        "AB 15,,2026-02-30T00:00+01:00\n"
        "AB 16,,,,x\n",
    ).splitlines()
    assert [line.split(": ")[0] for line in said] == [f"list.csv:{n}" for n in (3, 4, 5, 6, 7)]
    words = ("`A?12` is no plate: expected", "`soon` is no local date", "lies before", "no local")
    for line, word in zip(said, words, strict=False):
        assert word in line
    assert "5 cells for 3 columns" in said[-1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "list.csv:1: the list is empty; begin it with the line `plate,"),
        ("AB 12\nAB 13\n", "list.csv:1: the first line must name the columns; got `AB 12`; write"),
        ("plate,colour\n", "must name the columns"),
        ("plate,plate\n", "must name the columns"),
        ('plate\n"AB 12\n', "is no CSV"),
    ],
)
def test_what_is_no_list(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, text)


def test_a_long_list_of_mistakes_is_cut(tmp_path: Path) -> None:
    said = refusal(tmp_path, "plate\n" + "?\n" * 300).splitlines()
    assert len(said) == 21 and "280 more problems" in said[-1]


def test_a_list_survives_being_written(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    days = (local("2026-05-01"), local("2026-06-01"))
    entries = [Entry("AB12", *days, 'a, "b"'), Entry("XY99", local("2026-05-01T08:30"))]
    write_rows(path, entries)
    assert [row.entry for row in read_rows(path)] == entries
    path.chmod(0o600)
    write_rows(path, entries)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def book(key: bytes | None = None, *, is_hashed: bool = False) -> PlateBook:
    def of(*entries: Entry) -> list[Entry]:
        return hash_rows(entries, KEY) if is_hashed else list(entries)

    permit = Entry("CD34", local("2026-01-01"), local("2026-06-01"))
    renewed = Entry("CD34", local("2027-01-01"))
    return PlateBook(
        (
            PlateList.of("staff", "allow", of(Entry("AB12"), Entry("EF56"))),
            PlateList.of("permits", "permit", of(permit, renewed, Entry("AB12"))),
            PlateList.of("banned", "deny", of(Entry("EF56"))),
        ),
        key,
    )


@pytest.mark.parametrize("is_hashed", [False, True])
def test_looking_up(is_hashed: bool) -> None:
    lists = book(KEY, is_hashed=is_hashed)

    def name(text: str, *names: str, at: datetime = NOON) -> str | None:
        found = lists.find(text, at, names)
        return found.name if found else None

    assert name("AB12", "staff", "permits") == "staff"
    assert name("AB12", "permits", "staff") == "permits"
    assert name("CD34", "staff", "permits") == "permits"
    assert name("CD34", "permits", at=local("2026-07-01")) is None
    assert name("CD34", "permits", at=local("2027-07-01")) == "permits"
    assert name("EF56", "staff") == "banned"  # denied, although nobody asked
    assert name("A812", "staff", "permits") is None  # a look-alike is somebody else
    assert name("AB1", "staff") is None


def test_hashes_need_their_key() -> None:
    assert book(bytes(32), is_hashed=True).find("AB12", NOON, ["staff"]) is None
    assert hashed("AB12", KEY) == hash_rows([Entry("AB12")], KEY)[0].plate
    assert "AB12" not in str(hash_rows([Entry("AB12")], KEY))
    assert str(list(KEY)) not in repr(book(KEY)) and repr(KEY) not in repr(book(KEY))
    once = hash_rows([Entry("AB12")], KEY)
    assert hash_rows(once, KEY) == once


def test_a_key_is_secret_and_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "plates.key"
    make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and len(read_key(path)) == 32
    with pytest.raises(ConfigError, match="exists already"):
        make_key(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=r"others may read this key \(mode 0640\).*chmod 600"):
        read_key(path)


@pytest.mark.parametrize("data", [b"", b"abc", b"00" * 31, b"\xff" * 64, b"zz" * 32])
def test_what_is_no_key(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "plates.key"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="holds no key"):
        read_key(path)
