"""What remains of a deleted bundle: a small signed record that says why its place is empty.

It lies in `tombstones/` beside the bundles as a DSSE envelope under the device's key and holds
nothing about what the bundle showed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import rfc8785
from pydantic import Field, ValidationError

from edge_agent.config.models import Name
from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle.manifest import (
    ChainFacts,
    Count,
    DeviceFacts,
    LogFacts,
    Manifest,
    Part,
    Sha256,
    Superseded,
    Utc,
    Words,
)
from edge_agent.evidence.keys import DeviceKey
from edge_agent.evidence.staging import cannot, make_folder, write_whole
from edge_agent.evidence.trust.certificates import Chain
from edge_agent.evidence.trust.dsse import Envelope
from edge_agent.types import Event

FORMAT: Final = "edge-agent.tombstone/1"
PAYLOAD_TYPE: Final = "application/vnd.edge-agent.tombstone+json"
FOLDER: Final = "tombstones"
SUFFIX: Final = ".dsse"
_UNTOLD: Final = f".untold{SUFFIX}"
"""Of those of which no event speaks yet."""
_CaseId = Annotated[str, Field(pattern=r"^[0-9a-z]{1,64}$")]


class Tombstone(Part):
    """A bundle that was deleted, and by which rule."""

    format: Literal["edge-agent.tombstone/1"]
    case: _CaseId
    manifest_sha256: Sha256
    size: Count
    """Of the bundle, in bytes."""
    chain: ChainFacts
    supersedes: Superseded | None
    log: LogFacts | None
    """Where its manifest stands in the transparency log."""
    camera: Name
    device: DeviceFacts
    deleted_at: Utc
    reason: Words
    policy: Words

    @classmethod
    def of(cls, manifest: Manifest, text: bytes, size: int, why: tuple[str, str, str]) -> Tombstone:
        """For the bundle with that manifest; `why` is when (RFC 3339), the reason, the policy."""
        deleted_at, reason, policy = why
        return cls(
            format=FORMAT,
            case=manifest.case.id,
            manifest_sha256=hashlib.sha256(text).hexdigest(),
            size=size,
            chain=manifest.chain,
            supersedes=manifest.supersedes,
            log=manifest.log,
            camera=manifest.source.camera,
            device=manifest.device,
            deleted_at=deleted_at,
            reason=reason,
            policy=policy,
        )

    @property
    def payload(self) -> bytes:
        """What is signed: canonical JSON (RFC 8785)."""
        return rfc8785.dumps(self.model_dump(mode="json"))

    def write(self, evidence: Path, key: DeviceKey) -> Path:
        """Sign it and store it beside the bundles; returns where."""
        path = evidence / FOLDER / f"{self.case}{_UNTOLD}"
        make_folder(path.parent)
        write_whole(path, Envelope.sealed(self.payload, key, PAYLOAD_TYPE).to_bytes())
        return path


def as_event(grave: Tombstone, cameras: Sequence[str]) -> Event:
    """What the world is told; of a camera that the site has, as an event must have one."""
    return Event(
        camera=grave.camera if grave.camera in cameras else cameras[0],
        kind="evidence.deleted",
        subject=f"evidence.deleted/{grave.case}",
        phase="end",
        begin_s=0.0,
        t_s=0.0,
        wall=datetime.fromisoformat(grave.deleted_at),
        frame=0,
        facts={
            "deleted_manifest_sha256": grave.manifest_sha256,
            "tombstone_sha256": hashlib.sha256(grave.payload).hexdigest(),
            "policy": grave.policy,
        },
    )


def find(evidence: Path, case: str) -> Path | None:
    """Where the tombstone of a case lies, if it has one."""
    paths = (evidence / FOLDER / f"{case}{suffix}" for suffix in (SUFFIX, _UNTOLD))
    return next((path for path in paths if path.exists()), None)


def untold(evidence: Path) -> list[Path]:
    """Those of which no event speaks yet."""
    return sorted((evidence / FOLDER).glob(f"*{_UNTOLD}"))


def mark_told(path: Path) -> None:
    """An event speaks of it now, and will be delivered."""
    try:
        path.replace(path.with_name(path.name.removesuffix(_UNTOLD) + SUFFIX))
    except OSError as error:
        raise cannot(path, "be renamed", error) from error


def read(path: Path) -> tuple[Tombstone, Envelope]:
    """What a file says, signed by whom it may be; raises EvidenceError."""
    try:
        envelope = Envelope.from_bytes(path.read_bytes())
        if envelope.payload_type != PAYLOAD_TYPE:
            raise ValueError("is no tombstone")
        found = Tombstone.model_validate_json(envelope.payload)
        if found.payload != envelope.payload:
            raise ValueError("is not in canonical form")
    except ValidationError as error:
        raise EvidenceError(f"{path}: is not a tombstone of {FORMAT}") from error
    except (OSError, ValueError) as error:
        raise EvidenceError(f"{path}: {error}") from error
    return found, envelope


def is_signed(envelope: Envelope, chain: Chain) -> bool:
    """True when that device signed it."""
    is_its = envelope.key_id == chain.fingerprint
    return is_its and chain.covers(envelope.signed, envelope.signature)
