"""Deleting evidence whose time is over, and not what somebody holds.

A bundle goes when the moment that its own signed manifest names has come, or, where it names none,
when the site's policy says so; never before the policy's minimum. Its tombstone is on the disk
before it goes. A file system does not overwrite what it deletes: encrypt the disk, or the
originals, if what was deleted must not be recoverable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edge_agent.clock import utc_text
from edge_agent.config.privacy import Policy
from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle import tombstone
from edge_agent.evidence.bundle.chain import manifest_bytes
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.bundle.tombstone import Tombstone
from edge_agent.evidence.custody.holds import is_held
from edge_agent.evidence.keys import DeviceKey
from edge_agent.evidence.staging import cannot, sync_folder

MAX_SHARE = 0.5
"""More of all bundles at once is what a clock that jumped ahead would delete ..."""
FEW = 10
"""... unless there are only a few."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One bundle and what is to become of it; little enough to hold for all of a large disk."""

    path: Path
    until: datetime | None
    """None: it cannot be read, so that nobody knows when its time is over."""
    is_held: bool = False
    is_replay: bool = False

    def is_due(self, now: datetime) -> bool:
        """True when its time is over and nobody holds it."""
        return self.until is not None and self.until <= now and not self.is_held


def delete_due(
    kept: Sequence[Kept], key: DeviceKey, policy: Policy, now: datetime, is_clock_trusted: bool
) -> Iterator[Path]:
    """What a device does once a day; yields the tombstones, of which the journal has to tell.

    `kept` is a survey, which takes long and may have been made by another thread a little earlier.
    One bundle goes with each step. Raises EvidenceError, and deletes nothing, where the clock may
    be wrong.
    """
    found = due(kept, now, is_clock_trusted)
    refuse_flood(found, kept)
    yield from delete(found, key, policy, now)


def survey(evidence: Path, policy: Policy) -> list[Kept]:
    """Every bundle of the folder, and until when it is kept."""
    return [_kept(path, policy) for path in sorted(evidence.glob("*.evb"))]


def delete_after(latest: datetime, policy: Policy) -> str:
    """The moment that a manifest names (RFC 3339), for a case that ended then."""
    return utc_text(latest + policy.keep)


def due(kept: Sequence[Kept], now: datetime, is_clock_trusted: bool) -> list[Kept]:
    """What has to go now; raises EvidenceError where a wrong clock may be the reason."""
    found = [each for each in kept if each.is_due(now)]
    if found and not is_clock_trusted:
        raise EvidenceError(
            f"{len(found)} bundles seem to be due, but the clock is not known to be right: nothing "
            "is deleted before it is synchronised"
        )
    return found


def refuse_flood(found: Sequence[Kept], kept: Sequence[Kept]) -> None:
    """Raise EvidenceError when so much would go at once that somebody should look first."""
    if len(found) > max(FEW, MAX_SHARE * len(kept)):
        raise EvidenceError(
            f"{len(found)} of {len(kept)} bundles would be deleted at once: check the date "
            "(`--dry-run` lists them), then run `edge-agent evidence retain` with --yes"
        )


def delete(found: Sequence[Kept], key: DeviceKey, policy: Policy, now: datetime) -> Iterator[Path]:
    """Delete the bundles one by one; yields each one's tombstone, which is there first.

    What is no more as it was found, because it was revised or is held by now, stays. What cannot be
    deleted keeps no other: EvidenceError at the end says which was the first.
    """
    failed: EvidenceError | None = None
    for each in found:
        if _kept(each.path, policy) != each:
            continue
        try:
            text = manifest_bytes(each.path)
            manifest = Manifest.from_bytes(text)
            path = tombstone.find(each.path.parent, manifest.case.id)
            if path is None:  # else it was cut off between the two
                size = each.path.stat().st_size
                why = (utc_text(now), "retention time is over", policy.name)
                grave = Tombstone.of(manifest, text, size, why)
                path = grave.write(each.path.parent, key)
            each.path.unlink()
            sync_folder(each.path.parent)
        except (OSError, EvidenceError) as error:
            flaw = cannot(each.path, "be deleted", error) if isinstance(error, OSError) else error
            failed = failed or flaw
            continue
        yield path
    if failed is not None:
        raise failed


def _kept(path: Path, policy: Policy) -> Kept:
    try:
        manifest = Manifest.from_bytes(manifest_bytes(path))
    except (OSError, ValueError, EvidenceError):
        return Kept(path, None)
    latest = datetime.fromisoformat(manifest.case.latest.utc)
    said = manifest.privacy.delete_after
    until = datetime.fromisoformat(said) if said else latest + policy.keep
    until = max(until, latest + policy.minimum)
    is_replay = manifest.source.kind == "replay"
    return Kept(path, until, is_held(path.parent, manifest.case.id), is_replay)
