"""`tools/bench_cameras`: copies of a recording go through the daemon as live cameras."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import bench_cameras


def test_every_copy_is_decoded_and_analysed_at_its_rate(
    make_video: Callable[..., Path], tmp_path: Path
) -> None:
    video = make_video(tmp_path / "a.mp4", 40, fps=10)
    chosen = Namespace(video=video, sub=None, model="motion", fps=5.0, gate=False, rest=False)
    chosen.warm_up, chosen.seconds = 1.0, 2.0
    load = bench_cameras.measure(chosen, 2)
    assert load.cameras == 2
    assert 0 < load.decoded_fps <= 13
    assert 0 < load.inferred_fps <= 6.5
    assert load.dropped < 0.5
    assert 0 < load.cpu < load.most
