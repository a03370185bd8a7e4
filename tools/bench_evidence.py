"""What it costs to sign, log and store a four-photo case, beside encoding its photos.

    .venv/bin/python tools/bench_evidence.py --cases 200 --out /var/tmp

Photos are pictures of the demo's street, in its own size and enlarged. `--out` should lie on the
disk that evidence will lie on: most of what storing takes is waiting for it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np

from edge_agent.clock import ClockReading, ClockSpan, ManualClock, Sync
from edge_agent.config import Evidence
from edge_agent.demo import CLIP
from edge_agent.evidence import BundleWriter, DeviceKey
from edge_agent.evidence.bundle.container import contents
from edge_agent.evidence.bundle.filing import file_bundle
from edge_agent.evidence.custody.redaction import cut
from edge_agent.evidence.log import LogKey, MerkleLog
from edge_agent.evidence.trust.dsse import Envelope
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.journal import Journal
from edge_agent.sources import open_recording
from edge_agent.types import (
    ArrayPicture,
    Box,
    Case,
    Event,
    Frame,
    Image,
    Media,
    ModelInfo,
    Phase,
    Photo,
    Role,
)
from edge_agent.uplink import Outbox

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
SYNC = Sync("ntp", True, 5.0)
ROLES: tuple[Role, ...] = ("enter", "wide", "close", "leave")
CAMERA = CameraOrigin(
    Media("rtsp://camera", "live", None, START, "clock"), ModelInfo("yolox_nano", "b" * 64)
)
ORIGIN = Origin({"name": "street"}, "box-1", "boot", "c" * 64, "edge-agent", {"north": CAMERA})
PROOF = "proof.tlog-proof"

ENCODE = "encode the four photos"
SIGN, LOG = "sign", "log: leaf, tiles, checkpoint, proof"
FILE = "log and store the bundle"
EVENT = "number, log and store one event"
WHOLE = "the whole case, overlay and sheet drawn"


@dataclass
class Stopwatch:
    """Milliseconds by what was done, as often as it was: passed, and spent on a core."""

    times_ms: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def take(self, what: str, work: Callable[[], Any]) -> None:
        began, began_cpu = time.perf_counter(), time.process_time()
        work()
        passed, spent = time.perf_counter() - began, time.process_time() - began_cpu
        self.times_ms.setdefault(what, []).append((1000 * passed, 1000 * spent))

    def cells(self, what: str) -> str:
        passed, spent = zip(*self.times_ms[what], strict=True)
        p50, p99 = np.percentile(passed, [50, 99])
        return f"{p50:.1f} / {p99:.1f} / {np.percentile(spent, 50):.1f}"


def pictures(height: int) -> Iterator[Image]:
    """Pictures of the demo's street, two seconds apart."""
    source = open_recording(CLIP, "north")
    try:
        for frame in islice(source.frames(), 50, None, 25):
            width = round(frame.width * height / frame.height)
            yield np.asarray(cv2.resize(frame.image, (width, height)), np.uint8)
    finally:
        source.close()


def make_photos(height: int) -> tuple[Photo, ...]:
    """As a case has them: three whole pictures and the vehicle close up."""
    photos = []
    for seq, (role, image) in enumerate(zip(ROLES, pictures(height), strict=False)):
        wall = START + timedelta(seconds=seq)
        frame = Frame("north", 25 * seq, float(seq), wall, ArrayPicture(image))
        box = Box(0.3 * frame.width, 0.4 * height, 0.6 * frame.width, 0.8 * height)
        photos.append(Photo(role, frame, box, box if role == "close" else None, 100.0))
    return tuple(photos)


def make_case(number: int, photos: tuple[Photo, ...]) -> Case:
    def event(phase: Phase, t_s: float) -> Event:
        return Event(
            camera="north",
            kind="parking.illegal",
            subject=f"parking.illegal/kerb/{number}",
            phase=phase,
            begin_s=0.0,
            t_s=t_s,
            wall=START + timedelta(seconds=t_s),
            frame=int(25 * t_s),
            zone="kerb",
            facts={"dwell_s": t_s, "limit_s": 1.0},
            clock=ClockReading(round(t_s * 1e9), SYNC),
        )

    begin, end = event("begin", 1.0), event("end", 3.0)
    return Case(begin.subject, begin, end, photos, None, True, (), clock=ClockSpan(SYNC))


def encode(photos: tuple[Photo, ...], quality: int) -> None:
    for photo in photos:
        image = cut(photo.frame.image, photo)
        cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])


def enter(log: MerkleLog, text: bytes) -> None:
    index = log.append(text)
    log.checkpoint()
    log.prove(index).to_bytes()


def measure(folder: Path, height: int, cases: int) -> tuple[Stopwatch, dict[str, int]]:
    """Each step alone and all of them together, `cases` times; bytes of one bundle's parts."""
    watch, photos, settings = Stopwatch(), make_photos(height), Evidence()
    key = DeviceKey.load_or_create(folder / "state", "box-1", ManualClock(START))
    log_key = LogKey.load_or_create(folder / "state")
    bundles = BundleWriter(folder / "evidence", key, ORIGIN, settings, {})
    bundles.log = MerkleLog(folder / "log", log_key, ORIGIN.log)
    other = MerkleLog(folder / "other", log_key, ORIGIN.log)
    with (
        Outbox(folder / "outbox.db") as outbox,
        Journal(ORIGIN, outbox, bundles, Path(os.devnull)) as journal,
    ):
        journal.case(make_case(0, photos), None)
        path = Path(next(iter(journal.written.values())).path)
        whole = contents(path.read_bytes())
        text = whole["manifest.json"]
        members = {name: data for name, data in whole.items() if name != PROOF}
        claim = Envelope(text, b"", key.fingerprint).signed
        for number in range(1, cases + 1):
            case = make_case(number, photos)
            watch.take(ENCODE, partial(encode, photos, settings.jpeg_quality))
            watch.take(SIGN, partial(key.sign, claim))
            watch.take(LOG, partial(enter, other, text))
            watch.take(FILE, partial(file_bundle, folder / f"{number}.evb", members, other))
            watch.take(EVENT, partial(journal.event, case.begin))
            watch.take(WHOLE, partial(journal.case, case, None))
        (row,) = outbox.pending(limit=1)
    return watch, {**sizes(whole), "bundle": path.stat().st_size, "event": len(row.body)}


def sizes(members: dict[str, bytes]) -> dict[str, int]:
    found = {"photos": 0, "overlay and sheet": 0, "proof": len(members[PROOF])}
    for name, data in members.items():
        if name.startswith("media/"):
            found["photos"] += len(data)
        elif name.startswith("derived/"):
            found["overlay and sheet"] += len(data)
    rest = sum(map(len, members.values())) - sum(found.values())
    return {**found, "manifest, signature, certificate": rest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--out", type=Path, help="where to write; default: the temporary folder")
    options = parser.parse_args()
    watches, bytes_of = [], []
    heights = (720, 1080)
    for height in heights:
        with TemporaryDirectory(dir=options.out) as folder:
            watch, found = measure(Path(folder), height, options.cases)
        watches.append(watch)
        bytes_of.append(found)
    lines = ["| ms: p50 / p99 / CPU p50 | " + " | ".join(f"{height}p" for height in heights) + " |"]
    lines.append("|---|---|---|")
    lines += [
        f"| {w} | " + " | ".join(x.cells(w) for x in watches) + " |" for w in watches[0].times_ms
    ]
    lines += [
        f"| bytes: {n} | " + " | ".join(f"{b[n]:,}" for b in bytes_of) + " |" for n in bytes_of[0]
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
