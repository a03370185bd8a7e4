"""Live sources, with recordings as cameras: what is shown, kept, aligned and left out."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.packet import Packet
from av.video.stream import VideoStream

from edge_agent.clock import ClockReading, Sync, SystemClock
from edge_agent.config import FileSettings
from edge_agent.errors import SourceError, SourceLost
from edge_agent.live.timekeeping import ScriptedSync, Timekeeper
from edge_agent.sources import LiveSource, open_live
from edge_agent.sources.live import Limits, Links
from edge_agent.sources.packets import Segment
from edge_agent.types import Frame, Image

CAMERA_LIKE = {"tune": "zerolatency", "g": "10"}
READ = Timekeeper(SystemClock(), ScriptedSync([Sync("ntp", True, 1.0)])).read

Data = list[tuple[bytes, bool]]
Then = Callable[[threading.Event], object]
MakeVideo = Callable[..., Path]


def index_of(image: Image) -> int:
    """The number on top of a sketch."""
    height, width = image.shape[:2]
    cells = [image[height // 12, int((bit + 0.5) * width / 8)].mean() > 127 for bit in range(8)]
    return sum(is_set << (7 - bit) for bit, is_set in enumerate(cells))


def is_most_of(seen: list[int], expected: list[int]) -> bool:
    """True when it is that, but for what a busy machine makes come in a burst."""
    return seen == [n for n in expected if n in seen] and len(seen) >= len(expected) - 4


def is_even(times: list[float]) -> bool:
    """True when they are 1/25 s apart and rise; a busy machine needs a moment to find its pace."""
    gaps = np.diff(times)
    return bool(abs(np.median(gaps) - 1 / 25) < 0.01 and all(gaps > 0))


def packets_of(path: Path | io.BytesIO) -> list[bytes]:
    with av.open(path, "r") as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


@pytest.fixture(scope="module")
def small(make_video: MakeVideo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "small.mp4"
    return make_video(path, 40, size=(160, 120), options=CAMERA_LIKE)


@pytest.fixture(scope="module")
def large(make_video: MakeVideo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.mp4"
    return make_video(path, 40, size=(640, 480), options=CAMERA_LIKE)


def test_a_file_plays_at_its_own_pace_on_the_monotonic_clock(small: Path) -> None:
    source = open_live(FileSettings(kind="file", path=small), "c", READ)
    before = READ()[1].mono_ns / 1e9
    frames = list(source.frames())
    after = READ()[1].mono_ns / 1e9
    assert source.media.name == "small.mp4" and source.media.sha256 is None
    assert [frame.seq for frame in frames] == [index_of(frame.image) for frame in frames]
    assert is_most_of([frame.seq for frame in frames], list(range(40)))
    times = [frame.t_s for frame in frames]
    assert before <= times[0] and times[-1] <= after
    assert is_even(times)
    for frame in frames:
        assert frame.clock is not None and frame.clock.mono_ns == pytest.approx(frame.t_s * 1e9)
    walls = [(b.wall - a.wall).total_seconds() for a, b in pairwise(frames)]
    assert walls == pytest.approx(np.diff(times), abs=0.01)


def test_a_clip_holds_the_camera_s_own_packets_from_a_key_frame_on(small: Path) -> None:
    source = open_live(FileSettings(kind="file", path=small), "c", READ)
    times = {frame.seq: frame.t_s for frame in source.frames()}
    clip = source.clip(times[14], times[25])
    assert clip is not None
    assert packets_of(io.BytesIO(clip)) == packets_of(small)[10:26]
    assert source.clip(times[14] - 20, times[14] - 10) is None


def test_playing_again_goes_on_in_time_and_clips_stay_apart(small: Path) -> None:
    source = open_live(FileSettings(kind="file", path=small), "c", READ)
    first, again = ([frame.t_s for frame in source.frames()] for _ in range(2))
    assert again[0] > first[-1]
    clip = source.clip(first[20], again[-1])
    assert clip is not None
    assert packets_of(io.BytesIO(clip)) == packets_of(small)


def test_a_loop_goes_on(small: Path) -> None:
    source = open_live(FileSettings(kind="file", path=small, loop=True), "c", READ)
    seen = []
    for frame in source.frames():
        seen.append((frame.t_s, index_of(frame.image)))
        if frame.seq == 50:
            source.close()
    shown = [index for _, index in seen]
    turn = shown.index(max(shown)) + 1
    assert is_most_of(shown[:turn], list(range(40))) and shown[turn:] == list(range(11))
    assert is_even([t_s for t_s, _ in seen])


def test_the_large_picture_is_the_small_one_s_moment(small: Path, large: Path) -> None:
    source = open_live(FileSettings(kind="file", path=large, sub_path=small), "c", READ)
    held = list(source.frames())[1:-2]  # the large stream may end a moment later
    assert len(held) > 30
    assert {(frame.width, frame.height) for frame in held} == {(640, 480)}
    for frame in (*held[::3], *held[::-7]):  # in order, and an older one now and then
        assert frame.image.shape == (480, 640, 3)
        assert index_of(frame.image) == index_of(frame.picture.small(160, 120)) == frame.seq
        part = frame.picture.sample((16, 8, 400, 72), 8)
        assert part.shape == (8, 48, 3)
        expected = frame.image[8:72:8, 16:400:8].astype(int)
        assert np.median(np.abs(part.astype(int) - expected)) < 20
    clip = source.clip(held[12].t_s, held[20].t_s)
    assert clip is not None
    assert packets_of(io.BytesIO(clip))[0] in packets_of(large)


def test_a_camera_that_never_was_there_is_an_error(tmp_path: Path) -> None:
    source = open_live(FileSettings(kind="file", path=tmp_path / "no.mp4"), "c", READ)
    with pytest.raises(SourceError, match="no such file") as caught:
        next(source.frames())
    assert not isinstance(caught.value, SourceLost)


class Scripted:
    """A link that delivers what it is given and then does what it is told."""

    name = "scripted"
    is_monotonic = False

    def __init__(self, data: Data, then: Then, jumps: dict[int, int] | None = None) -> None:
        self.segment = Segment("h264", 160, 120, Fraction(1, 25))
        self._data, self._then, self._jumps = data, then, jumps or {}

    def packets(self, is_closed: threading.Event) -> Iterator[tuple[Packet[VideoStream], Segment]]:
        jumped = 0
        for at, (data, is_key) in enumerate(self._data):
            jumped += self._jumps.get(at, 0)
            packet = cast("Packet[VideoStream]", Packet(data))
            packet.pts, packet.time_base = at + jumped, Fraction(1, 25)
            packet.is_keyframe = is_key
            yield packet, self.segment
            is_closed.wait(0.04)
        self._then(is_closed)


def live(data: Data, then: Then) -> LiveSource:
    return LiveSource("c", Links(Scripted(data, then)), READ, Limits(1.0, 10.0, 1 << 20))


@pytest.fixture(scope="module")
def annex_b(small: Path) -> Data:
    with av.open(small) as container:
        filtered = av.BitStreamFilterContext("h264_mp4toannexb", container.streams.video[0])
        return [
            (bytes(out), out.is_keyframe)
            for packet in container.demux(video=0)
            for out in filtered.filter(packet if packet.size else None)
        ]


def test_a_silent_camera_is_lost(annex_b: Data) -> None:
    source = live(annex_b[:5], threading.Event.wait)
    frames = source.frames()
    seen: list[Frame] = []
    with pytest.raises(SourceLost, match="has sent nothing for 1 s"):
        seen.extend(frames)
    assert len(seen) >= 1


def test_a_driver_that_fails_as_nobody_has_foreseen_is_named(annex_b: Data) -> None:
    def fail(is_closed: threading.Event) -> None:
        raise RuntimeError("rtsp://user:secret@camera")

    with pytest.raises(SourceLost, match="RuntimeError") as caught:
        list(live(annex_b[:5], fail).frames())
    assert "secret" not in str(caught.value)


def test_closing_ends_a_wait(annex_b: Data) -> None:
    source = live(annex_b[:1], threading.Event.wait)
    threading.Timer(0.3, source.close).start()
    assert len(list(source.frames())) == 1
    assert list(source.frames()) == []


def test_half_a_group_of_pictures_is_left_out(annex_b: Data) -> None:
    source = live(annex_b[5:25], lambda is_closed: None)
    seen = [index_of(frame.image) for frame in source.frames()]
    assert is_most_of(seen, list(range(10, 25)))


def test_garbage_is_told_from_silence(annex_b: Data) -> None:
    noise = np.random.default_rng(0)
    rubbish = [(b"\0\0\0\1\x65" + noise.bytes(2000), i % 10 == 0) for i in range(60)]
    source = live([*annex_b[:10], *rubbish], threading.Event.wait)
    seen: list[int] = []
    with pytest.raises(SourceLost, match="no picture could be decoded"):
        seen.extend(index_of(frame.image) for frame in source.frames())
    assert is_most_of(seen[:10], list(range(10)))


def test_rubbish_in_between_costs_a_group_at_most(annex_b: Data) -> None:
    noise = np.random.default_rng(1)
    torn = [(b"\0\0\0\1\x41" + noise.bytes(300), False)] * 3
    source = live([*annex_b[:13], *torn, *annex_b[20:40]], lambda is_closed: None)
    shown = [index_of(frame.image) for frame in source.frames()]
    assert is_most_of([n for n in shown if n < 13], list(range(13)))
    assert shown[-20:] == list(range(20, 40))


def test_only_key_frames_are_decoded_at_rest(annex_b: Data) -> None:
    source = live(annex_b[:40], lambda is_closed: None)
    seen = []
    for frame in source.frames():
        seen.append(index_of(frame.image))
        source.rest(seen[-1] < 30)
    assert [n for n in seen if n > 4] == [*range(5, 11), 20, *range(30, 40)]


def test_a_wall_clock_step_moves_no_frame(small: Path) -> None:
    calls = 0

    def read() -> tuple[datetime, ClockReading]:
        nonlocal calls
        calls += 1
        wall, clock = READ()
        return (wall.replace(year=wall.year - 1) if calls > 60 else wall), clock

    source = open_live(FileSettings(kind="file", path=small), "c", read)
    frames = list(source.frames())
    assert is_even([frame.t_s for frame in frames])
    assert frames[-1].wall.year == frames[0].wall.year - 1


def test_a_time_is_no_surer_than_the_picture_was_late(annex_b: Data) -> None:
    """A camera whose clock jumps back looks like a slow network: its stamps come too early."""

    def read() -> tuple[datetime, ClockReading]:
        wall, clock = READ()
        return wall, replace(clock, sync=Sync("ntp", True, 1.0))

    link = Scripted(annex_b[:40], lambda is_closed: None, jumps={10: -15})
    source = LiveSource("c", Links(link), read, Limits(1.0, 10.0, 1 << 20))
    syncs = [frame.clock.sync for frame in source.frames() if frame.clock]
    errors_ms = [sync.max_error_ms for sync in syncs if sync.max_error_ms is not None]
    assert len(errors_ms) == len(syncs) > 20
    assert max(errors_ms[:10]) < 300
    assert min(errors_ms[10:]) >= 600
    assert Sync("none", False, None).within(600).max_error_ms is None
