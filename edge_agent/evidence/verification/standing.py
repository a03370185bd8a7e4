"""What others say of a bundle: when it was there at the latest, and who is not believed now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from edge_agent.clock import utc_text
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.log import Vkey
from edge_agent.evidence.trust.certificates import Chain, read_roots
from edge_agent.evidence.trust.revocation import Revocations, is_covered, revocation_flaws
from edge_agent.evidence.verification.timestamp import Stamp, read_stamp

SLACK = timedelta(seconds=1)
"""By which the clocks of a device and of who vouches for it may differ (GA/T 832-2014, 4.3)."""


@dataclass(frozen=True, slots=True)
class Authorities:
    """Whom a verifier believes beside the root."""

    lists: Revocations = ()
    """Certificates that were taken back."""
    stampers: bytes | None = None
    """Time-stamping authorities, PEM."""
    witnesses: tuple[Vkey, ...] = ()
    """Whose cosignatures count: one of them must be there. Empty: none is asked for."""


def judge_stamp(
    token: bytes, seal: bytes, manifest: Manifest, stampers: bytes
) -> tuple[Stamp | None, list[str]]:
    """What a time-stamp proves, or what is wrong with it."""
    try:
        stamp = read_stamp(token, seal, stampers)
    except ValueError as error:
        return None, [str(error)]
    shown = manifest.case.latest.utc
    is_live = manifest.source.kind == "live"
    if is_live and stamp.latest + SLACK < datetime.fromisoformat(shown):
        return stamp, [f"is of {utc_text(stamp.latest)}, before what it shows: {shown}"]
    return stamp, []


def first_seen(stamp: Stamp | None, cosigned: datetime | None = None) -> datetime | None:
    """When evidence was there at the latest: by a time-stamp, or by a witness's cosignature."""
    stamped = None if stamp is None else stamp.latest
    return min((moment for moment in (stamped, cosigned) if moment is not None), default=None)


@dataclass(frozen=True, slots=True)
class Standing:
    """What revocation lists say of a signer."""

    flaws: tuple[str, ...]
    """Why it is not believed any more."""
    is_covered: bool
    """One of the lists is by whoever issued its certificate."""

    @classmethod
    def of(
        cls, chain: Chain, root: bytes | None, lists: Revocations, seen: datetime | None
    ) -> Standing:
        """`seen`: when the evidence was there at the latest."""
        issuers = () if root is None else read_roots(root)
        flaws = tuple(revocation_flaws(chain, issuers, lists, seen))
        return cls(flaws, is_covered(chain, issuers, lists))
