"""A profile: named rules with their sources, shipped with the package or written by an operator."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from edge_agent.config import Settings
from edge_agent.config.models import Name
from edge_agent.config.settings_file import load_settings
from edge_agent.config.wording import NAME_PATTERN, suggestion
from edge_agent.errors import ConfigError
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.profiles.checks import AnyRule, Text, Verdict

FOLDER = Path(__file__).parent


class Profile(Settings):
    """What a case has to show before it counts as evidence somewhere.

    The rules of a shipped profile never change: a new edition of a standard gets a new name, so
    that old bundles go on to be measured by what they were made for.
    """

    model_config = ConfigDict(strict=True)

    name: Name
    title: Text
    rules: Annotated[list[AnyRule], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _are_told_apart(self) -> Profile:
        twice = [name for name, n in Counter(rule.id for rule in self.rules).items() if n > 1]
        if twice:
            raise ValueError(f"two rules have the id `{twice[0]}`; give every rule its own")
        return self

    @property
    def needs_plates(self) -> bool:
        """A case from a camera where no plates are read can never meet it."""
        return any(rule.check == "legible_plates" for rule in self.rules)

    def judge(self, manifest: Manifest) -> tuple[Verdict, ...]:
        """What the manifest meets and misses, rule by rule; a case meets it if it misses none."""
        return tuple(rule.judge(manifest) for rule in self.rules)


@cache
def shipped_profiles() -> Mapping[str, Profile]:
    """The profiles of the package, by name."""
    profiles = [_read(path) for path in sorted(FOLDER.glob("*.yaml"))]
    return MappingProxyType({profile.name: profile for profile in profiles})


def find_profile(name: str) -> Profile:
    """The shipped profile of that name, or the one in the file (YAML, UTF-8) of that path.

    Raises ConfigError with every problem, one per line: `mine.yaml:12: where: what; what to do`.
    """
    shipped = shipped_profiles()
    if name in shipped:
        return shipped[name]
    if re.fullmatch(NAME_PATTERN, name):
        raise ConfigError(
            f"there is no profile `{name}`; {suggestion(name, shipped)} "
            "(a file of your own is named with its ending, e.g. mine.yaml)"
        )
    profile = _read(Path(name))
    if profile.name in shipped:
        raise ConfigError(
            f"{name}: name: `{profile.name}` is a profile of the package; choose another name"
        )
    return profile


def _read(path: Path) -> Profile:
    remedy = "write `name:`, `title:` and `rules:`, as the shipped profiles do"
    return load_settings(path, Profile, "profile", remedy)
