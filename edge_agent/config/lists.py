"""The plate lists and the key that a site file names: read, checked, put together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from edge_agent.config.document import Document
from edge_agent.config.models import PlateListFile, Privacy, Site
from edge_agent.errors import ConfigError
from edge_agent.plates import PlateBook, PlateKey, PlateList, RotatingKeys
from edge_agent.plates.rotation import FOLDER
from edge_agent.plates.rows import Row, read_rows, refuse
from edge_agent.plates.secrecy import HASH, read_key


def open_book(site: Site) -> PlateBook:
    """Every list of the site; ConfigError names what is wrong by file and line."""
    lists = tuple(
        PlateList.of(name, each.meaning, (row.entry for row in _rows(each, site.privacy)))
        for name, each in site.plate_lists.items()
    )
    return PlateBook(lists, read_key(site.privacy.key_file) if site.privacy.key_file else None)


def hiding_key(site: Site, state_dir: Path) -> Callable[[datetime], PlateKey] | None:
    """What plates are hashed with before they leave the box; None: they leave it in plain text."""
    privacy = site.privacy
    if privacy.plates != "hashed":
        return None
    if privacy.rotate_days is not None:
        return rotating_keys(site, state_dir).at
    assert privacy.key_file is not None
    key = PlateKey(read_key(privacy.key_file))
    return lambda moment: key


def rotating_keys(site: Site, state_dir: Path) -> RotatingKeys:
    """The keys of a site whose keys change."""
    days = site.privacy.rotate_days
    assert days is not None
    return RotatingKeys(state_dir / site.device / FOLDER, days)


def list_hashes(site: Site) -> list[str]:
    """SHA-256 (hex) of every list as it is now: another list makes another run."""
    return [
        hashlib.sha256(each.file.read_bytes()).hexdigest() for each in site.plate_lists.values()
    ]


def complaints(site: Site, found: Document, path: Path) -> list[str]:
    """All that is wrong with the key and the lists; what cannot be read is named by the site."""
    return list(_complaints(site, found, path))


def _complaints(site: Site, found: Document, path: Path) -> Iterator[str]:
    if site.privacy.key_file is not None:
        try:
            read_key(site.privacy.key_file)
        except ConfigError as error:
            yield f"{path}:{found.line(('privacy', 'key_file'))}: privacy.key_file: {error}"
    for name, each in site.plate_lists.items():
        try:
            _rows(each, site.privacy)
        except ConfigError as error:
            is_inside = str(error).startswith(f"{each.file}:") and each.file.is_file()
            where = f"{path}:{found.line(('plate_lists', name, 'file'))}: plate_lists.{name}.file: "
            yield str(error) if is_inside else where + str(error)


def _rows(each: PlateListFile, privacy: Privacy) -> list[Row]:
    """The rows of a list, each as secret as privacy asks for."""
    rows = read_rows(each.file)
    problems = []
    for row in rows:
        is_hash = HASH.fullmatch(row.entry.plate) is not None
        where = f"{each.file}:{row.line}"
        if is_hash and privacy.key_file is None:
            problems.append(
                f"{where}: holds a hash, but the site has no key to compare it with; add "
                "`privacy: {key_file: ...}` with the key that it was made with"
            )
        elif not is_hash and privacy.plates == "hashed":
            problems.append(
                f"{where}: `{row.entry.plate}` stands here in plain text, but the site asks for "
                f"hashed plates; run: edge-agent plates hash {each.file} --key {privacy.key_file}"
            )
    refuse(each.file, problems)
    return rows
