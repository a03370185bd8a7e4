"""ByteTrack's two rounds of association, counted in seconds, with a memory for what stands still.

Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022.
What is added: a vehicle that stood keeps its place and its id while traffic hides it.
"""

from __future__ import annotations

import numpy as np

from edge_agent.config.models import TrackerSettings
from edge_agent.tracking.association import IOU_PLACE, IOU_STRONG, Association, Sightings
from edge_agent.tracking.sameness import twins
from edge_agent.tracking.trace import Trace
from edge_agent.types import Detections, Frame, Track

PATIENCE_S = 0.3
"""A track that is not confirmed yet is given up when it is unseen for longer."""
FAITH = 5.0
"""What nothing hides may go unseen for so many times as long as it was clearly seen."""


class Tracker:
    """Follows the objects of one camera; ids count from 1 and are never used again.

    `high_score` is the weakest detection that may start a track; weaker ones only continue one.
    """

    def __init__(self, settings: TrackerSettings, high_score: float) -> None:
        self._settings = settings
        self._high = high_score
        self._traces: list[Trace] = []
        self._ended: tuple[Track, ...] = ()
        self._ids = 0
        self._t_s: float | None = None
        self._size: tuple[int, int] | None = None

    def update(self, detections: Detections, frame: Frame) -> tuple[Track, ...]:
        """Advance to `frame.t_s`; returns the confirmed tracks, hidden ones included."""
        self._fit(frame)
        dt_s = 0.0 if self._t_s is None else max(0.0, frame.t_s - self._t_s)
        self._t_s = frame.t_s
        is_blind = dt_s > self._settings.lost_s
        for trace in self._traces:
            trace.predict(0.0 if is_blind else dt_s)
        sightings = Sightings(detections)
        association = Association(self._traces, sightings)
        count = np.count_nonzero(sightings.scores >= self._high)
        strong, weak = list(range(count)), list(range(count, len(sightings)))
        association.match(strong, IOU_PLACE if is_blind else IOU_STRONG)
        if not is_blind:
            association.match_reach(strong)
        association.match_weak(weak)
        association.match_parts(strong + weak)
        self._take(association, sightings, dt_s)
        self._traces += [
            Trace(frame.t_s, sightings.edges(column), sightings.vote(column), self._shape())
            for column in association.births(strong)
        ]
        return self._report()

    def hold(self, frame: Frame) -> tuple[Track, ...]:
        """Advance to `frame.t_s`: what was seen in the latest update is still there."""
        self._fit(frame)
        self._t_s = frame.t_s
        self._ended = ()
        for trace in self._traces:
            if not trace.is_hidden:
                trace.stay(frame.t_s)
        return self._report()

    def ended(self) -> tuple[Track, ...]:
        """The confirmed tracks that the latest call gave up."""
        return self._ended

    def _fit(self, frame: Frame) -> None:
        size = (frame.width, frame.height)
        if self._size is not None and self._size != size:
            for trace in self._traces:
                trace.scale(size[0] / self._size[0], size[1] / self._size[1])
        self._size = size

    def _take(self, association: Association, sightings: Sightings, dt_s: float) -> None:
        """Record what was seen and what was not, and give up what is gone."""
        t_s = self._now()
        covered, hidden = association.covered(), association.hidden()
        kept: list[Trace] = []
        gone: list[Trace] = []
        for row, trace in enumerate(self._traces):
            column = association.seen.get(row)
            if column is None:
                trace.miss(dt_s)
            else:
                trace.see(t_s, sightings.edges(column), sightings.vote(column), row in covered)
            is_clear = column is not None and sightings.scores[column] >= self._high
            trace.weigh(dt_s, is_clear, row in hidden)
            (gone if self._is_gone(trace) else kept).append(trace)
        for trace, edges in association.outlines():
            trace.stillness.widen(t_s, edges)
        gone += self._merge(kept)
        self._ended = tuple(self._track(trace) for trace in gone if trace.id)
        self._traces = [trace for trace in kept if trace not in gone]

    def _merge(self, traces: list[Trace]) -> list[Trace]:
        """The tracks to be given up because another one stands at the same place.

        What is hidden at a place to which another vehicle was seen to come has left it unseen.
        """
        gone: list[Trace] = []
        for elder, younger in twins(traces):
            if elder in gone or younger in gone:
                continue
            if elder.is_hidden and younger.has_arrived:
                gone.append(elder)
            else:
                elder.absorb(younger)
                gone.append(younger)
        return gone

    def _is_gone(self, trace: Trace) -> bool:
        """What nothing hides is missed the longer the better it was known."""
        patience_s = max(self._settings.lost_s, FAITH * trace.known_s)
        if trace.missed_s > min(patience_s, self._settings.lost_still_s):
            return True
        if not trace.is_hidden:
            return False
        if not trace.id:
            return trace.unseen_s > PATIENCE_S
        if trace.is_settled:
            return trace.unseen_s > self._settings.lost_still_s
        return trace.unseen_s > self._settings.lost_s or trace.is_outside(*self._shape())

    def _report(self) -> tuple[Track, ...]:
        for trace in self._traces:
            if not trace.id and self._is_sure(trace):
                self._ids += 1
                trace.id = self._ids
        return tuple(self._track(trace) for trace in self._traces if trace.id)

    def _is_sure(self, trace: Trace) -> bool:
        return trace.hits > 1 and trace.last_s - trace.first_s >= self._settings.confirm_s

    def _track(self, trace: Trace) -> Track:
        return trace.track(*self._shape(), self._high)

    def _shape(self) -> tuple[int, int]:
        assert self._size is not None
        return self._size

    def _now(self) -> float:
        assert self._t_s is not None
        return self._t_s
