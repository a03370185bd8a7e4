"""The site file: YAML in, validated models out, every error at once with file and line."""

from edge_agent.config.base import Settings
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
    Site,
    SiteInfo,
    TrackerSettings,
)
from edge_agent.config.signing import DeviceKeySettings, Pkcs11, TimestampSettings

__all__ = [
    "BaySettings",
    "Camera",
    "DetectorSettings",
    "DeviceKeySettings",
    "Evidence",
    "HeadSettings",
    "Mqtt",
    "Output",
    "Pkcs11",
    "PlateListFile",
    "PlateSettings",
    "Privacy",
    "Rule",
    "Settings",
    "Site",
    "SiteInfo",
    "TimestampSettings",
    "TrackerSettings",
    "load_site",
]
