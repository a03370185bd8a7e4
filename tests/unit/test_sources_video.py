"""Recorded files of every common kind: all frames, exact times, upright pictures."""

import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np
import pytest

from edge_agent.errors import SourceError
from edge_agent.sources import VideoSource, open_recording
from edge_agent.types import Image

MakeVideo = Callable[..., Path]

KINDS = [
    ("mp4", "libx264", "yuv420p"),
    ("mp4", "mpeg4", "yuv420p"),
    ("avi", "mpeg4", "yuv420p"),
    ("avi", "libx264", "yuv420p"),
    ("avi", "mjpeg", "yuvj420p"),
    ("mkv", "libx264", "yuv420p"),
    ("webm", "libvpx-vp9", "yuv420p"),
    ("ts", "libx264", "yuv420p"),
    ("gif", "gif", "rgb8"),
]


def number(image: Image) -> int:
    """The index that `make_video` drew into the picture."""
    height, width = image.shape[:2]
    cells = (image[height // 12, width // 16 + bit * (width // 8)] for bit in range(8))
    return sum(int(cell.mean() > 128) << (7 - bit) for bit, cell in enumerate(cells))


@pytest.mark.parametrize(("suffix", "codec", "layout"), KINDS)
def test_every_frame_once_and_in_order(
    make_video: MakeVideo, tmp_path: Path, suffix: str, codec: str, layout: str
) -> None:
    path = make_video(tmp_path / f"a.{suffix}", 40, codec=codec, layout=layout)
    source = open_recording(path, "gate")
    frames = list(source.frames())
    assert [number(frame.image) for frame in frames] == list(range(40))
    assert [frame.seq for frame in frames] == list(range(40))
    assert np.allclose([frame.t_s for frame in frames], np.arange(40) / 25, atol=1e-9)
    assert {(frame.camera, frame.width, frame.height) for frame in frames} == {("gate", 160, 120)}
    assert source.duration_s is not None
    assert abs(source.duration_s - 1.6) < 0.1
    assert not source.live


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_variable_frame_rate_is_exact(make_video: MakeVideo, tmp_path: Path, suffix: str) -> None:
    times_ms = [700, 740, 900, 910, 1700, 1701, 5700]
    path = make_video(tmp_path / f"a.{suffix}", 7, times_ms=times_ms)
    frames = list(open_recording(path, "a").frames())
    assert [frame.t_s for frame in frames] == [(ms - 700) / 1000 for ms in times_ms]


def test_a_stream_without_any_times_plays_at_its_rate(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "a.h264", 10)
    source = open_recording(path, "a")
    assert source.duration_s is None
    assert np.allclose([frame.t_s for frame in source.frames()], np.arange(10) / 25)
    assert source.clip(0, 1) is None


def test_media_and_wall_clock(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video(tmp_path / "2019-06-28_13-02-35.500_x.mp4", 3, fps=10)
    source = open_recording(path, "a")
    start = datetime(2019, 6, 28, 13, 2, 35, 500_000, tzinfo=UTC)
    media = source.media
    assert (media.name, media.kind, media.start_from) == (path.name, "replay", "name")
    assert media.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    walls = [frame.wall for frame in source.frames()]
    assert walls == [start + timedelta(seconds=i / 10) for i in range(3)]


def test_start_from_container_metadata(make_video: MakeVideo, tmp_path: Path) -> None:
    made = make_video(tmp_path / "a.mp4", 3, metadata={"creation_time": "2021-05-06T07:08:09Z"})
    media = open_recording(made, "a").media
    assert (media.start, media.start_from) == (
        datetime(2021, 5, 6, 7, 8, 9, tzinfo=UTC),
        "metadata",
    )


def with_sound(path: Path, count: int) -> Path:
    """Grey pictures at 25 fps and silence, in that order of tracks."""
    with av.open(str(path), "w") as output:
        film = output.add_stream("libx264", rate=25)
        sound = output.add_stream("aac", rate=8000)
        assert isinstance(film, av.VideoStream)
        assert isinstance(sound, av.AudioStream)
        film.width, film.height, film.pix_fmt = 160, 120, "yuv420p"
        for _ in range(count):
            grey = np.full((120, 160, 3), 128, np.uint8)
            output.mux(film.encode(av.VideoFrame.from_ndarray(grey, "bgr24")))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 320 * count), np.int16), "s16", "mono")
        silence.rate = 8000
        for stream, rest in ((sound, [silence, None]), (film, [None])):
            for item in rest:
                output.mux(stream.encode(item))  # type: ignore[arg-type]
    return path


def test_sound_in_mid_stream_only(make_video: MakeVideo, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 240, 320, 3), np.uint8)
    silent = make_video(tmp_path / "silent.ts", noise, size=(320, 240), options={"qp": "0"})
    assert silent.stat().st_size > 5_000_000  # what is searched for tracks on opening
    path, loud = tmp_path / "both.ts", with_sound(tmp_path / "loud.ts", 20)
    path.write_bytes(silent.read_bytes() + loud.read_bytes() + silent.read_bytes())
    source = open_recording(path, "a")
    assert len(list(source.frames())) == 60 + 20 + 60


def test_resolution_change_in_mid_stream(make_video: MakeVideo, tmp_path: Path) -> None:
    small = make_video(tmp_path / "small.ts", 20).read_bytes()
    large = make_video(tmp_path / "large.ts", 20, size=(322, 242)).read_bytes()
    path = tmp_path / "both.ts"
    path.write_bytes(small + large + small)
    frames = list(open_recording(path, "a").frames())
    assert [(f.width, f.height) for f in frames] == [(160, 120)] * 20 + [(322, 242)] * 20 + [
        (160, 120)
    ] * 20
    assert [number(frame.image) for frame in frames] == list(range(20)) * 3
    assert np.allclose([frame.t_s for frame in frames], np.arange(60) / 25)
    assert frames[30].picture.scaled(64, 48).shape == (48, 64, 3)


def test_one_picture_is_a_film_of_one_frame(make_video: MakeVideo, tmp_path: Path) -> None:
    made = make_video(tmp_path / "a.jpg", 1, codec="mjpeg", layout="yuvj420p")
    path = made.rename(tmp_path / "2013-04-12_14_20_09 %d.jpg")  # no pattern of further files
    (frame,) = open_recording(path, "a").frames()
    assert (frame.t_s, frame.width, frame.wall.minute) == (0.0, 160, 20)


def test_a_name_that_looks_like_a_protocol(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_video(tmp_path / "a.mp4", 3).rename(tmp_path / "2013-04-12T14:20:09.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(list(open_recording(Path("2013-04-12T14:20:09.mp4"), "a").frames())) == 3


def test_frames_plays_once_and_close_is_idempotent(make_video: MakeVideo, tmp_path: Path) -> None:
    source = VideoSource(make_video(tmp_path / "a.mp4", 30), "a")
    frames = source.frames()
    first = next(frames)
    with pytest.raises(RuntimeError, match="open it again"):
        source.frames()
    source.close()
    source.close()
    assert len(list(frames)) < 29  # ends, without an error, soon after it was closed
    assert number(first.image) == 0  # what was yielded stays valid


def test_metadata_in_another_encoding(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", 3, metadata={"title": "Strasse XYZ"})
    path.write_bytes(path.read_bytes().replace(b"XYZ", b"\xdf\xe4\xff"))
    assert len(list(open_recording(path, "a").frames())) == 3


BAD = {
    "text.txt": b"no video at all\n" * 200,
    "text.mp4": b"no video at all\n" * 200,
    "random.mp4": np.random.default_rng(3).bytes(100_000),
    "zeros.avi": bytes(100_000),
    "list.m3u8": b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n",
    "list.ffconcat": b"ffconcat version 1.0\nfile a.ts\n",
}


@pytest.mark.parametrize("name", BAD)
def test_not_a_video(make_video: MakeVideo, tmp_path: Path, name: str) -> None:
    make_video(tmp_path / "a.ts", 5)  # what the play lists name must not be played
    path = tmp_path / name
    path.write_bytes(BAD[name])
    with pytest.raises(SourceError, match=f"{name}: is not a video") as caught:
        open_recording(path, "a")
    assert "\n" not in str(caught.value)


def test_missing_empty_and_special_files(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.mp4: no such file: check the path"):
        open_recording(tmp_path / "gone.mp4", "a")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(SourceError, match=r"empty\.mp4: is empty \(0 bytes\)"):
        open_recording(tmp_path / "empty.mp4", "a")
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer, for ever
    with pytest.raises(SourceError, match="pipe: is not a file"):
        open_recording(tmp_path / "pipe", "a")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SourceError, match="loop: cannot be read"):
        open_recording(tmp_path / "loop", "a")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_permission_denied(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 3)
    path.chmod(0)
    with pytest.raises(SourceError, match=r"cannot be read .*check the path and its permissions"):
        open_recording(path, "a")
