"""`plates`: keys and lists of number plates, hashed where privacy asks for it."""

from __future__ import annotations

from pathlib import Path

import click

from edge_agent.cli.words import FILE
from edge_agent.errors import UsageError
from edge_agent.plates.rows import hash_rows, parse_entry, read_rows, write_rows
from edge_agent.plates.secrecy import make_key, read_key


@click.group(short_help="Keep lists of number plates.")
def plates() -> None:
    """Keep lists of number plates, as CSV with the columns plate, valid_from, valid_until, note.

    A site file names lists under `plate_lists`. With `privacy: {plates: hashed, key_file: ...}`
    they hold keyed hashes (HMAC-SHA-256) in place of plates.

    \b
    edge-agent plates key plates.key
    edge-agent plates add staff.csv "B AB 1234" --until 2026-12-31
    edge-agent plates hash staff.csv --key plates.key
    """


@plates.command("key")
@click.argument("file", type=FILE)
def key_command(file: Path) -> None:
    """Make a key for hashing plates; only its owner may read it.

    \b
    edge-agent plates key plates.key

    Keep it on the box. Whoever has it can find out the plates behind the hashes; without it the
    lists that were hashed with it are worthless.
    """
    make_key(file)
    click.echo(f"{file}: name it in the site file: privacy: {{plates: hashed, key_file: {file}}}")


@plates.command("hash", short_help="Replace every plate of a list by its hash.")
@click.argument("file", type=FILE)
@click.option("--key", required=True, type=FILE, help="The key file of the site.")
@click.option("--out", type=FILE, help="Where to write the hashed list; default: in its place.")
def hash_command(file: Path, key: Path, out: Path | None) -> None:
    """Replace every plate of a list by its hash; what is hashed already stays.

    \b
    edge-agent plates hash staff.csv --key plates.key
    edge-agent plates hash staff.csv --key plates.key --out staff-hashed.csv

    Notes stay as they are: keep names out of them.
    """
    rows = read_rows(file)
    write_rows(out or file, hash_rows((row.entry for row in rows), read_key(key)))
    click.echo(f"{out or file}: {len(rows)} rows, hashed")


@plates.command("add")
@click.argument("file", type=FILE)
@click.argument("plate")
@click.option("--from", "valid_from", default="", help="First day or moment, e.g. 2026-01-01.")
@click.option("--until", "valid_until", default="", help="Last day, or the moment it ends.")
@click.option("--note", default="", help="Whose it is, or why it is there.")
@click.option("--key", type=FILE, help="Key file: add its hash instead of the plate.")
def add(  # noqa: PLR0913  (click hands over one per option)
    *, file: Path, plate: str, valid_from: str, valid_until: str, note: str, key: Path | None
) -> None:
    """Add a plate to a list, which is made if there is none.

    \b
    edge-agent plates add staff.csv "B AB 1234" --note "Example Ltd"
    edge-agent plates add staff.csv "B AB 1234" --until 2026-12-31 --key plates.key
    """
    cells = {"plate": plate, "valid_from": valid_from, "valid_until": valid_until, "note": note}
    try:
        entry = parse_entry(cells)
    except ValueError as error:
        raise UsageError(f"plates add: {error}") from error
    entries = [row.entry for row in read_rows(file)] if file.exists() else []
    added = hash_rows([entry], read_key(key)) if key else [entry]
    write_rows(file, [*entries, *added])
    click.echo(f"{file}: {len(entries) + 1} rows")
