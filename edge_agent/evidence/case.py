"""Which pictures document a happening: chosen as the frames go by, holding four at most."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from edge_agent.config import Evidence
from edge_agent.evidence.sight import Observer, Sight
from edge_agent.geometry import clamp, grow, iou
from edge_agent.types import Box, Case, Event, Frame, Photo, Role, Scene, Track

log = logging.getLogger(__name__)

ROLES: tuple[Role, ...] = ("enter", "wide", "close", "leave")

ENTER_S = 1.5
"""The arrival is photographed within this time of its suspicion ..."""
ENTER_WHOLE_S = 5.0
"""... or later, up to this, while the vehicle still reaches into the picture from outside."""
HALTED_S = 1.0
"""A vehicle that stopped this recently still counts as arriving."""
SEEN_MOVING_S = 0.3
"""It must have been seen moving for this long to have been seen arriving."""
WIDE_S = 1.0
"""The whole scene is photographed within this time of the limit, later if something hides it."""
MOVED = 0.2
"""Share of its place (1 - IoU) that a vehicle must have left before it is departing."""
GONE_IOU = 0.1
"""A vehicle that halts with more overlap than this with its place has not left it."""
SAME_PLACE_IOU = 0.5
"""A new track standing this exactly where the vehicle stood is the vehicle."""

EVERY_S = 0.25
"""Candidates are measured this often while something changes ..."""
STILL_IMPROVING_S, STILL_S = 0.5, 2.0
"""... and this often while the vehicle stands, depending on whether the last one was better."""
BETTER = 1.02
"""A new picture must beat the old one by this much: noise is no reason to swap."""

Key = tuple[str, str]
"""Camera and subject."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The best picture so far for one role."""

    frame: Frame
    sight: Sight
    score: float


@dataclass(slots=True)
class Dossier:
    """One happening under observation."""

    first: Event
    latest: Event
    track: Track | None
    begin: Event | None = None
    end: Event | None = None
    best: dict[Role, Candidate] = field(default_factory=dict)
    place: Box | None = None
    """Where the vehicle stands, or stood before it moved again."""
    is_moving: bool = True
    next_s: float = 0.0
    """Nothing is measured before."""
    revision: int = 0

    def take(self, event: Event) -> None:
        """Take a phase of the happening into account."""
        self.latest = event
        self.track = event.track or self.track
        if event.phase == "begin" and self.begin is None:
            self.begin, self.next_s = event, event.t_s
            if event.facts.get("already_standing") is True:
                self.best.pop("enter", None)
        elif event.phase == "end":
            self.end = event

    def find(self, scene: Scene, observer: Observer) -> Track | None:
        """The vehicle in this scene: under its id, or under a new one in its old place."""
        assert self.track is not None
        known = next((track for track in scene.tracks if track.id == self.track.id), None)
        if (known is None or not observer.sees(known)) and self.place is not None:
            for track in scene.tracks:
                is_new = track.first_s > self.track.last_s and observer.sees(track)
                if is_new and iou(track.box, self.place) >= SAME_PLACE_IOU:
                    known = track
                    break
        self.track = known or self.track
        return known

    def follow(self, track: Track) -> None:
        """Note whether it stands or moves; a departure that came to nothing is forgotten."""
        is_moving = track.still_since_s is None
        if is_moving != self.is_moving:
            self.next_s = min(self.next_s, track.last_s)
        if is_moving and not self.is_moving:
            self.best.pop("leave", None)
        elif not is_moving:
            if self.place is not None and iou(track.box, self.place) >= GONE_IOU:
                self.best.pop("leave", None)
            if "leave" not in self.best:
                self.place = track.box
            if self.begin is None and not self._was_moving(track):
                self.best.pop("enter", None)
        self.is_moving = is_moving

    def consider(self, scene: Scene, track: Track, observer: Observer) -> None:
        """Measure the vehicle in this picture, if one is due, and keep it where it is better."""
        t_s = scene.frame.t_s
        if t_s < self.next_s:
            return
        sight = observer.look(track)
        if sight is None:
            return
        scores = dict(self._scores(track, sight, t_s))
        is_better = False
        for role, score in scores.items():
            old = self.best.get(role)
            if score > 0 and (old is None or score > old.score * BETTER):
                self.best[role] = Candidate(scene.frame, sight, score)
                is_better = True
        is_quiet = scores.keys() == {"close"} and not self.is_moving
        pause_s = EVERY_S if not is_quiet else STILL_IMPROVING_S if is_better else STILL_S
        # On a common grid, so that all subjects of a camera share the pictures that are measured.
        self.next_s = (t_s // pause_s + 1) * pause_s

    def _scores(self, track: Track, sight: Sight, t_s: float) -> Iterator[tuple[Role, float]]:
        yield "close", sight.clarity * sight.size * sight.exposure * sight.facing
        scene_score = sight.clarity * (0.5 + 0.5 * sight.size)
        if self.begin is None:
            if self._is_arriving(track, t_s):
                yield "enter", scene_score if self.is_moving else 0.5 * scene_score
        elif self.awaits_wide(t_s):
            yield "wide", sight.clarity
        elif self.is_moving and self.place is not None:
            moved = 1 - iou(track.box, self.place)
            if moved >= MOVED:
                yield "leave", scene_score * (0.3 + 0.7 * moved)

    def _is_arriving(self, track: Track, t_s: float) -> bool:
        still_s = track.still_since_s
        if still_s is not None and (t_s - still_s > HALTED_S or not self._was_moving(track)):
            return False
        enter = self.best.get("enter")
        is_whole = enter is not None and enter.sight.is_whole
        return t_s - self.first.t_s <= (ENTER_S if is_whole else ENTER_WHOLE_S)

    def _was_moving(self, track: Track) -> bool:
        """False for what was standing when it was first seen; that takes a moment to tell."""
        seen_s = (self.first.track or track).first_s
        return track.still_since_s is None or track.still_since_s - seen_s > SEEN_MOVING_S

    def awaits_wide(self, t_s: float) -> bool:
        """True while the scene may still be photographed."""
        assert self.begin is not None
        is_hidden_so_far = "wide" not in self.best and not self.is_moving
        return is_hidden_so_far or t_s - self.begin.t_s <= WIDE_S


class CaseCollector:
    """Documents every happening of the given kinds with up to four photos and a clip.

    enter  the vehicle arriving, sharp and wholly in the picture
    wide   the scene when the limit passed, with as little as possible in front of the vehicle
    close  the largest, sharpest, best exposed view of the vehicle, preferably of front or rear
    leave  the vehicle departing, clear of its place but not yet half out of the picture

    The first `Case` comes once the limit has passed, the scene is photographed and the clip's
    time is over, the final one when the happening has ended; one that is over before that comes
    once, complete. A function of what it is given: no clock, no thread, no I/O.
    """

    def __init__(
        self,
        settings: Evidence,
        kinds: frozenset[str] = frozenset({"parking.illegal"}),
        max_open: int = 64,
    ) -> None:
        self._settings = settings
        self._kinds = kinds
        self._max_open = max_open
        self._open: dict[Key, Dossier] = {}

    @property
    def held(self) -> tuple[Frame, ...]:
        """Every frame that is being kept: four per open subject at most."""
        return tuple(c.frame for dossier in self._open.values() for c in dossier.best.values())

    def update(self, scene: Scene, events: Iterable[Event]) -> Iterable[Case]:
        """Take one scene and what was decided in it; returns the cases that are due."""
        self._take(events)
        observer = Observer(scene)
        for dossier in self._of(scene):
            if dossier.end is not None and dossier.end.t_s < scene.frame.t_s:
                continue
            track = dossier.find(scene, observer) if dossier.track else None
            if track is not None and observer.sees(track):
                dossier.follow(track)
                dossier.consider(scene, track, observer)
        return [case for key in list(self._open) if (case := self._due(key, scene)) is not None]

    def finish(self, scene: Scene, events: Iterable[Event]) -> Iterable[Case]:
        """Close what is open; a vehicle that never left leaves a partial case."""
        self._take(events)
        dossiers = [dossier for dossier in self._of(scene) if dossier.begin is not None]
        self._open = {
            key: dossier for key, dossier in self._open.items() if key[0] != scene.frame.camera
        }
        return [self._case(dossier) for dossier in dossiers]

    def _of(self, scene: Scene) -> list[Dossier]:
        return [d for (camera, _), d in self._open.items() if camera == scene.frame.camera]

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.kind not in self._kinds:
                continue
            key = (event.camera, event.subject)
            if event.phase == "dismissed":
                self._open.pop(key, None)
            elif key in self._open or self._opens(key, event):
                self._open[key].take(event)

    def _opens(self, key: Key, event: Event) -> bool:
        """Make room and open a dossier; False when a suspicion finds no room."""
        if event.phase not in ("suspect", "begin"):
            log.warning("event of an unknown case", extra={"subject": key[1], "phase": event.phase})
            return False
        if len(self._open) >= self._max_open:
            suspects = (k for k, dossier in self._open.items() if dossier.begin is None)
            oldest = next(suspects, None)
            shed = key if oldest is None and event.phase == "suspect" else oldest
            log.warning("too many open cases", extra={"open": len(self._open), "shed": shed})
            if shed == key:
                return False
            if shed is not None:
                del self._open[shed]
        self._open[key] = Dossier(event, event, event.track, next_s=event.t_s)
        return True

    def _due(self, key: Key, scene: Scene) -> Case | None:
        dossier, t_s = self._open[key], scene.frame.t_s
        if key[0] != scene.frame.camera or dossier.begin is None:
            return None
        if t_s < dossier.begin.t_s + self._settings.clip_after_s:
            return None
        if dossier.end is not None:
            del self._open[key]
            return self._case(dossier)
        if dossier.revision == 0 and "wide" in dossier.best and not dossier.awaits_wide(t_s):
            return self._case(dossier)
        return None

    def _case(self, dossier: Dossier) -> Case:
        begin = dossier.begin
        assert begin is not None
        dossier.revision += 1
        has_left = _has_left(dossier)
        photos = tuple(
            self._photo(role, dossier.best[role])
            for role in ROLES
            if role in dossier.best and (has_left or role != "leave")
        )
        reasons = _reasons(frozenset(photo.role for photo in photos), has_left)
        clip_s = (
            max(0.0, begin.t_s - self._settings.clip_before_s),
            begin.t_s + self._settings.clip_after_s,
        )
        return Case(
            subject=begin.subject,
            begin=begin,
            latest=dossier.latest,
            photos=photos,
            clip_s=clip_s,
            is_complete=not reasons,
            reasons=reasons,
            revision=dossier.revision,
        )

    def _photo(self, role: Role, chosen: Candidate) -> Photo:
        frame, box = chosen.frame, chosen.sight.box
        crop = None
        if role == "close":
            grown = clamp(grow(box, self._settings.close_margin), frame.width, frame.height)
            crop = Box(*(float(round(edge)) for edge in _edges(grown)))
        return Photo(role, frame, box, crop, chosen.sight.laplacian)


def _has_left(dossier: Dossier) -> bool:
    """True when it ended because the vehicle went, not because watching did."""
    reason = dossier.end.facts.get("end_reason") if dossier.end else "not ended"
    return reason not in ("not ended", "recording_ended", "schedule")


def _reasons(roles: frozenset[Role], has_left: bool) -> tuple[str, ...]:
    reasons = []
    if "enter" not in roles:
        reasons.append("arrival not seen")
    if "wide" not in roles:
        reasons.append("vehicle hidden at the limit")
    if "close" not in roles:
        reasons.append("no clear view of the vehicle")
    if not has_left:
        reasons.append("vehicle has not left")
    elif "leave" not in roles:
        reasons.append("departure not seen")
    return tuple(reasons)


def _edges(box: Box) -> tuple[float, float, float, float]:
    return box.x1, box.y1, box.x2, box.y2
