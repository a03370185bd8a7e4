"""One camera's way from a frame to decisions: no thread, no clock, no I/O.

admit   (in order, cheap)  is the frame worth looking at?
see     (any thread)       what is in it?
step    (in order)         who is it, what does a closer look at plates and heads show, what do
                           the rules say, which cases follow?
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from edge_agent.clock import STEPPED, ClockStep, StepWatch
from edge_agent.happenings import Happenings, unwatched
from edge_agent.ports import (
    Analyzer,
    BayWatcher,
    Collector,
    Detector,
    Gate,
    HeadFinder,
    Memory,
    PlateReader,
    Tracker,
)
from edge_agent.recollection import Moved
from edge_agent.types import DOUBTS, JSON, Case, Detections, Event, Frame, Scene, Signals

log = logging.getLogger(__name__)

Admission = Literal["skip", "hold", "see"]
"""Above the analysed rate; nothing has changed; worth an inference."""

NO_SIGNALS: Signals = MappingProxyType({})

QUIET_S = 2.0
"""A scene in which nothing has changed for so long is one that its source may rest in."""

MAX_FAILURES = 3
"""After so many exceptions a rule is switched off instead of being made anew."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step decided."""

    events: tuple[Event, ...] = ()
    cases: tuple[Case, ...] = ()
    scene: Scene | None = None
    """What it was decided on."""


@dataclass
class RuleSlot:
    """A rule and how to make it again when it breaks."""

    kind: str
    make: Callable[[], Analyzer]
    key: str = ""
    """What the rule is, settings and places included: the same in another process."""
    analyzer: Analyzer | None = None
    failures: int = 0

    def __post_init__(self) -> None:
        self.analyzer = self.make()


@dataclass
class Pipeline:
    """The components of one camera, joined; every state it has lives in them."""

    detector: Detector
    tracker: Tracker
    rules: Sequence[RuleSlot]
    collector: Collector
    gate: Gate | None = None
    plates: PlateReader | None = None
    heads: HeadFinder | None = None
    bays: BayWatcher | None = None
    min_interval_s: float = 0.0
    """Frames that follow the last analysed one sooner than this are skipped."""
    may_rest: bool = False
    """Its source need not decode every picture of a quiet scene."""
    eyes: str = ""
    """What detector, tracker, plate reader and collector are: two that agree may be exchanged."""
    open: Happenings = field(default_factory=Happenings)
    """What has begun and not ended."""
    _next_s: float = field(default=0.0, init=False)
    _latest: Scene | None = field(default=None, init=False)
    _doubts: dict[str, str] = field(default_factory=dict, init=False)
    _steps: StepWatch = field(default_factory=StepWatch, init=False)
    _stepped_s: float | None = field(default=None, init=False)
    """Media time at which the wall clock was last stepped."""
    asking: str | None = field(default=None, init=False)
    """The kind of rule that is being asked at this moment: if nothing comes of it, it hangs."""

    @property
    def doubts(self) -> tuple[str, ...]:
        """What makes the picture unreliable now."""
        return tuple(self._doubts.values())

    @property
    def suspicion(self) -> str | None:
        """What may make it unreliable, before a rule is sure enough for an event."""
        found = (getattr(slot.analyzer, "suspicion", None) for slot in self.rules)
        return next(filter(None, found), None)

    @property
    def rules_off(self) -> tuple[str, ...]:
        """Kinds of rules that were switched off because they failed."""
        return tuple(slot.kind for slot in self.rules if slot.analyzer is None)

    def admit(self, frame: Frame) -> Admission:
        """Decide, frame by frame in order, whether this one needs an inference."""
        if frame.t_s < self._next_s:
            return "skip"
        if self.min_interval_s:
            # Half a percent of slack keeps 12.5 of 25 frames/s at every second frame exactly.
            self._next_s = max(self._next_s, frame.t_s - self.min_interval_s)
            self._next_s += self.min_interval_s * 0.995
        if self.gate is not None and not self.gate.is_open(frame):
            return "hold"
        return "see"

    def is_quiet(self, t_s: float) -> bool:
        """True when its source may rest: nothing has changed for a while in what `admit` saw."""
        return self.may_rest and self.gate is not None and t_s - self.gate.changed_s >= QUIET_S

    def see(self, frame: Frame) -> Detections:
        """Detect; safe in any thread and any order unless `detector.is_ordered`."""
        return self.detector.detect(frame)

    def step(self, frame: Frame, seen: Detections | None, signals: Signals = NO_SIGNALS) -> Outcome:
        """Advance to the frame; `seen` is None when nothing has changed since the last one."""
        if seen is None:
            tracks = self.tracker.hold(frame)
            seen = self._latest.detections if self._latest else Detections.none()
        else:
            tracks = self.tracker.update(seen, frame)
        scene = Scene(
            frame,
            seen,
            tracks,
            self.tracker.ended(),
            signals,
            plates=self.plates.read(frame, tracks) if self.plates else (),
            heads=self.heads.find(frame, tracks) if self.heads else (),
            bays=self.bays.look(frame) if self.bays else None,
            clock_step=self._step_at(frame),
        )
        self._latest = scene
        events = self._ask_rules(lambda analyzer: analyzer.update(scene))
        events = (*self.open.ended(scene), *events)
        return Outcome(events, tuple(self.collector.update(scene, events)), scene)

    def finish(self) -> Outcome:
        """Close what is open; the footage has ended."""
        scene = self._latest
        if scene is None:
            return Outcome()
        events = self._ask_rules(lambda analyzer: analyzer.finish(scene))
        return Outcome(events, tuple(self.collector.finish(scene, events)))

    def leave(self) -> Outcome:
        """Close what is open; the footage goes on, but nobody watches it any more."""
        scene = self._latest
        if scene is None:
            return Outcome()
        events = self._take_away(self.rules, scene)
        return Outcome(events, tuple(self.collector.finish(scene, events)))

    def suspend(self) -> Outcome:
        """Before another process goes on: end what it cannot, document what has begun."""
        scene = self._latest
        if scene is None:
            return Outcome()
        forgetful = [slot for slot in self.rules if not isinstance(slot.analyzer, Memory)]
        events = self._take_away(forgetful, scene)
        return Outcome(events, tuple(self.collector.suspend(scene, events)))

    def remember(self) -> JSON:
        """What another process needs to go on; no pictures."""
        rules: dict[str, JSON] = {}
        for slot in self.rules:
            if isinstance(slot.analyzer, Memory):
                rules[slot.key] = slot.analyzer.remember()
        return {"rules": rules, "open": self.open.remember(), "cases": self.collector.remember()}

    def recall(self, state: JSON, moved: Moved) -> None:
        """Go on from there; to be called before the first frame.

        A rule that has changed begins anew, and what it had begun is ended.
        """
        recalled = {slot.key for slot in self.rules if _recalls(slot, state["rules"], moved)}
        self.open.recall(state["open"], moved, recalled)
        self._doubts = {e.kind: DOUBTS[e.kind] for e in self.open.begun() if e.kind in DOUBTS}
        self.collector.recall(state["cases"], moved)

    def adopt(self, old: Pipeline) -> Outcome:
        """Take over from the pipeline of another site file, between two frames.

        What is the same goes on as if nothing had been; changed rules are ended by the old one.
        """
        if self.eyes != old.eyes:
            outcome = old.suspend()
            self.recall(old.remember(), lambda t_s: t_s)
            return outcome
        self.detector, self.tracker, self.collector = old.detector, old.tracker, old.collector
        self.gate, self.plates, self.open = old.gate, old.plates, old.open
        self._next_s, self._latest, self._doubts = old._next_s, old._latest, old._doubts
        self._steps, self._stepped_s = old._steps, old._stepped_s
        kept = {slot.key: slot for slot in old.rules}
        for slot in self.rules:
            if slot.key in kept:
                slot.analyzer = kept.pop(slot.key).analyzer or slot.analyzer
        scene = self._latest
        if scene is None:
            return Outcome()
        events = self._take_away(list(kept.values()), scene)
        return Outcome(events, tuple(self.collector.update(scene, events)))

    def _take_away(self, slots: Sequence[RuleSlot], scene: Scene) -> tuple[Event, ...]:
        return self._ask_rules(lambda analyzer: map(unwatched, analyzer.finish(scene)), slots)

    def _ask_rules(
        self,
        ask: Callable[[Analyzer], Iterable[Event]],
        slots: Sequence[RuleSlot] | None = None,
    ) -> tuple[Event, ...]:
        events: list[Event] = []
        for slot in self.rules if slots is None else slots:
            if slot.analyzer is None:
                continue
            self.asking = slot.kind
            try:
                for event in ask(slot.analyzer):
                    events.append(self.open.note(slot.key, self._timed(self._doubted(event))))
            except Exception:
                slot.failures += 1
                is_beyond_hope = slot.failures >= MAX_FAILURES
                verdict = "switched off" if is_beyond_hope else "made anew"
                log.exception("rule failed", extra={"rule": slot.kind, "verdict": verdict})
                slot.analyzer = None if is_beyond_hope else slot.make()
        self.asking = None
        return tuple(events)

    def _step_at(self, frame: Frame) -> ClockStep | None:
        step = self._steps.see(frame.clock.mono_ns, frame.wall) if frame.clock else None
        if step is not None:
            log.warning("clock stepped", extra={"before": step.before, "after": step.after})
            self._stepped_s = frame.t_s
        return step

    def _timed(self, event: Event) -> Event:
        """The event with what is known of the clock, and whether it can tell how long it took."""
        clock = self._latest.frame.clock if self._latest else None
        is_stepped = self._stepped_s is not None and event.begin_s < self._stepped_s
        doubts = (*event.doubts, STEPPED) if is_stepped else event.doubts
        return replace(event, clock=clock, doubts=doubts) if clock else event

    def _doubted(self, event: Event) -> Event:
        """The event with what speaks against the picture, as the camera's own events told."""
        if event.kind not in DOUBTS:
            return replace(event, doubts=(*event.doubts, *self._doubts.values()))
        if event.phase == "begin":
            self._doubts[event.kind] = DOUBTS[event.kind]
        elif event.phase == "end":
            self._doubts.pop(event.kind, None)
        return event


def _recalls(slot: RuleSlot, states: Mapping[str, JSON], moved: Moved) -> bool:
    """Let a rule go on from what it remembered; False when it did not, or cannot."""
    if slot.key not in states or not isinstance(slot.analyzer, Memory):
        return False
    try:
        slot.analyzer.recall(states[slot.key], moved)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        log.warning("memory useless", extra={"rule": slot.kind, "why": str(error)})
        slot.analyzer = slot.make()
        return False
    return True
