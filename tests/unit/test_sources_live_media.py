"""What plays a recording never calls itself live, at whatever pace it does."""

from pathlib import Path

import pytest

from edge_agent.clock import Sync, SystemClock
from edge_agent.config import FileSettings, RtspSettings
from edge_agent.config.source import SourceSettings
from edge_agent.live.timekeeping import ScriptedSync, Timekeeper
from edge_agent.sources import open_live

READ = Timekeeper(SystemClock(), ScriptedSync([Sync("ntp", True, 1.0)])).read


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (FileSettings(kind="file", path=Path("street.mp4")), "replay"),
        (RtspSettings(kind="rtsp", url="rtsp://192.0.2.10/1"), "live"),
    ],
)
def test_only_a_camera_is_live(settings: SourceSettings, kind: str) -> None:
    assert open_live(settings, "north", READ).media.kind == kind
