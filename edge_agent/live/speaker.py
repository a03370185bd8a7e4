"""What tells and documents by one site file, and who a box says that it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from edge_agent import __version__
from edge_agent.app import about_site, change_bundle_writer, make_bundle_writer, state_dir
from edge_agent.assembly import make_redactor
from edge_agent.config import Site
from edge_agent.config.lists import hiding_key
from edge_agent.config.load import site_sha256
from edge_agent.evidence import BundleWriter, DeviceKey
from edge_agent.evidence.storage import Ballast, Storage
from edge_agent.folder import BoxFolder
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.live.camera import LiveCamera
from edge_agent.live.site_file import boot_of, check_owner, is_paced
from edge_agent.plates import PlateKey


class Speaker(NamedTuple):
    """What tells and documents by one site file."""

    bundles: BundleWriter
    storage: Storage
    plate_key: Callable[[datetime], PlateKey] | None


@dataclass(frozen=True, slots=True)
class Speakers:
    """Makes those of one box."""

    config: Path
    folder: BoxFolder
    key: DeviceKey

    def first(self, site: Site, cameras: Mapping[str, CameraOrigin]) -> Speaker:
        """Goes on with what lies on the disk; raises ConfigError where that is somebody else's."""
        origin = self._origin(site, cameras)
        check_owner(self.folder, origin)
        redactor = make_redactor(site)
        return self._speaker(
            make_bundle_writer(site, self.folder, self.key, origin, redactor), site
        )

    def next(
        self, present: BundleWriter, sites: tuple[Site, Site], cameras: Mapping[str, CameraOrigin]
    ) -> Speaker:
        """Goes on where `present` stops, from one site file to another; that takes no disk."""
        before, site = sites
        is_same = site.privacy == before.privacy
        redactor = present.redactor if is_same else make_redactor(site)
        origin = self._origin(site, cameras)
        return self._speaker(change_bundle_writer(present, site, origin, redactor), site)

    def _speaker(self, bundles: BundleWriter, site: Site) -> Speaker:
        storage = Storage(bundles, Ballast(self.folder.evidence), site.evidence)
        return Speaker(bundles, storage, hiding_key(site, state_dir(site)))

    def _origin(self, site: Site, cameras: Mapping[str, CameraOrigin]) -> Origin:
        return Origin(
            site=about_site(site),
            device=site.device,
            boot_id=boot_of(site),
            config_sha256=site_sha256(self.config),
            software=f"edge-agent {__version__}",
            cameras=cameras,
            is_paced=is_paced(site),
        )


def origins(cameras: Iterable[LiveCamera]) -> dict[str, CameraOrigin]:
    """What every event says of its camera."""
    return {
        each.name: CameraOrigin(each.source.media, each.pipeline.detector.model) for each in cameras
    }
