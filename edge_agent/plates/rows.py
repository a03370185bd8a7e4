"""Plate lists as files: CSV as spreadsheets write it.

    plate,valid_from,valid_until,note
    B AB 1234,2026-01-01,2026-12-31,Example Ltd

Columns in any order, all but `plate` optional; separated by commas, semicolons or tabs. Dates and
times are local time of the site; a last day counts as a whole.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final

from edge_agent.errors import ConfigError
from edge_agent.plates.book import Entry
from edge_agent.plates.secrecy import HASH, hashed
from edge_agent.plates.spelling import spelled

COLUMNS: Final = ("plate", "valid_from", "valid_until", "note")
_MOST_BYTES: Final = 16 * 1024 * 1024
_MOST_LISTED: Final = 20
_EXAMPLE: Final = "`plate,valid_from,valid_until,note`"


@dataclass(frozen=True, slots=True)
class Row:
    """One row and where it stands."""

    line: int
    entry: Entry


def read_rows(path: Path) -> list[Row]:
    """Every row of a list; ConfigError names all that is wrong by file and line."""
    problems: list[str] = []
    rows = list(_rows(path, _text(path), problems))
    refuse(path, problems)
    return rows


def refuse(path: Path, problems: Sequence[str]) -> None:
    """Raise ConfigError for what is wrong with a list, if anything is."""
    if len(problems) > _MOST_LISTED:
        more = f"{path}: and {len(problems) - _MOST_LISTED} more problems"
        problems = [*problems[:_MOST_LISTED], more]
    if problems:
        raise ConfigError("\n".join(problems))


def write_rows(path: Path, entries: Iterable[Entry]) -> None:
    """Replace the list by these rows, whole or not at all."""
    staged = path.with_name(path.name + ".tmp")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        span = (_day(entry.valid_from), _last_day(entry.valid_until))
        writer.writerow((entry.plate, *span, entry.note))
    try:
        staged.write_text(text.getvalue(), "utf-8")
        if path.exists():  # a list that not everybody may read stays one
            staged.chmod(path.stat().st_mode & 0o777)
        staged.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def hash_rows(entries: Iterable[Entry], key: bytes) -> list[Entry]:
    """The same rows with hashes in place of plates; hashes stay."""
    return [
        entry if HASH.fullmatch(entry.plate) else replace(entry, plate=hashed(entry.plate, key))
        for entry in entries
    ]


def parse_plate(text: str) -> str:
    """A plate or its hash as lists hold it; ValueError says what to write."""
    plate = text if HASH.fullmatch(text) else spelled(text)
    if plate is None:
        raise ValueError(
            f"`{_cut(text)}` is no plate: expected 2 to 12 letters and digits, e.g. `B AB 1234`, "
            "or a hash of 64 hex digits"
        )
    return plate


def parse_moment(text: str, is_end: bool) -> datetime | None:
    """A local date or time, None when empty; the end of a day is the beginning of the next."""
    if not text:
        return None
    try:
        if len(text) == len("2026-12-31"):
            day = datetime.combine(date.fromisoformat(text), time())
            if is_end:  # 9999-12-31 is how spreadsheets say "for ever"
                return day + timedelta(days=1) if day.date() < date.max else None
            return day
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.tzinfo is not None:
        raise ValueError(
            f"`{_cut(text)}` is no local date or time: write 2026-12-31 or 2026-12-31T18:00"
        )
    return moment


def parse_entry(cells: Mapping[str, str]) -> Entry:
    """A row from its cells; ValueError says what is wrong with it."""
    begins = parse_moment(cells.get("valid_from", ""), is_end=False)
    ends = parse_moment(cells.get("valid_until", ""), is_end=True)
    if begins is not None and ends is not None and ends <= begins:
        raise ValueError(
            f"valid_until `{cells['valid_until']}` lies before valid_from "
            f"`{cells['valid_from']}`: swap or correct them"
        )
    return Entry(parse_plate(cells["plate"]), begins, ends, cells.get("note", ""))


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path}: is no file; name a plate list (CSV)")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; name an existing plate list (CSV)") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > _MOST_BYTES:
        raise ConfigError(f"{path}: is larger than {_MOST_BYTES >> 20} MiB; split the list")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text; save it as CSV UTF-8") from error


def _rows(path: Path, text: str, problems: list[str]) -> Iterator[Row]:
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    try:
        for raw in reader:
            cells = [cell.strip() for cell in raw]
            if not any(cells):
                continue
            where = f"{path}:{reader.line_num}"
            if names is None:
                names = _header(cells, where, problems)
                continue
            try:
                yield Row(reader.line_num, parse_entry(_named(names, cells)))
            except ValueError as error:
                problems.append(f"{where}: {error}")
    except csv.Error as error:
        problems.append(f"{path}:{reader.line_num}: is no CSV ({error}); close every quote")
    if names is None:
        problems.append(f"{path}:1: the list is empty; begin it with the line {_EXAMPLE}")


def _header(cells: Sequence[str], where: str, problems: list[str]) -> list[str]:
    names = [cell.lower() for cell in cells]
    unknown = [name for name in names if name not in COLUMNS]
    if "plate" not in names or unknown or len(set(names)) < len(names):
        said = f"the first line must name the columns; got `{_cut(' '.join(cells))}`"
        problems.append(f"{where}: {said}; write {_EXAMPLE}")
        return ["plate"] if "plate" not in names else names
    return names


def _named(names: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if len(cells) > len(names) and any(cells[len(names) :]):
        raise ValueError(
            f"has {len(cells)} cells for {len(names)} columns; put text that contains the "
            'separator into quotes: "..."'
        )
    named = dict(zip(names, cells, strict=False))
    return {"plate": "", **named}


def _day(moment: datetime | None) -> str:
    return "" if moment is None else _written(moment)


def _last_day(moment: datetime | None) -> str:
    if moment is not None and moment.time() == time():
        return (moment - timedelta(days=1)).date().isoformat()
    return _day(moment)


def _written(moment: datetime) -> str:
    is_day = moment.time() == time()
    return moment.date().isoformat() if is_day else moment.isoformat()


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else line[:39] + "…"
