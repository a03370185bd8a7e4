"""Room on the disk for evidence, and what is given up for want of it: never the record.

A case that does not fit gives up its clip, then the derived copies, then the photos of arrival
and departure, then the other two. What is left, the record, is the signed manifest: some
kilobytes, for which a ballast file that holds nothing is kept and given up. Replays do without:
two of them must give the same bytes, so one that finds no room ends and can be resumed.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from edge_agent.config import Evidence
from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle.chain import manifest_bytes
from edge_agent.evidence.bundle.manifest import Manifest, Shed
from edge_agent.evidence.case.legibility import Shown, plate_doubts
from edge_agent.evidence.staging import NoSpace, cannot
from edge_agent.evidence.writer import BundleWriter
from edge_agent.types import Bundle, Case

log = logging.getLogger(__name__)

MB = 1_000_000
BALLAST_FILE = ".ballast"
BALLAST_BYTES = 8 * MB
"""Room for some five hundred records, their envelopes and their leaves."""
RECORD_BYTES = 64_000
"""More than any record takes."""

Bound = Literal["disk budget", "disk full"]
What = Literal["clip", "derived", "enter", "leave", "wide", "close"]
REMEDIES: Final[dict[Bound, str]] = {
    "disk budget": "raise `evidence.disk_budget_mb`, have `privacy.retention` delete what is due, "
    "or move old bundles elsewhere",
    "disk full": "free some space, have `privacy.retention` delete what is due, or move old "
    "bundles elsewhere",
}
LADDER: Final[tuple[tuple[What, ...], ...]] = (
    (),
    ("clip",),
    ("clip", "derived"),
    ("clip", "derived", "enter", "leave"),
    ("clip", "derived", "enter", "leave", "wide", "close"),
)
"""What is given up, step by step, until the rest fits."""


@dataclass(frozen=True, slots=True)
class Ballast:
    """Space that is kept so that a full disk still takes what was decided."""

    folder: Path
    size: int = BALLAST_BYTES

    @property
    def path(self) -> Path:
        return self.folder / BALLAST_FILE

    def release(self) -> bool:
        """Give it up; True when that made room."""
        try:
            self.path.unlink()
        except OSError:
            return False
        log.warning("disk full: ballast given up", extra={"bytes": self.size})
        return True

    def restore(self, min_free: int) -> None:
        """Take it again where that leaves so many bytes free."""
        try:
            if not self.path.exists() and (free_bytes(self.folder) or 0) >= min_free + self.size:
                with self.path.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, self.size)
        except OSError as error:
            self.path.unlink(missing_ok=True)
            log.warning("no room for ballast", extra={"why": error.strerror})


def free_bytes(folder: Path) -> int | None:
    """What this user may still write there; None where the disk does not answer."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


class Storage:
    """Writes bundles into a folder whose disk may be full; in place of a bare `BundleWriter`."""

    def __init__(self, bundles: BundleWriter, ballast: Ballast, settings: Evidence) -> None:
        self.ballast = ballast
        self._bundles = bundles
        self._budget = None if settings.disk_budget_mb is None else settings.disk_budget_mb * MB
        self._min_free = settings.min_free_mb * MB
        self.shedding: Bound | None = None
        """Why the latest case went without something; None: it did not, and there is room."""
        ballast.restore(self._min_free)
        with contextlib.suppress(EvidenceError):  # told when there is something to write
            room, why = self._room(bundles.folder / "new.evb")
            self._note(why if room <= 0 else None)

    def write(self, case: Case, clip: bytes | None) -> Bundle:
        """As `BundleWriter.write`, with as much of the case as there is room for.

        Raises NoSpace when not even the record fits, and for a later revision that would have to
        give up what the file of the earlier one holds: that one stays as it is.
        """
        room, why = self._room(self._bundles.path_of(case))
        held = self._held(case)
        refusal: NoSpace | None = None
        for less, kept_clip, shed in _ladder(case, clip, why):
            if shed is not None and held.intersection(shed.what):
                break
            is_record = not less.photos and kept_clip is None
            if is_record and room < RECORD_BYTES:
                self.ballast.release()
            try:
                if room <= 0 and not is_record:
                    raise NoSpace(f"{self._bundles.path_of(case)}: there is no room")
                bundle = self._bundles.write(less, kept_clip, shed, None if is_record else room)
            except NoSpace as error:
                refusal = error
                continue
            self.ballast.restore(self._min_free)
            self._note(why if shed is not None or room <= 0 else None)
            return bundle
        assert refusal is not None
        self._note(why)
        raise refusal

    def _note(self, why: Bound | None) -> None:
        """Say it once: whoever sees to the box has to decide what goes."""
        if why is not None and why != self.shedding:
            facts = {"why": why, "remedy": REMEDIES[why]}
            log.error("no room for evidence: new cases lose clips, then photos", extra=facts)
        elif why is None and self.shedding is not None:
            log.info("room for evidence again")
        self.shedding = why

    def _room(self, own: Path) -> tuple[int, Bound]:
        """Bytes that a case's file may have, and what bounds them."""
        try:
            sizes = dict(_sizes(own.parent)) if self._budget is not None else {}
        except OSError as error:  # a disk that was unplugged
            raise cannot(own, "be written", error) from error
        free = free_bytes(own.parent)
        if free is None:
            raise EvidenceError(f"{own}: cannot be written: the disk does not answer; check it")
        free -= self._min_free
        if self._budget is None:
            return free, "disk full"
        left = self._budget - sum(size for path, size in sizes.items() if path != own)
        return (left, "disk budget") if left < free else (free, "disk full")

    def _held(self, case: Case) -> set[str]:
        """What the earlier revision's file holds."""
        try:
            earlier = Manifest.from_bytes(manifest_bytes(self._bundles.path_of(case)))
        except (OSError, ValueError, EvidenceError):
            return set()
        return {item.role for item in earlier.media}


def _ladder(
    case: Case, clip: bytes | None, why: Bound
) -> Iterator[tuple[Case, bytes | None, Shed | None]]:
    """The case with ever less of it: as it is, at last the record alone."""
    there = {"derived", *(photo.role for photo in case.photos)} if case.photos else set()
    there |= {"clip"} if clip is not None else set()
    told = 0
    for step in LADDER:
        what = [each for each in step if each in there]
        if not what:
            if not step:
                yield case, clip, None
            continue
        if len(what) == told:
            continue
        told = len(what)
        shed = Shed(what=what, why=why)
        yield _without(case, shed), None if "clip" in what else clip, shed


def _without(case: Case, shed: Shed) -> Case:
    photos = tuple(photo for photo in case.photos if photo.role not in shed.what)
    plates = case.plates and {photo.role: case.plates[photo.role] for photo in photos}
    reasons = case.reasons if shed.reason is None else (*case.reasons, shed.reason)
    seen = [Shown.of(read) for read in (plates or {}).values()]
    unseen = () if plates is None else plate_doubts(seen, Shown.told(case.plate))
    clip_s = None if "clip" in shed.what else case.clip_s
    return replace(
        case,
        photos=photos,
        plates=plates,
        reasons=reasons,
        is_complete=not reasons,
        clip_s=clip_s,
        doubts=tuple(dict.fromkeys((*case.doubts, *unseen))),
    )


def _sizes(folder: Path) -> Iterator[tuple[Path, int]]:
    """Of every bundle."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".evb"):
                yield Path(entry.path), entry.stat().st_size
