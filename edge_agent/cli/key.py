"""`key`: the life of the key that signs a device's evidence."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from cryptography import x509
from cryptography.x509 import Certificate

from edge_agent import app
from edge_agent.cli.words import FILE, Moment
from edge_agent.clock import SystemClock, utc_text
from edge_agent.errors import EvidenceError, UsageError
from edge_agent.evidence.keys import rotation
from edge_agent.evidence.keys.certificate import signing_request
from edge_agent.evidence.keys.identity import Home
from edge_agent.evidence.staging import write_whole
from edge_agent.evidence.trust.certificates import read_chain
from edge_agent.evidence.trust.revocation import own_revocation

REASONS = [flag.value for flag in x509.ReasonFlags if flag is not x509.ReasonFlags.remove_from_crl]

Command = Callable[..., None]


@click.group(short_help="Show, certify, replace or take back the device's key.")
def key() -> None:
    """Show, certify, replace or take back the key that signs a device's evidence.

    \b
    edge-agent key show --config site.yaml
    edge-agent key csr --config site.yaml --out box-1.csr
    edge-agent key install box-1-chain.pem --config site.yaml

    The key is made on first use: in a file, or in the token that the site file names under
    `device_key`.
    """


def _options(command: Command) -> Command:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON."),
        click.option("--config", required=True, type=FILE, help="The site file."),
    ):
        command = option(command)
    return command


@key.command("show", short_help="Print the key's grade, fingerprint and certificate.")
@_options
def show(config: Path, as_json: bool) -> None:
    """Print the key's grade and fingerprint, and what its certificate says.

    \b
    edge-agent key show --config site.yaml
    """
    _say(_facts(_existing(config)), as_json)


@key.command("csr")
@click.option("--out", type=FILE, help="Where to write it; default: to standard output.")
@_options
def csr(config: Path, out: Path | None, as_json: bool) -> None:
    """Write a request (PKCS#10) with which a CA certifies the key.

    \b
    edge-agent key csr --config site.yaml --out box-1.csr

    Makes the key if there is none yet.
    """
    home = _home(config)
    request = signing_request(home.load_or_create(SystemClock()).key, home.device)
    if out is not None:
        write_whole(out, request)
    if as_json:
        click.echo(json.dumps({"device": home.device, "request": request.decode()}, indent=2))
    elif out is not None:
        click.echo(f"{out}: have a CA certify it, then run `edge-agent key install CHAIN`")
    else:
        click.echo(request.decode(), nl=False)


@key.command("install", short_help="Use a certificate that a CA issued for the key.")
@click.argument("chain", type=FILE)
@_options
def install(chain: Path, config: Path, as_json: bool) -> None:
    """Use a certificate that a CA issued for the key: PEM, the device's first, then its issuers.

    \b
    edge-agent key install box-1-chain.pem --config site.yaml

    It must be for this key and this device's name and be valid now; otherwise nothing changes.
    Restart the agent afterwards.
    """
    home = _existing(config)
    rotation.install(home, chain, SystemClock())
    _say(_facts(home), as_json)


@key.command("rotate", short_help="Give the device a new key.")
@click.option(
    "--old",
    type=click.Choice(["keep", "destroy"]),
    default="keep",
    show_default=True,
    help="What becomes of the old key.",
)
@_options
def rotate(config: Path, old: str, as_json: bool) -> None:
    """Give the device a new key; the old one states which, and what it signed stays verifiable.

    \b
    edge-agent key rotate --config site.yaml
    edge-agent key rotate --config site.yaml --old destroy

    Whoever trusts the old certificate passes the statement on: `evidence verify --successor`.
    A revoked key states nothing. Restart the agent afterwards, and have a CA certify the new key.
    """
    home = _existing(config)
    done = rotation.rotate(home, SystemClock(), keep=old == "keep")
    statement = None if done.statement is None else str(done.statement)
    facts = {"replaces": done.old_fingerprint, "statement": statement}
    _say({**_facts(home), **facts, "old_certificate": str(done.retired)}, as_json)


@key.command("revoke", short_help="Take the device's certificate back.")
@click.option("--reason", type=click.Choice(REASONS), default="keyCompromise", show_default=True)
@click.option("--since", type=Moment(), help="From when on the key was not safe any more.")
@click.option("--crl", type=FILE, help="The list of the CA that issued the certificate.")
@_options
def revoke(
    config: Path, reason: str, since: datetime | None, crl: Path | None, as_json: bool
) -> None:
    """Take the device's certificate back: it signs nothing more, and verifiers can know.

    \b
    edge-agent key revoke --config site.yaml --reason keyCompromise --since 2026-05-13T09:00:00Z
    edge-agent key revoke --config site.yaml --crl ca.crl

    A certificate that the device made for itself it revokes itself; one that a CA issued is revoked
    by the CA, whose list --crl takes over. Verifiers pass the list: `evidence verify --crl`.
    Evidence with proof that it was there before stays good. Then run `edge-agent key rotate`.
    """
    home = _existing(config)
    if crl is not None and since is not None:
        raise UsageError("--since: a CA's list says itself since when; leave it out with --crl")
    if crl is not None:
        listed = rotation.heed(home, crl)
    else:
        listed = rotation.revoke(home, SystemClock(), reason, since)
    _say({**_facts(home), "list": str(listed)}, as_json)


def _home(config: Path) -> Home:
    site = app.load(config)
    return Home.of(app.state_dir(site), site.device, site.token)


def _existing(config: Path) -> Home:
    home = _home(config)
    if not home.certificate.exists():
        raise EvidenceError(
            f"{home.certificate}: {home.device} has no key yet; it is made on first use, or now by "
            "`edge-agent key csr`"
        )
    return home


def _facts(home: Home) -> dict[str, Any]:
    found = home.load(even_revoked=True)
    chain = read_chain(found.chain_pem)
    device, revoked = chain.certificates[0], own_revocation(home.revocation, chain)
    return {
        "device": home.device,
        **found.facts,
        "fingerprint": found.fingerprint,
        "certificate": str(home.certificate),
        "serial": f"{device.serial_number:x}",
        "issuer": "itself" if device.issuer == device.subject else device.issuer.rfc4514_string(),
        "valid_from": utc_text(device.not_valid_before_utc),
        "valid_until": utc_text(device.not_valid_after_utc),
        "chain": [_subject(certificate) for certificate in chain.certificates],
        "revoked": None if revoked is None else f"{utc_text(revoked.since)}{revoked.why}",
    }


def _subject(certificate: Certificate) -> str:
    return certificate.subject.rfc4514_string()


def _say(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        text = ", ".join(value) if isinstance(value, list) else value
        if text is not None:
            click.echo(f"{name.replace('_', ' '):16}{text}")
