"""What has begun in front of one camera and not ended, whichever process saw it begin."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field, replace

from edge_agent.recollection import Moved, event_json, event_of
from edge_agent.types import JSON, Event, Scene

MAX_OPEN = 512
"""More do not begin without ending; what is older than so many is forgotten."""
RESTARTED = "restarted"
"""Why a happening ends that no rule goes on with."""
RECORDING_ENDED = "recording_ended"
"""What rules say of happenings that `finish` ends."""
NO_LONGER_WATCHED = "no_longer_watched"
"""Why these end where it is not the footage that does, but the rule, the camera or the box."""

Key = tuple[str, str]
"""Kind and subject."""


def unwatched(event: Event) -> Event:
    """What a rule said when it was taken away from footage that goes on."""
    if event.facts.get("end_reason") != RECORDING_ENDED:
        return event
    return replace(event, facts={**event.facts, "end_reason": NO_LONGER_WATCHED})


@dataclass(slots=True)
class _Open:
    rule: str
    """Key of the rule that told of it."""
    begin: Event


@dataclass
class Happenings:
    """The happenings that the world has been told the begin of, but not the end.

    What an earlier process left either goes on, because its rule does, or is ended in the next
    scene: nobody waits for an end that never comes. It keeps the id that it began with.
    """

    boot_id: str | None = None
    """The present boot; None in a recording."""
    _open: dict[Key, _Open] = field(default_factory=dict)
    _abandoned: list[Event] = field(default_factory=list)
    """Begins of those that no rule goes on with."""

    def note(self, rule: str, event: Event) -> Event:
        """Keep account of an event; returns it with the boot that its happening began in."""
        key = (event.kind, event.subject)
        known = self._open.get(key)
        since = self.boot_id if known is None else known.begin.since_boot
        if since is not None:
            event = replace(event, since_boot=since)
        if event.phase == "begin":
            self._open[key] = _Open(rule, event)
            if len(self._open) > MAX_OPEN:
                del self._open[next(iter(self._open))]
        elif event.phase == "end":
            self._open.pop(key, None)
        return event

    def begun(self) -> Iterator[Event]:
        """The begins of all that goes on."""
        return (each.begin for each in self._open.values())

    def remember(self) -> JSON:
        """Every begin, and which rule it belongs to."""
        begun = [(each.rule, each.begin) for each in self._open.values()]
        begun += [("", event) for event in self._abandoned]
        return [{"rule": rule, "begin": event_json(event)} for rule, event in begun]

    def recall(self, state: JSON, moved: Moved, rules: Container[str]) -> None:
        """Go on with what these rules go on with; the rest is ended in the next scene."""
        for each in state:
            event = event_of(each["begin"], moved)
            if each["rule"] in rules:
                self._open[event.kind, event.subject] = _Open(each["rule"], event)
            else:
                self._abandoned.append(event)

    def ended(self, scene: Scene) -> tuple[Event, ...]:
        """The ends of what no rule goes on with; told once."""
        frame, abandoned = scene.frame, self._abandoned
        self._abandoned = []
        return tuple(
            replace(
                begin,
                phase="end",
                t_s=frame.t_s,
                wall=frame.wall,
                frame=frame.seq,
                clock=frame.clock,
                facts={**begin.facts, "end_reason": RESTARTED},
            )
            for begin in abandoned
        )
