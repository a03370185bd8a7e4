"""Cameras with an address: RTSP and HTTP, and what their refusals mean."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

import av
from av import error as failure
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from edge_agent.config.source import HttpSettings, NetworkSettings, RtspSettings, without_secrets
from edge_agent.errors import SourceError
from edge_agent.sources.container import MAX_PIXELS, demux
from edge_agent.sources.feed import OPEN_S
from edge_agent.sources.packets import Segment, SegmentWatch

_RTSP = {
    "format_whitelist": "rtsp,rtp,sdp,mpegts,mpjpeg,mjpeg",
    "fpsprobesize": "0",  # or it waits for twenty pictures to guess a rate that nobody asks for
}
_HTTP = {
    "format_whitelist": "mpjpeg,mjpeg,mpegts,flv,h264,hevc",
    "protocol_whitelist": "http,https,tcp,tls,crypto,httpproxy",  # never a file, by a play list
    "fpsprobesize": "0",
}
_REMEDIES: tuple[tuple[type[BaseException], str], ...] = (
    (failure.HTTPForbiddenError, "the user may not see this stream (403): allow it in the camera"),
    (failure.HTTPNotFoundError, "it has no such path (404): check the path of the address"),
    (failure.HTTPServerError, "it cannot serve the stream (5xx): does it run, for others as well?"),
    (failure.HTTPClientError, "it does not understand the request (4xx): check the address"),
    (ConnectionRefusedError, "refuses the connection: check the port, and that RTSP/HTTP is on"),
    (TimeoutError, "does not answer: check the camera's power, its address and the network"),
    (failure.ExitError, "does not answer: check the camera's power, its address and the network"),
    (ConnectionError, "broke the connection: it may be restarting, or serve no more viewers"),
    (failure.ProtocolNotFoundError, "leads to another kind of address: give the final one"),
    (failure.InvalidDataError, "sends no video: check the path of the address"),
    (EOFError, "ended the connection at once: it may serve no more viewers"),
)
_ENDED = "has ended the connection: it may be restarting, or serve no more viewers: close others"
_UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EIO)
"""FFmpeg says EIO for names that nobody knows."""


class NetworkLink:
    """One stream of an IP camera. Implements `feed.Link`."""

    is_monotonic = False

    def __init__(self, settings: NetworkSettings, url: str) -> None:
        self.name = without_secrets(url)
        self._settings = settings
        self._url = url

    def packets(self, is_closed: threading.Event) -> Iterator[tuple[Packet[VideoStream], Segment]]:
        with self._open() as container:
            stream = _film(container, self.name)
            first = Segment.of(stream)
            watch = SegmentWatch(first.codec, first.time_base, first)
            has_times = container.format.name not in ("mpjpeg", "mjpeg")
            try:
                for packet in demux(container, stream):
                    if is_closed.is_set():
                        return
                    if not packet.size:
                        break
                    _give_time(packet, has_times)
                    yield packet, watch.at(bytes(packet), packet.is_keyframe) or first
            except FFmpegError as error:
                is_cut = isinstance(error, OSError) and error.errno == errno.EIO
                why = _ENDED if is_cut else self._why(error)
                raise SourceError(f"{self.name}: {why}") from None
            raise SourceError(f"{self.name}: {_ENDED}")

    def _open(self) -> InputContainer:
        address = with_credentials(self._url, self._settings.credentials_file)
        try:
            return av.open(
                address,
                "r",
                options=dict(_options(self._settings)),
                timeout=(OPEN_S, self._settings.stall_s),
                metadata_errors="replace",
            )
        except (FFmpegError, ValueError) as error:  # its own words repeat the password
            raise SourceError(f"{self.name}: {self._why(error)}") from None

    def _why(self, error: Exception) -> str:
        file = self._settings.credentials_file
        if isinstance(error, failure.HTTPUnauthorizedError):
            return (
                f"it does not accept the user or password in {file} (401)"
                if file
                else "it wants a user and a password (401): name a file with both as "
                "`credentials_file`"
            )
        if isinstance(error, OSError) and error.errno in _UNREACHABLE:
            return "cannot be reached: check the camera's name or address and the network"
        for kind, remedy in _REMEDIES:
            if isinstance(error, kind):
                return remedy
        reason = error.strerror if isinstance(error, OSError) else None
        return f"cannot be read ({reason or type(error).__name__}): check the address"


def with_credentials(url: str, file: Path | None) -> str:
    """The address with the user and password from the file; a secret from here on."""
    if file is None:
        return url
    user, password = (quote(part, safe="") for part in read_credentials(file))
    if "{password}" in url:
        return url.replace("{user}", user).replace("{password}", password)
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:{password}@{parts.netloc}").geturl()


def read_credentials(path: Path) -> tuple[str, str]:
    """User and password from `user:password`, or from two lines."""
    where = f"credentials_file: {path}"
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        raise SourceError(f"{where} is not UTF-8 text") from None
    except OSError as error:
        raise SourceError(f"{where}: cannot be read ({error.strerror})") from None
    filled = [line for line in lines if line.strip()]
    if len(filled) == 1 and ":" in filled[0]:
        user, _, password = filled[0].partition(":")
        return user, password
    if len(filled) == 2:
        return filled[0], filled[1]
    raise SourceError(f"{where}: write `user:password`, or the user and the password on two lines")


def _options(settings: NetworkSettings) -> Mapping[str, str]:
    if isinstance(settings, RtspSettings):
        return {**_RTSP, "rtsp_transport": settings.transport}
    assert isinstance(settings, HttpSettings)
    return _HTTP


def _film(container: InputContainer, name: str) -> VideoStream:
    stream = next(iter(container.streams.video), None)
    if stream is None or stream.codec_context is None:
        raise SourceError(f"{name}: has no video that can be decoded: set the camera to H.264")
    if not 0 < stream.width * stream.height <= MAX_PIXELS:
        raise SourceError(f"{name}: has sent no picture: check the path of the address")
    return stream


def _give_time(packet: Packet[VideoStream], has_times: bool) -> None:
    """FFmpeg leaves the very first packet of RTP without its time, which is 0 by definition.

    Times that it makes up, of formats without any, are taken away.
    """
    if not has_times:
        packet.pts = None
    elif packet.pts is None:
        packet.pts = 0 if packet.dts is None else packet.dts
