"""A folder of still images whose names say when they were taken."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from edge_agent.errors import SourceError
from edge_agent.identity import digest
from edge_agent.sources.container import file_sha256
from edge_agent.sources.start import NAME_EXAMPLES, in_utc, stamp_in_name
from edge_agent.types import ArrayPicture, Frame, Image, Media

logger = logging.getLogger(__name__)

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

_SAME_TIME_S = 0.001
"""Step between stills with one and the same timestamp."""


class StillsSource:
    """The images of one folder, in the order of their times, as a camera. `ports.Source`.

    `frames` skips an image that cannot be read and logs its name. No image, no timestamp in any
    name or no readable image at all is a `SourceError`, raised here. There is nothing to clip.
    """

    live = False

    def __init__(
        self, path: Path, camera: str, start: datetime | None = None, timezone: tzinfo = UTC
    ) -> None:
        self.camera = camera
        self._path = path
        stills = _dated_images(path, timezone)
        named = [part for _, file in stills for part in (file.name, file_sha256(file))]
        self._is_started = self._is_closed = False
        readable = self._readable(stills)
        first = next(readable, None)
        if first is None:
            raise SourceError(f"{path}: none of its {len(stills)} images can be read")
        self._zero = first[0]
        self._pending = chain((first,), readable)
        self.duration_s: float | None = (stills[-1][0] - self._zero).total_seconds()
        began = self._zero if start is None else in_utc(start, timezone)
        self.media = Media(
            path.name, "replay", digest(*named), began, "name" if start is None else "given"
        )

    def frames(self) -> Iterator[Frame]:
        """Every readable still in order of time; may be called once."""
        if self._is_started:
            raise RuntimeError(f"{self._path}: frames() plays a recording once; open it again")
        self._is_started = True
        return self._frames()

    def clip(self, start_s: float, end_s: float) -> bytes | None:
        return None

    def close(self) -> None:
        self._is_closed = True

    def _frames(self) -> Iterator[Frame]:
        t_s = -_SAME_TIME_S
        for seq, (taken, image) in enumerate(self._pending):
            if self._is_closed:
                return
            t_s = max((taken - self._zero).total_seconds(), t_s + _SAME_TIME_S)
            wall = self.media.start + timedelta(seconds=t_s)
            yield Frame(self.camera, seq, t_s, wall, ArrayPicture(image))

    def _readable(self, stills: list[tuple[datetime, Path]]) -> Iterator[tuple[datetime, Image]]:
        for taken, file in stills:
            image = _read(file)
            if image is None:
                logger.warning(
                    "%s: cannot be read as an image: skipped",
                    file,
                    extra={"camera": self.camera},
                )
            else:
                yield taken, image


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


def _read(file: Path) -> Image | None:
    try:
        encoded = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError:
        return None
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if len(encoded) else None
    return None if image is None else np.asarray(image, np.uint8)
