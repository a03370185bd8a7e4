"""Which pictures document a happening: chosen as the frames go by, holding four at most."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Set
from types import MappingProxyType

from edge_agent.config import Evidence
from edge_agent.evidence.case.dossier import Candidate, Dossier, Filed
from edge_agent.evidence.case.legibility import with_plates
from edge_agent.evidence.case.sight import Observer
from edge_agent.geometry import clamp, grow
from edge_agent.ports import PlateReader
from edge_agent.recollection import Moved
from edge_agent.types import DOUBTS, JSON, Box, Case, Event, Frame, Photo, Role, Scene

log = logging.getLogger(__name__)

ROLES: tuple[Role, ...] = ("enter", "wide", "close", "leave")
RESTARTED = "restarted"
"""Why a case has no photos of its begin, and why a happening ended that no rule went on with."""
_UNSEEN_ENDS = ("not ended", "recording_ended", "no_longer_watched", "schedule", RESTARTED)
"""Where watching ended, not what was watched."""
SHED: tuple[Role, ...] = ("close", "enter", "leave", "wide")

Key = tuple[str, str]
"""Camera and subject."""


class CaseCollector:
    """Documents every happening of the given kinds with up to four photos and a clip.

    enter  the vehicle arriving, sharp and wholly in the picture
    wide   the scene when the limit passed, with as little as possible in front of the vehicle
    close  the largest, sharpest, best exposed view of the vehicle, preferably of front or rear;
           where plates are read, one in which its plate was
    leave  the vehicle departing, clear of its place but not yet half out of the picture

    The first `Case` comes once the limit has passed, the scene is photographed and the clip's
    time is over, the final one when the happening has ended; one that is over before that comes
    once, complete. Whatever made the camera doubtful in between makes the case doubtful.
    A function of what it is given: no clock, no thread, no I/O.

    No more frames are held than `max_open` cases of four photos need. Suspicions give way first,
    as a whole; a case that has begun is never given up, but when there are too many of them the
    oldest lose photos, in the order of `SHED`, and say so.
    """

    def __init__(
        self,
        settings: Evidence,
        kinds: frozenset[str] = frozenset({"parking.illegal"}),
        max_open: int = 64,
        plates: PlateReader | None = None,
    ) -> None:
        self._settings = settings
        self._plates = plates
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
            dossier.keep_time(scene)
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

    def suspend(self, scene: Scene, events: Iterable[Event]) -> Iterable[Case]:
        """Document what has begun and is in no bundle yet: its pictures end with the process."""
        self._take(events)
        begun = [(key, dossier) for key, dossier in self._open.items() if dossier.begin is not None]
        ended = {key for key, dossier in begun if dossier.end is not None}
        due = [each for key, each in begun if key in ended or each.revision == 0]
        self._open = {key: each for key, each in self._open.items() if key not in ended}
        return [self._case(dossier) for dossier in due]

    def remember(self) -> JSON:
        """What has begun; mere suspicions leave no trace."""
        return [each.remember() for each in self._open.values() if each.begin is not None]

    def recall(self, state: JSON, moved: Moved) -> None:
        """Go on with what an earlier process had begun; raises ValueError for nonsense."""
        for each in state:
            dossier = Dossier.of(each, moved)
            self._open[dossier.first.camera, dossier.first.subject] = dossier

    def _of(self, scene: Scene) -> list[Dossier]:
        return [d for (camera, _), d in self._open.items() if camera == scene.frame.camera]

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.kind in DOUBTS and event.phase == "begin":
                self._doubt(event.camera, DOUBTS[event.kind])
            if event.kind not in self._kinds:
                continue
            key = (event.camera, event.subject)
            if event.phase == "dismissed":
                self._open.pop(key, None)
            elif key in self._open or self._opens(key, event):
                self._open[key].take(event)

    def _doubt(self, camera: str, doubt: str) -> None:
        """What is open is no longer sure to show what it seems to."""
        for (owner, _), dossier in self._open.items():
            if owner == camera and dossier.end is None:
                dossier.doubts[doubt] = None

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
        missing = [role for role in ROLES if role not in dossier.best]
        kept = {role: dossier.kept[role] for role in missing if role in dossier.kept}
        roles = frozenset(photo.role for photo in photos) | kept.keys()
        reasons = _reasons(roles, dossier.shed, has_left)
        if dossier.is_recalled and not dossier.filed:
            reasons = (*reasons, RESTARTED)
        clip_s = (
            max(0.0, begin.t_s - self._settings.clip_before_s),
            begin.t_s + self._settings.clip_after_s,
        )
        case = Case(
            subject=begin.subject,
            begin=begin,
            latest=dossier.latest,
            photos=photos,
            clip_s=clip_s,
            is_complete=not reasons,
            reasons=reasons,
            revision=dossier.revision,
            doubts=tuple(dossier.doubts),
            clock=dossier.clock,
            kept=tuple(kept),
        )
        case = case if self._plates is None else with_plates(case, self._plates, kept)
        reads = case.plates or {}
        new = {p.role: Filed(p.frame.t_s, reads.get(p.role)) for p in photos}
        dossier.filed = kept | new
        return case

    def _photo(self, role: Role, chosen: Candidate) -> Photo:
        frame, box = chosen.frame, chosen.sight.box
        crop = None
        if role == "close":
            grown = clamp(grow(box, self._settings.close_margin), frame.width, frame.height)
            crop = Box(*(float(round(edge)) for edge in grown.edges))
        return Photo(role, frame, box, crop, chosen.sight.laplacian, chosen.beside)


def _has_left(dossier: Dossier) -> bool:
    """True when it ended because the vehicle went, not because watching did."""
    reason = dossier.end.facts.get("end_reason") if dossier.end else "not ended"
    return reason not in _UNSEEN_ENDS


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
