"""Opening a recorded file, with errors that say what to do."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
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

# Nothing else is played: a text file would be a film of letters, and a play list (or an image
# name with `%d` in it, see `pattern_type`) would read files that the recording's hash leaves out.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,avi,gif,matroska,webm,mpegts,mpeg,mpegvideo,flv,asf,ogg,mjpeg,h264,"
    "hevc,m4v,av1,obu,ivf,dv,mxf,image2,jpeg_pipe,png_pipe,bmp_pipe,webp_pipe,tiff_pipe"
)

MAX_PIXELS = 1 << 26
"""8192x8192: a few bytes can declare a picture that fills the memory."""


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
    try:
        # `file:` keeps a colon in a name from being taken for a protocol.
        options = {"format_whitelist": _FORMATS, "pattern_type": "none"}
        container = av.open(
            f"file:{path}", "r", container_options=options, metadata_errors="replace"
        )
    except (FFmpegError, ValueError):
        raise SourceError(f"{path}: {_why_unplayable(path)}") from None
    try:
        stream = _film_track(path, container)
    except SourceError:
        container.close()
        raise
    stream.thread_type, stream.thread_count = "NONE", 1
    return container, stream


def _film_track(path: Path, container: InputContainer) -> VideoStream:
    if not len(container.streams):
        raise SourceError(f"{path}: {_why_unplayable(path)}")
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:  # the cover of a piece of music
            continue
        if stream.codec_context is None:
            raise SourceError(f"{path}: no decoder for its video track: convert it to H.264")
        if stream.width * stream.height > MAX_PIXELS:
            raise SourceError(
                f"{path}: its pictures are {stream.width}x{stream.height} px, more than "
                f"{MAX_PIXELS / 1e6:.0f} million: make them smaller"
            )
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # if it grows on the way
        return stream
    raise SourceError(f"{path}: has no video track: give a recording with pictures")


def _why_unplayable(path: Path) -> str:
    with path.open("rb") as file:
        is_mp4 = file.read(8)[4:] == b"ftyp"
    if is_mp4:
        return "is an MP4 without a usable index, probably cut off: copy the recording again"
    return "is not a video: give a recording, e.g. MP4, AVI, MKV, WebM, TS or GIF, or convert it"


def demux(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The packets of one track up to the end of the file; raises FFmpegError."""
    while True:
        try:
            yield from container.demux(stream)
            return
        except IndexError:  # PyAV stumbles over tracks that appear on the way, as joined TS has
            continue


def stores_decoding_order(container: InputContainer) -> bool:
    """True for AVI: it has no presentation times, and those made up by the reader mislead."""
    return container.format.name == "avi"


def stamp(item: VideoFrame | Packet[VideoStream], by_decoding: bool = False) -> Fraction | None:
    """Presentation time in s, exact; the decoding time where that is asked for or all there is."""
    ticks = item.dts if by_decoding or item.pts is None else item.pts
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
    """Length in s where the file itself states it, so that coming short of it means damage."""
    family = container.format.name
    if stores_decoding_order(container):  # its duration was already cut to the file's size
        return stream.frames * float(stream.time_base or 0) or None
    if family.startswith("mov"):
        return duration_s(container, stream) if stream.duration else None
    if family.startswith(("matroska", "flv")) and len(container.streams) == 1:
        return duration_s(container, stream)
    return None
