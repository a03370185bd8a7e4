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
    RuleSettings,
    Site,
    SiteInfo,
    TrackerSettings,
)
from edge_agent.config.signing import DeviceKeySettings, Pkcs11, TimestampSettings
from edge_agent.config.source import (
    FileSettings,
    HttpSettings,
    LiveSettings,
    NetworkSettings,
    PicameraSettings,
    RtspSettings,
    SourceSettings,
    V4l2Settings,
)

__all__ = [
    "BaySettings",
    "Camera",
    "DetectorSettings",
    "DeviceKeySettings",
    "Evidence",
    "FileSettings",
    "HeadSettings",
    "HttpSettings",
    "LiveSettings",
    "Mqtt",
    "NetworkSettings",
    "Output",
    "PicameraSettings",
    "Pkcs11",
    "PlateListFile",
    "PlateSettings",
    "Privacy",
    "RtspSettings",
    "Rule",
    "RuleSettings",
    "Settings",
    "Site",
    "SiteInfo",
    "SourceSettings",
    "TimestampSettings",
    "TrackerSettings",
    "V4l2Settings",
    "load_site",
]
