"""What a live box says of itself and obeys, beside delivering its events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from edge_agent.clock import Clock
from edge_agent.config.models import Site
from edge_agent.identity import Origin
from edge_agent.uplink import topics
from edge_agent.uplink.commands import Commands, Handler
from edge_agent.uplink.homeassistant import discovery
from edge_agent.uplink.mqtt import Uplink
from edge_agent.uplink.standing import StandingFeed


@contextmanager
def present(
    site: Site, uplink: Uplink, origin: Origin, handlers: Mapping[str, Handler], clock: Clock
) -> Iterator[StandingFeed]:
    """Announce the box as its site file wishes and obey what that allows, while the block runs.

    Yields the feed that tells how it is. Recordings played as live say and obey nothing.
    """
    mqtt = site.mqtt
    tree = topics.root(site.site.name, site.device, origin.is_replay)
    if mqtt is None or origin.is_replay:
        yield StandingFeed(tree, lambda message: None)
        return
    _show(site, uplink, origin)
    with Commands(tree, mqtt.commands, handlers, uplink.publish, clock) as commands:
        if mqtt.commands:
            uplink.listen(commands.requests, commands.hear)
        yield StandingFeed(tree, uplink.announce)


def introduce(site: Site, uplink: Uplink, origin: Origin) -> None:
    """Say anew who the box is, after its site file has changed."""
    cameras = {name: origin.cameras[name] for name in site.cameras if name in origin.cameras}
    uplink.introduce(replace(origin, cameras=cameras))
    if not origin.is_replay:
        _show(site, uplink, origin)


def _show(site: Site, uplink: Uplink, origin: Origin) -> None:
    if site.mqtt is not None and site.mqtt.home_assistant is not None:
        uplink.announce(discovery(site, site.mqtt.home_assistant.prefix, origin.software))
