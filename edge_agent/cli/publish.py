"""`evidence publish` and `evidence credentials`: copies that may be handed out, and their worth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from edge_agent import app
from edge_agent.cli.trust import read_pem
from edge_agent.cli.words import FILE
from edge_agent.errors import EvidenceError
from edge_agent.evidence import EXIT_CODES, DeviceKey, verify
from edge_agent.evidence.bundle import container
from edge_agent.evidence.derivatives.credentials import read_credentials, with_credentials
from edge_agent.evidence.staging import cannot, make_folder, write_whole
from edge_agent.text import printable

NOTICE = "notice.json"
"""What the copies are, and of which bundle."""


@click.command(short_help="Take the redacted copies out of a bundle.")
@click.argument("file", type=FILE)
@click.option("--out", "folder", required=True, type=FILE, help="Folder for the copies.")
@click.option("--config", type=FILE, help="Site file: sign Content Credentials into the copies.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def publish(file: Path, folder: Path, config: Path | None, as_json: bool) -> None:
    """Take the redacted copies out of a bundle that verifies; originals stay inside.

    \b
    edge-agent evidence publish case.evb --out handover/
    edge-agent evidence publish case.evb --out handover/ --config site.yaml

    With --config the device's key signs each copy (C2PA): any viewer shows who made it and from
    which bundle. That needs the extra `c2pa` and a certificate that a CA issued.
    """
    report = verify(file)
    if not report.is_valid:
        raise EvidenceError(f"{file}: is not published: {report.findings[0]}")
    copies = dict(_copies(file, report.facts, config))
    if not copies:
        raise EvidenceError(f"{file}: holds no redacted copies, and nothing else may be published")
    notice = json.dumps(_notice(report.facts, copies), indent=2, ensure_ascii=False)
    written = []
    for name, data in {**copies, NOTICE: notice.encode() + b"\n"}.items():
        make_folder(folder)
        write_whole(folder / name, data)
        written.append(str(folder / name))
    if as_json:
        click.echo(json.dumps(written, indent=2))
        return
    for path in written:
        click.echo(printable(f"published  {path}"))


@click.command(short_help="Check the Content Credentials of a published copy.")
@click.argument("file", type=FILE)
@click.option("--root", type=FILE, help="PEM of the CA to trust.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def credentials(file: Path, root: Path | None, as_json: bool) -> None:
    """Check the Content Credentials of a published copy, and say which bundle it comes from.

    \b
    edge-agent evidence credentials handover/wide-redacted.jpg --root ca.pem
    """
    try:
        found = read_credentials(file.read_bytes(), read_pem("--root", root) if root else None)
    except OSError as error:
        raise cannot(file, "be read", error) from error
    except EvidenceError as error:
        raise EvidenceError(f"{file}: {error}") from error
    is_good = found.state == "Trusted" or (found.state == "Valid" and root is None)
    if as_json:
        told = {"state": found.state, "signer": found.signer, "problems": found.problems}
        click.echo(json.dumps({**told, "facts": found.facts}, indent=2))
    else:
        verdict = "VALID" if found.state == "Trusted" else "INTACT" if is_good else "INVALID"
        by = found.signer if found.state == "Trusted" else f"claims to be by {found.signer}"
        about = f"case {found.facts.get('case')}, {found.facts.get('file')}"
        wrong = "" if is_good else f" [{', '.join(found.problems)}]"
        click.echo(printable(f"{verdict}  {file}: {by}; {about}{wrong}"))
    raise click.exceptions.Exit(0 if is_good else EXIT_CODES["c2pa"])


def _notice(facts: Mapping[str, Any], copies: Mapping[str, bytes]) -> dict[str, Any]:
    """What whoever gets the copies has to know; it is readable without the bundle."""
    by_name = {item["path"].rpartition("/")[2]: item for item in facts["derived"]}
    return {
        "what": "Redacted copies; they prove nothing by themselves: ask for the bundle named here.",
        "bundle": {"case": facts["case"]["id"], "manifest_sha256": facts["manifest_sha256"]},
        "device": facts["device"],
        "evidential": facts["evidential"],
        "reasons": facts["reasons"],
        "delete_after": facts["privacy"]["delete_after"],
        "copies": [
            {
                "file": name,
                "sha256": hashlib.sha256(data).hexdigest(),
                "sha256_in_bundle": by_name[name]["sha256"],
                "derived_from": by_name[name]["derived_from"],
                "redaction": by_name[name]["redaction"],
            }
            for name, data in copies.items()
        ],
    }


def _copies(
    path: Path, facts: Mapping[str, Any], config: Path | None
) -> Iterator[tuple[str, bytes]]:
    """(file name, content) of every redacted copy."""
    files = container.contents(path.read_bytes())
    wanted = [item for item in facts["derived"] if item.get("redaction") is not None]
    signer = None if config is None else _signer(config, facts["source"]["kind"] == "replay")
    for item in wanted:
        name, data = item["path"].rpartition("/")[2], files[item["path"]]
        if signer is None:
            yield name, data
            continue
        key, url = signer
        about = {
            "case": facts["case"]["id"],
            "device": facts["device"]["id"],
            "evidential": facts["evidential"],
            "reasons": facts["reasons"],
            "bundle": facts["manifest_sha256"],
            "file": item["path"],
            "sha256": item["sha256"],
        }
        yield name, with_credentials(data, name, about, key, url)


def _signer(config: Path, is_replay: bool) -> tuple[DeviceKey, str | None]:
    """Who signs copies, and which authority tells the time; a replay's are signed as it is."""
    site = app.load(config)
    key = app.device_key(site, is_replay)
    stamper = site.evidence.timestamp
    return key, None if stamper is None else stamper.url
