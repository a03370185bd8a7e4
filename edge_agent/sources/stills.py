"""A folder of still images whose names say when they were taken."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import chain
from pathlib import Path

from av.error import FFmpegError

from edge_agent.errors import SourceError, SourceLost
from edge_agent.identity import digest
from edge_agent.sources.container import file_sha256, open_video
from edge_agent.sources.picture import VideoPicture, turn_by
from edge_agent.sources.start import NAME_EXAMPLES, StartFrom, in_utc, stamp_in_name
from edge_agent.text import printable
from edge_agent.types import Frame, Media

logger = logging.getLogger(__name__)

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

_MAX_NAMED = 3
_SAME_TIME_S = 0.001
"""Step between stills with one and the same timestamp."""


class StillsSource:
    """The images of one folder, in the order of their times, as a camera. `ports.Source`.

    `frames` skips images that cannot be read and names them in a `SourceLost` at the end. No image,
    no timestamp in any name or no readable image at all is a `SourceError`, raised here. There is
    nothing to clip.
    """

    live = False

    def __init__(
        self, path: Path, camera: str, start: datetime | None = None, timezone: tzinfo = UTC
    ) -> None:
        self.camera = camera
        self._path = path
        stills = _dated_images(path, timezone)
        hashes = {file: _sha256(file) for _, file in stills}
        named = [part for file in hashes for part in (printable(file.name), hashes[file])]
        self._unread = [printable(file.name) for file in hashes if hashes[file] is None]
        self._is_started = self._is_closed = False
        readable = self._readable([still for still in stills if hashes[still[1]] is not None])
        first = next(readable, None)
        if first is None:
            raise SourceError(f"{path}: none of its {len(stills)} images can be read")
        self._zero = first[0]
        self._pending = chain((first,), readable)
        self.duration_s: float | None = (stills[-1][0] - self._zero).total_seconds()
        began = self._zero if start is None else in_utc(start, timezone)
        began_from: StartFrom = "name" if start is None else "given"
        self.media = Media(printable(path.name), "replay", digest(*named), began, began_from)

    def frames(self) -> Iterator[Frame]:
        """Every readable still in order of time; may be called once."""
        if self._is_started:
            raise RuntimeError(f"{self._path}: frames() plays a recording once; open it again")
        self._is_started = True
        return self._frames()

    def clip(self, start_s: float, end_s: float) -> bytes | None:
        return None

    def rest(self, is_resting: bool) -> None:
        """Every still is a key frame."""

    def close(self) -> None:
        self._is_closed = True

    def _frames(self) -> Iterator[Frame]:
        t_s = -_SAME_TIME_S
        for seq, (taken, picture) in enumerate(self._pending):
            if self._is_closed:
                return
            t_s = max((taken - self._zero).total_seconds(), t_s + _SAME_TIME_S)
            wall = self.media.start + timedelta(seconds=t_s)
            yield Frame(self.camera, seq, t_s, wall, picture)
        if self._unread:
            names = ", ".join(self._unread[:_MAX_NAMED]) + ", …" * (len(self._unread) > _MAX_NAMED)
            raise SourceLost(
                f"{self._path}: {len(self._unread)} images cannot be read ({names}); the others "
                "were processed; copy these again"
            )

    def _readable(
        self, stills: list[tuple[datetime, Path]]
    ) -> Iterator[tuple[datetime, VideoPicture]]:
        for taken, file in stills:
            picture = _read(file)
            if picture is None:
                self._unread.append(printable(file.name))
            else:
                yield taken, picture


def _dated_images(folder: Path, timezone: tzinfo) -> list[tuple[datetime, Path]]:
    """(time, file) by time, then name; raises when there is none."""
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)
    except OSError as error:
        raise SourceError(
            f"{folder}: cannot be read ({error.strerror}): check the path and its permissions"
        ) from None
    if not files:
        raise SourceError(f"{folder}: holds no images: give a video file or a folder of stills")
    dated = []
    for file in files:
        taken = stamp_in_name(file.name, timezone)
        if taken is not None:
            dated.append((taken, file))
        else:
            logger.warning("%s: no timestamp in its name: skipped", file)
    if not dated:
        raise SourceError(
            f"{folder}: none of the {len(files)} image names carries a timestamp; "
            f"name them like {NAME_EXAMPLES}"
        )
    return sorted(dated)


def _sha256(file: Path) -> str | None:
    """None for an image that is empty, cannot be read or is no file: a pipe would be waited for."""
    try:
        return file_sha256(file)
    except SourceError:
        return None


def _read(file: Path) -> VideoPicture | None:
    try:
        container, stream = open_video(file)
        with container:
            frame = next(container.decode(stream), None)
    except (SourceError, FFmpegError):
        return None
    return None if frame is None else VideoPicture(frame, turn_by(frame.rotation))
