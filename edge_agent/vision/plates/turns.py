"""Whose plate is looked at next: the cost is bounded in media time, the best chance comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from edge_agent.types import VEHICLES, Box, PlateRead, Track

PLATE_SHARE = 0.3
"""A plate takes at most this share of a vehicle's width (0.52 m of 1.75 m), seen from its end."""
AGREED = 3
"""So many equal reads are as good as certain."""
REST_S = 10.0
"""An agreed plate is looked at again after so long; the tracker may have swapped vehicles."""
RETRY_S = 0.5
"""After a look in vain; doubled with each further one, up to `REST_S`."""
GROWTH = 1.15
"""A vehicle that looks so much wider than at the last look is worth another at once."""


@dataclass
class _Record:
    """What earlier looks at one vehicle came to."""

    texts: Counter[str] = field(default_factory=Counter)
    in_vain: int = 0
    next_s: float = 0.0
    width_px: float = 0.0

    @property
    def agreed(self) -> int:
        return max(self.texts.values(), default=0)


class Turns:
    """Grants one look at a time, at most so many a second."""

    def __init__(self, max_per_s: float, min_plate_px: float) -> None:
        self._interval_s = 1 / max_per_s
        self._min_width_px = min_plate_px / PLATE_SHARE
        self._next_s = 0.0
        self._records: dict[int, _Record] = {}

    def next(self, t_s: float, tracks: Iterable[Track]) -> Track | None:
        """The vehicle to look at now: fewest agreeing reads first, then the widest."""
        vehicles = {track.id: track for track in tracks if track.cls in VEHICLES}
        self._records = {i: r for i, r in self._records.items() if i in vehicles}
        if t_s < self._next_s:
            return None
        ready = [track for track in vehicles.values() if self._is_ready(t_s, track)]
        if not ready:
            return None
        self._next_s = t_s + self._interval_s
        return min(ready, key=self._rank)

    def note(self, t_s: float, track: Track, read: PlateRead | None) -> None:
        """Remember what came of the look."""
        record = self._records.setdefault(track.id, _Record())
        record.width_px = _box(track).width
        if read is None or read.reason is not None:
            record.in_vain += 1
            record.next_s = t_s + min(REST_S, RETRY_S * 2 ** (record.in_vain - 1))
            return
        record.in_vain = 0
        record.texts[read.text] += 1
        record.next_s = t_s + REST_S if record.agreed >= AGREED else t_s

    def _is_ready(self, t_s: float, track: Track) -> bool:
        width_px = _box(track).width
        if track.last_s < t_s or width_px < self._min_width_px:
            return False
        record = self._records.get(track.id)
        if record is None or t_s >= record.next_s:
            return True
        return record.agreed < AGREED and width_px >= GROWTH * record.width_px

    def _rank(self, track: Track) -> tuple[int, int, float, int]:
        record = self._records.get(track.id, _Record())
        return record.agreed, record.in_vain, -_box(track).width, track.id


def _box(track: Track) -> Box:
    return track.seen or track.box
