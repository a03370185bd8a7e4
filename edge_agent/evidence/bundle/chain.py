"""The chain of bundles: each names the manifest before it, so none can go missing unnoticed."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import rfc8785
from pydantic import BaseModel, ConfigDict, ValidationError

from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle import tombstone
from edge_agent.evidence.bundle.container import first_member
from edge_agent.evidence.bundle.manifest import Manifest, Sha256
from edge_agent.evidence.staging import cannot, write_whole

log = logging.getLogger(__name__)

STATE_FILE = "chain.json"
MAX_MANIFEST = 1 << 22
_HEAD = 512


@dataclass(frozen=True, slots=True)
class Link:
    """One bundle's place in the chain."""

    index: int
    manifest_sha256: str


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    origin: str
    index: int
    manifest_sha256: Sha256


class Chain:
    """Knows the newest link of the bundles in one folder.

    `chain.json` is written after each bundle. Killed between the two, or left without it, the
    chain continues from the bundles themselves: the highest index wins.
    """

    def __init__(self, folder: Path, origin: str) -> None:
        self.origin = origin
        self._state = folder / STATE_FILE
        self._links: dict[str, Link] = {}
        self.head: Link | None = self._stored()
        for path in sorted(folder.glob("*.evb")):
            self._adopt(path)
        for path in sorted((folder / tombstone.FOLDER).glob(f"*{tombstone.SUFFIX}")):
            self._bury(path)

    def link_of(self, case_id: str) -> Link | None:
        """Where the latest revision of a case stands, if this chain holds one."""
        return self._links.get(case_id)

    def newest(self, count: int) -> list[tuple[str, Link]]:
        """The cases that were written last, in the order in which they were."""
        links = sorted(self._links.items(), key=lambda item: item[1].index)
        return links[-count:]

    def next_index(self) -> int:
        """Index of the bundle to come."""
        return 0 if self.head is None else self.head.index + 1

    def append(self, case_id: str, link: Link) -> None:
        """Take note of a bundle that is safely on the disk."""
        self.head = self._links[case_id] = link
        state = _State(origin=self.origin, index=link.index, manifest_sha256=link.manifest_sha256)
        try:
            write_whole(self._state, rfc8785.dumps(state.model_dump()))
        except EvidenceError as error:
            # Not lost: the bundle itself says where it stands, and the next start reads it.
            log.warning("chain state not stored", extra={"why": str(error)})

    def restart(self) -> None:
        """Forget what the folder holds: the next bundle is number 0 again."""
        self.head = None
        self._links.clear()
        try:
            self._state.unlink(missing_ok=True)
        except OSError as error:
            raise cannot(self._state, "be removed", error) from error

    def _stored(self) -> Link | None:
        try:
            state = _State.model_validate_json(self._state.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            why = "damaged" if isinstance(error, ValidationError) else str(error)
            log.warning(
                "chain state unreadable, the bundles are asked instead",
                extra={"path": str(self._state), "why": why},
            )
            return None
        return Link(state.index, state.manifest_sha256) if state.origin == self.origin else None

    def _adopt(self, path: Path) -> None:
        try:
            text = manifest_bytes(path)
            manifest = Manifest.from_bytes(text)
        except (OSError, ValueError, EvidenceError) as error:
            log.warning("bundle unreadable", extra={"path": str(path), "why": str(error)})
            return
        if manifest.chain.origin != self.origin:
            return
        link = Link(manifest.chain.index, hashlib.sha256(text).hexdigest())
        self._links[manifest.case.id] = link
        self._advance(link)

    def _bury(self, path: Path) -> None:
        """The place of a deleted bundle is not given to another one."""
        try:
            grave, _ = tombstone.read(path)
        except EvidenceError as error:
            log.warning("tombstone unreadable", extra={"why": str(error)})
            return
        if grave.chain.origin == self.origin:
            self._advance(Link(grave.chain.index, grave.manifest_sha256))

    def _advance(self, link: Link) -> None:
        if self.head is None or link.index > self.head.index:
            self.head = link


def manifest_bytes(path: Path) -> bytes:
    """The manifest of a bundle without reading the rest; raises OSError or EvidenceError."""
    with path.open("rb") as file:
        name, start, end = first_member(file.read(_HEAD))
        if name != "manifest.json" or end - start > MAX_MANIFEST:
            raise EvidenceError(f"{path}: does not begin with a manifest")
        file.seek(start)
        return file.read(end - start)
