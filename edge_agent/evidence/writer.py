"""Writes a case as a signed bundle: `<case>.evb`."""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import rfc8785

from edge_agent.clock import utc_text
from edge_agent.config import Evidence
from edge_agent.config.privacy import Policy
from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle import manifest
from edge_agent.evidence.bundle.chain import Chain, manifest_bytes
from edge_agent.evidence.bundle.contents import Contents, Earlier
from edge_agent.evidence.bundle.facts import (
    agreed_plate,
    case_facts,
    object_facts,
    plate_facts,
    shares_of,
    source_facts,
)
from edge_agent.evidence.bundle.filing import discard_staged, file_bundle, recover, renew_proof
from edge_agent.evidence.bundle.rates import frame_rates
from edge_agent.evidence.bundle.register import Link
from edge_agent.evidence.custody.encryption import Recipient, encrypt_originals
from edge_agent.evidence.custody.redaction import cut, redacted_copies
from edge_agent.evidence.custody.retention import delete_after
from edge_agent.evidence.derivatives.overlay import draw_overlay
from edge_agent.evidence.derivatives.sheet import with_sheet
from edge_agent.evidence.keys import DeviceKey
from edge_agent.evidence.log import MerkleLog, Note
from edge_agent.evidence.profiles import attachment, find_profile, measured
from edge_agent.evidence.staging import NoSpace, make_folder
from edge_agent.evidence.trust.dsse import Envelope
from edge_agent.geometry import Polygon
from edge_agent.identity import Origin, case_id
from edge_agent.ports import Redactor
from edge_agent.types import Bundle, Case, Image, Photo

log = logging.getLogger(__name__)

CLIP = "media/clip.mp4"
OVERLAY = "derived/wide-overlay.jpg"
UNWITNESSED = 64
"""So many of the newest bundles may still wait for a witness when the box starts."""
HEADERS = 128
"""Bytes that a container adds to each file, its name aside."""

Zones = Mapping[str, Mapping[str, Polygon]]
"""Camera -> zone -> outline."""


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
        self.folder = folder
        self._key = key
        self.origin = origin
        self._settings = settings
        self._zones = zones
        self._profile = find_profile(settings.profile) if settings.profile else None
        self.redactor: Redactor | None = None
        """Makes the copies that may be handed out; None: there are none."""
        self.policy: Policy | None = None
        """How long bundles are kept; None: until somebody deletes them."""
        self.recipients: Sequence[Recipient] = ()
        """Whose public keys originals are encrypted to; none: they stay readable."""
        self.log: MerkleLog | None = None
        """What every manifest becomes an entry of; None: bundles carry no proof of one."""
        self.witnessed: Callable[[], manifest.Cosigned | None] = lambda: None
        """The newest state of the log that a witness is known to have seen."""
        self._unwitnessed: set[Path] = set()
        self._chain = Chain(folder, origin.log, is_kept=origin.resumes)
        if not origin.resumes:
            self.restart()

    def changed(self, origin: Origin, settings: Evidence, zones: Zones) -> BundleWriter:
        """What goes on with this chain and log by another site file; the disk is not asked."""
        other = copy.copy(self)
        other.origin, other._settings, other._zones = origin, settings, zones
        other._profile = find_profile(settings.profile) if settings.profile else None
        return other

    def restart(self) -> None:
        """Begin the chain anew; bundles in the folder stay until the same case replaces them."""
        self._chain.restart()
        discard_staged(self.folder)
        if self.log is not None:
            self.log.restart()

    def recover(self) -> None:
        """File the bundles that a power cut kept from it; the log has all that came before them."""
        if self.log is not None:
            for found in recover(self.folder, self.log):
                link = _link(found.manifest, found.text)
                self._chain.append(found.manifest.case.id, link)
        newest = self._chain.newest(UNWITNESSED)
        self._unwitnessed.update(self._path(identity) for identity, _ in newest)

    def newest(self, count: int) -> Iterator[Bundle]:
        """The bundles that were written last, in order, as far as they are still there."""
        for identity, link in self._chain.newest(count):
            path = self._path(identity)
            try:
                facts = manifest.Manifest.from_bytes(manifest_bytes(path))
            except (OSError, ValueError, EvidenceError):
                continue
            yield Bundle(identity, str(path), link.manifest_sha256, facts.as_json())

    def write(
        self,
        case: Case,
        clip: bytes | None,
        shed: manifest.Shed | None = None,
        room: int | None = None,
    ) -> Bundle:
        """Encode, hash, sign and store the case; whole or, with an EvidenceError, not at all.

        A later revision replaces the file of the earlier one and names it in `supersedes`; when
        it brings no clip (a live camera's packets are gone by then), it keeps the earlier one's,
        and after a restart the photos as well.
        `shed` is what the case had to give up, `room` how many bytes the file may have: NoSpace is
        raised for one that is larger, before anything is written.
        """
        path = self.path_of(case)
        identity = path.stem
        before = self._chain.link_of(identity)
        contents = self._collect(case, clip, identity)
        case = self._kept(case, contents, path, before)
        if shed is not None:
            contents.give_up(shed)
        try:
            facts = self._manifest(case, contents, identity, before)
            if self._profile is not None:
                facts = measured(facts, self._profile)
            if self._settings.sheet:
                facts = with_sheet(facts, contents)
            if self.recipients:
                facts = encrypt_originals(facts, contents, self.recipients)
            text = facts.to_bytes()
        except ValueError as error:
            raise EvidenceError(f"case {identity}: a fact cannot be signed: {error}") from error
        members = {**self._sealed(text), **contents.ordered(facts)}
        _check_room(path, members, room)
        file_bundle(path, members, self.log)
        self._unwitnessed.add(path)
        link = _link(facts, text)
        self._chain.append(identity, link)
        return Bundle(identity, str(path), link.manifest_sha256, facts.as_json())

    def _kept(self, case: Case, contents: Contents, path: Path, before: Link | None) -> Case:
        """Keep what only the earlier revision has; the case with what it lacks as reasons."""
        needs_clip = case.clip_s is not None and CLIP not in contents.files
        wanted = [*case.kept, *(["clip"] if needs_clip else [])]
        earlier = Earlier.read(path, before.manifest_sha256) if wanted and before else None
        if earlier is not None:
            contents.keep(earlier, wanted, bool(self.recipients))
        if self.redactor is not None:
            contents.hide_originals()
        there = {item.role for item in contents.media}
        lost = [f"{role}: lost in a restart" for role in case.kept if role not in there]
        if not lost:
            return case
        return replace(case, reasons=(*case.reasons, *lost), is_complete=False)

    def _sealed(self, text: bytes) -> dict[str, bytes]:
        sealed = Envelope.sealed(text, self._key)
        return {"manifest.json": text, "manifest.dsse": sealed.to_bytes()}

    def path_of(self, case: Case) -> Path:
        """Where the bundle of a case lies."""
        begin = case.begin
        return self._path(case_id(self.origin, begin.camera, case.subject, begin.since_boot))

    def _path(self, identity: str) -> Path:
        return self.folder / f"{identity}.evb"

    def _collect(self, case: Case, clip: bytes | None, identity: str) -> Contents:
        contents = Contents()
        for photo in case.photos:
            seen = {} if case.plates is None else {"plate": plate_facts(case.plates[photo.role])}
            contents.media.append(self._photo(photo, contents, seen))
        if clip is not None and case.clip_s is not None:
            begin_s, end_s = (round(edge, 6) for edge in case.clip_s)
            entry = contents.add(CLIP, clip)
            contents.media.append(
                manifest.ClipFile(
                    **entry, role="clip", begin_s=begin_s, end_s=end_s, **frame_rates(clip)
                )
            )
        copies = {} if self.redactor is None else redacted_copies(case, self.redactor)
        for role, made in copies.items():
            entry = contents.add(made.path, self._jpeg(made.image, role))
            contents.derived.append(manifest.DerivedFile(**entry, **made.facts))
            contents.shown[role] = (made.path, made.image)
        for photo in case.photos:
            if photo.role == "wide" and (self.redactor is None or copies):
                wide = copies.get("wide")
                facts = wide.facts if wide else {"derived_from": "media/wide.jpg"}
                shown = wide.image if wide else photo.frame.image
                entry = contents.add(OVERLAY, self._overlay(case, photo, shown, identity))
                contents.derived.append(manifest.DerivedFile(**entry, **facts))
        attached = {"chain.pem": self._key.chain_pem, "device.json": self._device()}
        if self._profile is not None:
            attached |= attachment(self._profile)
        for path, data in attached.items():
            contents.attached.append(manifest.FileFacts(**contents.add(path, data)))
        return contents

    def _photo(
        self, photo: Photo, contents: Contents, seen: Mapping[str, Any]
    ) -> manifest.PhotoFile:
        image = cut(photo.frame.image, photo)
        entry = contents.add(f"media/{photo.role}.jpg", self._jpeg(image, photo.role))
        if self.redactor is None:
            contents.shown[photo.role] = (entry["path"], image)
        return manifest.PhotoFile(
            **entry,
            role=photo.role,
            width=image.shape[1],
            height=image.shape[0],
            frame=photo.frame.seq,
            pts_s=round(photo.frame.t_s, 6),
            utc=utc_text(photo.frame.wall),
            box=shares_of(photo.subject, photo.frame),
            crop=None if photo.crop is None else shares_of(photo.crop, photo.frame),
            sharpness=round(float(photo.sharpness), 3),
            encoding=manifest.Encoding(
                source="decoded frame",
                format="jpeg",
                quality=self._settings.jpeg_quality,
                bits=8 * image.shape[2],
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

    def _overlay(self, case: Case, photo: Photo, shown: Image, identity: str) -> bytes:
        event, frame = case.begin, photo.frame
        zone = self._zones.get(event.camera, {}).get(event.zone or "")
        caption = f"{utc_text(frame.wall)}  {self.origin.site['name']}/{event.camera}"
        text = str((case.plate or {}).get("text") or "")
        caption += f"  {event.zone or ''}  frame {frame.seq}  case {identity}"
        caption += f"  plate {text}" if text else ""
        return self._jpeg(draw_overlay(shown, zone, photo.subject, caption), "overlay")

    def _delete_after(self, case: Case) -> str | None:
        return None if self.policy is None else delete_after(case.latest.wall, self.policy)

    def _device(self) -> bytes:
        return rfc8785.dumps(
            {
                "device": self.origin.device,
                "fingerprint": self._key.fingerprint,
                "key": dict(self._key.facts),
                "software": self.origin.software,
                **_log_key(self.log),
            }
        )

    def _place(self) -> manifest.LogFacts | None:
        if self.log is None:
            return None
        after = self.witnessed()
        known = {} if after is None else {"after": after}
        return manifest.LogFacts(origin=self.log.origin, index=self.log.size, **known)

    @property
    def entries(self) -> set[int]:
        """Which entries of the log the bundles in the folder are."""
        return self._chain.entries()

    def store_register(self) -> None:
        """Spare the next start the reading of every bundle."""
        self._chain.store_register()

    def renew_proofs(self, note: Note) -> None:
        """Prove under a cosigned checkpoint what came before it and is not so proven yet."""
        for path in sorted(self._unwitnessed):
            try:
                if self.log is not None and renew_proof(path, self.log, note):
                    self._unwitnessed.discard(path)
            except EvidenceError as error:
                self._unwitnessed.discard(path)
                log.warning("proof not renewed", extra={"path": str(path), "why": str(error)})

    def _manifest(
        self, case: Case, contents: Contents, identity: str, before: Link | None
    ) -> manifest.Manifest:
        origin, camera = self.origin, self.origin.cameras[case.begin.camera]
        sync = None if case.clock is None else case.clock.sync
        reasons = [*origin.doubts(case.begin.camera, sync), *case.reasons, *case.doubts]
        return manifest.Manifest(
            format=manifest.FORMAT,
            case=case_facts(case, identity, origin.boot_id),
            evidential=not reasons,
            reasons=list(dict.fromkeys(reasons)),
            source=source_facts(case, camera.media),
            object=object_facts(case),
            media=contents.media,
            derived=contents.derived,
            attached=contents.attached,
            model=manifest.ModelFacts(name=camera.model.name, sha256=camera.model.sha256),
            config_sha256=origin.config_sha256,
            software=origin.software_for(case.begin.camera),
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
            log=self._place(),
            profile=None,
            privacy=manifest.Privacy(redacted=False, delete_after=self._delete_after(case)),
            **agreed_plate(case),
            **_shed(contents),
        )


def _log_key(log: MerkleLog | None) -> dict[str, Any]:
    return {} if log is None else {"log": {"origin": log.origin, "key": str(log.vkey)}}


def _check_room(path: Path, members: Mapping[str, bytes], room: int | None) -> None:
    size = sum(len(data) + 2 * len(name) + HEADERS for name, data in members.items())
    if room is not None and size > room:
        raise NoSpace(f"{path}: takes {size} bytes, there is room for {max(0, room)}")


def _shed(contents: Contents) -> dict[str, Any]:
    return {} if contents.shed is None else {"shed": contents.shed}


def _link(facts: manifest.Manifest, text: bytes) -> Link:
    return Link(facts.chain.index, _sha256(text), None if facts.log is None else facts.log.index)


def _as_dict(link: Link) -> dict[str, Any]:
    return {"index": link.index, "manifest_sha256": link.manifest_sha256}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
