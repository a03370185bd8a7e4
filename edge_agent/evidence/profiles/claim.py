"""Whether a manifest keeps what it says of its profile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import rfc8785

from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.profiles.profile import Profile, shipped_profiles

ATTACHED: Final = "profile.json"
"""Where a bundle carries a profile that is not one of the package's, so that anybody can judge."""


def attachment(profile: Profile) -> dict[str, bytes]:
    """What a bundle has to carry of its profile, by file name; nothing of a shipped one."""
    if profile.name in shipped_profiles():
        return {}
    return {ATTACHED: rfc8785.dumps(profile.model_dump(mode="json"))}


def measured(manifest: Manifest, profile: Profile) -> Manifest:
    """The manifest with the profile's name, and with what it misses among its reasons.

    Which photos are needed is the profile's business then: a case that is partial, because its
    vehicle was not seen leaving, may be evidential where nobody asks for that photo.
    """
    missed = [reason for verdict in profile.judge(manifest) for reason in verdict.reasons]
    doubts = [reason for reason in manifest.reasons if reason not in manifest.case.reasons]
    reasons = list(dict.fromkeys((*doubts, *missed)))
    told = {"profile": profile.name, "reasons": reasons, "evidential": not reasons}
    return manifest.model_copy(update=told)


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
    is_as_written = attachment(profile) == {ATTACHED: attached}
    return profile if is_as_written and profile.name == manifest.profile else None


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
