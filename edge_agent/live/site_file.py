"""A site file as a box with live cameras reads it: what it must say, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_agent.app import flaws, load, state_dir
from edge_agent.config import Camera, Site
from edge_agent.config.load import Flaw, located
from edge_agent.errors import ConfigError
from edge_agent.evidence.log import Vkey
from edge_agent.evidence.log.log import CHECKPOINT_FILE
from edge_agent.folder import BoxFolder
from edge_agent.identity import Origin, digest
from edge_agent.live.metrics import missing_library as metrics_library
from edge_agent.live.timekeeping import boot_id
from edge_agent.signals import missing_library as gpio_library


def load_live(config: Path) -> Site:
    """The site file of a box with cameras; raises ConfigError with everything that is wrong."""
    site = load(config)
    check_live(site, config)
    return site


def check_live(site: Site, config: Path) -> None:
    """Raise ConfigError with all that a box with cameras cannot be run by, each with its line."""
    found = [*live_flaws(site), *flaws(site)]
    if found:
        raise located(config, found)


def live_flaws(site: Site) -> Iterator[Flaw]:
    """What only a box with cameras lacks: where in the site file, and what to do."""
    yield from _source_flaws(site)
    if site.gpio is not None and (text := gpio_library(site.gpio)) is not None:
        yield ("gpio", "factory"), text
    if site.metrics is not None and (text := metrics_library()) is not None:
        yield ("metrics",), text
    try:
        witness_keys(site)
    except ConfigError as error:
        yield ("evidence", "witnesses"), str(error).removeprefix("evidence.witnesses: ")


def _source_flaws(site: Site) -> Iterator[Flaw]:
    is_mixed = len({_is_played(c) for c in site.cameras.values() if c.source is not None}) > 1
    for name, camera in site.cameras.items():
        at = ("cameras", name, "source")
        if camera.source is None:
            yield (
                at[:2],
                "has no `source:`: say where its pictures come from, e.g. "
                "`source: {kind: rtsp, url: rtsp://192.0.2.10/stream1}`",
            )
        if is_mixed and _is_played(camera):
            yield (
                at,
                "a recording (`kind: file`) beside live cameras: what recordings show is never "
                "evidence, so give them a site file of their own",
            )
        for key in ("credentials_file", "path", "sub_path"):
            path = getattr(camera.source, key, None)
            if path is not None and not path.is_file():
                yield (*at, key), f"{path}: no such file"


def check_owner(folder: BoxFolder, origin: Origin) -> None:
    """Raise ConfigError where somebody else's log lies: that does not heal by trying again."""
    try:
        owner = (folder.log / CHECKPOINT_FILE).read_text().partition("\n")[0]
    except (OSError, ValueError):
        return
    if owner.startswith("edge/") and owner != origin.log:  # a damaged one is told by the log
        raise ConfigError(
            f"{folder.path}: holds the log and evidence of {owner}, not of {origin.log}: put "
            "`site.name` and `device` back, or name another `data_dir`"
        )


def boot_of(site: Site) -> str:
    """Of the machine; recordings played as live have one of their own."""
    return digest("paced", site.site.name, site.device)[:32] if is_paced(site) else boot_id()


def is_paced(site: Site) -> bool:
    """True when recordings take the place of cameras."""
    return any(_is_played(camera) for camera in site.cameras.values())


def _is_played(camera: Camera) -> bool:
    return camera.source is not None and camera.source.kind == "file"


def box_folder(site: Site) -> BoxFolder:
    """Where the box keeps what it decides; recordings played as live are kept apart."""
    path = site.data_dir or state_dir(site) / site.device
    return BoxFolder(path / "paced" if is_paced(site) else path)


def witness_keys(site: Site) -> list[Vkey]:
    """Who cosigns the log; raises ConfigError for what is no key."""
    try:
        return [Vkey.parse(text) for text in site.evidence.witnesses]
    except ValueError as error:
        raise ConfigError(
            f"evidence.witnesses: {error}: copy what `edge-agent witness --show-key` prints"
        ) from error
