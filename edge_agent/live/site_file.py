"""A site file as a box with live cameras reads it: what it must say, and what follows from it."""

from __future__ import annotations

from pathlib import Path

from edge_agent.app import check_broker_files, load, state_dir
from edge_agent.config import Camera, Site
from edge_agent.errors import ConfigError
from edge_agent.evidence.log import Vkey
from edge_agent.evidence.log.log import CHECKPOINT_FILE
from edge_agent.folder import BoxFolder
from edge_agent.identity import Origin, digest
from edge_agent.live.timekeeping import boot_id


def load_live(config: Path) -> Site:
    """The site file of a box with cameras; raises ConfigError with everything that is wrong."""
    site = load(config)
    check_live(site, config)
    return site


def check_live(site: Site, config: Path) -> None:
    """Raise ConfigError for what a box with cameras cannot be run by."""
    missing = [name for name, camera in site.cameras.items() if camera.source is None]
    if missing:
        raise ConfigError(
            f"{config}: cameras.{missing[0]}: has no `source:`: say where its pictures come from, "
            "e.g. `source: {kind: rtsp, url: rtsp://192.0.2.10/stream1}`"
        )
    if len({_is_played(camera) for camera in site.cameras.values()}) > 1:
        played = [name for name, each in site.cameras.items() if _is_played(each)]
        raise ConfigError(
            f"{config}: cameras: {', '.join(played)}: recordings (`kind: file`) beside live "
            "cameras: what recordings show is never evidence, so give them a site file of their own"
        )
    witness_keys(site)
    check_broker_files(site, config)
    for name, camera in site.cameras.items():
        for key in ("credentials_file", "path", "sub_path"):
            path = getattr(camera.source, key, None)
            if path is not None and not path.is_file():
                raise ConfigError(f"{config}: cameras.{name}.source.{key}: {path}: no such file")


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
