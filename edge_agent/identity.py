"""Ids derived from content, so that a replay or a redelivery says the same thing twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.clock import UNSYNCED, Sync
from edge_agent.types import Media, ModelInfo


@dataclass(frozen=True, slots=True)
class CameraOrigin:
    """What one camera's events and bundles must name."""

    media: Media
    model: ModelInfo


@dataclass(frozen=True, slots=True)
class LogPlace:
    """An entry of the transparency log."""

    origin: str
    index: int

    def as_json(self) -> dict[str, str | int]:
        """As envelopes and manifests tell it."""
        return {"origin": self.origin, "index": self.index}


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
    is_paced: bool = False
    """Recordings are played as if they were live: never evidential, but never decided again."""

    @property
    def resumes(self) -> bool:
        """True when log and evidence go on where an earlier process left them."""
        return self.is_paced or not self.is_replay

    @property
    def is_replay(self) -> bool:
        return any(camera.media.kind == "replay" for camera in self.cameras.values())

    @property
    def log(self) -> str:
        """Name of the transparency log and of the chain of bundles: one per device and replay."""
        name = log_origin(self.site["name"], self.device)
        return f"{name}/replay/{self.boot_id}" if self.is_replay else name

    def software_for(self, camera: str) -> str:
        """What decided for that camera, with what ran its network if that was not the plain CPU."""
        runtime = self.cameras[camera].model.runtime
        return f"{self.software}, {runtime}" if runtime else self.software

    def doubts(self, camera: str, clock: Sync | None = None) -> list[str]:
        """Why what this camera says cannot be evidential, in the words of events and bundles.

        `clock` is what was known of the device's clock; a recording brings its own time.
        """
        media, model = self.cameras[camera].media, self.cameras[camera].model
        doubts = ["replay"] if media.kind == "replay" else []
        if not model.is_evidential:
            doubts.append(f"model {model.name} is not evidential")
        if media.start_from == "assumed" or (media.start_from == "clock" and clock is None):
            doubts.append(UNSYNCED)
        if media.kind == "live" and clock is not None:
            doubts.extend(clock.doubts)
        return doubts


def digest(*parts: str | int | float | None) -> str:
    """SHA-256 (hex) of the parts as a JSON array, so that no two lists of parts collide."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def log_origin(site: str, device: str) -> str:
    """Name of a device's own log."""
    return f"edge/{site}/{device}"


def leaf_hash(record: bytes) -> bytes:
    """What the transparency log keeps of a record (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\0" + record).digest()


def case_id(origin: Origin, camera: str, subject: str, since_boot: str | None = None) -> str:
    """24 hex digits naming one happening, whoever computes it and however often.

    since_boot: the boot in which it began, if that was an earlier one.
    """
    media = origin.cameras[camera].media
    media_key = media.sha256 or since_boot or origin.boot_id
    return digest(origin.site["name"], origin.device, camera, media_key, subject)[:24]
