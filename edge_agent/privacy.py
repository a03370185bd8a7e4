"""What is done about people and vehicles that are in a picture by chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_agent.types import Box, Image

Trait = Literal["face", "head", "plate"]
"""What somebody could be recognised by; `head` is where a person's box has it, seen or not."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """One part of a picture that was made irrecognisable."""

    trait: Trait
    box: Box
    """In px of the whole picture."""
    by: str
    """What said that it is there: a model's name, or `person box`, `vehicle box`."""


@dataclass(frozen=True, slots=True, eq=False)
class Redacted:
    """A copy of a picture in which nobody but the subject can be recognised."""

    image: Image
    hidden: tuple[Hidden, ...]
