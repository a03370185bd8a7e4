"""Events, tracks and boxes as JSON, for what outlives the process, and back in the clock of now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from edge_agent.types import JSON, Box, Event, Track

Moved = Callable[[float], float]
"""From the media time at which something was remembered to the present one; may be negative."""

TIMES = ("begin_s", "entered_s", "end_s")
"""Facts of events that are media times."""
MAX_GAP_S = 600.0
"""After a longer restart, what stands in the same place may well be another vehicle."""
UNTRACKED = 0
"""Ids of tracks end with the tracker: this one is nobody's."""

_EVENT, _TRACK = TypeAdapter(Event), TypeAdapter(Track)


def event_json(event: Event) -> JSON:
    """The whole event."""
    return _EVENT.dump_python(event, mode="json", warnings=False, fallback=_plain)


def event_of(state: JSON, moved: Moved) -> Event:
    """What `event_json` gave; raises ValueError for anything else."""
    event = _EVENT.validate_python(state)
    facts = {
        name: round(moved(fact), 3) if name in TIMES else fact for name, fact in event.facts.items()
    }
    track = None if event.track is None else _moved(event.track, moved)
    begin_s, t_s = moved(event.begin_s), moved(event.t_s)
    return replace(event, begin_s=begin_s, t_s=t_s, track=track, facts=facts)


def track_json(track: Track) -> JSON:
    """The whole track."""
    return _TRACK.dump_python(track, mode="json", warnings=False, fallback=_plain)


def track_of(state: JSON, moved: Moved) -> Track:
    """What `track_json` gave, but as nobody's track; raises ValueError for anything else."""
    return _moved(_TRACK.validate_python(state), moved)


def box_json(box: Box | None) -> JSON:
    """Its edges in px."""
    return None if box is None else [float(edge) for edge in box.edges]


def box_of(state: JSON) -> Box | None:
    """What `box_json` gave."""
    return None if state is None else Box(*(float(edge) for edge in state))


def moment_of(state: JSON, moved: Moved) -> float | None:
    """A media time that may be none."""
    return None if state is None else moved(float(state))


def _moved(track: Track, moved: Moved) -> Track:
    return replace(
        track,
        id=UNTRACKED,
        first_s=moved(track.first_s),
        last_s=moved(track.last_s),
        still_since_s=moment_of(track.still_since_s, moved),
    )


def _plain(value: Any) -> Any:  # noqa: ANN401
    """What NumPy leaves in facts."""
    return value.tolist()
