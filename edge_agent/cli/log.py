"""`evidence log verify`: a whole log, and whether events and bundles are entries of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from edge_agent import app
from edge_agent.cli.trust import read_pem
from edge_agent.cli.words import FILE
from edge_agent.errors import EvidenceError, UsageError
from edge_agent.evidence import EXIT_CODES, verify
from edge_agent.evidence.bundle import container
from edge_agent.evidence.bundle.chain import manifest_bytes
from edge_agent.evidence.bundle.logged import DEVICE, PROOF
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.log import Checkpoint, LogKey, Note, Proof, Vkey, certify
from edge_agent.evidence.log.audit import LogAudit
from edge_agent.evidence.staging import write_whole
from edge_agent.identity import log_origin
from edge_agent.text import printable


@dataclass(frozen=True, slots=True)
class Given:
    """What the log is to be compared with."""

    events: Path | None
    bundles: Path | None
    earlier: Sequence[Path]
    root: bytes | None


@dataclass
class Verdict:
    """What was found out about one log."""

    audit: LogAudit
    key: Vkey | None = None
    is_proven: bool = False
    """The key comes from whoever asks, or from a bundle that leads to the given root."""
    counts: dict[str, int] = field(default_factory=lambda: {"events": 0, "bundles": 0})
    findings: list[tuple[str, str, str]] = field(default_factory=list)
    """Kind of failure, where, what."""

    @property
    def unshown(self) -> int:
        """Entries of which no record was given."""
        return self.audit.told.size - len(self.audit.shown)

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.findings[0][0]] if self.findings else 0

    def find(self, where: str, *flaws: tuple[str, str] | None) -> None:
        self.findings += [(flaw[0], where, flaw[1]) for flaw in flaws if flaw is not None]


@click.group("log", short_help="Check the append-only log of events and bundles.")
def log_commands() -> None:
    """Check the append-only log that every event and every bundle is an entry of.

    \b
    edge-agent evidence log verify results/log --events results/events.jsonl
    """


@log_commands.command("verify", short_help="Say whether a log is whole and who signed it.")
@click.argument("folder", type=FILE)
@click.option("--events", type=FILE, help="events.jsonl: is every line an entry?")
@click.option("--bundles", type=FILE, help="Folder of .evb files: is every one an entry?")
@click.option("--earlier", type=FILE, multiple=True, help="A checkpoint kept from earlier on.")
@click.option("--key", metavar="NAME+ID+KEY", help="The log's key, from a source you trust.")
@click.option("--root", type=FILE, help="PEM of the root or device to trust.")
@click.option("--json", "as_json", is_flag=True, help="Print findings as JSON.")
def verify_log(  # noqa: PLR0913  (click hands over one per option)
    *,
    folder: Path,
    events: Path | None,
    bundles: Path | None,
    earlier: Sequence[Path],
    key: str | None,
    root: Path | None,
    as_json: bool,
) -> None:
    """Say whether a log is whole, who signed it, and whether it holds what it must.

    \b
    edge-agent evidence log verify results/log --events results/events.jsonl
    edge-agent evidence log verify results/log --bundles results/evidence --root device-cert.pem

    Every hash is computed again, up to the signed root. --earlier takes a checkpoint that was
    published or cosigned: a log that was cut off or rewritten since does not begin like it. The
    log's key is named in the `device.json` of every bundle; with --root that name is proven.
    """
    given = Given(events, bundles, earlier, read_pem("--root", root) if root else None)
    verdict = Verdict(LogAudit.open(folder))
    if key is not None:
        verdict.key, verdict.is_proven = _vkey(key), True
    _examine(verdict, given)
    if as_json:
        click.echo(json.dumps(_as_json(verdict), indent=2))
    else:
        _say(verdict)
    raise click.exceptions.Exit(verdict.exit_code)


@log_commands.command("key", short_help="Print the key that signs this device's log.")
@click.option("--config", required=True, type=FILE, help="The site file.")
@click.option("--out", type=FILE, help="Also write the device's signed statement there.")
def tell_key(config: Path, out: Path | None) -> None:
    """Print the key that signs this device's log, for witnesses; made on first use.

    \b
    edge-agent evidence log key --config site.yaml --out log-key.dsse

    The statement (DSSE) is signed by the device's own key, so that whoever trusts the device's
    certificate need not trust the way on which it came.
    """
    site = app.load(config)
    log_key = LogKey.load_or_create(app.state_dir(site) / site.device)
    if out is not None:
        write_whole(out, certify(app.device_key(site, is_replay=False), log_key, site.device))
    click.echo(str(log_key.vkey(log_origin(site.site.name, site.device))))


@log_commands.command("prune")
@click.argument("folder", type=FILE)
@click.option("--before", type=click.IntRange(0), help="The first entry to keep.")
@click.option("--bundles", type=FILE, help="Keep what the bundles in this folder need.")
def prune_log(folder: Path, before: int | None, bundles: Path | None) -> None:
    """Remove the hashes that only proofs about old entries need.

    \b
    edge-agent evidence log prune results/log --before 250000
    edge-agent evidence log prune results/log --bundles results/evidence

    Proofs that were handed out stay valid: they are complete in themselves. The log goes on, and
    later entries are proven as before. Of earlier ones no new proof can be made, not even one
    under a later checkpoint that a witness vouches for; --bundles spares the oldest bundle there
    and everything after it.
    """
    if (before is None) == (bundles is None):
        raise UsageError("pass either --before or --bundles")
    audit = LogAudit.open(folder)
    minimum = before if bundles is None else _oldest(bundles, audit.told)
    audit.prune(minimum or 0)
    click.echo(printable(f"pruned  {folder}: {minimum} of {audit.told.size} entries are forgotten"))


def _oldest(folder: Path, told: Checkpoint) -> int:
    """The first entry that a bundle in the folder is; all of them when there is none."""
    places = [Manifest.from_bytes(manifest_bytes(path)).log for path in folder.glob("*.evb")]
    return min((p.index for p in places if p and p.origin == told.origin), default=told.size)


def _examine(verdict: Verdict, given: Given) -> None:
    audit = verdict.audit
    verdict.find("", *audit.tree_flaws())
    for path in given.earlier:
        verdict.find(str(path), audit.earlier_flaw(_checkpoint(path)))
    if given.events is not None:
        for number, record in enumerate(_lines(given.events), start=1):
            verdict.find(f"{given.events}:{number}", _event_flaw(audit, record))
            verdict.counts["events"] += 1
    if given.bundles is not None:
        for path in sorted(given.bundles.glob("*.evb")):
            _bundle(verdict, path, given.root)
            verdict.counts["bundles"] += 1
    if verdict.key is not None:
        verdict.find("", *audit.signature_flaws(verdict.key))


def _event_flaw(audit: LogAudit, record: bytes) -> tuple[str, str] | None:
    try:
        place = json.loads(record)["data"]["log"]
        origin, index = place["origin"], int(place["index"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "leaf", "names no entry of a log"
    if origin != audit.told.origin:
        return "leaf", f"is an entry of another log, {origin}"
    return audit.record_flaw(index, record)


def _bundle(verdict: Verdict, path: Path, root: bytes | None) -> None:
    """A bundle must verify, be an entry, and prove a history that this log goes on."""
    report = verify(path, root)
    place = report.facts.get("log")
    if not report.is_valid:
        verdict.find(str(path), *((each.code, str(each)) for each in report.findings))
    elif place is None or place["origin"] != verdict.audit.told.origin:
        verdict.find(str(path), ("leaf", "is no entry of this log"))
    else:
        found = container.contents(path.read_bytes())
        proof = Proof.from_bytes(found[PROOF])
        text = found["manifest.json"]
        verdict.find(str(path), verdict.audit.record_flaw(place["index"], text))
        if verdict.audit.remembers(proof.checkpoint.size - 1):
            verdict.find(f"{path}: {PROOF}", verdict.audit.earlier_flaw(proof.checkpoint))
        if verdict.key is None or (report.is_pinned and not verdict.is_proven):
            verdict.key = Vkey.parse(json.loads(found[DEVICE])["log"]["key"])
            verdict.is_proven = report.is_pinned


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            for line in file:
                yield line.removesuffix(b"\n")
    except OSError as error:
        raise EvidenceError(f"--events {path}: cannot be read: {error.strerror}") from error


def _checkpoint(path: Path) -> Checkpoint:
    try:
        return Checkpoint.parse(Note.from_bytes(path.read_bytes()).text)
    except OSError as error:
        raise EvidenceError(f"--earlier {path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise EvidenceError(f"--earlier {path}: {error}") from error


def _vkey(text: str) -> Vkey:
    try:
        return Vkey.parse(text)
    except ValueError as error:
        raise UsageError(f"--key {text}: {error}") from error


def _say(verdict: Verdict) -> None:
    audit, counts = verdict.audit, verdict.counts
    for code, where, text in verdict.findings:
        place = where or str(audit.folder)
        click.echo(printable(f"INVALID  {place}: {text} [{code}]"))
    if verdict.findings:
        return
    told = f"{audit.told.size} entries of {audit.told.origin}"
    notes = [f"among them all {what} given, {count}" for what, count in counts.items() if count]
    if audit.pruned:
        notes.append(f"of the first {audit.pruned} only what later proofs need was kept")
    if audit.shown and verdict.unshown:
        notes.append(f"of {verdict.unshown} no record was shown")
    if verdict.key is None:
        notes.append("who signed it was not checked: pass --key, or --bundles and --root")
    elif not verdict.is_proven:
        notes.append("signed with the key that the bundles claim: pass --root")
    mark = "VALID   " if verdict.is_proven else "INTACT  "
    click.echo(printable(f"{mark} {audit.folder}: {'; '.join([told, *notes])}"))


def _as_json(verdict: Verdict) -> dict[str, object]:
    audit = verdict.audit
    return {
        "folder": str(audit.folder),
        "origin": audit.told.origin,
        "size": audit.told.size,
        "root": audit.told.root.hex(),
        "valid": not verdict.findings and verdict.is_proven,
        "intact": not verdict.findings,
        "exit_code": verdict.exit_code,
        "key": None if verdict.key is None else str(verdict.key),
        "pruned": audit.pruned,
        **verdict.counts,
        "unshown": verdict.unshown,
        "findings": [
            {"code": code, "where": where or None, "text": text}
            for code, where, text in verdict.findings
        ],
    }
