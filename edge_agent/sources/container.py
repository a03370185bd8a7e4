"""Opening a recorded file, with errors that say what to do."""

from __future__ import annotations

import hashlib
import stat
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edge_agent.errors import SourceError

# Only these are probed. Others would let a text file play as a film of letters, or a play list
# or a name with `%d` in it read files that the recording's hash does not cover.
_FORMATS = (
    "mov mp4 m4a 3gp 3g2 mj2 avi gif matroska webm mpegts mpeg mpegvideo flv asf ogg mjpeg h264 hevc "
    "m4v av1 obu ivf dv mxf jpeg_pipe png_pipe bmp_pipe webp_pipe tiff_pipe"
).split()


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a regular file; `SourceError` when it is not there or cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise SourceError(f"{path}: is not a file: give a video file or a folder of stills")
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            is_empty = file.tell() == 0
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file: check the path") from None
    except OSError as error:
        raise SourceError(
            f"{path}: cannot be read ({error.strerror}): check the path and its permissions"
        ) from None
    if is_empty:
        raise SourceError(f"{path}: is empty (0 bytes): copy the recording again")
    return sha256


def open_video(path: Path) -> tuple[InputContainer, VideoStream]:
    """The container and its first film track, set up for the least CPU time per frame.

    One decoder thread: frame threads cost 5 to 25 % more CPU per frame, and while replaying the
    other cores have inference to do.
    """
    options = {"format_whitelist": ",".join(_FORMATS)}
    try:
        # `file:` keeps a colon in a name from being taken for a protocol.
        container = av.open(
            f"file:{path}", "r", container_options=options, metadata_errors="replace"
        )
    except (FFmpegError, ValueError) as error:
        raise SourceError(
            f"{path}: is not a video that can be played, or its index is missing (an MP4 that was "
            f"cut off): copy it again or convert it to MP4 ({_reason(error)})"
        ) from None
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            break
    else:
        container.close()
        raise SourceError(f"{path}: has no video track: give a recording with pictures")
    if stream.codec_context is None:
        container.close()
        raise SourceError(f"{path}: no decoder for its video track: convert it to H.264")
    stream.thread_type, stream.thread_count = "NONE", 1
    return container, stream


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, FFmpegError) else None) or str(error)


def stamp(item: VideoFrame | Packet[VideoStream]) -> Fraction | None:
    """Presentation time in s, exact; the decoding time where a container has only that."""
    ticks = item.pts if item.pts is not None else item.dts
    return None if ticks is None or item.time_base is None else ticks * item.time_base


def nominal_s(stream: VideoStream) -> float:
    """Frame duration in s by the stream's own rate; 1/25 where it has none."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate:
            return float(1 / rate)
    return 1 / 25


def duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    """Length of the film track in s as the file tells or lets one guess; None when unknown.

    The shorter of both says: an edit list cuts the container's time, not the track's; sound that
    goes on cuts neither.
    """
    lengths = []
    if stream.duration and stream.time_base:
        lengths.append(float(stream.duration * stream.time_base))
    if container.duration:
        lengths.append(container.duration / av.time_base)
    return min((length for length in lengths if length > 0), default=None)


def declared_s(container: InputContainer, stream: VideoStream) -> float | None:
    """`duration_s` where the file itself states it, so that coming short of it means damage."""
    family = container.format.name
    if family.startswith(("mov", "avi")):
        return duration_s(container, stream) if stream.duration else None
    if family.startswith("matroska") and len(container.streams) == 1:
        return duration_s(container, stream)
    return None
