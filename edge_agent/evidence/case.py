"""Which pictures document a happening: chosen as the frames go by, holding four at most."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from types import MappingProxyType

from edge_agent.config import Evidence
from edge_agent.evidence.sight import Observer, Sight
from edge_agent.geometry import clamp, grow, iou
from edge_agent.types import Box, Case, Event, Frame, Photo, Role, Scene, Track

log = logging.getLogger(__name__)

ROLES: tuple[Role, ...] = ("enter", "wide", "close", "leave")
SHED: tuple[Role, ...] = ("close", "enter", "leave", "wide")

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
    track_id: int


@dataclass(slots=True)
class Dossier:
    """One happening under observation."""

    first: Event
    latest: Event
    track: Track | None = None
    """The vehicle as last seen, or what stands in for it."""
    own_id: int = 0
    """The track that the rule says it is."""
    begin: Event | None = None
    end: Event | None = None
    best: dict[Role, Candidate] = field(default_factory=dict)
    place: Box | None = None
    """Where the vehicle stands, or stood before it moved again."""
    is_moving: bool = True
    next_s: float = 0.0
    """Nothing is measured before."""
    revision: int = 0
    shed: set[Role] = field(default_factory=set)
    """Photos that memory has no room for."""

    def take(self, event: Event) -> None:
        """Take a phase of the happening into account."""
        self.latest = event
        if event.track is not None:
            self._settle(event.track)
        if event.phase == "begin" and self.begin is None:
            self.begin, self.next_s = event, event.t_s
            if event.facts.get("already_standing") is True:
                self.best.pop("enter", None)
        elif event.phase == "end":
            self.end = event

    def find(self, scene: Scene, observer: Observer) -> Track | None:
        """The vehicle, if this picture shows it: the rule's track, or else what took its place.

        A vehicle that something hides comes back under its own id or stands, from when it is
        first seen, exactly where it was lost; whatever drives there is another one. What was
        seen leaving does not come back unless the rule says so. Two vehicles that change places
        wholly behind something else cannot be told apart.
        """
        assert self.track is not None
        known = {track.id: track for track in scene.tracks}
        ids = [id_ for id_ in (self.own_id, self.track.id) if id_ in known]
        tracks = [known[id_] for id_ in ids] or [t for t in scene.tracks if self._stands_in(t)]
        found = next((track for track in tracks if observer.sees(track)), None)
        if found is not None and found.id == self.own_id:
            self._settle(found)
        self.track = found or self.track
        return found

    def _stands_in(self, track: Track) -> bool:
        assert self.track is not None
        if self.place is None or iou(self.track.box, self.place) <= 1 - MOVED:
            return False
        if track.still_since_s is None or track.still_since_s - track.first_s > SEEN_MOVING_S:
            return False
        return track.first_s > self.track.last_s and iou(track.box, self.place) >= SAME_PLACE_IOU

    def _settle(self, track: Track) -> None:
        """This is the vehicle; pictures of what stood in for it and was not are dropped."""
        if self.track is not None and self.track.id not in (self.own_id, track.id):
            mistaken = self.track.id
            self.best = {r: c for r, c in self.best.items() if c.track_id != mistaken}
        self.own_id, self.track = track.id, track

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
            is_wanted = score > 0 and role not in self.shed
            if is_wanted and (old is None or score > old.score * BETTER):
                self.best[role] = Candidate(scene.frame, sight, score, track.id)
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
        is_hidden_so_far = not self.is_settled("wide") and not self.is_moving
        return is_hidden_so_far or t_s - self.begin.t_s <= WIDE_S

    def is_settled(self, role: Role) -> bool:
        """True when there is a photo, or never will be one."""
        return role in self.best or role in self.shed


class CaseCollector:
    """Documents every happening of the given kinds with up to four photos and a clip.

    enter  the vehicle arriving, sharp and wholly in the picture
    wide   the scene when the limit passed, with as little as possible in front of the vehicle
    close  the largest, sharpest, best exposed view of the vehicle, preferably of front or rear
    leave  the vehicle departing, clear of its place but not yet half out of the picture

    The first `Case` comes once the limit has passed, the scene is photographed and the clip's
    time is over, the final one when the happening has ended; one that is over before that comes
    once, complete. A function of what it is given: no clock, no thread, no I/O.

    No more frames are held than `max_open` cases of four photos need. Suspicions give way first,
    as a whole; a case that has begun is never given up, but when there are too many of them the
    oldest lose photos, in the order of `SHED`, and say so.
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
        """Every frame that is being kept: four per open subject at most, and 4 * `max_open`."""
        return tuple(c.frame for dossier in self._open.values() for c in dossier.best.values())

    def update(self, scene: Scene, events: Iterable[Event]) -> Iterable[Case]:
        """Take one scene and what was decided in it; returns the cases that are due."""
        self._take(events)
        observer = Observer(scene)
        for dossier in self._of(scene):
            if dossier.end is not None:
                continue
            track = dossier.find(scene, observer) if dossier.track else None
            if track is not None:
                dossier.follow(track)
                dossier.consider(scene, track, observer)
        self._shed()
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
        self._open[key] = Dossier(event, event, next_s=event.t_s)
        return True

    def _shed(self) -> None:
        """Let go of photos, of the oldest cases first, until few enough frames are held."""
        excess = len(self.held) - len(ROLES) * self._max_open
        for role in SHED:
            for (_, subject), dossier in self._open.items():
                if excess > 0 and dossier.best.pop(role, None) is not None:
                    log.warning("no memory for a photo", extra={"subject": subject, "role": role})
                    dossier.shed.add(role)
                    excess -= 1

    def _due(self, key: Key, scene: Scene) -> Case | None:
        dossier, t_s = self._open[key], scene.frame.t_s
        if key[0] != scene.frame.camera or dossier.begin is None:
            return None
        if t_s < dossier.begin.t_s + self._settings.clip_after_s:
            return None
        if dossier.end is not None:
            del self._open[key]
            return self._case(dossier)
        if dossier.revision == 0 and dossier.is_settled("wide") and not dossier.awaits_wide(t_s):
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
        reasons = _reasons(frozenset(photo.role for photo in photos), dossier.shed, has_left)
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


MISSING: Mapping[Role, str] = MappingProxyType(
    {
        "enter": "arrival not seen",
        "wide": "vehicle hidden at the limit",
        "close": "no clear view of the vehicle",
        "leave": "departure not seen",
    }
)


def _reasons(roles: Set[Role], shed: Set[Role], has_left: bool) -> tuple[str, ...]:
    expected = ROLES if has_left else ROLES[:-1]
    reasons = [MISSING[role] for role in expected if role not in roles | shed]
    if not has_left:
        reasons.append("vehicle has not left")
    if any(role in shed for role in expected):
        reasons.append("shed for memory")
    return tuple(reasons)


def _edges(box: Box) -> tuple[float, float, float, float]:
    return box.x1, box.y1, box.x2, box.y2
