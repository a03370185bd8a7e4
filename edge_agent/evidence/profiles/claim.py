"""Whether a manifest keeps what it says of its profile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import rfc8785

from edge_agent.evidence.manifest import Manifest
from edge_agent.evidence.profiles.profile import Profile, shipped_profiles

ATTACHED: Final = "profile.json"
"""Where a bundle carries a profile that is not one of the package's, so that anybody can judge."""


def attachment(profile: Profile) -> bytes | None:
    """What a bundle has to carry of its profile; nothing of a shipped one."""
    if shipped_profiles().get(profile.name) == profile:
        return None
    return rfc8785.dumps(profile.model_dump(mode="json"))


def claimed_profile(manifest: Manifest, attached: bytes) -> Profile | None:
    """The profile that the manifest names; None when nobody here knows it.

    A shipped name means the shipped rules, whatever the bundle carries under that name.
    """
    if manifest.profile is None:
        return None
    if manifest.profile in shipped_profiles():
        return shipped_profiles()[manifest.profile]
    try:
        profile = Profile.model_validate_json(attached)
    except ValueError:
        return None
    return profile if profile.name == manifest.profile else None


def broken_claims(manifest: Manifest, attached: bytes) -> Iterator[str]:
    """Rules of its own profile that a manifest misses without giving that as a reason."""
    if manifest.profile is None:
        return
    profile = claimed_profile(manifest, attached)
    if profile is None:
        yield f"names the profile `{manifest.profile}`, which is neither shipped nor attached"
        return
    for verdict in profile.judge(manifest):
        if not set(verdict.reasons) <= set(manifest.reasons):
            rule = verdict.rule
            yield f"claims {profile.name}, but misses its rule `{rule.id}`: {verdict.found}"
