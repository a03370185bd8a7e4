"""Which photos and facts an authority asks for: data that every case is measured against."""

from edge_agent.evidence.profiles.checks import Outcome, Verdict
from edge_agent.evidence.profiles.claim import broken_claims, claimed_profile
from edge_agent.evidence.profiles.profile import Profile, find_profile, shipped_profiles

__all__ = [
    "Outcome",
    "Profile",
    "Verdict",
    "broken_claims",
    "claimed_profile",
    "find_profile",
    "shipped_profiles",
]
