"""The files of a bundle in the making."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle import container, manifest
from edge_agent.types import Image, Role

ORDER = ("enter", "wide", "close", "leave", "clip")


@dataclass(frozen=True, slots=True)
class Earlier:
    """The revision of a case that is about to be replaced."""

    manifest: manifest.Manifest
    files: Mapping[str, bytes | None]

    @classmethod
    def read(cls, path: Path, manifest_sha256: str) -> Earlier | None:
        """None where it is gone or is not the one that was written."""
        try:
            found = {member.name: member.data for member in container.unpack(path.read_bytes())}
            text = found.get("manifest.json") or b""
            if hashlib.sha256(text).hexdigest() != manifest_sha256:
                return None
            return cls(manifest.Manifest.from_bytes(text), found)
        except (OSError, ValueError, EvidenceError):
            return None


@dataclass
class Contents:
    """The files of a bundle in the making, and what the manifest will say of them."""

    files: dict[str, bytes] = field(default_factory=dict)
    media: list[manifest.PhotoFile | manifest.ClipFile] = field(default_factory=list)
    derived: list[manifest.DerivedFile] = field(default_factory=list)
    attached: list[manifest.FileFacts] = field(default_factory=list)
    shown: dict[Role, tuple[str, Image]] = field(default_factory=dict)
    """What people get to see of each photo: path and picture of itself, or of its redacted copy."""
    shed: manifest.Shed | None = None
    """What there is no room for."""

    def add(self, path: str, data: bytes) -> dict[str, Any]:
        """Put a file in; returns what every entry of the manifest begins with."""
        self.files[path] = data
        return {"path": path, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}

    def keep(self, earlier: Earlier, roles: Collection[str], encrypts: bool) -> None:
        """Keep clip or photos of the revision that is about to be replaced, if nobody touched them.

        What is encrypted is kept as it is, unless nothing is encrypted any more.
        """
        facts, is_restarted = earlier.manifest, any(role != "clip" for role in roles)
        for item in facts.media:
            if item.role not in roles or not self._takes(item, earlier, encrypts):
                continue
            if is_restarted and item.taken is None:
                first = manifest.Taken(boot_id=facts.device.boot_id, index=facts.chain.index)
                item = item.model_copy(update={"taken": first})  # noqa: PLW2901
            self.media.append(item)
            if isinstance(item, manifest.PhotoFile):
                self._keep_copies(item, earlier, encrypts)
        self.media.sort(key=lambda item: ORDER.index(item.role))

    def _keep_copies(self, photo: manifest.PhotoFile, earlier: Earlier, encrypts: bool) -> None:
        """Keep what was made from that photo alone; show it redacted, if there is such a copy."""
        shown = photo.path if photo.plain is None else None
        for item in earlier.manifest.derived:
            if item.originals == (photo.path,) and self._takes(item, earlier, encrypts):
                self.derived.append(item)
                shown = item.path if item.redaction is not None and item.plain is None else shown
        image = None if shown is None else _decoded(self.files[shown])
        if shown is not None and image is not None:
            self.shown[photo.role] = (shown, image)

    def hide_originals(self) -> None:
        """Where bystanders are made irrecognisable, nobody gets to see a photo without that."""
        self.shown = {
            role: shown for role, shown in self.shown.items() if shown[0].startswith("derived/")
        }

    def _takes(self, item: manifest.FileFacts, earlier: Earlier, encrypts: bool) -> bool:
        data = earlier.files.get(item.path) or b""
        is_whole = hashlib.sha256(data).hexdigest() == item.sha256
        if item.path in self.files or not is_whole or (item.plain is not None and not encrypts):
            return False
        self.files[item.path] = data
        return True

    def give_up(self, shed: manifest.Shed) -> None:
        """Take note of what is shed; the case came without it but for the derived copies."""
        self.shed = shed
        if "derived" in shed.what:
            for item in self.derived:
                del self.files[item.path]
            self.derived.clear()
            self.shown.clear()

    def ordered(self, facts: manifest.Manifest) -> dict[str, bytes]:
        """The files in the order in which the manifest lists them."""
        return {item.path: self.files[item.path] for item in facts.files}


def _decoded(data: bytes) -> Image | None:
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if found is None else np.asarray(found, np.uint8)
