"""The witness's file: who it is, where it listens, which logs it knows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from edge_agent.config import Settings
from edge_agent.config.models import Mqtt
from edge_agent.evidence.log import Vkey


def _vkey(text: str) -> str:
    name = Vkey.parse(text).name
    if not re.fullmatch(r"edge/[^/]+/[^/]+", name):
        raise ValueError(f"`{name}` names no device's log; it is called edge/<site>/<device>")
    return text


class WitnessSettings(Settings):
    """What an operator writes down."""

    name: Annotated[str, Field(pattern=r"^[^\s+]{1,120}$")]
    """Under which it signs: a name without a scheme, e.g. `city.example/witness`."""
    state_dir: Path
    mqtt: Mqtt
    logs: Annotated[list[Annotated[str, AfterValidator(_vkey)]], Field(min_length=1)]
    """Verifier keys (`name+id+key`) of the logs, as `edge-agent evidence log key` prints them."""
    silence_s: Annotated[float, Field(ge=5, le=86400)] = 300.0
    """A log of which nothing was heard for so long is silent."""

    @field_validator("logs")
    @classmethod
    def _once(cls, logs: list[str]) -> list[str]:
        names = [Vkey.parse(text).name for text in logs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two keys are named {twice}; a log has one")
        return logs

    @property
    def vkeys(self) -> dict[str, Vkey]:
        """Verifier key by origin."""
        keys = (Vkey.parse(text) for text in self.logs)
        return {key.name: key for key in keys}
