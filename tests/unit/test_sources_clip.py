"""Clips: the original packets, the whole span, the same bytes every time."""

import io
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from edge_agent.sources import open_recording
from edge_agent.types import Image

MakeVideo = Callable[..., Path]


def number(image: Image) -> int:
    """The index that `make_video` drew into the picture."""
    height, width = image.shape[:2]
    cells = (image[height // 12, width // 16 + bit * (width // 8)] for bit in range(8))
    return sum(int(cell.mean() > 128) << (7 - bit) for bit, cell in enumerate(cells))


def read(clip: bytes | None) -> tuple[list[int], list[float]]:
    """The numbers drawn in a clip's pictures, and their times in s."""
    assert clip is not None
    with av.open(io.BytesIO(clip), "r") as container:
        pictures = list(container.decode(video=0))
    images = [np.asarray(picture.to_ndarray(format="bgr24"), np.uint8) for picture in pictures]
    return [number(image) for image in images], [picture.time for picture in pictures]


@pytest.mark.parametrize(
    ("suffix", "codec", "layout"),
    [
        ("mp4", "libx264", "yuv420p"),
        ("mkv", "libx264", "yuv420p"),
        ("ts", "libx264", "yuv420p"),
        ("avi", "mpeg4", "yuv420p"),
        ("mp4", "mjpeg", "yuvj420p"),
        ("webm", "libvpx-vp9", "yuv420p"),
    ],
)
def test_covers_the_span_from_the_key_frame_before(
    make_video: MakeVideo, tmp_path: Path, suffix: str, codec: str, layout: str
) -> None:
    source = open_recording(
        make_video(tmp_path / f"a.{suffix}", 100, codec=codec, layout=layout), "a"
    )
    key = {"mjpeg": 32}.get(codec, 25)  # a key frame every second, or always
    for start_s, end_s, first, last in ((1.28, 2.2, key, 55), (0.0, 0.4, 0, 10), (-5, 99, 0, 99)):
        numbers, times = read(source.clip(start_s, end_s))
        wanted = last + 1 - first
        assert numbers[:wanted] == list(range(first, last + 1))
        assert len(numbers) <= wanted + 4  # pictures that the last ones are predicted from
        expected = [(number - first) / 25 for number in numbers]
        assert np.allclose(times, expected, atol=0.002)
    assert source.clip(1.28, 2.2) == source.clip(1.28, 2.2)


def test_nobody_signs_the_clip(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 30, codec="libvpx-vp9", metadata={"title": "private"})
    clip = open_recording(path, "a").clip(0, 1)
    assert clip is not None
    assert b"Lav" in path.read_bytes()
    assert b"Lav" not in clip
    assert b"private" not in clip


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_recording_that_starts_late_or_jumps(
    make_video: MakeVideo, tmp_path: Path, suffix: str
) -> None:
    times_ms = [5000 + 40 * i + (3000 if i > 60 else 0) for i in range(100)]
    source = open_recording(make_video(tmp_path / f"a.{suffix}", 100, times_ms=times_ms), "a")
    numbers, times = read(source.clip(2.2, 6.0))
    assert numbers[:26] == list(range(50, 76))
    assert times[0] == 0
    assert np.allclose(times[25], 25 * 0.04 + 3, atol=0.002)
    assert all(a < b for a, b in pairwise(times))


def test_span_shorter_than_a_frame(make_video: MakeVideo, tmp_path: Path) -> None:
    source = open_recording(make_video(tmp_path / "a.mp4", 30), "a")
    assert read(source.clip(0.41, 0.41))[0][:11] == list(range(11))


@pytest.mark.parametrize(
    ("suffix", "codec", "layout"),
    [
        ("gif", "gif", "rgb8"),
        ("webm", "libvpx", "yuv420p"),
        ("avi", "libx264", "yuv420p"),  # reordered pictures without times
    ],
)
def test_what_cannot_be_copied_is_none(
    make_video: MakeVideo, tmp_path: Path, suffix: str, codec: str, layout: str
) -> None:
    source = open_recording(
        make_video(tmp_path / f"a.{suffix}", 30, codec=codec, layout=layout), "a"
    )
    assert source.clip(0, 1) is None


def test_clock_that_jumped_back(make_video: MakeVideo, tmp_path: Path) -> None:
    data = make_video(tmp_path / "a.ts", 60).read_bytes()
    (tmp_path / "twice.ts").write_bytes(data + data)
    source = open_recording(tmp_path / "twice.ts", "a")
    before = source.clip(1.5, 2.2)
    assert read(before)[0][:31] == list(range(25, 56))
    assert len(list(source.frames())) == 120
    assert source.clip(1.5, 2.2) == before  # whether or not the jump has been seen
    assert source.clip(1.5, 3.0) is None


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_is_kept(make_video: MakeVideo, tmp_path: Path, rotation: int) -> None:
    source = open_recording(make_video(tmp_path / "a.mp4", 30, rotation=rotation), "a")
    frame = next(source.frames())
    clip = source.clip(0, 0.4)
    assert clip is not None
    (tmp_path / "clip.mp4").write_bytes(clip)
    copy = next(open_recording(tmp_path / "clip.mp4", "a").frames())
    assert np.array_equal(copy.image, frame.image)


def test_truncated_recording_still_gives_what_is_there(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "a.mp4", 100)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    numbers, _ = read(open_recording(path, "a").clip(0, 4))
    assert numbers[:40] == list(range(40))
