"""Where frames come from: recorded files and folders of stills."""

from __future__ import annotations

import os
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from edge_agent.ports import Source
from edge_agent.sources.stills import StillsSource
from edge_agent.sources.video import VideoSource

__all__ = ["StillsSource", "VideoSource", "open_recording"]


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
