"""Writes a case as a signed bundle: `<case>.evb`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import rfc8785

from edge_agent.clock import utc_text
from edge_agent.config import Evidence
from edge_agent.errors import EvidenceError
from edge_agent.evidence import container, manifest
from edge_agent.evidence.chain import Chain, Link, chain_origin
from edge_agent.evidence.dsse import Envelope
from edge_agent.evidence.keys import GRADE, DeviceKey
from edge_agent.evidence.legibility import Shown
from edge_agent.evidence.overlay import draw_overlay
from edge_agent.evidence.staging import make_folder, write_whole
from edge_agent.geometry import Polygon
from edge_agent.identity import Origin, case_id
from edge_agent.text import printable
from edge_agent.types import Box, Bundle, Case, Event, Frame, Image, Photo, PlateRead

CLIP = "media/clip.mp4"
OVERLAY = "derived/wide-overlay.jpg"

Zones = Mapping[str, Mapping[str, Polygon]]
"""Camera -> zone -> outline."""


@dataclass
class Contents:
    """The files of a bundle in the making, and what the manifest will say of them."""

    files: dict[str, bytes] = field(default_factory=dict)
    media: list[manifest.PhotoFile | manifest.ClipFile] = field(default_factory=list)
    derived: list[manifest.DerivedFile] = field(default_factory=list)
    attached: list[manifest.FileFacts] = field(default_factory=list)

    def add(self, path: str, data: bytes) -> dict[str, Any]:
        """Put a file in; returns what every entry of the manifest begins with."""
        self.files[path] = data
        return {"path": path, "sha256": _sha256(data), "bytes": len(data)}


class BundleWriter:
    """Writes the bundles of one device, or of one replay, into one folder.

    Bundles form a chain (see `chain`). A replay's chain always begins anew with its writer, so
    that a replay repeated or resumed after a kill writes the same bytes as one that ran through;
    a live device's chain goes on where the folder left off.
    """

    def __init__(
        self, folder: Path, key: DeviceKey, origin: Origin, settings: Evidence, zones: Zones
    ) -> None:
        make_folder(folder)
        self._folder = folder
        self._key = key
        self._origin = origin
        self._settings = settings
        self._zones = zones
        self._chain = Chain(folder, chain_origin(origin))
        if origin.is_replay:
            self.restart()

    def restart(self) -> None:
        """Begin the chain anew; bundles in the folder stay until the same case replaces them."""
        self._chain.restart()

    def write(self, case: Case, clip: bytes | None) -> Bundle:
        """Encode, hash, sign and store the case; whole or, with an EvidenceError, not at all.

        A later revision replaces the file of the earlier one and names it in `supersedes`; when
        it brings no clip (a live camera's packets are gone by then), it keeps the earlier one's.
        """
        identity = case_id(self._origin, case.begin.camera, case.subject)
        path = self._folder / f"{identity}.evb"
        before = self._chain.link_of(identity)
        if clip is None and case.clip_s is not None and before is not None:
            clip = _earlier_clip(path, before)
        contents = self._collect(case, clip, identity)
        try:
            facts = self._manifest(case, contents, identity, before)
            text = facts.to_bytes()
        except ValueError as error:
            raise EvidenceError(f"case {identity}: a fact cannot be signed: {error}") from error
        envelope = Envelope(text, b"", self._key.fingerprint)
        sealed = Envelope(text, self._key.sign(envelope.signed), self._key.fingerprint)
        members = {"manifest.json": text, "manifest.dsse": sealed.to_bytes(), **contents.files}
        write_whole(path, container.pack(members.items()))
        link = Link(facts.chain.index, _sha256(text))
        self._chain.append(identity, link)
        return Bundle(identity, str(path), link.manifest_sha256, facts.as_json())

    def _collect(self, case: Case, clip: bytes | None, identity: str) -> Contents:
        contents = Contents()
        for photo in case.photos:
            seen = {} if case.plates is None else {"plate": _plate(case.plates[photo.role])}
            contents.media.append(self._photo(photo, contents, seen))
        if clip is not None and case.clip_s is not None:
            begin_s, end_s = (round(edge, 6) for edge in case.clip_s)
            entry = contents.add(CLIP, clip)
            contents.media.append(
                manifest.ClipFile(**entry, role="clip", begin_s=begin_s, end_s=end_s)
            )
        for photo in case.photos:
            if photo.role == "wide":
                entry = contents.add(OVERLAY, self._overlay(case, photo, identity))
                source = "media/wide.jpg"
                contents.derived.append(manifest.DerivedFile(**entry, derived_from=source))
        for path, data in (("chain.pem", self._key.chain_pem), ("device.json", self._device())):
            contents.attached.append(manifest.FileFacts(**contents.add(path, data)))
        return contents

    def _photo(
        self, photo: Photo, contents: Contents, seen: Mapping[str, Any]
    ) -> manifest.PhotoFile:
        image = photo.frame.image
        if photo.crop is not None:
            x1, y1, x2, y2 = (round(edge) for edge in _edges(photo.crop))
            image = image[y1:y2, x1:x2]
        entry = contents.add(f"media/{photo.role}.jpg", self._jpeg(image, photo.role))
        return manifest.PhotoFile(
            **entry,
            role=photo.role,
            width=image.shape[1],
            height=image.shape[0],
            frame=photo.frame.seq,
            pts_s=round(photo.frame.t_s, 6),
            utc=utc_text(photo.frame.wall),
            box=_normalised(photo.subject, photo.frame),
            crop=None if photo.crop is None else _normalised(photo.crop, photo.frame),
            sharpness=round(float(photo.sharpness), 3),
            encoding=manifest.Encoding(
                source="decoded frame", format="jpeg", quality=self._settings.jpeg_quality
            ),
            **seen,
        )

    def _jpeg(self, image: Image, what: str) -> bytes:
        options = [cv2.IMWRITE_JPEG_QUALITY, self._settings.jpeg_quality]
        try:
            is_done, encoded = cv2.imencode(".jpg", image, options)
        except cv2.error as error:
            raise EvidenceError(f"photo {what}: cannot be encoded: {error.err}") from error
        if not is_done:
            raise EvidenceError(f"photo {what}: cannot be encoded as JPEG ({image.shape})")
        return encoded.tobytes()

    def _overlay(self, case: Case, photo: Photo, identity: str) -> bytes:
        event, frame = case.begin, photo.frame
        zone = self._zones.get(event.camera, {}).get(event.zone or "")
        caption = f"{utc_text(frame.wall)}  {self._origin.site['name']}/{event.camera}"
        text = str((case.plate or {}).get("text") or "")
        caption += f"  {event.zone or ''}  frame {frame.seq}  case {identity}"
        caption += f"  plate {text}" if text and text.isascii() else ""  # has no other letters
        return self._jpeg(draw_overlay(frame.image, zone, photo.subject, caption), "overlay")

    def _device(self) -> bytes:
        return rfc8785.dumps(
            {
                "device": self._origin.device,
                "fingerprint": self._key.fingerprint,
                "key": {"algorithm": "ES256", "grade": GRADE},
                "software": self._origin.software,
            }
        )

    def _manifest(
        self, case: Case, contents: Contents, identity: str, before: Link | None
    ) -> manifest.Manifest:
        origin, camera = self._origin, self._origin.cameras[case.begin.camera]
        sync = None if case.clock is None else case.clock.sync
        reasons = [*origin.doubts(case.begin.camera, sync), *case.reasons, *case.doubts]
        return manifest.Manifest(
            format=manifest.FORMAT,
            case=_case_facts(case, identity),
            evidential=not reasons,
            reasons=list(dict.fromkeys(reasons)),
            source=manifest.SourceFacts(
                kind=camera.media.kind,
                camera=case.begin.camera,
                media_name=printable(camera.media.name),
                media_sha256=camera.media.sha256,
                start=utc_text(camera.media.start),
                start_from=camera.media.start_from,
                **_clock(case),
            ),
            object=_object_facts(case),
            media=contents.media,
            derived=contents.derived,
            attached=contents.attached,
            model=manifest.ModelFacts(name=camera.model.name, sha256=camera.model.sha256),
            config_sha256=origin.config_sha256,
            software=origin.software,
            site=dict(origin.site),
            device=manifest.DeviceFacts(
                id=origin.device, fingerprint=self._key.fingerprint, boot_id=origin.boot_id
            ),
            chain=manifest.ChainFacts(
                origin=self._chain.origin,
                index=self._chain.next_index(),
                previous=self._chain.head.manifest_sha256 if self._chain.head else None,
            ),
            supersedes=None if before is None else manifest.Superseded(**_as_dict(before)),
            log=None,
            profile=None,
            privacy=manifest.Privacy(redacted=False, delete_after=None),
            **_agreed(case),
        )


def _case_facts(case: Case, identity: str) -> manifest.CaseFacts:
    begin, latest = case.begin, case.latest
    stated = latest.facts.get("dwell_s")
    dwell_s = stated if isinstance(stated, int | float) else latest.t_s - begin.begin_s
    return manifest.CaseFacts(
        id=identity,
        kind=begin.kind,
        subject=case.subject,
        zone=begin.zone,
        revision=case.revision,
        phase=latest.phase,
        since_s=round(begin.begin_s, 6),
        begin=_moment(begin),
        latest=_moment(latest),
        dwell_s=round(float(dwell_s), 3),
        is_complete=case.is_complete,
        reasons=list(case.reasons),
        facts=dict(latest.facts),
    )


def _plate(read: PlateRead | None) -> manifest.PlateFacts:
    shown = Shown.of(read)
    return manifest.PlateFacts(
        text=shown.text,
        confidence=min(shown.char_scores, default=0.0),
        chars=list(shown.char_scores),
        region=read.region if read is not None and shown.text is not None else None,
        reason=shown.reason,
    )


def _agreed(case: Case) -> dict[str, manifest.AgreedPlate]:
    plate = case.plate
    if plate is None:
        return {}
    agreed = manifest.AgreedPlate(
        text=plate["text"],
        confidence=plate["confidence"],
        chars=list(plate.get("chars", ())),
        region=plate["region"],
        reason=plate.get("reason"),
        reads=plate["reads"],
        models=[manifest.ModelFacts(name=m.name, sha256=m.sha256) for m in case.plate_models],
    )
    return {"plate": agreed}


def _clock(case: Case) -> dict[str, manifest.ClockFacts]:
    if case.clock is None:
        return {}
    sync, steps = case.clock.sync, case.clock.steps
    clock = manifest.ClockFacts(
        ref=sync.ref,
        synced=sync.is_synced,
        max_error_ms=sync.max_error_ms,
        steps=[
            manifest.StepFacts(before=utc_text(step.before), after=utc_text(step.after))
            for step in steps
        ],
    )
    return {"clock": clock}


def _object_facts(case: Case) -> manifest.ObjectFacts | None:
    track = case.begin.track
    sizes = [(photo.frame.width, photo.frame.height) for photo in case.photos]
    if "picture" in case.begin.facts:
        sizes.insert(0, case.begin.facts["picture"])
    if track is None or not sizes:
        return None
    width, height = sizes[0]
    return manifest.ObjectFacts(
        track=track.id,
        cls=track.cls,
        confidence=round(float(track.score), 4),
        box=_shares(track.box, width, height),
    )


def _moment(event: Event) -> manifest.Moment:
    return manifest.Moment(utc=utc_text(event.wall), pts_s=round(event.t_s, 6), frame=event.frame)


def _normalised(box: Box, frame: Frame) -> list[float]:
    return _shares(box, frame.width, frame.height)


def _shares(box: Box, width: int, height: int) -> list[float]:
    sizes = (width, height, width, height)
    return [round(float(edge) / size, 6) for edge, size in zip(_edges(box), sizes, strict=True)]


def _edges(box: Box) -> tuple[float, float, float, float]:
    return box.x1, box.y1, box.x2, box.y2


def _as_dict(link: Link) -> dict[str, Any]:
    return {"index": link.index, "manifest_sha256": link.manifest_sha256}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _earlier_clip(path: Path, before: Link) -> bytes | None:
    """The clip of the revision that is about to be replaced, provided nobody has touched it."""
    try:
        found = {member.name: member.data for member in container.unpack(path.read_bytes())}
        text = found.get("manifest.json") or b""
        if _sha256(text) != before.manifest_sha256:
            return None
        earlier = manifest.Manifest.from_bytes(text)
    except (OSError, ValueError, EvidenceError):
        return None
    clip = found.get(CLIP)
    hashes = {item.path: item.sha256 for item in earlier.media}
    return clip if clip is not None and _sha256(clip) == hashes.get(CLIP) else None
