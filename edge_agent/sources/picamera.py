"""A camera on the Raspberry Pi's own connector, by picamera2: Raspberry Pi OS brings it.

The camera system gives the large picture to the H.264 encoder, whose packets are kept, and the
small one, uncompressed, to detection: nothing has to be decoded until a large picture is asked for.
"""

from __future__ import annotations

import importlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, cast

from av.packet import Packet
from av.video.stream import VideoStream

from edge_agent.config.source import PicameraSettings
from edge_agent.errors import SourceError
from edge_agent.sources.packets import Segment, SegmentWatch
from edge_agent.types import Image

_MICROSECOND = Fraction(1, 1_000_000)
_PATIENCE_S = 0.5
"""A queue is waited for so long before asking again whether anybody wants what it brings."""
_WAITING = 4
"""Small pictures that may wait; further ones are dropped."""


class Request(Protocol):
    """One finished exposure, in all its sizes."""

    def make_array(self, name: str) -> Image: ...
    def get_metadata(self) -> Mapping[str, int]: ...


class Camera(Protocol):
    """What is used of `picamera2.Picamera2`."""

    post_callback: Callable[[Request], None] | None

    def create_video_configuration(self, **settings: object) -> object: ...
    def configure(self, configuration: object) -> object: ...
    def start_recording(self, encoder: object, output: object) -> object: ...
    def stop_recording(self) -> object: ...
    def close(self) -> object: ...


class Encoder(Protocol):
    """What is used of `picamera2.encoders.H264Encoder`."""

    firsttimestamp: int | None


@dataclass(frozen=True, slots=True)
class Library:
    """The parts of picamera2."""

    camera: Callable[[int], Camera]
    encoder: Callable[..., Encoder]
    output: type


def load_picamera2() -> Library:
    """Raises `SourceError` where it is not installed."""
    try:
        names = ("picamera2", "picamera2.encoders", "picamera2.outputs")
        camera, encoders, outputs = (importlib.import_module(name) for name in names)
    except ImportError as error:
        raise SourceError(
            f"picamera2 cannot be loaded ({error}): it belongs to Raspberry Pi OS: `sudo apt "
            "install python3-picamera2`, in an environment made with --system-site-packages"
        ) from None
    return Library(camera.Picamera2, encoders.H264Encoder, outputs.Output)


Put = Callable[[bytes, bool, int], None]
"""Takes a packet, whether it is a key frame, and when it was taken in us."""


class Picamera:
    """One camera and its two streams, which run while the main one is read."""

    def __init__(
        self, settings: PicameraSettings, load: Callable[[], Library] = load_picamera2
    ) -> None:
        self.settings = settings
        self.name = f"picamera {settings.number}"
        self.small: queue.Queue[tuple[bytes, int]] = queue.Queue(_WAITING)
        self._load = load
        self._camera: Camera | None = None
        self.main = EncodedLink(self)
        self.sub = SmallLink(self) if settings.sub_size else None

    def start(self, put: Put) -> None:
        library, settings = self._load(), self.settings
        try:
            self._camera = camera = library.camera(settings.number)
            small = {"size": settings.sub_size, "format": "YUV420"}
            configuration = camera.create_video_configuration(
                main={"size": settings.size, "format": "YUV420"},
                lores=small if settings.sub_size else None,
                encode="main",
                controls={"FrameRate": settings.fps},
            )
            camera.configure(configuration)
            camera.post_callback = self._show if settings.sub_size else None
            encoder = library.encoder(
                bitrate=round(settings.bitrate_mbps * 1e6), repeat=True, iperiod=round(settings.fps)
            )
            camera.start_recording(encoder, _output(library.output, encoder, put))
        except (RuntimeError, IndexError, ValueError, OSError) as error:
            self.stop()
            raise SourceError(
                f"{self.name}: cannot be opened ({error}): check the ribbon cable and "
                "`rpicam-hello --list-cameras`; another program may use it"
            ) from None

    def stop(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            with suppress(RuntimeError):  # it had not begun
                camera.stop_recording()
            camera.close()

    def _show(self, request: Request) -> None:
        """In the camera's own thread, which must not wait."""
        taken_us = request.get_metadata()["SensorTimestamp"] // 1000
        with suppress(queue.Full):
            self.small.put_nowait((request.make_array("lores").tobytes(), taken_us))


class EncodedLink:
    """The encoder's packets. Implements `feed.Link`."""

    is_monotonic = True

    def __init__(self, device: Picamera) -> None:
        self.name = device.name
        self._device = device

    def packets(self, is_closed: threading.Event) -> Iterator[tuple[Packet[VideoStream], Segment]]:
        waiting: queue.SimpleQueue[tuple[bytes, bool, int]] = queue.SimpleQueue()
        watch = SegmentWatch("h264", _MICROSECOND)
        self._device.start(lambda *packet: waiting.put(packet))
        try:
            while not is_closed.is_set():
                try:
                    data, is_key, taken_us = waiting.get(timeout=_PATIENCE_S)
                except queue.Empty:
                    continue
                segment = watch.at(data, is_key)
                if segment is not None:
                    yield _packet(data, is_key, taken_us), segment
        finally:
            self._device.stop()


class SmallLink:
    """The small pictures as they are. Implements `feed.Link`."""

    is_monotonic = True

    def __init__(self, device: Picamera) -> None:
        self.name = f"{device.name}, small"
        self._device = device

    def packets(self, is_closed: threading.Event) -> Iterator[tuple[Packet[VideoStream], Segment]]:
        width, height = self._device.settings.sub_size or (0, 0)
        segment = Segment("rawvideo", width, height, _MICROSECOND, layout="yuv420p")
        while not is_closed.is_set():
            with suppress(queue.Empty):
                data, taken_us = self._device.small.get(timeout=_PATIENCE_S)
                yield _packet(data, True, taken_us), segment


def _output(base: type, encoder: Encoder, put: Put) -> object:
    """An output as picamera2 wants it: derived from its own class, which is known on open only."""

    def outputframe(
        _self: object, frame: bytes, keyframe: bool = True, timestamp: int = 0, *_: object
    ) -> None:
        """`timestamp` counts us from the encoder's first frame."""
        put(bytes(frame), keyframe, (encoder.firsttimestamp or 0) + timestamp)

    return type("Packets", (base,), {"outputframe": outputframe})()


def _packet(data: bytes, is_key: bool, taken_us: int) -> Packet[VideoStream]:
    packet = cast("Packet[VideoStream]", Packet(data))
    packet.pts, packet.is_keyframe = taken_us, is_key
    return packet
