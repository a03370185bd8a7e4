"""Verification across bundles: is one missing, or out of its place?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle import container, tombstone
from edge_agent.evidence.bundle.chain import manifest_bytes
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.bundle.tombstone import FOLDER, SUFFIX, Tombstone
from edge_agent.evidence.trust.certificates import Chain, read_chain
from edge_agent.evidence.verification.verify import CERTIFICATES, Finding, Report

Key = tuple[str, str]
"""Name of a chain and fingerprint of who signed it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One bundle's place, as it says itself."""

    path: str
    sha256: str
    manifest: Manifest

    @property
    def index(self) -> int:
        return self.manifest.chain.index


@dataclass(frozen=True, slots=True)
class Run:
    """Bundles that may form one chain, and tombstones of others."""

    entries: Sequence[Entry]
    graves: Sequence[Tombstone]


def verify_chain(paths: Sequence[Path]) -> Report:
    """Check that bundles of one device or replay follow each other without a gap from the first.

    Findings name the bundle by path. Earlier revisions count as present when their successor
    names them, deleted bundles when the device signed a tombstone for them, in `tombstones/`
    beside the given ones. Says nothing about the bundles themselves (`verify` each) and cannot
    know of bundles newer than the newest one given.
    """
    entries: dict[Key, list[Entry]] = {}
    findings: list[Finding] = []
    for path in paths:
        try:
            text = manifest_bytes(path)
            manifest = Manifest.from_bytes(text)
        except (OSError, ValueError, RecursionError, EvidenceError) as error:
            findings.append(Finding("unreadable", str(path), f"cannot be read: {error}"))
            continue
        key = (manifest.chain.origin, manifest.device.fingerprint)
        entry = Entry(str(path), hashlib.sha256(text).hexdigest(), manifest)
        entries.setdefault(key, []).append(entry)
    facts: dict[str, dict[str, int]] = {"chains": {}}
    for origin in sorted({origin for origin, _ in entries}):
        parts = {signer: entries[origin, signer] for name, signer in entries if name == origin}
        together = [entry for signer in sorted(parts) for entry in parts[signer]]
        graves, flaws = _graves(origin, together, _signers(parts))
        findings += [*flaws, *_consistent(Run(together, graves), parts)]
        facts["chains"][origin] = len(together)
        if graves:
            facts.setdefault("deleted", {})[origin] = len(graves)
    return Report("", tuple(findings), facts)


def _consistent(whole: Run, parts: Mapping[str, Sequence[Entry]]) -> list[Finding]:
    """Check what several signers wrote under one name.

    A device whose key or certificate was replaced goes on with its chain; bundles that do not fit
    together that way are chains of their own.
    """
    together = list(_check(whole))
    apart: list[Finding] = []
    for signer, entries in sorted(parts.items()):
        graves = [grave for grave in whole.graves if grave.device.fingerprint == signer]
        apart += _check(Run(entries, graves))
    return together if len(together) <= len(apart) else apart


def _signers(parts: Mapping[str, Sequence[Entry]]) -> list[Chain]:
    """Certificates of those who signed a chain's bundles: keys are rotated."""
    found = (_certificates(Path(entries[0].path)) for _, entries in sorted(parts.items()))
    return [chain for chain in found if chain is not None]


def _graves(
    origin: str, entries: Sequence[Entry], signers: Sequence[Chain]
) -> tuple[list[Tombstone], list[Finding]]:
    """The tombstones of one chain that its device signed, and what is wrong with others."""
    graves, flaws = [], []
    folders = sorted({Path(entry.path).resolve().parent / FOLDER for entry in entries})
    for path in (path for folder in folders for path in sorted(folder.glob(f"*{SUFFIX}"))):
        try:
            grave, envelope = tombstone.read(path)
        except EvidenceError as error:
            flaws.append(Finding("unreadable", "", str(error)))
            continue
        if grave.chain.origin != origin:
            continue
        if any(tombstone.is_signed(envelope, chain) for chain in signers):
            graves.append(grave)
        else:
            flaws.append(Finding("signature", str(path), "is not signed by the device"))
    return graves, flaws


def _certificates(path: Path) -> Chain | None:
    try:
        members = {member.name: member.data for member in container.unpack(path.read_bytes())}
        return read_chain(members.get(CERTIFICATES) or b"")
    except (OSError, ValueError, EvidenceError):
        return None


def _check(run: Run) -> Iterator[Finding]:
    graves = run.graves
    entries = sorted(run.entries, key=lambda entry: (entry.index, entry.path))
    hashes: dict[int, str] = {grave.chain.index: grave.manifest_sha256 for grave in graves}
    for replaced in (*(e.manifest.supersedes for e in entries), *(g.supersedes for g in graves)):
        if replaced is not None:
            hashes.setdefault(replaced.index, replaced.manifest_sha256)
    for entry in entries:
        if hashes.setdefault(entry.index, entry.sha256) != entry.sha256:
            text = f"another bundle has its place, number {entry.index}: the chain forks"
            yield Finding("chain", entry.path, text)
    for before, after in pairwise([-1, *sorted(hashes)]):
        if after - before > 1:
            yield _gap(before + 1, after - 1, entries)
    for entry in entries:
        previous = hashes.get(entry.index - 1)
        if previous is not None and entry.manifest.chain.previous != previous:
            text = f"does not follow number {entry.index - 1}: replaced or reordered"
            yield Finding("chain", entry.path, text)


def _gap(first: int, last: int, entries: Sequence[Entry]) -> Finding:
    which = f"number {first} is" if first == last else f"numbers {first} to {last} are"
    following = next((entry for entry in entries if entry.index > last), entries[-1])
    return Finding("chain", following.path, f"the chain has a gap: {which} missing before it")
