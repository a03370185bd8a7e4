"""Stays in parking bays: what the rules about bays have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from edge_agent.analyzers.bays.occupancy import BayState, Occupancy, Turn
from edge_agent.analyzers.plates.watch import PlateVotes
from edge_agent.analyzers.view import View
from edge_agent.config import BaySettings, Camera
from edge_agent.geometry import iou
from edge_agent.plates import Verdict
from edge_agent.recollection import MAX_GAP_S, Moved, box_json, box_of, moment_of
from edge_agent.types import JSON, VEHICLES, Box, Scene, Track

Change = Literal["begun", "ended"]
EndReason = Literal["left", "lost", "recording_ended"]
Confirm = Annotated[float | None, Field(ge=0, le=3600)]
"""So long must every look show a change before it counts; when absent, two looks must."""

SAME_VEHICLE_IOU = 0.4
"""A track that overlaps the vehicle in the bay this much follows that vehicle."""
SAME_PLACE_IOU = 0.5
"""After a restart, a vehicle that stands this exactly where one stood is that one."""
KEEP_S = 60.0
"""Reads of a vehicle count for a session that begins this long after its track was lost."""


_VERDICT = TypeAdapter(Verdict)


@dataclass(slots=True)
class Session:
    """One vehicle's stay in one bay; media times."""

    bay: str
    begin_s: float
    """The first look that showed it."""
    free_s: float | None
    """The last look before that; None where it already stood there."""
    seen_s: float
    """The last look that showed it."""
    box: Box
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    """Track that followed the vehicle -> what its plate is."""
    end_reason: EndReason | None = None
    unseen_s: float = 0.0
    """How long nobody looked, during restarts."""
    told_as: str = ""
    """Its subject, where it began by the clock of an earlier boot."""

    @property
    def subject(self) -> str:
        return self.told_as or f"{self.bay}@{self.begin_s:.3f}"

    @property
    def dwell_s(self) -> float:
        """How long it was seen to stand, never longer than it stood."""
        return self.seen_s - self.begin_s - self.unseen_s

    def remember(self) -> JSON:
        """All of it; tracks are not known by the same numbers later."""
        verdicts = [_VERDICT.dump_python(each, mode="json") for each in self.verdicts.values()]
        return {
            "bay": self.bay,
            "begin_s": self.begin_s,
            "free_s": self.free_s,
            "seen_s": self.seen_s,
            "box": box_json(self.box),
            "verdicts": verdicts,
            "end_reason": self.end_reason,
            "unseen_s": self.unseen_s,
            "subject": self.subject,
        }

    @classmethod
    def of(cls, state: JSON, moved: Moved) -> Session:
        """What `remember` gave."""
        box = box_of(state["box"])
        if box is None:
            raise ValueError("session: no box")
        verdicts = [_VERDICT.validate_python(each) for each in state["verdicts"]]
        return cls(
            bay=str(state["bay"]),
            begin_s=moved(state["begin_s"]),
            free_s=moment_of(state["free_s"], moved),
            seen_s=moved(state["seen_s"]),
            box=box,
            verdicts={-number: verdict for number, verdict in enumerate(verdicts, 1)},
            end_reason=state["end_reason"],
            unseen_s=float(state["unseen_s"]),
            told_as=str(state["subject"]),
        )

    def plate(self) -> Verdict:
        """What is known of the plate, or why nothing is."""
        agreed = {verdict.text: verdict for verdict in self.verdicts.values() if verdict.text}
        if len(agreed) > 1:
            return Verdict(None, reason="plates disagree")
        if agreed:
            return next(iter(agreed.values()))
        return next(iter(self.verdicts.values()), Verdict(None, reason="no plate found"))


class BaySessions:
    """Follows who stands in which bay of a camera."""

    def __init__(self, view: View, confirm_s: float | None) -> None:
        settings = bay_settings(view)
        if confirm_s is None:
            confirm_s = settings.every_s / 2
        self._reads_plates = view.plates is not None
        self._votes = PlateVotes(KEEP_S)
        self._occupancy = Occupancy(settings.zones, confirm_s, settings.every_s)
        self.open: dict[str, Session] = {}
        """Bay -> the session that goes on."""
        self._recalled: dict[str, Session] = {}
        """Those of before a restart that no look has confirmed."""

    def remember(self) -> JSON:
        """Who stands where."""
        sessions = [session.remember() for session in self.open.values()]
        return {"occupancy": self._occupancy.remember(), "sessions": sessions}

    def recall(self, state: JSON, moved: Moved) -> None:
        """Go on with them: who stands where one stood, after no long pause, is that one."""
        self._occupancy.recall(state["occupancy"], moved)
        sessions = [Session.of(each, moved) for each in state["sessions"]]
        self.open = {session.bay: session for session in sessions}
        self._recalled = dict(self.open)

    @property
    def bays(self) -> Iterable[BayState]:
        return self._occupancy.bays.values()

    def update(self, scene: Scene) -> Iterator[tuple[Change, Session]]:
        """Advance to the scene; only the end of a look changes anything."""
        self._votes.update(scene)
        if scene.bays is None:
            return
        for turn in self._occupancy.update(scene.bays, scene.frame.t_s):
            yield from self._turn(turn)
        for bay in self.bays:
            if bay.name in self._recalled and bay.contrary_s is None:
                yield from self._find_again(bay, self._recalled.pop(bay.name))
        for bay in self.bays:
            session = self.open.get(bay.name)
            if session is not None and bay.vehicle is not None and bay.contrary_s is None:
                session.seen_s, session.box = bay.agreed_s, bay.vehicle.box
                self._ask_plate(session, scene)

    def finish(self) -> Iterator[tuple[Change, Session]]:
        """Every session ends: there is nothing more to see."""
        for session in self.open.values():
            session.end_reason = "recording_ended"
            yield "ended", session
        self.open.clear()

    def plate(self, session: Session) -> dict[str, JSON]:
        """The session's plate as an event says it."""
        if not self._reads_plates:
            return Verdict(None, reason="plates are not read here").as_json()
        return session.plate().as_json()

    def _turn(self, turn: Turn) -> Iterator[tuple[Change, Session]]:
        bay = turn.bay
        if bay.is_taken and bay.vehicle is not None:
            free_s = None if turn.is_first else bay.free_s
            session = Session(bay.name, turn.at_s, free_s, bay.agreed_s, bay.vehicle.box)
            self.open[bay.name] = session
            yield "begun", session
        elif bay.name in self.open:
            session = self.open.pop(bay.name)
            was_watched = self._recalled.pop(bay.name, None) is None
            session.seen_s, session.end_reason = turn.at_s, "left" if was_watched else "lost"
            yield "ended", session

    def _find_again(self, bay: BayState, session: Session) -> Iterator[tuple[Change, Session]]:
        """The first look after a restart shows a vehicle in a bay that had one before."""
        gap_s = bay.agreed_s - session.seen_s
        if bay.vehicle is None:
            return
        if gap_s <= MAX_GAP_S and iou(bay.vehicle.box, session.box) >= SAME_PLACE_IOU:
            session.unseen_s += gap_s if gap_s > self._occupancy.pause_s else 0.0
            return
        session.end_reason = "lost"
        yield "ended", session
        fresh = Session(bay.name, bay.agreed_s, None, bay.agreed_s, bay.vehicle.box)
        self.open[bay.name] = fresh
        yield "begun", fresh

    def _ask_plate(self, session: Session, scene: Scene) -> None:
        track = track_of(session.box, scene)
        vote = self._votes.of(track.id) if track else None
        if track and vote:
            session.verdicts[track.id] = vote.verdict()


def bay_settings(view: View) -> BaySettings:
    """The camera's bays, which the loader has made sure of."""
    if view.bays is None:
        raise ValueError(f"camera {view.camera}: has no bays")
    return view.bays


def bays_missing(camera: Camera) -> Iterator[tuple[str, str]]:
    """What a rule about bays complains of where there are none."""
    if camera.bays is None:
        yield "kind", "this camera has no bays; add to it, e.g. `bays: {zones: [a1, a2]}`"


def track_of(box: Box, scene: Scene) -> Track | None:
    """The track that follows the vehicle in that box."""
    fits = [(iou(track.box, box), track) for track in scene.tracks if track.cls in VEHICLES]
    fit, track = max(fits, key=lambda pair: (pair[0], -pair[1].id), default=(0.0, None))
    return track if fit >= SAME_VEHICLE_IOU else None
