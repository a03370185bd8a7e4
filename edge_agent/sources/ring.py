"""The latest packets of a camera, undecoded: what clips and large pictures are made of."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby, pairwise

from edge_agent.sources.clip import mux_clip
from edge_agent.sources.packets import Parcel, Segment, joined

SETTLING = Fraction(1, 100)
"""s by which the times of a stream may shift while its pace is being learned."""


@dataclass(frozen=True, slots=True, eq=False)
class Gop:
    """A key frame and what refers to it; it grows until the next one comes."""

    parcels: list[Parcel] = field(default_factory=list)

    @property
    def segment(self) -> Segment:
        return self.parcels[0].segment

    @property
    def begin_s(self) -> float:
        return self.parcels[0].t_s


class PacketRing:
    """Bounded in seconds and bytes; safe to use from any number of threads."""

    def __init__(self, keep_s: float, max_bytes: int) -> None:
        self._keep_s = keep_s
        self._max_bytes = max_bytes
        self._gops: deque[Gop] = deque()
        self._bytes = 0
        self._is_open = False
        """The newest group goes on."""
        self._changed = threading.Condition()
        self.newest_s = 0.0

    def put(self, parcel: Parcel) -> Gop | None:
        """Add a packet; its group, or None when the key frame that it refers to is missing."""
        with self._changed:
            if parcel.is_key and not self._goes_on(parcel):
                self._gops.append(Gop())
                self._is_open = True
            elif not self._is_open or self._gops[-1].segment is not parcel.segment:
                self._is_open = False
                return None
            gop = self._gops[-1]
            gop.parcels.append(parcel)
            self._bytes += len(parcel.data)
            self.newest_s = max(self.newest_s, parcel.t_s)
            self._evict()
            self._changed.notify_all()
            return gop

    def break_off(self) -> None:
        """The connection is gone: what comes next has nothing to do with what came before."""
        with self._changed:
            self._is_open = False

    @property
    def newest(self) -> Gop | None:
        """The group that is going on."""
        with self._changed:
            return self._gops[-1] if self._is_open else None

    def at(self, t_s: float) -> tuple[Gop, int] | None:
        """The packet whose picture was taken closest to that time, by its place in its group.

        None when that time is no longer, or not yet, kept.
        """
        with self._changed:
            if not self._gops or not self._gops[0].begin_s <= t_s <= self.newest_s:
                return None
            later = [gop for gop in self._gops if gop.begin_s > t_s][:1]
            earlier = [gop for gop in self._gops if gop.begin_s <= t_s][-1:]
            return min(
                ((gop, index) for gop in earlier + later for index in range(len(gop.parcels))),
                key=lambda place: abs(place[0].parcels[place[1]].t_s - t_s),
            )

    def clip(self, start_s: float, end_s: float, patience_s: float = 0.0) -> bytes | None:
        """An MP4 from the key frame at or before `start_s` on; of the longest unbroken stretch.

        Waits `patience_s` at most for what lies still ahead. None when nothing is kept of it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.newest_s >= end_s, patience_s)
            gops = [Gop(list(gop.parcels)) for gop in self._between(start_s, end_s)]
        stretches = [list(group) for _, group in groupby(gops, key=lambda gop: id(gop.segment))]
        if not stretches:
            return None
        return _clip(max(stretches, key=_length_s), start_s, end_s)

    def _goes_on(self, parcel: Parcel) -> bool:
        """True for a further part of the latest picture: some cameras send one in several."""
        latest = self._gops[-1].parcels[-1] if self._is_open else None
        return latest is not None and latest.segment is parcel.segment and latest.pts == parcel.pts

    def _between(self, start_s: float, end_s: float) -> list[Gop]:
        if not self._gops:
            return []
        ends = [*(later.begin_s for _, later in pairwise(self._gops)), self.newest_s]
        return [
            gop
            for gop, gop_end_s in zip(self._gops, ends, strict=True)
            if gop.begin_s <= end_s and gop_end_s > start_s
        ]

    def _evict(self) -> None:
        while len(self._gops) > 1 and (
            self._bytes > self._max_bytes or self._gops[1].begin_s <= self.newest_s - self._keep_s
        ):
            self._drop()
        if self._bytes > self._max_bytes:  # a camera that hardly ever sends key frames
            self._drop()
            self._is_open = False

    def _drop(self) -> None:
        self._bytes -= sum(len(parcel.data) for parcel in self._gops.popleft().parcels)


def _length_s(gops: Sequence[Gop]) -> float:
    return gops[-1].parcels[-1].t_s - gops[0].begin_s


def _clip(gops: Sequence[Gop], start_s: float, end_s: float) -> bytes | None:
    segment = gops[0].segment
    if segment.template is None:
        return None
    first = gops[0].parcels[0]
    zero = Fraction(first.t_s) - first.pts * segment.time_base
    pictures = groupby((p for gop in gops for p in gop.parcels), key=lambda parcel: parcel.pts)
    packets = [joined(list(parts)).packet() for _, parts in pictures]
    start, end = (Fraction(at_s) + SETTLING - zero for at_s in (start_s, end_s))
    return mux_clip(segment.template, packets, start, end)
