"""Ids derived from content, so that a replay or a redelivery says the same thing twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.types import Media, ModelInfo


@dataclass(frozen=True, slots=True)
class CameraOrigin:
    """What one camera's events and bundles must name."""

    media: Media
    model: ModelInfo


@dataclass(frozen=True, slots=True)
class Origin:
    """Who is speaking: the same for every event of one run."""

    site: Mapping[str, Any]
    """`name`, `lat`, `lon`, `responsible`, as the envelope's `data.site` carries them."""
    device: str
    boot_id: str
    """The kernel's boot id; for a replay the id of the run."""
    config_sha256: str
    software: str
    cameras: Mapping[str, CameraOrigin]

    @property
    def is_replay(self) -> bool:
        return any(camera.media.kind == "replay" for camera in self.cameras.values())

    def doubts(self, camera: str) -> list[str]:
        """Why nothing from this camera can be evidential, in the words of events and bundles."""
        media, model = self.cameras[camera].media, self.cameras[camera].model
        doubts = ["replay"] if media.kind == "replay" else []
        if not model.is_evidential:
            doubts.append(f"model {model.name} is not evidential")
        if media.start_from in ("assumed", "clock"):
            doubts.append("clock not synchronised")
        return doubts


def digest(*parts: str | int | float | None) -> str:
    """SHA-256 (hex) of the parts as a JSON array, so that no two lists of parts collide."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def case_id(origin: Origin, camera: str, subject: str) -> str:
    """24 hex digits naming one happening, whoever computes it and however often."""
    media = origin.cameras[camera].media
    media_key = media.sha256 or origin.boot_id
    return digest(origin.site["name"], origin.device, camera, media_key, subject)[:24]
