"""From signed to filed: a bundle enters the log, gets its proof, and then its name.

The signed bundle is on the disk, hidden, before its manifest becomes a leaf; the proof is the
last member, and only then does the file get its name. Cut anywhere between, `recover` completes
what was staged: its manifest is whole and knows its place in the log.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle import container
from edge_agent.evidence.bundle.container import ContainerError
from edge_agent.evidence.bundle.logged import PROOF
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.log import Checkpoint, MerkleLog, Note, Proof
from edge_agent.evidence.staging import cannot, sync_folder, write_whole
from edge_agent.identity import leaf_hash

log = logging.getLogger(__name__)

_SUFFIX = ".staged"


@dataclass(frozen=True, slots=True)
class Recovered:
    """A bundle that was cut short and is now filed."""

    path: Path
    text: bytes
    """Its manifest."""
    manifest: Manifest


def file_bundle(path: Path, members: Mapping[str, bytes], merkle_log: MerkleLog | None) -> None:
    """Store a signed bundle under its name; raises EvidenceError when it cannot be.

    Without a log there is no proof. With one, the manifest names the log's next index.
    """
    if merkle_log is None:
        write_whole(path, container.pack(members.items()))
        return
    staged = path.with_name(f".{path.name}{_SUFFIX}")
    body = container.pack(members.items())
    write_whole(staged, body)
    index = merkle_log.append(members["manifest.json"])
    merkle_log.checkpoint()
    proof = merkle_log.prove(index).to_bytes()
    whole = container.pack([*members.items(), (PROOF, proof)])
    kept = container.directory_start(body)
    try:
        with staged.open("r+b") as file:  # what is there already is not written twice
            file.seek(kept)
            file.write(whole[kept:])
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, path)
        sync_folder(path.parent)
    except OSError as error:
        raise cannot(path, "be written", error) from error


def renew_proof(path: Path, merkle_log: MerkleLog, note: Note) -> bool:
    """Prove a bundle's entry under another checkpoint, e.g. one that a witness has cosigned.

    Nothing else of the file changes. False, and nothing is done, when the bundle is not in the
    log or came after that checkpoint. Raises EvidenceError when it cannot be read or written.
    """
    try:
        members = container.contents(path.read_bytes())
        manifest = Manifest.from_bytes(members["manifest.json"])
    except (OSError, ValueError, KeyError, ContainerError) as error:
        raise EvidenceError(
            f"{path}: is no bundle whose proof could be renewed: {error}"
        ) from error
    size = Checkpoint.parse(note.text).size
    if manifest.log is None or manifest.log.origin != merkle_log.origin:
        return False
    if manifest.log.index >= size:
        return False
    steps = merkle_log.inclusion(manifest.log.index, size)
    members[PROOF] = Proof(manifest.log.index, steps, note).to_bytes()
    write_whole(path, container.pack(members.items()))
    return True


def discard_staged(folder: Path) -> None:
    """Remove what was cut short; for a replay, which decides everything anew."""
    for staged in folder.glob(f".*{_SUFFIX}"):
        try:
            staged.unlink(missing_ok=True)
        except OSError as error:
            raise cannot(staged, "be removed", error) from error


def recover(folder: Path, merkle_log: MerkleLog) -> Iterator[Recovered]:
    """File the bundles that were cut short; one whose place in the log is taken is removed."""
    for unfinished in folder.glob(".*.part"):
        unfinished.unlink(missing_ok=True)
    for staged in sorted(folder.glob(f".*{_SUFFIX}")):
        try:
            members = _members(staged.read_bytes())
            text = members["manifest.json"]
            manifest = Manifest.from_bytes(text)
            index = -1 if manifest.log is None else manifest.log.index
        except (OSError, ValueError, EvidenceError) as error:
            log.warning("staged bundle unreadable", extra={"path": str(staged), "why": str(error)})
            continue
        if index == merkle_log.size:
            merkle_log.append(text)
        elif not 0 <= index < merkle_log.size or merkle_log.leaf(index) != leaf_hash(text):
            log.warning("staged bundle superseded", extra={"path": str(staged), "index": index})
            staged.unlink(missing_ok=True)
            continue
        merkle_log.checkpoint()
        proof = merkle_log.prove(index).to_bytes()
        path = staged.with_name(staged.name[1 : -len(_SUFFIX)])
        write_whole(path, container.pack([*members.items(), (PROOF, proof)]))
        staged.unlink(missing_ok=True)
        yield Recovered(path, text, manifest)


def _members(data: bytes) -> dict[str, bytes]:
    """The signed members; the proof and the directory after them may be half-written."""
    members: dict[str, bytes] = {}
    with contextlib.suppress(ContainerError):  # thrown by the half-written proof, if by anything
        for member in container.walk(data):
            members[member.name] = member.data or b""
    manifest = Manifest.from_bytes(members.get("manifest.json", b""))
    names = ("manifest.json", "manifest.dsse", *(item.path for item in manifest.files))
    if missing := [name for name in names if name not in members]:
        raise EvidenceError(f"{missing[0]} is missing in it")
    return {name: members[name] for name in names}
