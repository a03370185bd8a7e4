"""Cameras on the machine itself: V4L2 without a device, picamera2 by the calls that it gets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import av
import numpy as np
import pytest

from edge_agent.clock import Sync, SystemClock
from edge_agent.config import PicameraSettings, V4l2Settings
from edge_agent.errors import SourceError
from edge_agent.live.timekeeping import ScriptedSync, Timekeeper
from edge_agent.sources import LiveSource, open_live
from edge_agent.sources.live import Limits, Links
from edge_agent.sources.picamera import Library, Picamera, Request
from edge_agent.types import Image

READ = Timekeeper(SystemClock(), ScriptedSync([Sync("ntp", True, 1.0)])).read
FPS = 20


def _reason(source: LiveSource) -> str:
    with pytest.raises(SourceError) as caught:
        next(source.frames())
    return str(caught.value)


@pytest.mark.parametrize(
    ("device", "says"),
    [("/dev/v4l/by-id/usb-nobody-index0", "there is no such camera"), ("/dev/null", "is no video")],
)
def test_a_video_device_that_is_none_says_so(device: str, says: str) -> None:
    assert says in _reason(open_live(V4l2Settings(kind="v4l2", device=device), "c", READ))


class Recorded:
    """picamera2 as a box with a camera was seen to use it: its calls, and pictures in return."""

    def __init__(self, packets: list[tuple[bytes, bool]]) -> None:
        self.calls: list[tuple[str, object]] = []
        self.post_callback: Callable[[Request], None] | None = None
        self.firsttimestamp: int | None = None
        self._packets = packets
        self.closed = threading.Event()
        self._stopped = threading.Event()
        self._sends = threading.Thread(target=self._send)
        self._output: Output | None = None

    def library(self) -> Library:
        return Library(self._open, self._encoder, Output)

    def _open(self, number: int) -> Recorded:
        self.calls.append(("open", number))
        return self

    def _encoder(self, **settings: object) -> Recorded:
        self.calls.append(("encoder", settings))
        return self

    def create_video_configuration(self, **settings: object) -> object:
        return settings

    def configure(self, configuration: object) -> None:
        self.calls.append(("configure", configuration))

    def start_recording(self, encoder: object, output: object) -> None:
        assert isinstance(output, Output)
        self._output = output
        self._sends.start()

    def stop_recording(self) -> None:
        self.calls.append(("stop", None))
        self._stopped.set()
        self._sends.join()

    def close(self) -> None:
        self.calls.append(("close", None))
        self.closed.set()

    def _send(self) -> None:
        assert self._output is not None
        for number, (data, is_key) in enumerate(self._packets):
            taken_ns = READ()[1].mono_ns
            self.firsttimestamp = self.firsttimestamp or taken_ns // 1000
            if self.post_callback is not None:
                self.post_callback(Exposure(number, taken_ns))
            self._output.outputframe(data, is_key, taken_ns // 1000 - self.firsttimestamp)
            if self._stopped.wait(1 / FPS):
                return
        self._stopped.wait()


class Output:
    def outputframe(self, frame: bytes, keyframe: bool = True, timestamp: int = 0) -> None:
        raise NotImplementedError


class Exposure:
    def __init__(self, number: int, taken_ns: int) -> None:
        self._number, self._taken_ns = number, taken_ns

    def make_array(self, name: str) -> Image:
        assert name == "lores"
        planes = np.full((96 * 3 // 2, 128), 128, np.uint8)
        planes[:96] = 16 + 5 * self._number
        return planes

    def get_metadata(self) -> Mapping[str, int]:
        return {"SensorTimestamp": self._taken_ns, "ExposureTime": 5000}


@pytest.fixture
def packets(make_video: Callable[..., Path], tmp_path: Path) -> list[tuple[bytes, bool]]:
    """What its encoder gives: bare H.264 with parameter sets before every key frame."""
    levels: Iterator[Image] = (np.full((192, 256, 3), 5 * n, np.uint8) for n in range(40))
    options = {"tune": "zerolatency", "x264-params": f"repeat-headers=1:annexb=1:keyint={FPS}"}
    path = make_video(tmp_path / "a.h264", levels, size=(256, 192), options=options)
    with av.open(path, "r") as container:
        return [(bytes(p), p.is_keyframe) for p in container.demux(video=0) if p.size]


def test_the_pi_s_camera_detects_in_small_pictures_and_keeps_the_encoder_s_packets(
    packets: list[tuple[bytes, bool]],
) -> None:
    recorded = Recorded(packets)
    settings = PicameraSettings(
        kind="picamera", number=1, size=(256, 192), sub_size=(128, 96), fps=FPS, bitrate_mbps=2
    )
    device = Picamera(settings, recorded.library)
    source = LiveSource("c", Links(device.main, device.sub), READ, Limits(2.0, 20.0, 1 << 20))
    frames = []
    for frame in source.frames():
        frames.append(frame)
        if len(frames) == 30:
            source.close()
    assert len(frames) == 30
    assert {(frame.width, frame.height) for frame in frames} == {(256, 192)}
    for frame in frames:  # both tell the number of the picture by their brightness
        small = frame.picture.small_grey(128, 96).mean() / 5 * 219 / 255
        assert frame.image.mean() / 5 == pytest.approx(small, abs=0.8)
    clip = source.clip(frames[5].t_s, frames[20].t_s)
    assert clip is not None
    assert recorded.calls[0] == ("open", 1)
    assert recorded.calls[2] == ("encoder", {"bitrate": 2_000_000, "repeat": True, "iperiod": FPS})
    name, configuration = recorded.calls[1]
    assert name == "configure" and configuration == {
        "main": {"size": (256, 192), "format": "YUV420"},
        "lores": {"size": (128, 96), "format": "YUV420"},
        "encode": "main",
        "controls": {"FrameRate": float(FPS)},
    }
    assert recorded.closed.wait(5)
    assert [call for call, _ in recorded.calls[3:]] == ["stop", "close"]


def test_without_the_library_or_the_camera_it_says_what_to_do() -> None:
    settings = PicameraSettings(kind="picamera")
    assert "python3-picamera2" in _reason(open_live(settings, "c", READ))

    def nobody(number: int) -> Recorded:
        raise IndexError("list index out of range")

    device = Picamera(settings, lambda: Library(nobody, dict, Output))  # type: ignore[arg-type]
    source = LiveSource("c", Links(device.main, device.sub), READ, Limits(2.0, 20.0, 1 << 20))
    assert "ribbon cable" in _reason(source)
