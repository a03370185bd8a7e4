"""Large pictures on demand: the right ones, at no higher price than decoding everything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.sources.packets import Parcel, Segment
from edge_agent.sources.pair import LargePictures
from edge_agent.sources.ring import Gop, PacketRing
from edge_agent.types import Image

FPS, GOP, COUNT = 10, 10, 60


class Counting:
    """A decoder that counts what it is given."""

    def __init__(self, inner: VideoCodecContext, told: list[int]) -> None:
        self._inner, self._told = inner, told

    def decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        if packet is not None:
            self._told.append(packet.pts or 0)
        return self._inner.decode(packet)


@dataclass(frozen=True, slots=True, eq=False)
class Watched(Segment):
    """Hands out decoders that count."""

    told: tuple[list[int], ...] = ()

    def decoder(self) -> VideoCodecContext:
        inner = Segment.decoder(self)
        return cast("VideoCodecContext", Counting(inner, self.told[0]))


@dataclass
class Kept:
    """A ring full of packets, the pictures in them, and which packets have been decoded."""

    parcels: list[Parcel]
    pictures: list[Image]
    told: list[int]

    def ring(self, keep_s: float = 100.0) -> tuple[PacketRing, list[Gop]]:
        ring = PacketRing(keep_s, 1 << 24)
        gops = [ring.put(parcel) for parcel in self.parcels]
        return ring, [gop for gop in gops if gop is not None]


@pytest.fixture(scope="module", params=["plain", "b-frames"])
def kept(
    request: pytest.FixtureRequest,
    make_video: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Kept:
    extra = {"tune": "zerolatency"} if request.param == "plain" else {"bf": "2"}
    options = {"g": str(GOP), "keyint_min": str(GOP), "sc_threshold": "0", **extra}
    path = make_video(
        tmp_path_factory.mktemp("kept") / "a.mp4", COUNT, fps=FPS, size=(320, 240), options=options
    )
    told: list[int] = []
    with av.open(path, "r") as container:
        stream = container.streams.video[0]
        own = Segment.of(stream)
        fields = {name: getattr(own, name) for name in ("codec", "width", "height", "time_base")}
        segment = Watched(**fields, extradata=own.extradata, template=own.template, told=(told,))
        tick = Fraction(own.time_base)
        parcels = [
            Parcel(bytes(p), p.pts or 0, p.is_keyframe, 50 + float((p.pts or 0) * tick), segment)
            for p in container.demux(stream)
            if p.size
        ]
    with av.open(path, "r") as container:
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    return Kept(parcels, [np.asarray(picture, np.uint8) for picture in pictures], told)


def _asked(kept: Kept, numbers: list[int]) -> list[int]:
    """How many packets each question had decoded."""
    ring, gops = kept.ring()
    large, costs = LargePictures(ring), []
    for number in numbers:
        kept.told.clear()
        picture = large.at(50 + number / FPS, gops[-1])
        assert picture is not None
        grey = picture.grey(320, 240).astype(int)
        luma = kept.pictures[number].astype(int)
        assert np.abs(grey - luma).mean() < 3  # of the full range as both are asked for
        costs.append(len(kept.told))
    return costs


@pytest.mark.parametrize("step", [1, 3, 7])
def test_in_order_no_packet_is_decoded_twice(kept: Kept, step: int) -> None:
    assert sum(_asked(kept, list(range(0, COUNT, step)))) <= COUNT


def test_the_same_moment_costs_nothing_again(kept: Kept) -> None:
    assert _asked(kept, [25, 25, 25])[1:] == [0, 0]


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=12))
def test_in_any_order_it_is_the_right_one_for_a_group_at_most(
    kept: Kept, numbers: list[int]
) -> None:
    assert all(cost <= GOP for cost in _asked(kept, numbers))


def test_what_is_held_outlives_the_ring(kept: Kept) -> None:
    ring, gops = kept.ring(keep_s=1.0)
    assert ring.at(50.5) is None
    picture = LargePictures(ring).at(50.5, gops[0])
    assert picture is not None
    assert np.abs(picture.grey(320, 240).astype(int) - kept.pictures[5].astype(int)).mean() < 3


def test_the_ring_is_bounded_in_bytes_and_seconds(kept: Kept) -> None:
    ring, _ = kept.ring(keep_s=2.0)
    assert ring.at(50 + 5.5) is not None and ring.at(50 + 2.5) is None
    size = sum(len(parcel.data) for parcel in kept.parcels[-25:])
    small = PacketRing(100.0, size)
    keyless = PacketRing(100.0, size)
    for parcel in kept.parcels:
        small.put(parcel)
        keyless.put(replace(parcel, is_key=parcel is kept.parcels[0]))
    assert small.newest is not None and small.at(50 + 5.5) is not None and small.at(50.5) is None
    assert keyless.newest is None and keyless.at(50.5) is None


def test_a_damaged_packet_is_no_picture(kept: Kept) -> None:
    ring = PacketRing(100.0, 1 << 20)
    gop = ring.put(replace(kept.parcels[0], data=b"\0\0\0\4\x65abc"))
    assert gop is not None
    assert LargePictures(ring).at(50.0, gop) is None
