"""Which photos and facts an authority asks for: data that every case is measured against."""

from edge_agent.evidence.profiles.checks import Outcome, Verdict
from edge_agent.evidence.profiles.claim import (
    ATTACHED,
    attachment,
    broken_claims,
    claimed_profile,
    measured,
)
from edge_agent.evidence.profiles.profile import Profile, find_profile, shipped_profiles

__all__ = [
    "ATTACHED",
    "Outcome",
    "Profile",
    "Verdict",
    "attachment",
    "broken_claims",
    "claimed_profile",
    "find_profile",
    "measured",
    "shipped_profiles",
]
