"""What a site file may say about people: what leaves the box, and how long it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import pyrage
import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pyrage import x25519

from edge_agent.config.base import Settings

_Days = Annotated[int, Field(ge=0, le=36500)]


class Jurisdiction(BaseModel):
    """How long pictures of a case may and must be kept somewhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    title: str
    min_days: _Days
    days: _Days | None
    """Of a site that names none; None: it has to."""
    max_days: _Days | None
    """None: no number is known."""
    source: str
    to_check: str
    """What the operator has to find out."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a site keeps its evidence."""

    name: str
    """Of the jurisdiction, with the days: `lu, 8 days`."""
    keep: timedelta
    minimum: timedelta
    """Nothing is deleted sooner, whatever a bundle says of itself."""


@cache
def jurisdictions() -> dict[str, Jurisdiction]:
    """Every jurisdiction that is known, by its short name."""
    text = (files("edge_agent.config") / "jurisdictions.yaml").read_text("utf-8")
    return {
        name: Jurisdiction.model_validate(value) for name, value in yaml.safe_load(text).items()
    }


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Privacy(Settings):
    """What leaves the box about people, and how long evidence is kept."""

    plates: Literal["plain", "hashed"] = "plain"
    """`hashed`: outside of evidence, events carry a keyed hash in place of the text."""
    key_file: Path | None = None
    """What plates are hashed with: made by `edge-agent plates key`, readable by its owner only."""
    rotate_days: Annotated[int, Field(ge=1, le=366)] | None = None
    """Events get another key of their own after as many days; lists keep `key_file`."""
    redact: bool = True
    """Make a copy of every evidence photo in which bystanders and other vehicles' plates are
    pixelated; nothing else may be published."""
    face_model: str | None = None
    """Model card that looks for faces, e.g. `yunet`; without one, heads are where the camera's
    detector sees persons."""
    plate_model: str | None = None
    """Model card that looks for plates, e.g. `hyperlpr3_320`; without one, most of every other
    vehicle is covered."""
    encrypt_to: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = ()
    """Public keys of age (`age1...`): evidence of live cameras is stored so that only whoever has
    one of the secret keys sees the originals."""
    retention: str | None = None
    """Whose law says how long evidence is kept, e.g. `lu`; without one nothing is deleted."""
    keep_days: _Days | None = None
    """Days after which evidence is deleted; the jurisdiction's own number when absent."""

    @property
    def policy(self) -> Policy | None:
        """How long evidence is kept; None: until somebody deletes it."""
        if self.retention is None:
            return None
        law = jurisdictions()[self.retention]
        days = self.keep_days if self.keep_days is not None else law.days
        assert days is not None
        name = f"{self.retention}, {days} days"
        return Policy(name, timedelta(days=days), timedelta(days=law.min_days))

    @field_validator("encrypt_to")
    @classmethod
    def _are_public_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            try:
                x25519.Recipient.from_str(key)
            except pyrage.RecipientError as error:
                raise ValueError(
                    f"is no public key of age ({error}): `age-keygen -o operator.key` makes a "
                    "pair; name the one that begins with age1, keep the file away from the box"
                ) from error
        return keys

    @model_validator(mode="after")
    def _has_key(self) -> Privacy:
        if self.plates == "hashed" and self.key_file is None and self.rotate_days is None:
            raise ValueError("hashed plates need a key: add `key_file:`, e.g. key_file: plates.key")
        if self.plates != "hashed" and self.rotate_days is not None:
            raise ValueError("`rotate_days` needs `plates: hashed`")
        return self

    @model_validator(mode="after")
    def _keeps_the_law(self) -> Privacy:
        if self.retention is None:
            if self.keep_days is not None:
                raise ValueError(f"`keep_days` needs `retention:`, one of {_listed()}")
            return self
        law = jurisdictions().get(self.retention)
        if law is None:
            raise ValueError(f"retention: no such jurisdiction; use one of {_listed()}")
        days = law.days if self.keep_days is None else self.keep_days
        if days is None:
            raise ValueError(f"{law.title} names no number of days; add `keep_days:`")
        if days < law.min_days or (law.max_days is not None and days > law.max_days):
            most = f"to {law.max_days} " if law.max_days is not None else "or more "
            raise ValueError(
                f"{law.title}: keep_days: expected {law.min_days} {most}days, got {days} "
                f"({law.source})"
            )
        return self


def _listed() -> str:
    return ", ".join(jurisdictions())
