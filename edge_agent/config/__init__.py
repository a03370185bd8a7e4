"""The site file: YAML in, validated models out, every error at once with file and line."""

from edge_agent.config.load import load_site
from edge_agent.config.models import (
    BaySettings,
    Camera,
    DetectorSettings,
    Evidence,
    HeadSettings,
    Mqtt,
    Output,
    PlateListFile,
    PlateSettings,
    Privacy,
    Rule,
    Settings,
    Site,
    SiteInfo,
    TrackerSettings,
)

__all__ = [
    "BaySettings",
    "Camera",
    "DetectorSettings",
    "Evidence",
    "HeadSettings",
    "Mqtt",
    "Output",
    "PlateListFile",
    "PlateSettings",
    "Privacy",
    "Rule",
    "Settings",
    "Site",
    "SiteInfo",
    "TrackerSettings",
    "load_site",
]
