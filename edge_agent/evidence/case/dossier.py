"""One happening under observation, and the best picture of it so far for every role."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from edge_agent.clock import STEPPED, ClockSpan
from edge_agent.evidence.case.sight import Observer, Sight
from edge_agent.geometry import iou
from edge_agent.recollection import (
    UNTRACKED,
    Moved,
    box_json,
    box_of,
    event_json,
    event_of,
    track_json,
    track_of,
)
from edge_agent.types import JSON, Box, Event, Frame, PlateRead, Role, Scene, Track

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
LEGIBLE = 10.0
"""A plate that was read is worth more to a close-up than everything else together."""
UNWATCHED_S = 5.0
"""After a longer gap, what stands there may be another vehicle."""
UNWATCHED = "not watched during a restart"
"""Why a case that goes on after such a gap cannot be evidential."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """The best picture so far for one role."""

    frame: Frame
    sight: Sight
    score: float
    track_id: int
    beside: tuple[tuple[str, Box], ...] = ()
    """Everything else in the picture."""


@dataclass(frozen=True, slots=True)
class Filed:
    """A photo that the bundle of a revision has."""

    t_s: float
    read: PlateRead | None = None
    """What it shows of the plate."""


_CLOCK, _FILED = TypeAdapter(ClockSpan), TypeAdapter(dict[Role, Filed])


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
    doubts: dict[str, None] = field(default_factory=dict)
    """Why it cannot be evidential, in the order in which that came up."""
    clock: ClockSpan | None = None
    """What the wall clock has done since it was opened; None in a recording."""
    filed: dict[Role, Filed] = field(default_factory=dict)
    """What the latest revision had."""
    kept: dict[Role, Filed] = field(default_factory=dict)
    """What only the bundle has, of the time before a restart; it is never taken again."""
    is_recalled: bool = False
    """It was begun by an earlier process."""
    watched_s: float = 0.0
    """Media time of the latest scene."""

    def take(self, event: Event) -> None:
        """Take a phase of the happening into account."""
        self.latest = event
        self.doubts |= dict.fromkeys(event.doubts)
        if event.track is not None:
            self._settle(event.track)
        if event.phase == "begin" and self.begin is None:
            self.begin, self.next_s = event, event.t_s
            if event.facts.get("already_standing") is True:
                self.best.pop("enter", None)
        elif event.phase == "end":
            self.end = event

    def keep_time(self, scene: Scene) -> None:
        """Take note of how right the clock is, of its steps, and of how long nobody looked."""
        if self.is_recalled and scene.frame.t_s - self.watched_s > UNWATCHED_S:
            self.doubts[UNWATCHED] = None
        self.watched_s = scene.frame.t_s
        reading = scene.frame.clock
        if reading is None:
            return
        if scene.clock_step is not None:
            self.doubts[STEPPED] = None
        self.clock = (self.clock or ClockSpan(reading.sync)).joined(reading.sync, scene.clock_step)

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
        legible = _legibility(scene, track)
        if t_s < self.next_s and not legible:
            return
        sight = observer.look(track)
        if sight is None:
            return
        scores = dict(self._scores(track, sight, t_s))
        scores["close"] *= 1 + LEGIBLE * legible
        is_better = False
        for role, score in scores.items():
            old = self.best.get(role)
            is_wanted = score > 0 and role not in self.shed and role not in self.kept
            if is_wanted and (old is None or score > old.score * BETTER):
                beside = observer.beside(track)
                self.best[role] = Candidate(scene.frame, sight, score, track.id, beside)
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
        return role in self.best or role in self.shed or role in self.kept

    def remember(self) -> JSON:
        """Everything but the pictures; those of the latest revision are in its bundle."""
        named = {"first": self.first, "latest": self.latest, "begin": self.begin, "end": self.end}
        return {
            **{name: event_json(event) for name, event in named.items() if event is not None},
            "track": None if self.track is None else track_json(self.track),
            "place": box_json(self.place),
            "is_moving": self.is_moving,
            "revision": self.revision,
            "shed": sorted(self.shed),
            "doubts": list(self.doubts),
            "clock": None if self.clock is None else _CLOCK.dump_python(self.clock, mode="json"),
            "filed": _FILED.dump_python(self.filed, mode="json", warnings=False),
            "watched_s": self.watched_s,
        }

    @classmethod
    def of(cls, state: JSON, moved: Moved) -> Dossier:
        """Goes on from what `remember` gave; raises ValueError for nonsense."""
        begin = event_of(state["begin"], moved)
        clock, track = state["clock"], state["track"]
        kept = _FILED.validate_python(state["filed"])
        return cls(
            first=event_of(state["first"], moved),
            latest=event_of(state["latest"], moved),
            track=None if track is None else track_of(track, moved),
            own_id=UNTRACKED,
            begin=begin,
            end=event_of(state["end"], moved) if "end" in state else None,
            place=box_of(state["place"]),
            is_moving=bool(state["is_moving"]),
            next_s=begin.t_s,
            revision=int(state["revision"]),
            shed=set(state["shed"]),
            doubts=dict.fromkeys(state["doubts"]),
            clock=None if clock is None else _CLOCK.validate_python(clock),
            filed=kept,
            kept=dict(kept),
            is_recalled=True,
            watched_s=moved(state["watched_s"]),
        )


def _legibility(scene: Scene, track: Track) -> float:
    """How well the vehicle's plate was read in this very picture, 0..1."""
    reads = (read for read in scene.plates if read.track_id == track.id and read.reason is None)
    return max((read.score for read in reads), default=0.0)
