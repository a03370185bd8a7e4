"""Whom a verifier believes: options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from edge_agent.cli.words import FILE
from edge_agent.errors import EvidenceError, UsageError
from edge_agent.evidence.log import Vkey
from edge_agent.evidence.log.note import COSIGNATURE
from edge_agent.evidence.trust.certificates import read_roots
from edge_agent.evidence.trust.revocation import Revocations, read_lists
from edge_agent.evidence.trust.succession import with_successors
from edge_agent.evidence.verification.standing import Authorities


@dataclass(frozen=True, slots=True)
class Trusted:
    """What `--root`, `--crl`, `--tsa-root`, `--successor` and `--witness` hand over."""

    root: bytes | None
    authorities: Authorities


def trust_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take whom to believe, as its argument `trusted`."""

    @click.option("--root", type=FILE, help="PEM of the root or device to trust.")
    @click.option("--crl", "lists", type=FILE, multiple=True, help="List of revoked certificates.")
    @click.option("--tsa-root", "stamper", type=FILE, help="PEM of the time-stamping authority.")
    @click.option(
        "--successor", "statements", type=FILE, multiple=True, help="Names the root's next key."
    )
    @click.option(
        "--witness", "names", metavar="VKEY", multiple=True, help="Who must have seen its log."
    )
    @functools.wraps(command)
    def wrapped(
        *,
        root: Path | None,
        lists: Sequence[Path],
        stamper: Path | None,
        statements: Sequence[Path],
        names: Sequence[str],
        **others: Any,  # noqa: ANN401  (the command's own)
    ) -> None:
        trusted = _trusted(root, lists, stamper, statements)
        authorities = replace(trusted.authorities, witnesses=tuple(map(_witness, names)))
        others["trusted"] = replace(trusted, authorities=authorities)
        command(**others)

    return wrapped


def read_pem(option: str, path: Path) -> bytes:
    """Certificates that an option names."""
    pem = _read(option, path)
    try:
        read_roots(pem)
    except EvidenceError as error:
        raise EvidenceError(f"{option} {path}: {str(error).removeprefix('root: ')}") from error
    return pem


def _trusted(
    root: Path | None, lists: Sequence[Path], stamper: Path | None, statements: Sequence[Path]
) -> Trusted:
    pem = None if root is None else _read("--root", root)
    revocations = tuple(one for path in lists for one in _revocations(path))
    if statements:
        if pem is None:
            raise UsageError("--successor: names the next key of a --root: pass that as well")
        texts = [_read("--successor", path) for path in statements]
        pem = with_successors(pem, texts, revocations)
    stampers = None if stamper is None else read_pem("--tsa-root", stamper)
    return Trusted(pem, Authorities(revocations, stampers))


def _witness(text: str) -> Vkey:
    try:
        key = Vkey.parse(text.strip())
    except ValueError as error:
        raise UsageError(f"--witness: {text}: {error}; see `edge-agent witness --help`") from error
    if key.algorithm != COSIGNATURE:
        raise UsageError(f"--witness: {key.name}: is the key of a log, not of a witness")
    return key


def _revocations(path: Path) -> Revocations:
    data = _read("--crl", path)
    try:
        return read_lists(data)
    except EvidenceError as error:
        raise EvidenceError(f"--crl {path}: {str(error).removeprefix('crl: ')}") from error


def _read(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EvidenceError(f"{option} {path}: cannot be read: {error.strerror}") from error
