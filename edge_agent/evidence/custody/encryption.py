"""Originals that only the operator can see: age (age-encryption.org/v1) to a public key.

In such a bundle `media/wide.jpg` is `media/wide.jpg.age`. The manifest lists the encrypted file
like any other, and beside it the hash of what is inside. Everything else stays as it is: anybody
can verify that nothing was altered, whoever has the identity also that the contents are those that
were signed. The box has no identity, so it cannot read its own evidence again. What the manifest
says, a number plate included, and the redacted copies are not encrypted.

age never encrypts the same way twice, so replays, which must repeat byte by byte, do without.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import pyrage
from pyrage import x25519

from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle.contents import Contents
from edge_agent.evidence.bundle.manifest import ClipFile, DerivedFile, Manifest, PhotoFile, Plain

SUFFIX: Final = ".age"
_MARK: Final = "AGE-SECRET-KEY-"

Recipient: TypeAlias = x25519.Recipient
Identity: TypeAlias = x25519.Identity
Listed = PhotoFile | ClipFile | DerivedFile


def read_recipients(keys: Sequence[str]) -> tuple[Recipient, ...]:
    """The public keys that a valid site names."""
    return tuple(Recipient.from_str(key) for key in keys)


def encrypt_originals(
    facts: Manifest, contents: Contents, recipients: Sequence[Recipient]
) -> Manifest:
    """Encrypt every file in which a bystander may be seen; returns the manifest that says so."""
    moved: dict[str, str] = {}

    def encrypt(item: Listed) -> Listed:
        if item.plain is None and not _is_public(item, facts):
            moved[item.path] = item.path + SUFFIX
            data = pyrage.encrypt(contents.files.pop(item.path), list(recipients))
            entry = contents.add(moved[item.path], data)
            plain = Plain(sha256=item.sha256, bytes=item.bytes)
            return item.model_copy(update={**entry, "plain": plain})
        return item

    def follow(item: DerivedFile) -> DerivedFile:
        named = [moved.get(name, name) for name in item.originals]
        return item.model_copy(update={"derived_from": named if len(named) > 1 else named[0]})

    media = [encrypt(item) for item in facts.media]
    derived = [follow(encrypt(item)) for item in facts.derived]  # type: ignore[arg-type]
    keys = [str(recipient) for recipient in recipients]
    privacy = facts.privacy.model_copy(update={"encrypted_to": keys})
    return facts.model_copy(update={"media": media, "derived": derived, "privacy": privacy})


def _is_public(item: Listed, facts: Manifest) -> bool:
    """A redacted copy, or what was made from redacted copies only."""
    if not isinstance(item, DerivedFile):
        return False
    redacted = {copy.path for copy in facts.derived if copy.redaction is not None}
    return item.redaction is not None or redacted.issuperset(item.originals)


def read_identities(path: Path) -> tuple[Identity, ...]:
    """The secret keys in a file as `age-keygen` writes it; raises EvidenceError."""
    try:
        lines = path.read_text("utf-8").splitlines()
        found = tuple(Identity.from_str(line.strip()) for line in lines if _MARK in line)
    except (OSError, ValueError, pyrage.IdentityError) as error:
        raise EvidenceError(f"--identity {path}: cannot be read: {error}") from error
    if not found:
        raise EvidenceError(f"--identity {path}: holds no line that begins with {_MARK}")
    return found


def open_originals(
    manifest: Manifest, files: Mapping[str, bytes], identities: Sequence[Identity]
) -> Iterator[tuple[str, bytes | None, str]]:
    """(path, content, "") of every encrypted file, or (path, None, what is wrong with it).

    `files` are the members as they are in the bundle; a missing one is somebody else's finding.
    """
    for item in manifest.files:
        data = files.get(item.path)
        if item.plain is None or data is None:
            continue
        try:
            content = pyrage.decrypt(data, list(identities))
        except pyrage.DecryptError as error:
            yield item.path, None, f"cannot be decrypted with this identity: {error}"
            continue
        if hashlib.sha256(content).hexdigest() != item.plain.sha256:
            yield item.path, None, ""
        else:
            yield item.path, content, ""
