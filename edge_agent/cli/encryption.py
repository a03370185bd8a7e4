"""`evidence decrypt`, and what `evidence verify --identity` adds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from edge_agent.cli.words import FILE
from edge_agent.errors import EvidenceError
from edge_agent.evidence import Finding, Report, verify
from edge_agent.evidence.bundle import container
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.custody.encryption import SUFFIX, Identity, open_originals, read_identities
from edge_agent.evidence.staging import make_folder, write_whole
from edge_agent.text import printable

identity_option = click.option(
    "--identity", type=FILE, help="Secret key (age): check what is encrypted, too."
)


@click.command(short_help="Write encrypted originals in plain text.")
@click.argument("file", type=FILE)
@click.option("--identity", required=True, type=FILE, help="Secret key as age-keygen writes it.")
@click.option("--out", "folder", required=True, type=FILE, help="Folder for the originals.")
def decrypt(file: Path, identity: Path, folder: Path) -> None:
    """Write the encrypted originals of a bundle in plain text; the bundle stays as it is.

    \b
    edge-agent evidence decrypt case.evb --identity operator.key --out case/

    Does so only for a bundle that verifies, and ends with the exit status of `evidence verify`.
    """
    report = opened(verify(file), identity)
    for finding in report.findings:
        click.echo(printable(f"INVALID  {file}: {finding} [{finding.code}]"), err=True)
    for path, content in _originals(file, read_identities(identity)) if report.is_valid else ():
        if isinstance(content, bytes):
            target = folder / path.removesuffix(SUFFIX)
            if target.exists():
                raise EvidenceError(f"{target}: exists already: name a new folder")
            make_folder(target.parent)
            write_whole(target, content, 0o600)
            click.echo(printable(f"decrypted  {target}"))
    raise click.exceptions.Exit(report.exit_code)


def opened(report: Report, identity: Path | None) -> Report:
    """The report with what is wrong inside of the encrypted files, if they can be opened."""
    if not report.facts or identity is None:
        return report
    found = (content for _, content in _originals(Path(report.path), read_identities(identity)))
    flaws = tuple(content for content in found if isinstance(content, Finding))
    return replace(report, findings=(*report.findings, *flaws))


def _originals(
    path: Path, identities: tuple[Identity, ...]
) -> Iterator[tuple[str, bytes | Finding]]:
    members = {member.name: member.data for member in container.unpack(path.read_bytes())}
    files = {name: data for name, data in members.items() if data is not None}
    try:
        manifest = Manifest.from_bytes(files.get("manifest.json", b""))
    except ValueError:
        return  # which `verify` has said already
    for name, content, flaw in open_originals(manifest, files, identities):
        if content is not None:
            yield name, content
        elif flaw:
            yield name, Finding("encrypted", name, flaw)
        else:
            yield name, Finding("altered", name, "holds something else than what was signed")
