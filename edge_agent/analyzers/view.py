"""What every rule is told about its camera when it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from edge_agent.config import BaySettings, Camera, PlateSettings, Settings, SiteInfo
from edge_agent.config.models import Arrow, Line
from edge_agent.geometry import Ground, Polygon
from edge_agent.identity import digest
from edge_agent.plates import PlateBook
from edge_agent.types import VEHICLES, Event, Phase, Scene, Track

NO_LISTS = PlateBook()


@dataclass(frozen=True, slots=True)
class View:
    """One camera's zones and lines, ready to be asked, and the site's time zone."""

    camera: str
    zones: Mapping[str, Polygon]
    lines: Mapping[str, Line]
    timezone: ZoneInfo
    ground: Ground | None = None
    """From the picture to metres, where the camera is calibrated."""
    site: SiteInfo | None = None
    directions: Mapping[str, Arrow] = field(default_factory=dict)
    """Zone -> which way its traffic goes, where the site file says so."""
    plates: PlateSettings | None = None
    """How plates are read, if they are."""
    bays: BaySettings | None = None
    """Which zones are parking bays, if any."""
    book: PlateBook = NO_LISTS
    """The site's plate lists."""
    has_calls: bool = False
    """A signal controller's calls rest on it: what may be wrong has to be known within a second."""

    @classmethod
    def of(cls, name: str, camera: Camera, site: SiteInfo, book: PlateBook = NO_LISTS) -> View:
        """The view that a camera's part of the site file describes."""
        zones = {zone: Polygon(points) for zone, points in camera.zones.items()}
        ground = None
        if camera.ground:
            picture, metres = zip(*((p.picture, p.metres) for p in camera.ground), strict=True)
            ground = Ground(picture, metres)
        timezone = ZoneInfo(site.timezone)
        return cls(
            name,
            zones,
            camera.lines,
            timezone,
            ground,
            site,
            directions=camera.directions,
            plates=camera.plates,
            bays=camera.bays,
            book=book,
        )


def expand_classes(names: Iterable[str]) -> frozenset[str]:
    """Class names with `vehicle` standing for every kind of motor vehicle."""
    return frozenset().union(*(VEHICLES if name == "vehicle" else {name} for name in names))


def rule_name(kind: str, place: str, settings: Settings) -> str:
    """Begins the subjects of a rule, so that two rules about one place are told apart."""
    return f"{kind}/{place}/{digest(settings.model_dump_json())[:8]}"


@dataclass(frozen=True, slots=True)
class Happening:
    """What the phases of one event have in common."""

    kind: str
    subject: str
    begin_s: float
    zone: str | None = None

    def event(
        self, scene: Scene, phase: Phase, track: Track | None, facts: Mapping[str, Any]
    ) -> Event:
        """One phase of it, at the scene's time; `picture` lets receivers normalise boxes."""
        frame = scene.frame
        standard = {"begin_s": round(self.begin_s, 3), "picture": [frame.width, frame.height]}
        return Event(
            camera=frame.camera,
            kind=self.kind,
            subject=self.subject,
            phase=phase,
            begin_s=self.begin_s,
            t_s=frame.t_s,
            wall=frame.wall,
            frame=frame.seq,
            zone=self.zone,
            track=track,
            facts={**standard, **facts},
        )
