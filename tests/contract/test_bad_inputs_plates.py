"""Plate lists, keys and gates that are not what they should be: named by file, line and value."""

import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.app import load
from edge_agent.errors import ConfigError

Outcome = subprocess.CompletedProcess[str]
Outcomes = dict[str, Outcome]

SITE = """\
site: {name: bad-plates}
device: box
privacy: {plates: PRIVACY}
plate_lists:
  staff: {file: LIST, meaning: allow}
outputs:
  gate: {backend: mock, pulse_ms: 500}
cameras:
  north:
    zones: {entry: [[0.1, 0.3], [0.9, 0.3], [0.9, 1.0]]}
    rules:
      - {kind: access.granted, zone: entry, lists: [staff], output: gate}
    plates: {regions: [eu]}
"""
GOOD = "plate,valid_from,valid_until,note\nAB 12,,,\n"
LISTS: dict[str, tuple[str | bytes | None, tuple[str, ...]]] = {
    "absent": (None, ("lists.yaml:5:", "plate_lists.absent.file", "no such file", "CSV")),
    "folder": (None, ("lists.yaml:6:", "is no file", "name a plate list")),
    "empty": ("", ("empty.csv:1:", "is empty", "begin it with the line `plate,")),
    "header": ("AB 12\n", ("header.csv:1:", "`AB 12`", "write `plate,valid_from")),
    "plate": (GOOD + "A_B?,,,\n", ("plate.csv:3:", "`A_B?` is no plate", "2 to 12 letters")),
    "date": (GOOD + "AB 13,31.12.2026,,\n", ("date.csv:3:", "`31.12.2026`", "write 2026-12-31")),
    "span": (
        GOOD + "AB 13,2026-06-01,2026-05-01,\n",
        ("span.csv:3:", "`2026-05-01` lies before", "swap or correct"),
    ),
    "cells": (GOOD + "AB 13,,,a,b\n", ("cells.csv:3:", "5 cells for 4 columns", "quotes")),
    "quote": (GOOD + '"AB 13,,,\n', ("quote.csv:", "is no CSV", "close every quote")),
    "latin": (GOOD.encode() + b"AB 13,,,M\xfcller\n", ("latin.csv:3:", "not UTF-8", "save it")),
    "hash": (GOOD + "ab" * 32 + ",,,\n", ("hash.csv:3:", "no key to compare", "key_file")),
}
"""What is in the file, and what has to be said of it."""

REPLACED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "list-name": ("lists: [staff]", "lists: [staf]", ("site.yaml:12:", "did you mean `staff`?")),
    "no-lists": ("lists: [staff]", "lists: []", ("site.yaml:12:", "at least 1")),
    "output": ("output: gate", "output: gaet", ("no output `gaet`", "did you mean `gate`?")),
    "meaning": ("allow", "alow", ("site.yaml:5:", "`alow` is not one of `allow`, `deny`")),
    "once": ("output: gate", "output: gate, min_reads: 1", ("min_reads", "1 is below 2")),
    "backend": ("backend: mock", "backend: relay", ("`relay` is not one of `mock`",)),
    "pulse": ("pulse_ms: 500", "pulse_ms: 9000", ("9000 is above 500; write milliseconds",)),
    "no-reader": ("    plates: {regions: [eu]}\n", "", ("kind", "add to the camera", "regions")),
    "no-key": ("PRIVACY", "hashed", ("site.yaml:3:", "hashed plates need a key", "key_file:")),
    "key": ("PRIVACY", "plain, key_file: no.key", ("site.yaml:3:", "no.key: no such file")),
    "open-key": ("PRIVACY", "plain, key_file: open.key", ("mode 0644", "chmod 600")),
    "plain-list": (
        "PRIVACY",
        "hashed, key_file: good.key",
        ("good.csv:2:", "`AB12` stands here in plain text", "edge-agent plates hash", "good.key"),
    ),
}
"""Sites that are wrong in one place."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plates")


@pytest.fixture(scope="module")
def all_lists(folder: Path, edge_agent: Callable[..., Outcome]) -> Outcome:
    """What is said of a site whose every list is wrong."""
    (folder / "folder.csv").mkdir()
    for name, (content, _) in LISTS.items():
        if content is not None:
            data = content.encode() if isinstance(content, str) else content
            (folder / f"{name}.csv").write_bytes(data)
    named = "".join(f"  {name}: {{file: {name}.csv, meaning: deny}}\n" for name in LISTS)
    text = SITE.replace("  staff: {file: LIST, meaning: allow}\n", named)
    text = text.replace("lists: [staff]", "lists: [plate]").replace("PRIVACY", "plain")
    (folder / "lists.yaml").write_text(text)
    return edge_agent("check", "--config", folder / "lists.yaml")


def test_every_bad_list_at_once(all_lists: Outcome, refused: Callable[..., None]) -> None:
    refused(all_lists, 78, lines=len(LISTS))


@pytest.mark.parametrize("name", LISTS)
def test_bad_list(all_lists: Outcome, folder: Path, name: str) -> None:
    said = all_lists.stderr.removeprefix("edge-agent: ").splitlines()
    (line,) = (each for each in said if f"{folder / name}.csv:" in each)
    assert [word for word in LISTS[name][1] if word not in line] == [], line


@pytest.mark.parametrize("name", REPLACED)
def test_bad_site(tmp_path: Path, name: str) -> None:
    (tmp_path / "good.csv").write_text(GOOD)
    for key, mode in (("open.key", 0o644), ("good.key", 0o600)):
        (tmp_path / key).write_text("ab" * 32)
        (tmp_path / key).chmod(mode)
    old, new, words = REPLACED[name]
    text = SITE.replace(old, new, 1).replace("PRIVACY", "plain").replace("LIST", "good.csv")
    (tmp_path / "site.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "site.yaml")
    (line,) = str(caught.value).splitlines()
    assert [word for word in words if word not in line] == [], line


def test_lists_are_kept_and_hashed(
    edge_agent: Callable[..., Outcome], refused: Callable[..., None], tmp_path: Path
) -> None:
    key, plain, secret = (tmp_path / name for name in ("plates.key", "staff.csv", "secret.csv"))
    assert edge_agent("plates", "key", key).returncode == 0
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    refused(edge_agent("plates", "key", key), 78, str(key), "exists already", "name a new file")
    note = "Example, Ltd"
    add = ("plates", "add", plain, "b ab-12", "--until", "2026-12-31", "--note", note)
    assert edge_agent(*add).returncode == 0
    assert plain.read_text().splitlines()[1] == 'BAB12,,2026-12-31,"Example, Ltd"'
    hash_all = ("plates", "hash", plain, "--key", key, "--out", secret)
    assert edge_agent(*hash_all).returncode == 0
    assert edge_agent("plates", "add", secret, "CD 34", "--key", key).returncode == 0
    rows = secret.read_text().splitlines()[1:]
    assert [len(row.split(",")[0]) for row in rows] == [64, 64]
    assert "BAB12" not in secret.read_text() and "BAB12" in plain.read_text()


def test_what_cannot_be_added(
    run_all: Callable[..., Outcomes], refused: Callable[..., None], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text("plate\nAB 12\n?\n")
    new = tmp_path / "new.csv"
    said = run_all(
        {
            "plate": ("plates", "add", new, "A?"),
            "date": ("plates", "add", new, "AB12", "--until", "tomorrow"),
            "list": ("plates", "add", broken, "AB12"),
            "key": ("plates", "add", new, "AB12", "--key", tmp_path / "no.key"),
            "folder": ("plates", "add", tmp_path / "no" / "new.csv", "AB12"),
            "hash": ("plates", "hash", broken, "--key", tmp_path / "no.key"),
        }
    )
    refused(said["plate"], 2, "`A?` is no plate", "2 to 12 letters and digits")
    refused(said["date"], 2, "`tomorrow` is no local date", "write 2026-12-31")
    refused(said["list"], 78, f"{broken}:3:", "`?` is no plate")
    refused(said["key"], 78, "no.key: no such file", "edge-agent plates key")
    refused(said["folder"], 78, "new.csv: cannot be written")
    refused(said["hash"], 78, f"{broken}:3:")
    assert not new.exists()
