"""Conversion of decoded pictures: right colours, right side up, the same bytes on any thread."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from edge_agent.sources import open_recording
from edge_agent.sources.picture import VideoPicture
from edge_agent.types import ArrayPicture, Frame, Image, Picture

MakeVideo = Callable[..., Path]


def off_by(a: Image, b: Image) -> float:
    """Largest mean difference of any channel, in levels."""
    return float(np.abs(a.astype(int) - b).mean(axis=(0, 1)).max())


def read_with_opencv(path: Path) -> Image:
    capture = cv2.VideoCapture(str(path))
    is_read, image = capture.read()
    capture.release()
    assert is_read
    return np.asarray(image, np.uint8)


def patches() -> Image:
    colours = [(255, 255, 255), (0, 0, 0), (0, 0, 255), (0, 255, 0), (255, 0, 0), (30, 180, 220)]
    return np.repeat(np.array([colours], np.uint8).repeat(32, axis=1), 96, axis=0)


@pytest.mark.parametrize("is_full_range", [False, True])
@pytest.mark.parametrize(("tag", "matrix"), [(1, Colorspace.ITU709), (6, Colorspace.ITU601)])
def test_colour_matrix_and_range(
    tmp_path: Path, tag: int, matrix: Colorspace, is_full_range: bool
) -> None:
    image = patches()
    span = ColorRange.JPEG if is_full_range else ColorRange.MPEG
    frame = av.VideoFrame.from_ndarray(image, "bgr24").reformat(
        format="yuv420p", dst_colorspace=matrix, dst_color_range=span
    )
    frame.colorspace, frame.color_range = tag, span
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "1"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = image.shape[1], image.shape[0], "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = tag, span
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    picture = next(open_recording(tmp_path / "a.mp4", "a").frames()).picture
    middles = (48, slice(16, None, 32))
    assert np.abs(picture.bgr()[middles].astype(int) - image[middles]).max() <= 6
    for half in (picture.scaled(96, 48), picture.small(96, 48)):
        assert np.abs(half[24, 8::16].astype(int) - image[middles]).max() <= 6
    part = picture.sample((8, 40, 184, 60), 4)[2, 2::8]
    assert np.abs(part.astype(int) - image[middles]).max() <= 6
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[middles].astype(int)
    # A matrix other than 601 weighs the colours differently; black and white are what matters.
    for luma in (picture.grey(192, 96), picture.small_grey(192, 96)):
        assert np.abs(luma[middles] - grey)[: 2 if tag == 1 else None].max() <= 3


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_rotation_flag(make_video: MakeVideo, tmp_path: Path, rotation: int) -> None:
    path = make_video(tmp_path / "a.mp4", 3, rotation=rotation, size=(160, 96))
    frame = next(open_recording(path, "a").frames())
    reference = read_with_opencv(path)
    assert (frame.height, frame.width, 3) == frame.image.shape == reference.shape
    assert off_by(frame.image, reference) < 2
    small = frame.picture.scaled(frame.width // 2, frame.height // 2)
    size = (frame.width // 2, frame.height // 2)
    expected = np.asarray(cv2.resize(reference, size, interpolation=cv2.INTER_AREA), np.uint8)
    assert off_by(small, expected) < 5
    grey = np.asarray(cv2.cvtColor(expected, cv2.COLOR_BGR2GRAY), np.uint8)
    assert np.abs(frame.picture.grey(*size).astype(int) - grey).mean() < 3


@pytest.mark.parametrize(("rotation", "flips"), [(0, (True, False)), (90, (False, True))])
def test_mirrored(tmp_path: Path, rotation: int, flips: tuple[bool, bool]) -> None:
    image = np.zeros((96, 160, 3), np.uint8)
    image[:48, :80] = (255, 0, 0)  # blue marks the top left
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.set_display_rotation(rotation, hflip=flips[0], vflip=flips[1])
        output.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
        output.mux(stream.encode())
    shown = next(open_recording(tmp_path / "a.mp4", "a").frames()).image
    upright = image[:, ::-1] if flips[0] else image
    if flips[1]:  # mirrored first, then a quarter turn
        upright = np.rot90(image[::-1], -1)
    assert shown.shape == upright.shape
    assert off_by(shown, upright) < 5


def test_native_picture_is_read_only_and_shared_while_in_use(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    frame = next(open_recording(make_video(tmp_path / "a.mp4", 3), "a").frames())
    first = frame.image
    assert frame.image is first
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 0
    again = first.tobytes()
    del first
    assert frame.image.tobytes() == again


def test_is_a_picture(make_video: MakeVideo, tmp_path: Path) -> None:
    frame = next(open_recording(make_video(tmp_path / "a.mp4", 3, size=(162, 122)), "a").frames())
    assert isinstance(frame.picture, Picture)
    for width, height in ((64, 48), (163, 121), (640, 384), (1, 1)):
        image, grey = frame.picture.scaled(width, height), frame.picture.grey(width, height)
        assert image.shape == (height, width, 3)
        assert grey.shape == (height, width)
        assert image.dtype == grey.dtype == np.uint8
        assert image.flags.c_contiguous
        assert grey.flags.c_contiguous
        image[:] = 0  # freshly made: the caller's own


@pytest.mark.parametrize("layout", ["yuv420p", "yuv444p", "bgr24"])
@pytest.mark.parametrize("size", [(40, 24), (50, 30), (160, 96)])
def test_a_small_picture_is_the_mean_of_what_it_shows(layout: str, size: tuple[int, int]) -> None:
    dots = np.random.default_rng(0).integers(60, 200, (12, 20, 3), np.uint8)
    image = np.asarray(cv2.resize(dots, (160, 96), interpolation=cv2.INTER_CUBIC), np.uint8)
    picture = VideoPicture(av.VideoFrame.from_ndarray(image, "bgr24").reformat(format=layout))
    exact = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    assert off_by(picture.small(*size), exact) <= 3
    part = picture.small(*size, (3, 2, 11, 9))
    assert np.array_equal(part, picture.small(*size)[2:9, 3:11])
    grey = np.asarray(cv2.cvtColor(exact, cv2.COLOR_BGR2GRAY), np.uint8)
    assert picture.small_grey(*size).shape == grey.shape
    assert np.abs(picture.small_grey(*size).astype(int) - grey).mean() <= 1


@pytest.mark.parametrize("layout", ["yuv420p", "yuv444p", "bgr24"])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_sample_is_every_nth_pixel_of_a_part(layout: str, step: int) -> None:
    ramps = np.mgrid[0:96, 0:160].astype(np.uint8)
    image = np.dstack([*ramps, 255 - ramps[1]])
    picture = VideoPicture(av.VideoFrame.from_ndarray(image, "bgr24").reformat(format=layout))
    for window in ((0, 0, 160, 96), (33, 21, 94, 64), (157, 95, 160, 96)):
        x1, y1, x2, y2 = window
        expected = picture.bgr()[y1:y2:step, x1:x2:step]
        part = picture.sample(window, step)
        assert part.shape == expected.shape
        assert off_by(part, expected) <= 4  # one chroma sample aside changes as much
        assert off_by(ArrayPicture(image).sample(window, step), expected) <= 5


def convert(frame: Frame) -> list[bytes]:
    picture = frame.picture
    return [
        picture.scaled(96, 64).tobytes(),
        picture.bgr().tobytes(),
        picture.grey(40, 30).tobytes(),
        picture.small(40, 30).tobytes(),
        picture.small_grey(40, 30).tobytes(),
        picture.sample((10, 10, 50, 40), 2).tobytes(),
    ]


def test_same_bytes_on_any_thread(make_video: MakeVideo, tmp_path: Path) -> None:
    frames = list(open_recording(make_video(tmp_path / "a.mp4", 40), "a").frames())
    alone = [convert(frame) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(convert, [frame for frame in frames for _ in range(4)]))
    assert together == [item for item in alone for _ in range(4)]
    again = open_recording(tmp_path / "a.mp4", "a").frames()
    assert [convert(frame) for frame in again] == alone
