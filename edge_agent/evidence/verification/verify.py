"""Offline verification of bundles: what was altered, swapped, removed or added, by name.

On its own a bundle proves only that nothing was altered, swapped, removed or added since
somebody signed it. Anybody can sign: take a bundle apart, say in it what they like (another
device, another time, live instead of replay, evidential, an overlay as the original) and sign
that with a key of their own. Only with a root, or the device's certificate, from a trusted source
is such a bundle told, and does what the manifest says count as said by that device.

Even then it cannot see that the newest bundles of a device are missing (that takes its log, of
which a bundle holds one entry's proof), and cannot detect a rooted device inventing events.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle import container
from edge_agent.evidence.bundle.container import ContainerError, Member
from edge_agent.evidence.bundle.logged import DEVICE, PROOF, log_flaws
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.profiles import ATTACHED, Profile, Verdict, broken_claims
from edge_agent.evidence.staging import cannot, make_folder, write_whole
from edge_agent.evidence.trust import certificates
from edge_agent.evidence.trust.dsse import PAYLOAD_TYPE, Envelope
from edge_agent.evidence.verification.consistency import contradictions
from edge_agent.evidence.verification.standing import Authorities, Standing, first_seen, judge_stamp
from edge_agent.evidence.verification.timestamp import TOKEN, Stamp
from edge_agent.evidence.verification.witnessed import TimeBracket

EXIT_CODES: Mapping[str, int] = MappingProxyType(
    {
        "unreadable": 10,
        "container": 11,
        "certificate": 12,
        "signature": 13,
        "altered": 14,
        "missing": 15,
        "extra": 16,
        "inconsistent": 17,
        "chain": 18,
        "leaf": 19,
        "inclusion": 20,
        "checkpoint": 21,
        "witness": 22,
        "time": 23,
        "profile": 24,
        "revoked": 25,
        "timestamp": 26,
        "c2pa": 27,
        "encrypted": 28,
    }
)
"""Kind of failure -> exit code of `evidence verify`; part of the command line's contract."""

_NO_OTHERS = Authorities()

MANIFEST, SEAL, CERTIFICATES = "manifest.json", "manifest.dsse", "chain.pem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    code: str
    """A key of `EXIT_CODES`."""
    file: str
    """The file inside the bundle that it is about; empty: the bundle as a whole."""
    text: str

    def __str__(self) -> str:
        return f"{self.file} {self.text}".strip()


@dataclass(frozen=True, slots=True)
class Report:
    """What verification found, most fundamental first."""

    path: str
    findings: tuple[Finding, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the bundle says of itself: the signed manifest and `manifest_sha256`, or nothing."""
    is_pinned: bool = False
    """The certificate leads to a root that the verifier was given, so the facts have an author."""
    verdicts: tuple[Verdict, ...] = ()
    """What became of the rules of the profile that was asked for."""
    stamp: Stamp | None = None
    """The time-stamp, if it has one by an authority that the verifier was given."""
    bracket: TimeBracket | None = None
    """When it was made, by witnesses that the verifier was given."""
    standing: Standing | None = None
    """What revocation lists say of the signer; None where the verifier was given none."""

    @property
    def missed(self) -> tuple[Verdict, ...]:
        """Rules of that profile that the bundle misses: no flaw of it, but the answer is no."""
        return tuple(verdict for verdict in self.verdicts if verdict.outcome == "missed")

    @property
    def is_valid(self) -> bool:
        """True when nothing is wrong; who signed is known only if `is_pinned`."""
        return not self.findings

    @property
    def verdict(self) -> Literal["valid", "intact", "invalid"]:
        """`intact`: nothing is wrong, but the signer is not proven."""
        if self.findings:
            return "invalid"
        return "valid" if self.is_pinned else "intact"

    @property
    def exit_code(self) -> int:
        """0, or the code of the first finding or, failing that, of the profile that is missed."""
        first = self.findings[0].code if self.findings else "profile" if self.missed else None
        return 0 if first is None else EXIT_CODES[first]


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle taken apart."""

    data: bytes
    members: Mapping[str, Member]

    def read(self, name: str) -> bytes:
        """Content of a member; empty when it is missing or compressed."""
        member = self.members.get(name)
        return (member.data or b"") if member else b""


@dataclass(slots=True)
class Inspection:
    """One bundle under verification."""

    bundle: Opened
    root: bytes | None
    authorities: Authorities
    manifest: Manifest | None = None
    """What was signed or, failing that, what is written."""
    text: bytes = b""
    is_pinned: bool = False
    """The certificate leads to a root that the verifier was given."""
    chain: certificates.Chain | None = None
    stamp: Stamp | None = None
    bracket: TimeBracket | None = None
    standing: Standing | None = None

    def findings(self) -> Iterator[Finding]:
        """Everything that is wrong, in the order of the contract."""
        for member in self.bundle.members.values():
            if member.data is None:
                yield Finding("container", member.name, "is compressed: the bundle was repacked")
        yield from self._seal()
        if self.manifest is None:
            return
        yield from _files(self.bundle, self.manifest)
        proof = self.bundle.read(PROOF) if PROOF in self.bundle.members else None
        for flaw in log_flaws(self.manifest, self.text, proof, self.bundle.read(DEVICE)):
            yield Finding(*flaw)
        yield from self._witnesses(self.manifest)
        yield from self._time(self.manifest)
        for text in contradictions(self.manifest):
            yield Finding("inconsistent", MANIFEST, text)
        for text in broken_claims(self.manifest, self.bundle.read(ATTACHED)):
            yield Finding("profile", MANIFEST, text)
        yield from self._standing()
        yield from _canonical(self.bundle, self.manifest)

    def _seal(self) -> Iterator[Finding]:
        """Certificate, signature, and that the manifest is the one that was signed."""
        absent = [n for n in (MANIFEST, SEAL, CERTIFICATES) if n not in self.bundle.members]
        yield from (Finding("missing", name, "is missing") for name in absent)
        written, envelope, flaw = self.bundle.read(MANIFEST), None, None
        if SEAL not in absent:
            try:
                envelope = Envelope.from_bytes(self.bundle.read(SEAL))
            except ValueError as error:
                flaw = Finding("signature", SEAL, str(error))
        texts = [written] if envelope is None else [envelope.payload, written]
        chain = None
        if CERTIFICATES not in absent:
            try:
                chain = certificates.read_chain(self.bundle.read(CERTIFICATES))
            except ValueError as error:
                yield Finding("certificate", CERTIFICATES, str(error))
        signed = _signed(envelope, texts, chain)
        self.text = signed if signed is not None else texts[0]
        unreadable = self._parse()
        if chain is not None and self.manifest is not None:
            yield from self._certificate(chain, self.manifest)
        if envelope is not None and chain is not None and signed != envelope.payload:
            flaw = Finding("signature", SEAL, "the signature does not fit what it claims to sign")
        yield from (found for found in (flaw, unreadable) if found is not None)
        if MANIFEST not in absent and written != self.text:
            yield Finding("altered", MANIFEST, "is not what was signed: it was altered")

    def _parse(self) -> Finding | None:
        try:
            self.manifest = Manifest.from_bytes(self.text)
        except (ValueError, RecursionError) as error:
            return Finding("inconsistent", MANIFEST, str(error))
        return None

    def _certificate(self, chain: certificates.Chain, manifest: Manifest) -> Iterator[Finding]:
        self.chain, fingerprint = chain, manifest.device.fingerprint
        flaws = [] if chain.fingerprint == fingerprint else ["is not the one the manifest names"]
        if chain.name != manifest.device.id:
            flaws.append(f"is for {chain.name or 'nobody'}, not for {manifest.device.id}")
        when = manifest.case.begin.utc if manifest.source.kind == "live" else None
        flaws += chain.flaws(when)
        if self.root is not None:
            self.is_pinned = chain.leads_to(self.root)
            if not self.is_pinned:
                flaws.append("does not lead to the given root: made by somebody else")
        yield from (Finding("certificate", CERTIFICATES, text) for text in flaws)

    def _witnesses(self, manifest: Manifest) -> Iterator[Finding]:
        if self.authorities.witnesses:
            self.bracket = TimeBracket(self.authorities.witnesses)
            flaws = self.bracket.flaws(manifest, self.bundle.read(PROOF))
            yield from (Finding(*flaw) for flaw in flaws)

    def _time(self, manifest: Manifest) -> Iterator[Finding]:
        token, stampers = self.bundle.read(TOKEN), self.authorities.stampers
        if TOKEN in self.bundle.members and stampers is not None:
            seal = self.bundle.read(SEAL)
            self.stamp, flaws = judge_stamp(token, seal, manifest, stampers)
            yield from (Finding("timestamp", TOKEN, text) for text in flaws)

    def _standing(self) -> Iterator[Finding]:
        if self.chain is not None and self.authorities.lists:
            cosigned = None if self.bracket is None else self.bracket.not_after
            seen, lists = first_seen(self.stamp, cosigned), self.authorities.lists
            self.standing = Standing.of(self.chain, self.root, lists, seen)
            yield from (Finding("revoked", CERTIFICATES, text) for text in self.standing.flaws)


def verify(
    path: Path,
    root: bytes | None = None,
    profile: Profile | None = None,
    authorities: Authorities = _NO_OTHERS,
) -> Report:
    """Check one bundle; `root` is PEM: certificates to trust (a root, or the device's own).

    The profile that a bundle names is always checked, `profile` in addition; a time-stamp is
    checked, and revocation asked for, only where `authorities` say whom to believe.
    Never raises for what a file contains; raises EvidenceError for a `root` that is no PEM.
    """
    if root is not None:
        certificates.read_roots(root)
    try:
        bundle = _open(path)
    except ContainerError as error:
        code = "container" if error.is_bundle else "unreadable"
        return Report(str(path), (Finding(code, error.member, error.text),))
    except EvidenceError as error:
        text = str(error).removeprefix(f"{path}: ")
        return Report(str(path), (Finding("unreadable", "", text),))
    inspection = Inspection(bundle, root, authorities)
    findings = tuple(inspection.findings())
    facts: dict[str, Any] = {}
    verdicts: tuple[Verdict, ...] = ()
    if inspection.manifest is not None:
        verdicts = profile.judge(inspection.manifest) if profile is not None else ()
        facts = inspection.manifest.as_json()
        facts["manifest_sha256"] = hashlib.sha256(inspection.text).hexdigest()
    about = (inspection.stamp, inspection.bracket, inspection.standing)
    return Report(str(path), findings, facts, inspection.is_pinned, verdicts, *about)


def extract(path: Path, folder: Path) -> list[Path]:
    """Unpack a bundle's files into the folder; returns where they lie."""
    bundle, written = _opened(path), []
    taken = next((name for name in bundle.members if (folder / name).exists()), None)
    if taken is not None:
        raise EvidenceError(f"{folder / taken}: exists already: unpack into a new folder")
    for member in bundle.members.values():
        if member.data is None:
            raise EvidenceError(f"{path}: {member.name} is compressed: the bundle was repacked")
        target = folder / member.name
        make_folder(target.parent)
        write_whole(target, member.data)
        written.append(target)
    return written


def _opened(path: Path) -> Opened:
    """As `_open`, for callers that do not name the bundle themselves."""
    try:
        return _open(path)
    except ContainerError as error:
        raise EvidenceError(f"{path}: {error}") from error


def _open(path: Path) -> Opened:
    try:
        if not path.is_file():
            what = "a folder" if path.is_dir() else "not there" if not path.exists() else "no file"
            raise EvidenceError(f"{path}: is {what}; name an .evb file")
        if path.stat().st_size > container.MAX_BYTES:
            raise EvidenceError(f"{path}: is larger than any bundle ({container.MAX_BYTES} bytes)")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        problem = error if isinstance(error, OSError) else OSError(str(error))
        raise cannot(path, "be read", problem) from error
    return Opened(data, {member.name: member for member in container.unpack(data)})


def _signed(
    envelope: Envelope | None, texts: Sequence[bytes], chain: certificates.Chain | None
) -> bytes | None:
    """Of the payload and `manifest.json`, the one that the signature covers."""
    if envelope is None or chain is None or envelope.payload_type != PAYLOAD_TYPE:
        return None
    for text in texts:
        claim = Envelope(text, envelope.signature, envelope.key_id)
        if envelope.key_id == chain.fingerprint and chain.covers(claim.signed, claim.signature):
            return text
    return None


def _files(bundle: Opened, manifest: Manifest) -> Iterator[Finding]:
    """Every listed file is there with its hash, and nothing else is."""
    listed = {item.path: item for item in manifest.files}
    owners = {item.sha256: item.path for item in reversed(manifest.files)}
    unlisted = (MANIFEST, SEAL) if manifest.log is None else (MANIFEST, SEAL, PROOF)
    altered, missing = [], []
    for path, item in listed.items():
        member = bundle.members.get(path)
        if member is None:
            missing.append(Finding("missing", path, "is missing"))
        elif member.data is not None:
            found = hashlib.sha256(member.data).hexdigest()
            if found in owners and found != item.sha256:
                altered.append(Finding("altered", path, f"holds the bytes of {owners[found]}"))
            elif found != item.sha256 or len(member.data) != item.bytes:
                altered.append(Finding("altered", path, "was altered: its hash is another"))
    yield from altered
    yield from (found for found in missing if found.file != CERTIFICATES)
    for name in bundle.members:
        if name != TOKEN and name not in listed and name not in unlisted:
            yield Finding("extra", name, "does not belong to the bundle: it was added")


def _canonical(bundle: Opened, manifest: Manifest) -> Iterator[Finding]:
    """Packing the files again gives the same container; last, as most changes end here as well."""
    order = [MANIFEST, SEAL, *(item.path for item in manifest.files)]
    names = [name for name in order if name in bundle.members]
    names += [name for name in bundle.members if name not in names]
    again = container.pack((name, bundle.read(name)) for name in names)
    if again == bundle.data:
        return
    shorter = min(len(again), len(bundle.data))
    expected, found = (np.frombuffer(data, np.uint8, shorter) for data in (again, bundle.data))
    at = next(iter(np.flatnonzero(expected != found)), shorter)
    place = next((m.name for m in bundle.members.values() if m.start <= at < m.end), "")
    where = f"the header of {place}" if place else "the directory at its end"
    text = f"is not in canonical form from byte {at} on, in {where}: changed or repacked"
    yield Finding("container", place, text)
