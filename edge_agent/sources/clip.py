"""Cutting a clip out of a recording without decoding: the camera's own packets in an MP4."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from edge_agent.sources.container import demux, open_video, stamp, stores_decoding_order

Packets: TypeAlias = "list[Packet[VideoStream]]"

_REORDER_S = 1
"""Packets are stored in decoding order: at most this far from their presentation times."""


def cut_clip(path: Path, start: Fraction, end: Fraction) -> bytes | None:
    """An MP4 from the key frame at or before `start` to the last picture at or before `end`.

    Both are presentation times in s; those of the clip start at 0. The same bytes every time.
    None when the codec cannot live in an MP4 or the packets carry no usable times.
    """
    for seek_to in (start - _REORDER_S, None):  # without an index: read from the beginning
        container, stream = open_video(path)
        with container:
            if stores_decoding_order(container) and stream.codec_context.has_b_frames:
                return None
            if seek_to is not None and stream.time_base:
                with suppress(FFmpegError):
                    container.seek(int(seek_to / stream.time_base), stream=stream)
            packets = _select(_readable(container, stream), start, end)
            if packets and (_time(packets[0]) <= start or seek_to is None):
                return _mux(stream, packets)
    return None


def mux_clip(stream: VideoStream, packets: Packets, start: Fraction, end: Fraction) -> bytes | None:
    """The same from packets that are at hand; `stream` says what they are. Uses them up."""
    chosen = _select(packets, start, end)
    return _mux(stream, chosen) if chosen else None


def _readable(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Packets up to the end of the file or to damage that cannot be read past."""
    with suppress(FFmpegError):
        yield from (packet for packet in demux(container, stream) if packet.size)


def _time(packet: Packet[VideoStream]) -> Fraction:
    return stamp(packet) or Fraction(0)


def _select(packets: Iterable[Packet[VideoStream]], start: Fraction, end: Fraction) -> Packets:
    chosen: Packets = []
    for packet in packets:
        if packet.pts is None:
            return []
        if chosen and _time(packet) < _time(chosen[0]) - _REORDER_S:  # the clock starts again
            break
        if packet.is_keyframe and (not chosen or _time(packet) <= start):
            chosen = [packet]
        elif chosen:
            chosen.append(packet)
        if _time(packet) > end + _REORDER_S:
            break
    # Pictures that precede their key frame need one that is not in the clip.
    chosen = [packet for packet in chosen if _time(packet) >= _time(chosen[0])]
    # The last packet of a file that was cut off is a torso.
    whole = [index for index, packet in enumerate(chosen) if not packet.is_corrupt]
    wanted = [index for index in whole if _time(chosen[index]) <= end]
    return chosen[: wanted[-1] + 1] if wanted else chosen[:1]


def _mux(stream: VideoStream, packets: Packets) -> bytes | None:
    file = io.BytesIO()
    try:
        options = {"fflags": "+bitexact"}  # no writer's name or version in the evidence
        with av.open(file, "w", format="mp4", options=options) as output:
            copy = output.add_stream_from_template(stream, opaque=True)
            for packet in _from_zero(packets):
                packet.stream = copy
                output.mux(packet)
    except (FFmpegError, ValueError):  # a codec or times that MP4 cannot hold
        return None
    return file.getvalue()


def _from_zero(packets: Packets) -> Packets:
    """Shift presentation to 0; set decoding times anew, for containers that lack or bend them."""
    shown = [packet.pts or 0 for packet in packets]
    ordered = sorted(shown)
    delay = max(later - own for later, own in zip(ordered, shown, strict=True))
    for packet, pts, dts in zip(packets, shown, ordered, strict=True):
        packet.pts, packet.dts = pts - ordered[0], dts - delay - ordered[0]
    return packets
