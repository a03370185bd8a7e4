"""What the cabinet tells the world: begins and ends of what is not as it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from edge_agent.clock import ClockReading
from edge_agent.types import JSON, Event, Phase, Scene

RETELL_S = 10.0
"""What has changed about it is told again after so long at the earliest."""
Key = tuple[str, str, str]
"""Kind, camera, and which of its lines or phases."""


@dataclass
class _Open:
    begin_s: float
    seen_s: float
    facts: Mapping[str, JSON]
    told_s: float


@dataclass
class Telling:
    """Events of the cameras that the lines serve, in monotonic time as live frames are."""

    read: Callable[[], tuple[datetime, ClockReading]]
    _open: dict[Key, _Open] = field(default_factory=dict, init=False)
    _frames: dict[str, int] = field(default_factory=dict, init=False)

    def see(self, scene: Scene) -> None:
        """Take note of a camera's latest frame."""
        self._frames[scene.frame.camera] = scene.frame.seq

    def tell(  # noqa: PLR0913  (what holds, and how it is told)
        self,
        key: Key,
        is_so: bool,
        now_s: float,
        facts: Mapping[str, JSON],
        *,
        zone: str | None = None,
        rest_s: float = 0.0,
    ) -> Iterator[Event]:
        """A begin when it becomes so, an end when it has not been so for `rest_s`."""
        known = self._open.get(key)
        if is_so and known is None:
            self._open[key] = known = _Open(now_s, now_s, facts, now_s)
            yield self._event(key, "begin", known, now_s, zone)
        elif is_so and known is not None:
            known.seen_s = now_s
            if facts != known.facts and now_s - known.told_s >= RETELL_S:
                known.facts, known.told_s = facts, now_s
                yield self._event(key, "update", known, now_s, zone)
        elif known is not None and now_s - known.seen_s >= rest_s:
            del self._open[key]
            lasted = {"lasted_s": round(now_s - known.begin_s, 3)}
            ended = _Open(known.begin_s, now_s, {**known.facts, **lasted}, now_s)
            yield self._event(key, "end", ended, now_s, zone)

    def _event(self, key: Key, phase: Phase, what: _Open, now_s: float, zone: str | None) -> Event:
        kind, camera, which = key
        wall, reading = self.read()
        return Event(
            camera=camera,
            kind=kind,
            subject=f"{kind}/{which}/{round(what.begin_s * 1000)}",
            phase=phase,
            begin_s=what.begin_s,
            t_s=now_s,
            wall=wall,
            frame=self._frames.get(camera, 0),
            zone=zone,
            facts=what.facts,
            clock=reading,
        )
