"""How many cameras a machine serves: copies of a recording, played as live through the daemon.

    .venv/bin/python tools/bench_cameras.py street-1080p.mp4 --model yolox_nano --cameras 1 2 4

Each copy is a file camera that runs at its own pace, is analysed `--fps` times a second and has
two rules; decisions are stored as on a real box. A number of cameras is served when nothing that
was worth a look had to be dropped. What a camera takes of a core says how many there could be at
most: cores divided by it, which holds for a machine that others use as well.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event

import yaml

from edge_agent.app import cores
from edge_agent.clock import SystemClock
from edge_agent.live.appliance import Appliance

TICK_S = 0.02


@dataclass(frozen=True, slots=True)
class Load:
    """What so many cameras took, per camera where named so."""

    cameras: int
    decoded_fps: float
    """Of one camera."""
    inferred_fps: float
    """Of one camera."""
    dropped: float
    """Share of the frames worth a look that a newer one replaced."""
    lag_ms: tuple[float, float]
    """From a frame to what was decided on it: p50 and p99 of the worst camera."""
    cpu: float
    """Cores in use, all cameras together."""
    peak_mib: float

    @property
    def most(self) -> float:
        """Cameras of this kind that would keep every core busy."""
        return cores() * self.cameras / self.cpu


def site_text(chosen: argparse.Namespace, count: int, folder: Path) -> str:
    """A site file with so many copies of the recording."""
    zone = [[0.02, 0.02], [0.98, 0.02], [0.98, 0.98], [0.02, 0.98]]
    source = {"kind": "file", "path": str(chosen.video.resolve()), "loop": True}
    if chosen.sub:
        source["sub_path"] = str(chosen.sub.resolve())
    camera = {
        "source": source,
        "detector": {
            "model": chosen.model,
            "max_fps": chosen.fps,
            "gate": chosen.gate,
            "rest": chosen.rest,
        },
        "zones": {"road": zone},
        "lines": {"middle": {"a": [0.02, 0.5], "b": [0.98, 0.5]}},
        "rules": [
            {"kind": "parking.illegal", "zone": "road", "dwell_s": 600},
            {"kind": "flow.line_crossing", "line": "middle"},
        ],
    }
    return yaml.safe_dump(
        {
            "site": {"name": "bench"},
            "device": "bench",
            "state_dir": str(folder),
            "cameras": {f"camera-{index + 1}": camera for index in range(count)},
        }
    )


@contextmanager
def box(chosen: argparse.Namespace, count: int) -> Iterator[Appliance]:
    with TemporaryDirectory() as folder:
        config = Path(folder) / "site.yaml"
        config.write_text(site_text(chosen, count, Path(folder)), encoding="utf-8")
        appliance = Appliance(config, SystemClock(), cores())
        with appliance.running():
            yield appliance


def attend(appliance: Appliance, seconds: float) -> float:
    """Do the main thread's part for so long; returns the CPU seconds that the process took."""
    begin_s, busy_s, pause = appliance.clock.monotonic(), cpu_s(), Event()
    while (now_s := appliance.clock.monotonic()) - begin_s < seconds:
        appliance.daemon.tick(now_s)
        pause.wait(TICK_S)
    return (cpu_s() - busy_s) / (appliance.clock.monotonic() - begin_s)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(chosen: argparse.Namespace, count: int) -> Load:
    """One run of so many cameras."""
    with box(chosen, count) as appliance:
        attend(appliance, chosen.warm_up)
        before = appliance.snapshot().cameras
        cpu = attend(appliance, chosen.seconds)
        after = appliance.snapshot().cameras
    frames, inferred, dropped = (
        sum(getattr(after[name], what) - getattr(before[name], what) for name in after)
        for what in ("frames", "inferred", "dropped")
    )
    lags = [camera.lag_ms for camera in after.values() if camera.lag_ms]
    return Load(
        cameras=count,
        decoded_fps=frames / count / chosen.seconds,
        inferred_fps=inferred / count / chosen.seconds,
        dropped=dropped / max(1, dropped + inferred),
        lag_ms=max(lags, default=(0.0, 0.0)),
        cpu=cpu,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--sub", type=Path, help="the same recording, small")
    parser.add_argument("--model", default="yolox_nano")
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--warm-up", type=float, default=5.0, help="seconds that do not count")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--gate", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--rest", action="store_true", help="key frames only while it is quiet")
    chosen = parser.parse_args()
    sys.stdout.write(
        "| cameras | decoded/s | inferred/s | dropped | lag p50 / p99 | cores | at most | MiB |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    for count in chosen.cameras:
        load = measure(chosen, count)
        sys.stdout.write(
            f"| {load.cameras} | {load.decoded_fps:.1f} | {load.inferred_fps:.1f} "
            f"| {load.dropped:.0%} | {load.lag_ms[0]:.0f} / {load.lag_ms[1]:.0f} ms "
            f"| {load.cpu:.2f} | {load.most:.1f} | {load.peak_mib:.0f} |\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
