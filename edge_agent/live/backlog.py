"""What the disk would not take: kept in memory and offered again, so that nothing decided is lost.

A live box cannot decide again what it has seen, as a replay can. A disk that is full, read-only
or gone for a while therefore delays what was decided; only with the process is it lost.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field, replace

from edge_agent.errors import EvidenceError, UplinkError
from edge_agent.journal import Journal
from edge_agent.types import Case, Event, PlateRead, Role

log = logging.getLogger(__name__)

MAX_CASES = 8
"""Cases that wait with their pictures, some 15 MB each at 1080p; then the oldest gives them up."""
MAX_EVENTS = 20_000
"""Events that wait, some 2 kB each: hours of a busy street. Beyond it, what only repeats or counts
gives way first: updates of what goes on, figures per minute, crossings."""
SHED = "shed for memory"

Key = tuple[str, str]
"""Camera and subject."""


@dataclass
class Backlog:
    """A sink before the journal, for live cameras. Implements `ports.Sink`.

    Events keep their order, and so do the revisions of a case; one that is too large for the disk
    delays no other case.
    """

    journal: Journal
    max_events: int = MAX_EVENTS
    events: deque[Event] = field(default_factory=deque, init=False)
    cases: deque[tuple[Case, bytes | None]] = field(default_factory=deque, init=False)
    shed_events: int = field(default=0, init=False)
    """How many were given up."""
    _is_told: bool = field(default=False, init=False)
    """It was said that something waits: once, not at every try of a week."""

    @property
    def waiting(self) -> int:
        """Number of events and cases that are in memory only."""
        return len(self.events) + len(self.cases)

    def event(self, event: Event) -> None:
        """Store the event, or keep it behind those that wait already."""
        self.events.append(event)
        self._drain(newest=event)
        if len(self.events) > self.max_events:
            self._shed_event()

    def case(self, case: Case, clip: bytes | None) -> None:
        """Store the case, or keep it."""
        is_behind = any(_key(other) == _key(case) for other, _ in self.cases)
        if is_behind or not self._files(case, clip):
            self.cases.append((case, clip))
            self._shed()

    def retry(self) -> bool:
        """Offer again what waits; True when nothing does any more. For the runner, now and then."""
        self._drain()
        self._file_all()
        if self._is_told and not self.waiting:
            self._is_told = False
            log.warning("the disk has taken what waited")
        return not self.waiting

    def _file_all(self) -> None:
        """In order of each case's revisions; one that raises is gone, and changes no order."""
        still: set[Key] = set()
        count = 0
        try:
            for _ in range(len(self.cases)):
                case, clip = self.cases.popleft()
                if _key(case) in still or not self._files(case, clip):
                    still.add(_key(case))
                    self.cases.append((case, clip))
                    count += 1
        finally:
            self.cases.rotate(count)  # those that wait still came before the rest

    def _shed_event(self) -> None:
        """Give up what says least; when everything says something, the oldest."""
        spare = next((event for event in self.events if _says_little(event)), self.events[0])
        self.events.remove(spare)
        self.shed_events += 1
        if self.shed_events in (1, 10, 100) or self.shed_events % 1000 == 0:
            log.error("no memory for events", extra={"given_up": self.shed_events})

    def _drain(self, newest: Event | None = None) -> None:
        """In order; one that raises, for no disk will ever take it, holds up none behind it."""
        while self.events:
            event = self.events.popleft()
            if not self._stores(event, is_late=event is not newest):
                self.events.appendleft(event)
                return

    def _stores(self, event: Event, is_late: bool) -> bool:
        try:
            self.journal.event(event, is_late)
        except (EvidenceError, UplinkError) as error:
            return self._waits(error, event.subject)
        return True

    def _files(self, case: Case, clip: bytes | None) -> bool:
        try:
            self.journal.case(case, clip)
        except (EvidenceError, UplinkError) as error:
            return self._waits(error, case.subject)
        return True

    def _waits(self, error: EvidenceError | UplinkError, subject: str) -> bool:
        """False, for later; raises what no disk will ever take."""
        if isinstance(error.__cause__, ValueError):
            raise error
        if not self._is_told:
            self._is_told = True
            log.error("kept in memory", extra={"subject": subject, "why": str(error)})
        return False

    def _shed(self) -> None:
        """Memory has an end as well: the same order as on the disk, and never the record."""
        with_pictures = [index for index, (case, _) in enumerate(self.cases) if case.photos]
        if len(with_pictures) <= MAX_CASES:
            return
        case, _ = self.cases[with_pictures[0]]
        log.error("no memory for a case", extra={"subject": case.subject})
        if case.revision > 1:  # its first revision lies on the disk, its end is an event
            del self.cases[with_pictures[0]]
            return
        reasons = (*case.reasons, SHED)
        plates = None if case.plates is None else dict[Role, PlateRead | None]()
        poorer = replace(
            case, photos=(), plates=plates, clip_s=None, reasons=reasons, is_complete=False
        )
        self.cases[with_pictures[0]] = (poorer, None)


def _says_little(event: Event) -> bool:
    return event.phase == "update" or event.kind.startswith("flow.")


def _key(case: Case) -> Key:
    return case.begin.camera, case.subject
