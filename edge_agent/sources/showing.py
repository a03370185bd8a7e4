"""From a connection's packets to pictures with their times, or to the reason why there are none."""

from __future__ import annotations

from collections.abc import Iterator

from av.video.frame import VideoFrame

from edge_agent.errors import SourceLost
from edge_agent.sources.decoding import RestingDecoder
from edge_agent.sources.packets import Parcel, Segment

KEY_PATIENCE_S = 30.0
"""Cameras send a key frame every second or two, thrifty ones every ten or twenty."""


class Show:
    """Pictures of one connection; gives up on one that never shows any."""

    def __init__(self, name: str, patience_s: float) -> None:
        self._name = name
        self._patience_s = patience_s
        self._segment: Segment | None = None
        self._decoder: RestingDecoder | None = None
        self.is_resting = False
        self._blank_s: float | None = None
        """Since when nothing could be decoded."""
        self._is_keyless = True

    def pictures(self, parcel: Parcel) -> Iterator[tuple[float, VideoFrame]]:
        """What the packet completes, each with its time; nothing before the first key frame."""
        if self._blank_s is None:
            self._blank_s = parcel.t_s
        self._is_keyless &= not parcel.is_key
        found = [] if self._is_keyless else self._decode(parcel)
        if found or (self._decoder is not None and self._decoder.is_asleep):
            self._blank_s = None
        else:
            self._judge(parcel.t_s)
        for picture in found:
            ticks = 0 if picture.pts is None else picture.pts - parcel.pts
            yield parcel.t_s + float(ticks * parcel.segment.time_base), picture

    def _decode(self, parcel: Parcel) -> list[VideoFrame]:
        if parcel.segment is not self._segment or self._decoder is None:
            self._segment = parcel.segment
            self._decoder = RestingDecoder(parcel.segment.decoder())
        self._decoder.is_resting = self.is_resting
        pictures = self._decoder.decode(parcel.packet())
        return [picture for picture in pictures if not picture.is_corrupt]

    def _judge(self, t_s: float) -> None:
        blank_s = t_s - (self._blank_s or 0.0)
        if self._is_keyless and blank_s > KEY_PATIENCE_S:
            raise SourceLost(
                f"{self._name}: no key frame for {KEY_PATIENCE_S:g} s: set the camera to one every "
                "1 to 2 s (also called I frame or GOP length), without `smart` coding"
            )
        if not self._is_keyless and blank_s > self._patience_s:
            raise SourceLost(
                f"{self._name}: sends packets of which no picture could be decoded for "
                f"{self._patience_s:g} s: the network loses too much (try `transport: tcp`), or "
                "set the camera to H.264"
            )
