"""What a box does once a day: delete what is due, and forget what nobody will ask for."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from edge_agent.checkpoints import CheckpointFeed
from edge_agent.config import Site
from edge_agent.config.lists import rotating_keys
from edge_agent.errors import EdgeError, EvidenceError
from edge_agent.evidence.custody.retention import Kept, delete_due
from edge_agent.evidence.keys import DeviceKey
from edge_agent.evidence.log import MerkleLog
from edge_agent.journal import Journal

log = logging.getLogger(__name__)

STEP = 10
"""Bundles that are deleted in one go: about a second on a slow card."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """One day's work on a box's data, for the thread that writes them."""

    site: Site
    home: Path
    """Where the site's keys are."""
    key: DeviceKey
    journal: Journal
    feed: CheckpointFeed

    def do(self, kept: Sequence[Kept], now: datetime, is_clock_trusted: bool) -> Iterator[None]:
        """Do it all, in steps between which something else may be written.

        `kept` is a survey of the evidence, empty where nothing is to be deleted. Without a clock
        that is known to be right nothing goes. What cannot be done today is told, and tried again
        tomorrow.
        """
        try:
            yield from self._delete(kept, now, is_clock_trusted)
        except EdgeError as error:
            _complain(error)
        steps: list[Callable[[], None]] = [self.journal.tell_deletions]
        if is_clock_trusted:
            steps += [lambda: self._destroy_keys(now), lambda: self._prune(now)]
        steps.append(self.journal.bundles.store_register)
        for step in steps:
            yield
            try:
                step()
            except EdgeError as error:
                _complain(error)

    def _delete(
        self, kept: Sequence[Kept], now: datetime, is_clock_trusted: bool
    ) -> Iterator[None]:
        policy, count = self.site.privacy.policy, 0
        if policy is None:
            return
        for _ in delete_due(kept, self.key, policy, now, is_clock_trusted):
            count += 1
            if count % STEP == 0:
                self.journal.tell_deletions()
                yield
        if count:
            log.info("evidence deleted", extra={"bundles": count, "policy": policy.name})

    def _destroy_keys(self, now: datetime) -> None:
        """Without its key nobody can tell any more which plate a hash of that time was."""
        privacy = self.site.privacy
        if privacy.rotate_days is not None and privacy.policy is not None:
            rotating_keys(self.site, self.home).destroy(now - privacy.policy.keep)

    def _prune(self, now: datetime) -> None:
        """Let go of hashes that are older than `log_days` and that nobody waits for."""
        merkle_log, days = self.journal.bundles.log, self.site.evidence.log_days
        if merkle_log is None or days is None:
            return
        old = merkle_log.stored_before((now - timedelta(days=days)).timestamp())
        minimum = min(old, self._first_untold(merkle_log))
        if minimum <= merkle_log.minimum:
            return
        standing = self.feed.standing
        if unheard := [name for name, size in standing.items() if size is None]:
            raise EvidenceError(
                f"the log is not pruned: where {', '.join(unheard)} stands is not known, for it "
                "has not answered: start it, or take it out of `evidence.witnesses`"
            )
        spared = {size - 1 for size in standing.values() if size}
        count = merkle_log.prune(minimum, self.journal.bundles.entries | spared)
        log.info("log pruned", extra={"before": minimum, "tiles": count})

    def _first_untold(self, merkle_log: MerkleLog) -> int:
        """The entry of the oldest record that has not been delivered; the log's end without one."""
        end = merkle_log.signed_size
        for row in self.journal.outbox.pending(limit=1):
            place = json.loads(row.body)["data"].get("log")
            return min(end, int(place["index"])) if place else 0
        return end


def _complain(error: EdgeError) -> None:
    log.warning("upkeep not done", extra={"why": str(error)})
