"""Damaged recordings: what decodes is played, and the end says what is missing."""

import wave
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from edge_agent.errors import SourceError, SourceLost
from edge_agent.sources import open_recording
from edge_agent.types import Frame

MakeVideo = Callable[..., Path]


def play(path: Path) -> tuple[list[Frame], str | None]:
    """All frames, and the message of the loss that ended them."""
    frames: list[Frame] = []
    try:
        frames.extend(open_recording(path, "a").frames())
    except SourceLost as lost:
        return frames, str(lost)
    return frames, None


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize("share", [0.4, 0.7])
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp4", "libx264"), ("avi", "mpeg4"), ("avi", "libx264"), ("mkv", "libx264")],
)
def test_truncated_file_plays_to_its_end_and_says_so(
    make_video: MakeVideo, tmp_path: Path, suffix: str, codec: str, share: float
) -> None:
    path = cut(make_video(tmp_path / f"a.{suffix}", 100, codec=codec), share)
    frames: list[Frame] = []
    with pytest.raises(SourceLost, match=r"ends at \d\.\d s of 4\.0 s: truncated") as lost:
        for frame in open_recording(path, "a").frames():
            frames.append(frame)
    assert str(path) in str(lost.value)
    assert f"the {len(frames)} frames before" in str(lost.value)
    assert 5 <= len(frames) < 100
    assert all(a.t_s < b.t_s for a, b in pairwise(frames))


@pytest.mark.parametrize(("suffix", "codec"), [("ts", "libx264"), ("gif", "gif")])
def test_truncated_file_that_states_no_length_ends_where_it_is_cut(
    make_video: MakeVideo, tmp_path: Path, suffix: str, codec: str
) -> None:
    layout = "rgb8" if codec == "gif" else "yuv420p"
    path = cut(make_video(tmp_path / f"a.{suffix}", 100, codec=codec, layout=layout), 0.6)
    frames, lost = play(path)
    assert lost is None or "damaged (bad packets: 1)" in lost  # the last one is a torso
    assert 30 < len(frames) < 90


def test_mp4_whose_index_is_cut_off(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mov", 50)  # the index comes last here
    with pytest.raises(SourceError, match=r"a\.mov: is an MP4 without a usable index.*copy"):
        open_recording(cut(path, 0.9), "a")


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", "libx264"), ("avi", "mjpeg"), ("mkv", "libx264"), ("ts", "mpeg4")]
)
def test_damage_in_the_middle_is_skipped(
    make_video: MakeVideo, tmp_path: Path, suffix: str, codec: str
) -> None:
    layout = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = make_video(tmp_path / f"a.{suffix}", 100, codec=codec, layout=layout)
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(1)
    middle = len(data) // 2
    data[middle : middle + len(data) // 10] = noise.bytes(len(data) // 10)
    path.write_bytes(data)
    frames, lost = play(path)
    assert lost is None or f"the {len(frames)} frames that could be read, up to 4.0 s" in lost
    assert 50 < len(frames) <= 100
    assert frames[-1].t_s > 3.5
    assert all(a.t_s < b.t_s for a, b in pairwise(frames))


def test_skipped_packets_are_reported_at_the_end(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 50, codec="mjpeg", layout="yuvj420p")
    data = bytearray(path.read_bytes())
    pictures = [at for at in range(len(data)) if data[at : at + 3] == b"\xff\xd8\xff"]
    for begin, end in list(pairwise(pictures))[10:15]:
        data[begin:end] = bytes(end - begin)
    path.write_bytes(data)
    frames, lost = play(path)
    assert len(frames) == 45
    assert lost is not None
    assert lost.startswith(f"{path}: damaged (bad packets: 5); the 45 frames that could be read")


def test_what_comes_before_the_first_key_frame_is_no_damage(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    data = make_video(tmp_path / "a.ts", 100, options={"bf": "0"}).read_bytes()
    path = tmp_path / "joined_late.ts"
    path.write_bytes(data[188 * (len(data) // 188 // 3) :])
    frames, lost = play(path)
    assert lost is None
    assert 30 < len(frames) < 100


def test_no_picture_decodes(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 50, codec="mjpeg", layout="yuvj420p")
    data = path.read_bytes()
    body = data.index(b"mdat") + 4
    path.write_bytes(data[:body] + bytes(len(data) - body))
    with pytest.raises(SourceError, match=r"a\.mp4: not one picture could be decoded"):
        open_recording(path, "a")


def test_sound_only(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=8000)
        assert isinstance(stream, av.AudioStream)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
        sound.rate = 8000
        output.mux(stream.encode(sound))
        output.mux(stream.encode())
    with pytest.raises(SourceError, match=r"a\.mp4: has no video track"):
        open_recording(path, "a")
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound_file:
        sound_file.setparams((1, 2, 8000, 0, "NONE", "none"))
        sound_file.writeframes(bytes(16_000))
    with pytest.raises(SourceError, match=r"a\.wav: is not a video"):
        open_recording(tmp_path / "a.wav", "a")
