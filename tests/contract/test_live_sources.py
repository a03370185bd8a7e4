"""Live sources against a real RTSP server and a real HTTP server, sound and unsound."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from edge_agent.clock import Sync, SystemClock
from edge_agent.config import HttpSettings, RtspSettings
from edge_agent.errors import SourceError, SourceLost
from edge_agent.live.timekeeping import ScriptedSync, Timekeeper
from edge_agent.sources import LiveSource, open_live
from edge_agent.sources.feed import Feed
from edge_agent.sources.network import NetworkLink
from edge_agent.types import Frame

READ = Timekeeper(SystemClock(), ScriptedSync([Sync("ntp", True, 1.0)])).read
SERVER = Path(__file__).with_name("rtsp_server.py")
PYTHON = "/usr/bin/python3"
SECRET = "s3:c/r@t %1"

Streams = Mapping[str, Mapping[str, Any]]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Server:
    """GStreamer's RTSP server in a process of its own."""

    def __init__(self, streams: Streams, auth: str = "", port: int | None = None) -> None:
        self.port = port or _free_port()
        command = [PYTHON, str(SERVER), str(self.port), json.dumps(streams), *([auth] * bool(auth))]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def url(self, name: str = "main") -> str:
        return f"rtsp://127.0.0.1:{self.port}/{name}"

    def order(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def serving(streams: Streams, auth: str = "", port: int | None = None) -> Iterator[Server]:
    server = Server(streams, auth, port)
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module", autouse=True)
def _has_server() -> None:
    probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
    has_it = shutil.which(PYTHON) and not subprocess.call([PYTHON, "-c", probe], stderr=-3)
    if not has_it:
        if os.environ.get("CI"):
            pytest.fail("GStreamer's RTSP server is missing on CI: run tools/install_test_needs.sh")
        pytest.skip("GStreamer's RTSP server is not installed: run tools/install_test_needs.sh")


@pytest.fixture(scope="module")
def recording(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("camera") / "camera.mp4"
    return make_video(path, 120, options={"tune": "zerolatency", "g": "25"})


@pytest.fixture(scope="module")
def server(recording: Path) -> Iterator[Server]:
    streams: Streams = {
        "h264": {"codec": "h264"},
        "h265": {"codec": "h265"},
        "large": {"codec": "h264", "size": (640, 480)},
        "file": {"path": str(recording)},
    }
    with serving(streams) as running:
        yield running


def rtsp(url: str, **settings: Any) -> LiveSource:
    values = {"kind": "rtsp", "url": url, "stall_s": 2, **settings}
    return open_live(RtspSettings.model_validate(values), "north", READ)


def some(source: LiveSource, count: int) -> list[Frame]:
    frames = source.frames()
    try:
        return list(islice(frames, count))
    finally:
        frames.close()  # type: ignore[attr-defined]


def reason(source: LiveSource) -> str:
    """Why it ends."""
    with pytest.raises(SourceError) as caught:
        for _ in source.frames():
            pass
    assert caught.value.__cause__ is None
    return str(caught.value)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_a_camera_is_seen(server: Server, codec: str, transport: str) -> None:
    source = rtsp(server.url(codec), transport=transport)
    frames = some(source, 30)
    times = [frame.t_s for frame in frames]
    assert {(frame.width, frame.height) for frame in frames} == {(320, 240)}
    assert frames[-1].image.max() > 200
    assert all(np.diff(times) > 0)
    assert np.median(np.diff(times)) == pytest.approx(1 / 15, abs=0.01)
    assert 0 <= READ()[1].mono_ns / 1e9 - times[-1] < 2
    clip = source.clip(times[20], times[-1])
    assert clip is not None
    with av.open(io.BytesIO(clip), "r") as container:
        assert sum(1 for _ in container.decode(video=0)) >= 10
    source.close()


def test_the_camera_s_own_clock_tells_how_long_pictures_were_under_way(server: Server) -> None:
    settings = RtspSettings(kind="rtsp", url=server.url("h264"), stall_s=5)
    feed = Feed(NetworkLink(settings, settings.url), READ, 5.0)
    feed.start()
    for _ in range(150):
        if feed.take() is None or feed.pace.skew_s is not None:
            break
    feed.stop()
    assert feed.pace.skew_s is not None and 0 < feed.pace.transit_s < 2


def test_the_clip_holds_the_packets_that_the_camera_sent(server: Server, recording: Path) -> None:
    source = rtsp(server.url("file"))
    frames: list[Frame] = []
    assert "ended the connection" in _until_lost(source, frames)
    assert len(frames) > 100
    clip = source.clip(frames[60].t_s, frames[90].t_s)
    assert clip is not None
    with av.open(io.BytesIO(clip), "r") as container, av.open(recording) as sent:
        own = [_slices(bytes(packet)) for packet in container.demux(video=0) if packet.size]
        all_sent = [_slices(bytes(packet)) for packet in sent.demux(video=0) if packet.size]
    assert 31 <= len(own) <= 31 + 25
    first = all_sent.index(own[0])
    assert first % 25 == 0 and own == all_sent[first : first + len(own)]


def _until_lost(source: LiveSource, frames: list[Frame]) -> str:
    with pytest.raises(SourceLost) as caught:
        frames.extend(source.frames())
    return str(caught.value)


def _slices(packet: bytes) -> list[bytes]:
    """The parts of a length-prefixed H.264 packet that carry the picture."""
    found, at = [], 0
    while at < len(packet):
        end = at + 4 + int.from_bytes(packet[at : at + 4])
        if packet[at + 4] & 31 in (1, 5):
            found.append(packet[at + 4 : end])
        at = end
    return found


def test_detection_on_the_small_stream_evidence_from_the_large_one(server: Server) -> None:
    source = rtsp(server.url("large"), sub=server.url("h264"))
    frames = some(source, 20)
    assert {(frame.width, frame.height) for frame in frames} == {(640, 480)}
    for frame in frames[-8:]:
        assert frame.image.shape == (480, 640, 3)
        assert frame.picture.small(320, 240).shape == (240, 320, 3)
    source.close()


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_credentials_come_from_a_file_and_stay_there(
    auth: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text(f"viewer:{SECRET}\n")
    wrong.write_text(f"viewer\n{SECRET}x\n")
    caplog.set_level(0)
    with serving({"main": {"codec": "h264"}}, auth) as server:
        source = rtsp(server.url(), credentials_file=right)
        assert len(some(source, 3)) == 3
        said = [
            repr(source),
            repr(source.media),
            *(thread.name for thread in threading.enumerate()),
        ]
        refused = reason(rtsp(server.url(), credentials_file=wrong))
        assert "does not accept the user or password" in refused and str(wrong) in refused
        said += [refused, reason(rtsp(server.url("no"), credentials_file=right))]
        assert "404" in said[-1]
        assert "name a file with both" in reason(rtsp(server.url()))
    said += [reason(rtsp(server.url(), credentials_file=right)), caplog.text]
    assert "s3:c" not in "".join(said) and "s3%3A" not in "".join(said)


@pytest.mark.parametrize("text", ["", "only-a-user", "a\nb\nc", "\xff"])
def test_a_credentials_file_that_cannot_be_meant(text: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(text.encode("latin-1"))
    assert "credentials_file" in reason(rtsp("rtsp://127.0.0.1:1/x", credentials_file=file))
    assert "cannot be read" in reason(rtsp("rtsp://127.0.0.1:1/x", credentials_file=tmp_path / "n"))


def test_who_is_not_there_is_told_apart(server: Server) -> None:
    assert "404" in reason(rtsp(server.url("nope")))
    refused = reason(rtsp(f"rtsp://127.0.0.1:{_free_port()}/x"))
    assert "refuses the connection" in refused
    assert "cannot be reached" in reason(rtsp("rtsp://camera.invalid/x"))
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]

        def hang_up() -> None:
            mute.accept()[0].close()

        threading.Thread(target=hang_up).start()
        assert f"127.0.0.1:{port}" in reason(rtsp(f"rtsp://127.0.0.1:{port}/x"))


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_frozen_killed_and_back(transport: str) -> None:
    """The same source goes on with later times; its clips never join what lay between."""
    streams = {"main": {"codec": "h264"}}
    server = Server(streams)
    source = rtsp(server.url(), transport=transport)
    frames: list[Frame] = []
    try:
        threading.Timer(2.0, server.send, [signal.SIGSTOP]).start()
        assert "has sent nothing for 2 s" in _until_lost(source, frames)
        server.send(signal.SIGCONT)
        before = len(frames)
        threading.Timer(2.0, server.kill).start()
        _until_lost(source, frames)
        server.process.wait(10)
        assert len(frames) > before > 5
        assert "refuses" in _until_lost(source, frames)
        with serving(streams, port=server.port):
            frames += some(source, 10)
    finally:
        server.send(signal.SIGCONT)
        server.kill()
    times = [frame.t_s for frame in frames]
    assert all(np.diff(times) > 0)
    assert [frame.seq for frame in frames] == sorted({frame.seq for frame in frames})
    clip = source.clip(times[0], times[-1])
    assert clip is not None
    with av.open(io.BytesIO(clip), "r") as container:
        shown = [picture.time or 0.0 for picture in container.decode(video=0)]
    assert np.diff(shown) == pytest.approx(1 / 15, abs=0.03)


def test_the_picture_size_may_change_underneath() -> None:
    with serving({"main": {"codec": "h264"}}) as server:
        source = rtsp(server.url())
        frames, after = [], 0
        for frame in source.frames():
            frames.append(frame)
            if len(frames) == 15:
                server.order("size main 480 360")
            after += frame.width == 480
            if after == 30 or len(frames) == 200:
                break
    assert {(frame.width, frame.height) for frame in frames} == {(320, 240), (480, 360)}
    assert frames[-1].image.shape == (360, 480, 3)
    assert all(np.diff([frame.t_s for frame in frames]) > 0)
    widths = []
    for start, end in ((frames[2], frames[12]), (frames[-20], frames[-1])):
        clip = source.clip(start.t_s, end.t_s)
        assert clip is not None
        with av.open(io.BytesIO(clip), "r") as container:
            widths.append({picture.width for picture in container.decode(video=0)})
    assert widths == [{320}, {480}]


class Mjpeg(BaseHTTPRequestHandler):
    """A camera that pushes JPEGs, as RFC 2046 multipart; or whatever else its path asks for."""

    def do_GET(self) -> None:
        if self.path == "/page":
            self._say(b"<html>welcome</html>", "text/html")
        elif self.path == "/locked":
            self.send_error(401)
        elif self.path != "/video":
            self.send_error(404)
        else:
            self._push()

    def _say(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _push(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        pause = threading.Event()
        for image in JPEGS:
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + image + b"\r\n")
            except OSError:
                return
            pause.wait(0.05)

    def log_message(self, *args: object) -> None:
        pass


def _jpeg(size: tuple[int, int], level: int) -> bytes:
    height = np.full((size[1], size[0], 3), level, np.uint8)
    return cv2.imencode(".jpg", height)[1].tobytes()


JPEGS = [_jpeg((320, 240), 5 * n) for n in range(25)] + [
    _jpeg((160, 120), 5 * n) for n in range(25)
]


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Mjpeg) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def http(url: str) -> LiveSource:
    values = {"kind": "http", "url": url, "stall_s": 2}
    return open_live(HttpSettings.model_validate(values), "north", READ)


def test_mjpeg_over_http(web: str) -> None:
    source = http(f"{web}/video")
    frames: list[Frame] = []
    assert "ended the connection" in _until_lost(source, frames)
    assert len(frames) > 40
    assert {(frame.width, frame.height) for frame in frames} == {(320, 240), (160, 120)}
    times = [frame.t_s for frame in frames]
    assert np.median(np.diff(times)) == pytest.approx(0.05, abs=0.02)
    clip = source.clip(times[5], times[15])
    assert clip is not None
    with av.open(io.BytesIO(clip), "r") as container:
        kept = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert len(kept) >= 9 and set(kept) < set(JPEGS)


def test_what_is_no_camera_says_so(web: str) -> None:
    assert "sends no video" in reason(http(f"{web}/page"))
    assert "404" in reason(http(f"{web}/nothing"))
    assert "401" in reason(http(f"{web}/locked"))
