"""What a manifest says against itself: signed, perhaps, but impossible."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from edge_agent.clock import MAX_ERROR_MS, STEPPED, UNSYNCED
from edge_agent.evidence.bundle.manifest import ClipFile, Manifest, Moment, PhotoFile
from edge_agent.evidence.case.legibility import Shown, plate_doubts
from edge_agent.identity import digest

MILLISECOND_S = 0.00101
"""Times of day are told in whole milliseconds, media times rounded to microseconds."""
ROUNDED_S = 0.001
"""Durations are rounded to milliseconds."""


def contradictions(manifest: Manifest) -> Iterator[str]:
    """Everything that cannot be true together, as text."""
    for check in (
        _identity,
        _order,
        _bounds,
        _clock,
        _trust,
        _room,
        _marks,
        _plates,
        _places,
        _links,
    ):
        yield from check(manifest)


def _identity(manifest: Manifest) -> Iterator[str]:
    boot_id = manifest.case.boot_id or manifest.device.boot_id
    media = manifest.source.media_sha256 or boot_id
    parts = (manifest.site.get("name"), manifest.device.id, manifest.source.camera, media)
    if digest(*parts, manifest.case.subject)[:24] != manifest.case.id:
        yield "the case's id does not follow from site, device, camera and subject"
    origin = f"edge/{manifest.site.get('name')}/{manifest.device.id}"
    if manifest.source.kind == "replay":
        origin += f"/replay/{manifest.device.boot_id}"
    if manifest.chain.origin != origin:
        yield "the chain is another one's"
    if manifest.log is not None and manifest.log.origin != origin:
        yield "the log is another one's"


def _order(manifest: Manifest) -> Iterator[str]:
    photos: dict[str, PhotoFile] = {photo.role: photo for photo in manifest.photos}
    if len(photos) != len(manifest.photos):
        yield "two photos have the same role"
    for earlier, later in (("enter", "wide"), ("wide", "leave"), ("enter", "leave")):
        a, b = photos.get(earlier), photos.get(later)
        if a is not None and b is not None and _is_earlier(b, a, manifest):
            yield f"{later} was taken before {earlier}"
    in_order = sorted(manifest.photos, key=lambda photo: (_index(photo, manifest), photo.frame))
    for a, b in pairwise(in_order):
        is_one_run = _index(a, manifest) == _index(b, manifest)
        is_at_odds = (a.frame == b.frame) != (a.pts_s == b.pts_s) and is_one_run
        if is_at_odds or (a.pts_s > b.pts_s and _boot(a, manifest) == _boot(b, manifest)):
            yield f"the times of {a.role} and {b.role} contradict their frame numbers"


def _is_earlier(photo: PhotoFile, other: PhotoFile, manifest: Manifest) -> bool:
    """By the media clock of one boot, else by which bundle had it first."""
    if _boot(photo, manifest) == _boot(other, manifest):
        return photo.pts_s < other.pts_s
    return _index(photo, manifest) < _index(other, manifest)


def _index(photo: PhotoFile, manifest: Manifest) -> int:
    return manifest.chain.index if photo.taken is None else photo.taken.index


def _boot(photo: PhotoFile, manifest: Manifest) -> str:
    return manifest.device.boot_id if photo.taken is None else photo.taken.boot_id


def _bounds(manifest: Manifest) -> Iterator[str]:
    case = manifest.case
    begin_s, end_s = case.begin.pts_s, case.latest.pts_s
    if end_s < begin_s:
        yield "the case ends before it begins"
    if case.since_s > begin_s:
        yield "the case was decided before it began"
    if not 0 <= case.dwell_s <= end_s - case.since_s + ROUNDED_S:
        yield "the time that the vehicle stood is not that of the case"
    here = manifest.device.boot_id
    for photo in (photo for photo in manifest.photos if _boot(photo, manifest) == here):
        if photo.role == "enter" and photo.pts_s > begin_s:
            yield "enter was taken after the beginning"
        if photo.role in ("wide", "leave") and photo.pts_s < begin_s:
            yield f"{photo.role} was taken before the beginning"
        if case.phase == "end" and photo.pts_s > end_s:
            yield f"{photo.role} was taken after the end"


def _clock(manifest: Manifest) -> Iterator[str]:
    """In a recording, the time of day follows from its start; a live camera's clock may step.

    One that is played at a camera's pace is timed by the device's clock, as a camera is.
    """
    if manifest.source.kind != "replay" or manifest.source.start_from == "clock":
        return
    start = datetime.fromisoformat(manifest.source.start)
    moments: dict[str, Moment | PhotoFile] = {photo.role: photo for photo in manifest.photos}
    moments |= {"the beginning": manifest.case.begin, "the latest event": manifest.case.latest}
    for name, moment in moments.items():
        passed_s = (datetime.fromisoformat(moment.utc) - start).total_seconds()
        if abs(passed_s - moment.pts_s) > MILLISECOND_S:
            yield f"the time of {name} is not that of the recording"


def _trust(manifest: Manifest) -> Iterator[str]:
    """What the device knew of its clock, and the reasons that follow from it."""
    source = manifest.source
    clock, reasons = source.clock, manifest.reasons
    if source.kind == "replay":
        if clock is not None and source.start_from != "clock":
            yield "a recording tells of a device's clock"
        return
    if clock is None:
        if source.start_from == "clock" and UNSYNCED not in reasons:
            yield f"its time is the device's own, its reasons do not say `{UNSYNCED}`"
        return
    is_close = clock.max_error_ms is not None and clock.max_error_ms <= MAX_ERROR_MS
    if not (clock.synced and is_close) and UNSYNCED not in reasons:
        yield f"what is told of the clock means `{UNSYNCED}`, its reasons do not say it"
    if clock.steps and STEPPED not in reasons:
        yield f"the clock was stepped, its reasons do not say `{STEPPED}`"


def _room(manifest: Manifest) -> Iterator[str]:
    """What was given up for want of room is not there, and photos are missed by name."""
    shed, reasons = manifest.shed, manifest.case.reasons
    if shed is None:
        return
    there = {item.role for item in manifest.media} | ({"derived"} if manifest.derived else set())
    for what in shed.what:
        if what in there:
            yield f"{what} was given up for want of room, and is there"
    if shed.reason is not None and shed.reason not in reasons:
        yield f"photos were given up, its reasons do not say `{shed.reason}`"


def _marks(manifest: Manifest) -> Iterator[str]:
    if manifest.evidential and manifest.source.kind == "replay":
        yield "a replay claims to be evidential"
    if manifest.evidential == bool(manifest.reasons):
        yield "its evidential mark and its reasons contradict each other"
    if manifest.case.is_complete == bool(manifest.case.reasons):
        yield "complete and partial contradict each other"
    if manifest.case.is_complete and len(manifest.photos) != 4:
        yield f"a complete case with {len(manifest.photos)} photos"
    if manifest.case.is_complete and manifest.case.phase != "end":
        yield "the case is complete before it has ended"


def _plates(manifest: Manifest) -> Iterator[str]:
    """What the photos show, what is made of it, and the reasons that follow."""
    seen = [photo.plate for photo in manifest.photos if photo.plate is not None]
    agreed = manifest.plate
    if agreed is None:
        if seen:
            yield "photos show plates, but nothing is said of them together"
        return
    if len(seen) < len(manifest.photos):
        yield "the plate was not looked at in every photo"
    for plate in (*seen, agreed):
        is_read = plate.text is not None
        if len(plate.text or "") != len(plate.chars) or is_read != (plate.reason is None):
            yield "a plate's text contradicts its scores or its reason"
        if plate.confidence != min(plate.chars, default=0.0):
            yield "a plate is told to be surer than its weakest character"
    if agreed.text is not None and agreed.reads < 2:
        yield "a plate counts as known that was not read twice"
    told = Shown(agreed.text, agreed.chars)
    for doubt in plate_doubts([Shown(p.text, p.chars, p.reason) for p in seen], told):
        if doubt not in manifest.reasons:
            yield f"the photos say `{doubt}`, its reasons do not"


def _places(manifest: Manifest) -> Iterator[str]:
    """Originals lie in `media/` under their role, and nothing else lies there."""
    for item in manifest.media:
        path = "media/clip.mp4" if isinstance(item, ClipFile) else f"media/{item.role}.jpg"
        path += ".age" if item.plain is not None else ""
        if item.path != path:
            yield f"{item.role} lies in {item.path}, not in {path}"
        if (item.plain is None) != (manifest.privacy.encrypted_to is None):
            yield f"{item.path} contradicts what is said of encryption"
    for derived in manifest.derived:
        if not derived.path.startswith("derived/"):
            yield f"{derived.path} is derived, but does not lie in derived/"
    for attached in manifest.attached:
        if attached.path.startswith(("media/", "derived/")):
            yield f"{attached.path} is attached, but lies among the pictures"


def _links(manifest: Manifest) -> Iterator[str]:
    paths = [item.path for item in manifest.files]
    if len(set(paths)) != len(paths):
        yield "a file is listed twice"
    originals = {item.path for item in manifest.media}
    for item in manifest.derived:
        for name in item.originals:
            if name not in originals:
                yield f"{item.path} derives from {name}, which is not there"
        originals.add(item.path)  # a sheet may be made from redacted copies, listed before it
    if (manifest.chain.index == 0) != (manifest.chain.previous is None):
        yield "only the first bundle of a chain has none before it"
    if manifest.supersedes is not None and manifest.supersedes.index >= manifest.chain.index:
        yield "it supersedes a later bundle"
    latest = -1 if manifest.supersedes is None else manifest.supersedes.index
    for photo in manifest.photos:
        if photo.taken is not None and photo.taken.index > latest:
            yield f"{photo.role} came over from a bundle that it does not supersede"
