"""A decoder at rest: what it leaves out, what wakes it, and that nothing is shown twice or torn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.sources import VideoSource
from edge_agent.sources.decoding import RestingDecoder
from edge_agent.types import Image

FPS, GOP = 10, 10
STIRS_AT = 57
"""In the middle of a group of pictures something large comes into view."""

MakeVideo = Callable[..., Path]


def _pictures(count: int = 100) -> Iterator[Image]:
    """A still scene with a camera's noise; then something enters it."""
    noise = np.random.default_rng(0)
    scene = np.kron(noise.integers(60, 200, (15, 20, 3)), np.ones((8, 8, 1)))
    for number in range(count):
        image = scene + noise.normal(0, 2, scene.shape)
        if number >= STIRS_AT:
            left = 2 * (number - STIRS_AT)
            image[40:100, left : left + 60] = noise.integers(0, 255, (60, 60, 1))
        yield image.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module", params=["plain", "b-frames"])
def scene(
    request: pytest.FixtureRequest, make_video: MakeVideo, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    plain = {"tune": "zerolatency"}
    extra = plain if request.param == "plain" else {"bf": "2", "x264-params": "open-gop=0"}
    options = {"g": str(GOP), "keyint_min": str(GOP), "sc_threshold": "0", **extra}
    path = tmp_path_factory.mktemp("scene") / "scene.mp4"
    return make_video(path, _pictures(), fps=FPS, options=options)


@pytest.fixture(scope="module")
def whole(scene: Path) -> list[Image]:
    """Every picture, decoded without ever resting."""
    return [frame.image for frame in VideoSource(scene, "c").frames()]


def _seen(path: Path, whole: list[Image], rests: Callable[[int], bool]) -> list[int]:
    source, seen = VideoSource(path, "c"), list[int]()
    for frame in source.frames():
        seen.append(round(frame.t_s * FPS))
        assert np.array_equal(frame.image, whole[seen[-1]])
        source.rest(rests(seen[-1]))
    return seen


def test_key_frames_only_until_something_stirs(scene: Path, whole: list[Image]) -> None:
    seen = _seen(scene, whole, lambda number: number < STIRS_AT - 1)
    assert seen[: seen.index(50)] == [*range(11), 20, 30, 40]
    assert seen[seen.index(50) :] == list(range(50, 100))  # what led up to it is not missing


def test_nothing_is_left_out_awake(scene: Path, whole: list[Image]) -> None:
    assert _seen(scene, whole, lambda number: False) == list(range(100)) == list(range(len(whole)))


def test_called_off_in_the_middle_nothing_is_torn(scene: Path, whole: list[Image]) -> None:
    seen = _seen(scene, whole, lambda number: number < 30)
    assert seen[-70:] == list(range(30, 100)) and len(seen) < 90


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.booleans(), min_size=100, max_size=100))
def test_whenever_it_rests_pictures_come_once_in_order_and_whole(
    scene: Path, whole: list[Image], rests: list[bool]
) -> None:
    seen = _seen(scene, whole, lambda number: rests[number])
    assert all(np.diff(seen) > 0)
    assert {*range(0, 100, GOP)} <= set(seen)
    assert _seen(scene, whole, lambda number: rests[number]) == seen


def test_nothing_rests_where_key_frames_are_rare(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 100, fps=FPS, options={"g": "40", "tune": "zerolatency"})
    source = VideoSource(path, "c")
    source.rest(True)
    assert sum(1 for _ in source.frames()) == 100


def test_damage_is_counted() -> None:
    context = av.CodecContext.create("h264", "r")
    assert isinstance(context, av.VideoCodecContext)
    decoder = RestingDecoder(context)
    packet = av.Packet(b"\0\0\1\x65" + bytes(range(200)))
    packet.is_keyframe = True
    assert decoder.decode(packet) == [] and decoder.failures == 1  # type: ignore[arg-type]
