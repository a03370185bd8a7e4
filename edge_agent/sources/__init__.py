"""Where frames come from: live cameras, recorded files and folders of stills."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from edge_agent.config.source import (
    FileSettings,
    NetworkSettings,
    PicameraSettings,
    SourceSettings,
)
from edge_agent.ports import Source
from edge_agent.sources.feed import Read
from edge_agent.sources.live import Limits, Links, LiveSource
from edge_agent.sources.network import NetworkLink
from edge_agent.sources.picamera import Picamera
from edge_agent.sources.playing import FileLink, Start
from edge_agent.sources.stills import StillsSource
from edge_agent.sources.v4l2 import V4l2Link
from edge_agent.sources.video import VideoSource

__all__ = ["LiveSource", "StillsSource", "VideoSource", "open_live", "open_recording"]

KEEP_S = 60.0
"""More than the default clip, and the time in which a case that has begun is photographed."""


def open_live(
    settings: SourceSettings, camera: str, read: Read, keep_s: float = KEEP_S
) -> LiveSource:
    """The camera that the settings describe, not connected yet.

    `read` tells both clocks; packets of the last `keep_s` are kept for clips.
    """
    limits = Limits(settings.stall_s, keep_s, settings.clip_memory_mb << 20)
    source = LiveSource(camera, _links(settings, read), read, limits)
    if isinstance(settings, FileSettings):  # at a camera's pace, but nobody's camera
        source.media = replace(source.media, kind="replay")
    return source


def _links(settings: SourceSettings, read: Read) -> Links:
    if isinstance(settings, NetworkSettings):
        sub = NetworkLink(settings, settings.sub) if settings.sub else None
        return Links(NetworkLink(settings, settings.url), sub)
    if isinstance(settings, PicameraSettings):
        device = Picamera(settings)
        return Links(device.main, device.sub)
    if isinstance(settings, FileSettings):
        loop, small, start = settings.loop, settings.sub_path, Start()
        sub_file = FileLink(small, loop, read, start) if small else None
        return Links(FileLink(settings.path, loop, read, start), sub_file)
    return Links(V4l2Link(settings))


def open_recording(
    path: Path, camera: str, start: datetime | None = None, timezone: tzinfo = UTC
) -> Source:
    """Open a video file, or a folder of stills whose names carry timestamps.

    `start` is the wall clock of the first frame; without it the name, then the file's metadata
    say it. A time without a zone, given or in a name, is local time in `timezone`.
    Raises `SourceError` when there is nothing to play.
    """
    kind = StillsSource if os.path.isdir(path) else VideoSource
    return kind(path, camera, start, timezone)
