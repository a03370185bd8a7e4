"""Real footage: every frame, the same colours as another reader, clips that play."""

import io
from itertools import islice, pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge_agent.sources import open_recording

FILMS = [  # file, frames, last t_s, whether its packets fit an MP4
    ("stop-queue/input_video.mp4", 905, 37.646, True),
    ("intel/car-detection.mp4", 377, 30.08, True),
    ("intel/worker-zone-detection.gif", 71, 4.67, False),
    ("bgs/video03.avi", 1699, 28.3, False),
    ("bgs/video.avi", 374, 12.433, False),
    ("tfl-jamcam/2019-06-28_13-02-35.503167_00001.03601.mp4", 242, 9.64, True),
]


@pytest.mark.parametrize(("name", "count", "last_s", "has_clip"), FILMS)
def test_footage(shared: Path, name: str, count: int, last_s: float, has_clip: bool) -> None:
    source = open_recording(shared / "footage" / name, "a")
    frames = source.frames()
    capture = cv2.VideoCapture(str(shared / "footage" / name))
    times = []
    for frame in islice(frames, 20):
        times.append(frame.t_s)
        is_read, expected = capture.read()
        assert is_read
        assert np.abs(frame.image.astype(int) - expected).mean() < 2
    capture.release()
    times.extend(frame.t_s for frame in frames)
    assert len(times) == count
    assert times[-1] == pytest.approx(last_s, abs=0.01)
    assert all(a < b for a, b in pairwise(times))
    assert source.duration_s == pytest.approx(last_s, abs=0.2)
    clip = source.clip(3.0, 4.0)
    assert (clip is not None) == has_clip
    if clip is not None:
        with av.open(io.BytesIO(clip), "r") as container:
            shown = [picture.time for picture in container.decode(video=0)]
        assert shown[0] == 0
        assert shown[-1] >= 0.9
        assert clip == source.clip(3.0, 4.0)


def test_stills(shared: Path) -> None:
    folder = shared / "parking" / "pklot-ufpr05" / "sequence0" / "frames"
    frames = list(open_recording(folder, "lot").frames())
    assert [frame.t_s for frame in frames] == [0.0, 1800.0, 5101.0, 18305.0, 28208.0]
    assert frames[0].wall.isoformat() == "2013-02-24T10:05:04+00:00"
