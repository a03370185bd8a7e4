"""How a box speaks with the world: its broker, and what is told there beyond events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from edge_agent.config.base import Settings

CommandName = Literal["snapshot", "reload", "selftest"]
MediaRole = Literal["enter", "wide", "close", "leave", "manifest"]


def _as_text(value: object) -> object:
    """YAML reads `protocol: 5` and `min_version: 1.3` as numbers."""
    return str(value) if isinstance(value, int | float) else value


class Tls(Settings):
    """Files for an encrypted broker connection; relative paths start at the site file."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    min_version: Annotated[Literal["1.2", "1.3"], BeforeValidator(_as_text)] = "1.2"
    """Older versions of TLS are never spoken."""


class HomeAssistant(Settings):
    """Tell Home Assistant what is here."""

    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")] = "homeassistant"
    """Its discovery prefix."""


class Onvif(Settings):
    """Tell some events a second time, as ONVIF's event broker does."""

    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")] | None = None
    """The topic prefix; `<site>/<device>` when absent."""


class MediaSettings(Settings):
    """Send the photos of cases after their records, read from the bundles on the disk."""

    roles: Annotated[tuple[MediaRole, ...], Field(min_length=1)] = (
        *("enter", "wide", "close", "leave"),
    )
    """Which, in this order; `manifest` is what was signed, with the vehicle's plate in it."""
    originals: bool = False
    """Send what `media/` of a bundle holds, bystanders and all, in place of the redacted copies."""
    replays: bool = False
    """Send the photos of replays as well."""


class Mqtt(Settings):
    """The broker."""

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    protocol: Annotated[Literal["5", "3.1.1"], BeforeValidator(_as_text)] = "5"
    username: str | None = None
    password_file: Path | None = None
    tls: Tls | None = None
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30
    commands: tuple[CommandName, ...] = ()
    """Which requests on `cmd/<name>` are obeyed; whoever may write there may ask for them."""
    session_expiry_s: Annotated[int, Field(ge=0, le=7 * 24 * 3600)] = 3600
    """For how long the broker keeps commands while the box is away (MQTT 5); without `commands`
    there is nothing to keep."""
    media: MediaSettings | None = None
    home_assistant: HomeAssistant | None = None
    onvif: Onvif | None = None


class Metrics(Settings):
    """Figures for Prometheus, on this machine only."""

    port: Annotated[int, Field(ge=1, le=65535)] = 9464
