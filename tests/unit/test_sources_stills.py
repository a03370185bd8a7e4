"""A folder of stills as a recording."""

import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pytest

from edge_agent.errors import SourceError, SourceLost
from edge_agent.sources import open_recording


def put(folder: Path, name: str, level: int) -> None:
    cv2.imwrite(str(folder / name), np.full((48, 64, 3), level, np.uint8))


def test_order_and_times_come_from_the_names(tmp_path: Path) -> None:
    put(tmp_path, "b_2013-04-12_14_30_09.png", 20)
    put(tmp_path, "c_2013-04-12_14_20_09.jpg", 10)
    put(tmp_path, "a_2013-04-14_14_20_09.jpg", 30)
    (tmp_path / "notes.txt").write_text("not an image")
    source = open_recording(tmp_path, "lot")
    frames = list(source.frames())
    assert [frame.t_s for frame in frames] == [0.0, 600.0, 2 * 86_400.0]
    assert [int(frame.image[5, 5, 0]) for frame in frames] == [10, 20, 30]
    assert [frame.seq for frame in frames] == [0, 1, 2]
    assert frames[1].wall == datetime(2013, 4, 12, 14, 30, 9, tzinfo=UTC)
    assert (source.duration_s, source.live, source.clip(0, 1)) == (2 * 86_400.0, False, None)
    assert (source.media.name, source.media.start_from) == (tmp_path.name, "name")


def test_start_and_time_zone(tmp_path: Path) -> None:
    put(tmp_path, "2013-07-12_14_20_09.jpg", 10)
    put(tmp_path, "2013-07-12_14_20_11.jpg", 10)
    rome = open_recording(tmp_path, "lot", timezone=ZoneInfo("Europe/Rome"))
    assert rome.media.start == datetime(2013, 7, 12, 12, 20, 9, tzinfo=UTC)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    given = open_recording(tmp_path, "lot", start)
    assert (given.media.start, given.media.start_from) == (start, "given")
    assert [frame.wall.second for frame in given.frames()] == [0, 2]


def test_stills_of_the_same_second_keep_their_order(tmp_path: Path) -> None:
    for burst in range(3):
        put(tmp_path, f"2013-04-12_14_20_09_{burst}.jpg", 10 * burst)
    put(tmp_path, "2013-04-12_14_20_10.jpg", 90)
    frames = list(open_recording(tmp_path, "lot").frames())
    assert [frame.t_s for frame in frames] == [0.0, 0.001, 0.002, 1.0]
    assert [int(frame.image[5, 5, 0]) for frame in frames] == [0, 10, 20, 90]


def test_the_hash_covers_names_and_contents(tmp_path: Path) -> None:
    def sha256() -> str | None:
        return open_recording(tmp_path, "lot").media.sha256

    put(tmp_path, "2013-04-12_14_20_09.png", 10)
    first = sha256()
    assert first == sha256()
    put(tmp_path, "2013-04-12_14_20_09.png", 11)
    second = sha256()
    (tmp_path / "2013-04-12_14_20_09.png").rename(tmp_path / "2013-04-12_14_20_10.png")
    assert len({first, second, sha256()}) == 3


def test_unreadable_images_are_skipped_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "2013-04-12_14_20_09.jpg", 10)
    put(tmp_path, "unnamed.jpg", 10)
    (tmp_path / "2013-04-12_14_20_08.jpg").write_bytes(b"no image")
    put(tmp_path, "2013-04-12_14_20_11.jpg", 30)
    (tmp_path / "2013-04-12_14_20_10.jpg").write_bytes(b"")
    os.mkfifo(tmp_path / "2013-04-12_14_20_12.jpg")
    frames = []
    with (
        caplog.at_level(logging.WARNING, "edge_agent"),
        pytest.raises(SourceLost, match="3 images cannot be read") as lost,
    ):
        for frame in open_recording(tmp_path, "lot").frames():
            frames.append(frame)
    assert [frame.t_s for frame in frames] == [0.0, 2.0]
    for second in ("08", "10", "12"):
        assert f"2013-04-12_14_20_{second}.jpg" in str(lost.value)
    assert "unnamed.jpg: no timestamp in its name" in caplog.text


def test_folders_with_nothing_to_play(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no images"):
        open_recording(tmp_path, "lot")
    put(tmp_path, "unnamed.jpg", 10)
    with pytest.raises(SourceError, match=r"carries a timestamp; name them like 2013-04-12_14"):
        open_recording(tmp_path, "lot")
    (tmp_path / "2013-04-12_14_20_08.jpg").write_bytes(b"")
    with pytest.raises(SourceError, match=r"2013-04-12_14_20_08\.jpg: is empty|none of its 1"):
        open_recording(tmp_path, "lot")


def test_plays_once_and_closes(tmp_path: Path) -> None:
    for second in range(3):
        put(tmp_path, f"2013-04-12_14_20_0{second}.jpg", 10)
    source = open_recording(tmp_path, "lot")
    frames = source.frames()
    next(frames)
    with pytest.raises(RuntimeError, match="open it again"):
        source.frames()
    source.close()
    source.close()
    assert list(frames) == []
