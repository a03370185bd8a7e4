"""USB cameras and whatever else the kernel shows as a video device (Video4Linux 2)."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import cv2
from av.packet import Packet
from av.video.stream import VideoStream

from edge_agent.config.source import V4l2Settings
from edge_agent.errors import SourceError
from edge_agent.sources.packets import Segment, SegmentWatch

_MS = Fraction(1, 1000)
_MJPG = cv2.VideoWriter.fourcc(*"MJPG")
_END_OF_IMAGE = b"\xff\xd9"


class V4l2Link:
    """One video device, found by its stable name at every connection. Implements `feed.Link`.

    The driver's times are CLOCK_MONOTONIC. JPEGs are handed on as the camera made them.
    """

    is_monotonic = True

    def __init__(self, settings: V4l2Settings) -> None:
        self.name = settings.device
        self._settings = settings

    def packets(self, is_closed: threading.Event) -> Iterator[tuple[Packet[VideoStream], Segment]]:
        capture = cv2.VideoCapture(device_number(Path(self.name)), cv2.CAP_V4L2)
        try:
            self._configure(capture)
            watch = SegmentWatch("mjpeg", _MS)
            while not is_closed.is_set():
                is_read, image = capture.read()
                if not is_read:
                    raise SourceError(
                        f"{self.name}: gives no more pictures: check its cable; several cameras on "
                        "one USB hub may need a smaller `size` or `fps`"
                    )
                if self._settings.pixels == "raw":
                    height, width = image.shape[:2]
                    data = image.tobytes()
                    segment: Segment | None = self._raw(width, height)
                else:
                    data = _one_jpeg(image.tobytes())
                    segment = watch.at(data, is_key=True)
                if segment is not None:
                    yield _packet(data, capture.get(cv2.CAP_PROP_POS_MSEC)), segment
        finally:
            capture.release()

    def _configure(self, capture: cv2.VideoCapture) -> None:
        if not capture.isOpened():
            raise SourceError(
                f"{self.name}: cannot be opened: another program may use it (`fuser -v "
                f"{self.name}`), or the service's user is not in the group `video`"
            )
        wants_jpeg = self._settings.pixels == "mjpg"
        if wants_jpeg:
            capture.set(cv2.CAP_PROP_FOURCC, _MJPG)
            capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        width, height = self._settings.size
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        capture.set(cv2.CAP_PROP_FPS, self._settings.fps)
        if wants_jpeg and int(capture.get(cv2.CAP_PROP_FOURCC)) != _MJPG:
            raise SourceError(
                f"{self.name}: delivers no JPEGs at {width}x{height}: choose a size that `v4l2-ctl "
                "--list-formats-ext -d ...` shows under MJPG, or write `pixels: raw`"
            )

    def _raw(self, width: int, height: int) -> Segment:
        known = getattr(self, "_segment", None)
        if known is None or (known.width, known.height) != (width, height):
            self._segment = Segment("rawvideo", width, height, _MS, layout="bgr24")
        return self._segment


def device_number(device: Path) -> int:
    """The kernel's number behind a stable name, which it changes from start to start."""
    found = re.fullmatch(r"/dev/video(\d+)", str(device.resolve()))
    if not device.exists():
        raise SourceError(
            f"{device}: there is no such camera: check its cable, and its name with `ls -l "
            "/dev/v4l/by-id /dev/v4l/by-path`"
        )
    if found is None:
        raise SourceError(f"{device}: is no video device: give one under /dev/v4l/by-id")
    return int(found[1])


def _packet(data: bytes, time_ms: float) -> Packet[VideoStream]:
    packet = cast("Packet[VideoStream]", Packet(data))
    packet.pts = round(time_ms) if time_ms > 0 else None
    packet.is_keyframe = True
    return packet


def _one_jpeg(data: bytes) -> bytes:
    """Without what drivers leave behind it in their buffers."""
    end = data.rfind(_END_OF_IMAGE)
    return data if end < 0 else data[: end + len(_END_OF_IMAGE)]
