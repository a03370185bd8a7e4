"""A daemon left alone with its cameras: how much memory it takes, and whether that grows.

    python tools/soak.py --cameras 4 --frames 100000 --out soak.json

The demo's street is played as `--cameras` cameras, `--speed` times as fast as it was taken, for
ever: decoded, gated, looked at by the motion model, tracked, judged; every turn ends in signed
cases on the disk, whole. Memory is the resident size of the process, sampled twice a
second; the slope is a straight line through the samples after `WARM_UP` of all frames.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import yaml

from edge_agent.clock import SystemClock
from edge_agent.demo import CLIP, SITE
from edge_agent.live.appliance import Appliance
from edge_agent.live.machine import share_heaps
from edge_agent.live.notify import Notifier
from edge_agent.live.remote import Remote
from edge_agent.live.requests import Requests
from edge_agent.live.service import serve

WARM_UP = 0.2
MIB = 2**20


@dataclass
class Samples:
    """What was seen of the process, over time."""

    seconds: list[float] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)

    def take(self, box: Appliance) -> int:
        """One more; returns the frames decoded so far."""
        snapshot = box.snapshot()
        self.seconds.append(round(snapshot.uptime_s, 1))
        self.frames.append(sum(camera.frames for camera in snapshot.cameras.values()))
        self.mib.append(round(snapshot.memory_bytes / MIB, 2))
        return self.frames[-1]

    def figures(self) -> dict[str, float]:
        """Peak in MiB, and slope in MiB per 100,000 frames with its standard error."""
        frames, mib = np.array(self.frames, float), np.array(self.mib)
        late = frames >= WARM_UP * frames[-1]
        x = frames[late] / 1e5
        (slope, _), spread = np.polyfit(x, mib[late], 1, cov=True)
        return {
            "peak_mib": float(mib.max()),
            "slope_mib_per_100k": round(float(slope), 3),
            "slope_error": round(float(np.sqrt(spread[0, 0])), 3),
            "first_half_mib": round(float(np.median(mib[late][: late.sum() // 2])), 2),
            "second_half_mib": round(float(np.median(mib[late][late.sum() // 2 :])), 2),
        }


def hastened(clip: Path, speed: float, out: Path) -> Path:
    """The same pictures, played so many times as fast; nothing is encoded anew."""
    with av.open(str(clip)) as source, av.open(str(out), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.pts is None or packet.dts is None:
                continue
            packet.pts, packet.dts = round(packet.pts / speed), round(packet.dts / speed)
            packet.stream = copy
            target.mux(packet)
    return out


def write_site(folder: Path, cameras: int, speed: float) -> Path:
    """The demo's street, once per camera."""
    site = yaml.safe_load(SITE.read_text())
    (camera,) = site["cameras"].values()
    camera["source"] = {
        "kind": "file",
        "path": str(hastened(CLIP, speed, folder / "street.mp4")),
        "loop": True,
    }
    camera["rules"][0]["dwell_s"] = 15 / speed
    site["cameras"] = {f"street-{number}": camera for number in range(cameras)}
    site |= {"state_dir": str(folder / "state"), "data_dir": str(folder / "data")}
    site["evidence"] |= {"disk_budget_mb": 20_000}
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(site))
    return path


def run(config: Path, frames: int) -> tuple[Samples, dict[str, Any]]:
    """Until so many frames have been decoded."""
    clock, requests, samples = SystemClock(), Requests(), Samples()
    box = Appliance(config, clock, workers=2)
    remote = Remote(box, requests)
    with box.running():
        watch = threading.Thread(target=serve, args=(box, requests, Notifier(None), remote))
        watch.start()
        while samples.take(box) < frames:
            clock.sleep(0.5)
            print(f"\r{samples.frames[-1]} frames, {samples.mib[-1]:.1f} MiB", end="")  # noqa: T201
        requests.stop.set()
        watch.join()
        last = box.snapshot()
        counts = {
            "inferred": sum(camera.inferred for camera in last.cameras.values()),
            "dropped": sum(camera.dropped for camera in last.cameras.values()),
            "events": box.outbox.last_sequence,
            "cases": len(list(box.folder.evidence.glob("*.evb"))),
            "threads": threading.active_count(),
        }
    return samples, counts


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the daemon's memory over a long run.")
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--speed", type=float, default=10.0)
    parser.add_argument("--out", type=Path, required=True, help="JSON: figures and samples.")
    options = parser.parse_args()
    share_heaps()
    with tempfile.TemporaryDirectory() as folder:
        config = write_site(Path(folder), options.cameras, options.speed)
        samples, counts = run(config, options.frames)
    found = {
        "cameras": options.cameras,
        "frames": samples.frames[-1],
        "seconds": samples.seconds[-1],
        **samples.figures(),
        **counts,
    }
    print()  # noqa: T201
    print(json.dumps(found, indent=1))  # noqa: T201
    samples_json = {name: getattr(samples, name) for name in ("seconds", "frames", "mib")}
    options.out.write_text(json.dumps({**found, "samples": samples_json}))


if __name__ == "__main__":
    main()
