"""The closed set of things that a profile can ask of a manifest, each decided once, here.

A check says `met` or `missed` only of what the signed manifest itself shows. What a standard asks
beyond that is written down as `check: none`, with what a person has to do instead.
Losing a photo can turn `met` into `missed`, never the other way round: bounds are stated as "so
many photos that ...", not as "every photo".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from edge_agent.config import Settings
from edge_agent.config.models import Name
from edge_agent.evidence.bundle.manifest import ClipFile, Manifest, PhotoFile, Words
from edge_agent.evidence.case.legibility import DISAGREE, ILLEGIBLE, Shown, plate_doubts
from edge_agent.plates import contradict
from edge_agent.types import Role

Outcome = Literal["met", "missed", "not checkable"]
Text = Annotated[Words, Field(min_length=1, max_length=600)]
Number = Annotated[int, Field(ge=1, le=100)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Pixels = Annotated[int, Field(ge=1, le=100_000)]
Told = Literal["place", "device", "violation"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one rule."""

    rule: Rule
    outcome: Outcome
    found: str
    """What the manifest shows, or what a person has to check."""
    reasons: tuple[str, ...] = ()
    """Why a case cannot be evidential, in the words of events and bundles; empty unless missed."""


class Rule(Settings):
    """What every rule of a profile has."""

    model_config = ConfigDict(strict=True)

    id: Name
    source: Text
    """Standard and clause, or where else it comes from."""
    sentence: Text
    """What it asks, for the person who reads the table."""
    reason: Text
    """What a case that misses it says."""

    def judge(self, manifest: Manifest) -> Verdict:
        """Decide this rule on what the manifest says."""
        raise NotImplementedError

    def decide(self, is_met: bool, found: str, *reasons: str) -> Verdict:
        """The verdict; `reasons` replace the rule's own where they say more."""
        if is_met:
            return Verdict(self, "met", found)
        return Verdict(self, "missed", found, reasons or (self.reason,))


class Photos(Rule):
    """These photos are there."""

    check: Literal["photos"]
    roles: Annotated[list[Role], Field(min_length=1)]
    reason: Text = "photo missing"

    def judge(self, manifest: Manifest) -> Verdict:
        roles = {photo.role for photo in manifest.photos}
        missing = [role for role in self.roles if role not in roles]
        found = f"missing: {', '.join(missing)}" if missing else f"{len(self.roles)} photos"
        return self.decide(not missing, found, *manifest.case.reasons)


class Stills(Rule):
    """There are so many photos, whatever they show."""

    check: Literal["stills"]
    at_least: Number
    reason: Text = "too few photos"

    def judge(self, manifest: Manifest) -> Verdict:
        count = len(manifest.photos)
        return self.decide(count >= self.at_least, f"{count} photos")


class Panoramas(Rule):
    """So many photos, taken at different times, show the whole picture with the whole vehicle."""

    check: Literal["panoramas"]
    at_least: Number
    min_picture: Annotated[list[Pixels], Field(min_length=2, max_length=2)] = Field(
        default=[1, 1], validate_default=True
    )
    """Width and height in px."""
    bits: Number = 1
    """Per pixel."""
    reason: Text = "too few panoramas"

    def judge(self, manifest: Manifest) -> Verdict:
        fit = [photo for photo in panoramas(manifest) if self._is_fit(photo)]
        count = len({photo.pts_s for photo in fit})
        sizes = sorted({f"{photo.width}x{photo.height}" for photo in panoramas(manifest)})
        found = f"{count} of {len(manifest.photos)} photos"
        found += f"; panoramas have {', '.join(sizes)}" if sizes else ""
        return self.decide(count >= self.at_least, found)

    def _is_fit(self, photo: PhotoFile) -> bool:
        width, height = self.min_picture
        is_large = photo.width >= width and photo.height >= height
        return is_large and (photo.encoding.bits or 1) >= self.bits


class Interval(Rule):
    """Two panoramas of the standing vehicle lie so far apart."""

    check: Literal["interval"]
    at_least_s: Seconds
    reason: Text = "interval too short"

    def judge(self, manifest: Manifest) -> Verdict:
        span_s = _span_s(panoramas(manifest), manifest.device.boot_id)
        return self.decide(span_s >= self.at_least_s, f"{span_s:.1f} s between panoramas")


class PermittedStop(Rule):
    """Two photos of the standing vehicle lie further apart than it was permitted to stop."""

    check: Literal["permitted_stop"]
    reason: Text = "interval too short"

    def judge(self, manifest: Manifest) -> Verdict:
        limit_s = manifest.case.facts.get("limit_s")
        if isinstance(limit_s, bool) or not isinstance(limit_s, int | float):
            return self.decide(False, "the permitted time is not told", "permitted stop unknown")
        span_s = _span_s(manifest.photos, manifest.device.boot_id)
        found = f"{span_s:.1f} s between photos, {limit_s:g} s permitted"
        return self.decide(span_s > limit_s, found)


class Clock(Rule):
    """The clock was synchronised, and so far off at most."""

    check: Literal["clock"]
    max_error_s: Seconds
    reason: Text = "clock not synchronised"

    def judge(self, manifest: Manifest) -> Verdict:
        clock = manifest.source.clock
        if clock is None:
            return self.decide(False, "nothing is known of the clock")
        if not clock.synced or clock.steps or clock.max_error_ms is None:
            return self.decide(False, f"by {clock.ref}: not synchronised all the time")
        found = f"by {clock.ref}, at most {clock.max_error_ms / 1000:g} s off"
        return self.decide(clock.max_error_ms <= 1000 * self.max_error_s, found)


class LegiblePlates(Rule):
    """So many photos show the number plate legibly."""

    check: Literal["legible_plates"]
    at_least: Number = 1
    reason: Text = ILLEGIBLE

    def judge(self, manifest: Manifest) -> Verdict:
        if manifest.plate is None:
            return self.decide(False, "no plates are read at this camera", "plate not read")
        seen = _shown(manifest)
        count = sum(each.text is not None for each in seen)
        why = next(iter(plate_doubts(seen, Shown(None, ()))), self.reason) if not count else ""
        found = f"legible in {count} photos"
        return self.decide(count >= self.at_least, found, *([why] if why else []))


class PlatesAgree(Rule):
    """The photos do not contradict each other about the plate."""

    check: Literal["plates_agree"]
    reason: Text = DISAGREE

    def judge(self, manifest: Manifest) -> Verdict:
        if manifest.plate is None:
            return Verdict(self, "not checkable", "no plates are read at this camera: look at them")
        told = Shown(manifest.plate.text, manifest.plate.chars)
        texts = [(s.text, s.char_scores) for s in (*_shown(manifest), told) if s.text is not None]
        is_agreed = manifest.plate.reason != DISAGREE and DISAGREE not in manifest.reasons
        is_agreed &= not any(contradict(a, b) for a, b in combinations(texts, 2))
        found = "no photo contradicts another" if is_agreed else "photos contradict each other"
        return self.decide(is_agreed, found)


class Timed(Rule):
    """Every photo carries time, date and a number, and the time is more than an assumption."""

    check: Literal["timed"]
    reason: Text = "time of day unknown"

    def judge(self, manifest: Manifest) -> Verdict:
        start_from = manifest.source.start_from
        is_known = start_from != "assumed"
        if not manifest.photos:
            return self.decide(False, "no photo", "photo missing")
        found = f"time, date and frame number of {len(manifest.photos)} photos"
        return self.decide(is_known, found if is_known else "the time of day is assumed")


class Clip(Rule):
    """There is a clip, and never fewer pictures a second than this."""

    check: Literal["clip"]
    min_fps: Annotated[float, Field(ge=0, le=1000)] = 0.0
    reason: Text = "too few pictures a second"

    def judge(self, manifest: Manifest) -> Verdict:
        clip = next((item for item in manifest.media if isinstance(item, ClipFile)), None)
        if clip is None:
            return self.decide(False, "no clip", "clip missing")
        if clip.min_fps is None:
            return self.decide(self.min_fps == 0, "its frame rate is unknown")
        return self.decide(clip.min_fps >= self.min_fps, f"{clip.min_fps:g} pictures/s at least")


class Facts(Rule):
    """The manifest tells these."""

    check: Literal["told"]
    facts: Annotated[list[Told], Field(min_length=1)]
    reason: Text = "place, device or violation not told"

    def judge(self, manifest: Manifest) -> Verdict:
        place = str(manifest.site.get("name") or "")
        told: dict[Told, str] = {
            "place": f"{place}/{manifest.source.camera}" if place else "",
            "device": manifest.device.id,
            "violation": manifest.case.kind,
        }
        missing = [name for name in self.facts if not told[name]]
        found = "not told: " + ", ".join(missing) if missing else "all told"
        return self.decide(not missing, found)


class NotCheckable(Rule):
    """What no manifest can show."""

    check: Literal["none"]
    instead: Text
    """What a person has to look at."""
    reason: Text = "not checkable"

    def judge(self, manifest: Manifest) -> Verdict:
        return Verdict(self, "not checkable", self.instead)


AnyRule = Annotated[
    Photos
    | Stills
    | Panoramas
    | Interval
    | PermittedStop
    | Clock
    | LegiblePlates
    | PlatesAgree
    | Timed
    | Clip
    | Facts
    | NotCheckable,
    Field(discriminator="check"),
]


def panoramas(manifest: Manifest) -> list[PhotoFile]:
    """Photos of the whole picture in which the vehicle reaches no border."""
    return [
        photo
        for photo in manifest.photos
        if photo.crop is None
        and min(photo.box[:2]) > 0
        and max(photo.box[2:]) < 1
        and photo.box[0] < photo.box[2]
        and photo.box[1] < photo.box[3]
    ]


def _span_s(photos: Iterable[PhotoFile], boot_id: str) -> float:
    """Time between the first and the last before the vehicle left, in whole microseconds."""
    clocks: dict[str, list[int]] = {}
    for photo in photos:
        if photo.role != "leave":  # media times of two boots have nothing to do with each other
            clock = boot_id if photo.taken is None else photo.taken.boot_id
            clocks.setdefault(clock, []).append(round(1e6 * photo.pts_s))
    return max((max(times) - min(times) for times in clocks.values()), default=0) / 1e6


def _shown(manifest: Manifest) -> list[Shown]:
    seen = [photo.plate for photo in manifest.photos if photo.plate is not None]
    return [Shown(plate.text, plate.chars, plate.reason) for plate in seen]
