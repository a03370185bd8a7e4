"""Who signs for the device, and who vouches for when."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from edge_agent.config.base import Settings


class Pkcs11(Settings):
    """A token that holds the device key: a TPM, a smart card, a secure element."""

    module: Path
    """The token's own library, e.g. /usr/lib/softhsm/libsofthsm2.so."""
    token: Annotated[str, Field(min_length=1)]
    """The token's label."""
    label: Annotated[str, Field(min_length=1)] = "edge-agent"
    """The key's label; the key is made on first use."""
    pin_file: Path
    """Holds the PIN alone; readable by its owner only."""


class DeviceKeySettings(Settings):
    """Where the device key lives; in a file in `state_dir` when absent."""

    pkcs11: Pkcs11


class TimestampSettings(Settings):
    """Who says when evidence was there at the latest (RFC 3161)."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
    """Of the time-stamping authority; asked by `edge-agent evidence timestamp`."""
