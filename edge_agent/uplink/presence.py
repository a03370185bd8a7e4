"""What a live box says of itself and obeys, beside delivering its events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from edge_agent.config.models import Site
from edge_agent.identity import Origin
from edge_agent.uplink.commands import Commands
from edge_agent.uplink.homeassistant import discovery
from edge_agent.uplink.mqtt import Uplink
from edge_agent.uplink.standing import StandingFeed


@contextmanager
def present(
    site: Site, uplink: Uplink, origin: Origin, commands: Commands
) -> Iterator[StandingFeed]:
    """Announce the box as its site file wishes and obey what that allows, while the block runs.

    Yields the feed that tells how it is. Recordings played as live say and obey nothing. What was
    asked on one connection may be answered on the next: `commands` outlives this one.
    """
    mqtt = site.mqtt
    if mqtt is None or origin.is_replay:
        yield StandingFeed(commands.tree, lambda message: None)
        return
    _show(site, uplink, origin)
    commands.allowed = mqtt.commands
    if mqtt.commands:
        uplink.listen(commands.requests, commands.hear)
    try:
        yield StandingFeed(commands.tree, uplink.announce)
    finally:
        commands.allowed = ()


def introduce(site: Site, uplink: Uplink, origin: Origin) -> None:
    """Say anew who the box is, after its site file has changed."""
    cameras = {name: origin.cameras[name] for name in site.cameras if name in origin.cameras}
    uplink.introduce(replace(origin, cameras=cameras))
    if not origin.is_replay:
        _show(site, uplink, origin)


def _show(site: Site, uplink: Uplink, origin: Origin) -> None:
    if site.mqtt is not None and site.mqtt.home_assistant is not None:
        uplink.announce(discovery(site, site.mqtt.home_assistant.prefix, origin.software))
