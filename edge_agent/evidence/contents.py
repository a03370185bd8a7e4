"""The files of a bundle in the making."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.errors import EvidenceError
from edge_agent.evidence import container, manifest
from edge_agent.types import Image, Role


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

    def keep_clip(self, path: Path, manifest_sha256: str, encrypts: bool) -> None:
        """Keep the clip of the revision that is about to be replaced, if nobody has touched it.

        An encrypted one is kept as it is, unless nothing is encrypted any more.
        """
        try:
            found = {member.name: member.data for member in container.unpack(path.read_bytes())}
            text = found.get("manifest.json") or b""
            if hashlib.sha256(text).hexdigest() != manifest_sha256:
                return
            earlier = manifest.Manifest.from_bytes(text)
        except (OSError, ValueError, EvidenceError):
            return
        for item in earlier.media:
            data = found.get(item.path) or b""
            if item.plain is not None and not encrypts:
                continue
            if item.role == "clip" and hashlib.sha256(data).hexdigest() == item.sha256:
                self.files[item.path] = data
                self.media.append(item)

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
