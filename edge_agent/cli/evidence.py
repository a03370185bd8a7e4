"""`evidence verify`, `evidence show` and `score`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from edge_agent.cli.encryption import decrypt, identity_option, opened
from edge_agent.cli.log import log_commands
from edge_agent.cli.profiles import open_profile, profiles, say_verdicts, verdicts_as_json
from edge_agent.cli.publish import credentials, publish
from edge_agent.cli.retention import hold, release, retain
from edge_agent.cli.timestamp import timestamp
from edge_agent.cli.trust import Trusted, trust_options
from edge_agent.cli.words import FILE, tables
from edge_agent.clock import utc_text
from edge_agent.evidence import EXIT_CODES, Report, extract, verify, verify_chain
from edge_agent.evidence.page import verify_page
from edge_agent.evidence.profiles import Profile
from edge_agent.evidence.staging import make_folder, write_whole
from edge_agent.report import START_FROM
from edge_agent.score import load_events, load_truth, score_events
from edge_agent.text import printable

CODES = "\n".join(f"    {code}  {kind}" for kind, code in EXIT_CODES.items())


@click.group()
def evidence() -> None:
    """Check and read evidence bundles, without any server.

    \b
    edge-agent evidence verify results/evidence/*.evb
    edge-agent evidence show results/evidence/3f2a90.evb
    """


for command in (
    profiles,
    log_commands,
    decrypt,
    retain,
    hold,
    release,
    timestamp,
    publish,
    credentials,
):
    evidence.add_command(command)


@evidence.command(
    "verify",
    epilog=f"\b\nExit status beside 0:\n{CODES}",
    short_help="Say whether bundles are what was signed.",
)
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--profile", "wanted", metavar="NAME|FILE", help="Rules to measure them by.")
@click.option("--json", "as_json", is_flag=True, help="Print findings as JSON.")
@identity_option
@trust_options
def verify_command(
    files: Sequence[Path],
    trusted: Trusted,
    wanted: str | None,
    as_json: bool,
    identity: Path | None,
) -> None:
    """Say whether bundles are what was signed, and name whatever is not.

    \b
    edge-agent evidence verify case.evb
    edge-agent evidence verify results/evidence/*.evb --root device-cert.pem
    edge-agent evidence verify case.evb --profile cn-ga832
    edge-agent evidence verify case.evb --root ca.pem --crl ca.crl --tsa-root tsa.pem

    Without --root the signature shows that nothing was altered since signing, but not who signed:
    whatever the bundle says, of its device and of being evidential, is a claim (INTACT). With the
    root, or the device's certificate from a trusted source, it is proven (VALID).
    Several bundles are also checked for order and for gaps between them. The profile that a bundle
    names is always checked; --profile measures it by another one (see `evidence profiles`).
    --crl says whose certificates were taken back, --tsa-root whose time-stamps count, --successor
    which key took the place of the --root's (see docs/keys.md), --witness who must have cosigned
    the log, which proves when the bundle was there. Of encrypted originals only the
    encrypted bytes are checked, unless --identity can open them.
    """
    profile = open_profile(wanted) if wanted else None
    reports = [
        opened(verify(path, trusted.root, profile, trusted.authorities), identity) for path in files
    ]
    if len(files) > 1:
        reports.append(verify_chain(list({path.resolve(): path for path in files}.values())))
    _tell(reports, profile, as_json)
    codes = [report.exit_code for report in sorted(reports, key=lambda report: report.is_valid)]
    worst = next((code for code in codes if code), 0)
    raise click.exceptions.Exit(worst)


def _tell(reports: Sequence[Report], profile: Profile | None, as_json: bool) -> None:
    if as_json:
        told = [_as_json(report) for report in reports]
        for entry, report in zip(told, reports, strict=True):
            if profile is not None and report.path:
                entry["profile"] = verdicts_as_json(report, profile)
        click.echo(json.dumps(told, indent=2))
        return
    for report in reports:
        _say(report)
        if profile is not None and report.verdicts:
            say_verdicts(report, profile)


@evidence.command("show", short_help="Print what a bundle says; unpack it on request.")
@click.argument("file", type=FILE)
@click.option("--extract", "folder", type=FILE, help="Unpack files there.")
@click.option("--json", "as_json", is_flag=True, help="Print manifest and verdict as JSON.")
@trust_options
def show(file: Path, trusted: Trusted, folder: Path | None, as_json: bool) -> None:
    """Print what a bundle says, and whether it verifies; unpack it on request.

    \b
    edge-agent evidence show case.evb
    edge-agent evidence show case.evb --extract case/

    Ends with the exit status that `evidence verify` has for the bundle.
    """
    report = verify(file, trusted.root, authorities=trusted.authorities)
    if as_json:
        click.echo(json.dumps({**report.facts, "verification": _as_json(report)}, indent=2))
    else:
        _say(report)
        if report.facts:
            _show(report.facts)
    if folder is not None:
        for path in extract(file, folder):
            click.echo(f"unpacked  {path}", err=as_json)
    raise click.exceptions.Exit(report.exit_code)


@evidence.command("page", short_help="Write the page that checks bundles in a browser.")
@click.option("--out", type=FILE, default=Path("verify.html"), show_default=True)
def page(out: Path) -> None:
    """Write the page with which anybody checks bundles in a browser, offline.

    \b
    edge-agent evidence page
    edge-agent evidence page --out handover/verify.html
    """
    make_folder(out.parent)
    write_whole(out, verify_page().encode())
    click.echo(f"written  {out}: open it in a browser and choose .evb files")


def _say(report: Report) -> None:
    for finding in report.findings:
        if not report.path and finding.code == "unreadable":
            continue  # the bundle's own report says so
        name = report.path or "order of the bundles"
        click.echo(printable(f"INVALID  {name}: {finding} [{finding.code}]"))
    if not report.is_valid:
        return
    if not report.path:
        deleted = report.facts.get("deleted", {})
        counts = ", ".join(
            f"{n} in a row" + (f", {deleted[name]} deleted by rule" if name in deleted else "")
            for name, n in report.facts["chains"].items()
        )
        click.echo(f"IN ORDER {counts}")
        return
    device = report.facts["device"]
    signer = f"certificate {device['fingerprint'][:16]}…"
    if report.is_pinned:
        notes = f"VALID    {report.path}: signed by {device['id']} ({signer})"
    else:
        notes = (
            f"INTACT   {report.path}: nothing was altered since it was signed; the signer is not "
            f"proven (claims to be {device['id']}, {signer}): pass --root"
        )
    if report.bracket is not None:
        notes += f"; {report.bracket}"
    if report.stamp is not None:
        notes += f"; there by {utc_text(report.stamp.latest)} ({report.stamp.authority})"
    if report.standing is not None and not report.standing.is_covered:
        notes += "; no list given is by the issuer of its certificate"
    click.echo(printable(f"{notes}; {_worth(report)}"))


def _worth(report: Report) -> str:
    # Older versions kept no log; what can be checked without one was checked.
    unlogged = "" if report.facts["log"] else "; in no log"
    if not report.facts["evidential"]:
        return "not evidential: " + ", ".join(report.facts["reasons"]) + unlogged
    return ("evidential" if report.is_pinned else "claims to be evidential") + unlogged


def _as_json(report: Report) -> dict[str, Any]:
    """`evidential`, `reasons` and `device` are claims unless it is `pinned`."""
    device = report.facts.get("device", {})
    return {
        "path": report.path or None,
        "verdict": report.verdict,
        "valid": report.is_valid and report.is_pinned,
        "intact": report.is_valid,
        "exit_code": report.exit_code,
        "pinned": report.is_pinned,
        "evidential": report.facts.get("evidential"),
        "reasons": report.facts.get("reasons"),
        "log": report.facts.get("log"),
        "device": device.get("id"),
        "witnessed": None if report.bracket is None else report.bracket.as_json(),
        "there_by": None if report.stamp is None else utc_text(report.stamp.latest),
        "revocation": None if report.standing is None else report.standing.is_covered,
        "signer_fingerprint": device.get("fingerprint"),
        "findings": [
            {"code": finding.code, "file": finding.file, "text": finding.text}
            for finding in report.findings
        ],
    }


def _seconds(value: object) -> str:
    return f"{value:.2f} s" if isinstance(value, int | float) else "the time"


def _entry(place: Mapping[str, Any] | None) -> str:
    return "none" if place is None else f"entry {place['index']} of {place['origin']}"


def _plate(plate: Mapping[str, Any]) -> str:
    if plate["text"] is None:
        return f"unread: {plate['reason']}"
    sure = int(100 * plate["confidence"])
    return f"{plate['text']} ({sure}% sure, {plate['reads']} reads agree)"


def _show(facts: Mapping[str, Any]) -> None:
    case, source, device = facts["case"], facts["source"], facts["device"]
    table = Table(show_header=False, box=None)
    rows = {
        "case": f"{case['id']} (revision {case['revision']})",
        "offence": f"{case['kind']}, zone {case['zone']}",
        "stood": f"{case['dwell_s']} s, from {_seconds(case['facts'].get('begin_s'))} on",
        "reported": f"{case['begin']['utc']} (frame {case['begin']['frame']})",
        "complete": "yes" if case["is_complete"] else "partial: " + ", ".join(case["reasons"]),
        "recording": f"{source['media_name']} ({source['kind']}), camera {source['camera']}",
        "its start": f"{source['start']} ({START_FROM.get(source['start_from'], '')})",
        "model": facts["model"]["name"],
        "device": f"{device['id']}, certificate {device['fingerprint'][:16]}…",
        "manifest": facts["manifest_sha256"],
        "log": _entry(facts["log"]),
        "profile": facts["profile"] or "none",
    }
    if facts.get("plate"):
        rows["plate"] = _plate(facts["plate"])
    for name, value in rows.items():
        table.add_row(name, Text(value))
    console = tables()
    console.print(table)
    files = Table("file", "time in recording", "size", "SHA-256", box=None)
    for item in [*facts["media"], *facts["derived"]]:
        at = f"{item['pts_s']:.2f} s" if "pts_s" in item else ""
        size = f"{item['width']}x{item['height']}" if "width" in item else f"{item['bytes']} bytes"
        files.add_row(Text(item["path"]), at, size, item["sha256"][:32] + "…")
    console.print(files)


@click.command(short_help="Compare reported events with the truth.")
@click.option("--events", required=True, type=FILE, help="events.jsonl")
@click.option("--truth", required=True, type=FILE, help="What happened.")
@click.option("--min-detection-rate", type=click.FloatRange(0, 1), help="Exit 1 below this.")
@click.option("--max-false", type=click.IntRange(0), help="Exit 1 with more false alarms.")
@click.option("--json", "as_json", is_flag=True, help="Print figures as JSON.")
def score(
    events: Path,
    truth: Path,
    min_detection_rate: float | None,
    max_false: int | None,
    as_json: bool,
) -> None:
    """Compare reported events with the truth: detection rate, false alarms, time to detect.

    \b
    edge-agent score --events results/events.jsonl --truth truth.json
    edge-agent score --events results/events.jsonl --truth truth.json --min-detection-rate 0.9

    \b
    A truth file (times in seconds of the video; zone, line, direction, camera, box are optional):
    {"video": "street.mp4", "fps": 25, "frames": 1500, "types": ["parking.illegal"],
     "events": [{"type": "parking.illegal", "begin_s": 12.0, "end_s": 80.0, "zone": "kerb"}],
     "ignore": [{"begin_s": 90.0, "end_s": 95.0}]}
    """
    result = score_events(load_events(events), load_truth(truth))
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=2))
    else:
        tables().print(result.as_table())
        for missed in result.missed:
            click.echo(f"missed: {missed.type} {missed.begin_s:.1f} to {missed.end_s:.1f} s")
        for false in result.false:
            click.echo(f"false:  {false.type} {false.begin_s:.1f} to {false.end_s:.1f} s")
    rate = result.total.detection_rate
    is_blind = min_detection_rate is not None and rate is not None and rate < min_detection_rate
    if is_blind or (max_false is not None and result.total.false > max_false):
        raise click.exceptions.Exit(1)
