"""Signed bundles of cases that never happened, made at random from a seed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.evidence import BundleWriter, DeviceKey
from edge_agent.evidence.case.legibility import with_plates
from edge_agent.evidence.log import LogKey, MerkleLog
from edge_agent.geometry import Polygon
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import (
    ArrayPicture,
    Box,
    Case,
    Event,
    Frame,
    Image,
    Media,
    ModelInfo,
    Photo,
    PlateRead,
    Role,
    Track,
)

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
FPS = 10
PLATES = ("B1234KV", "EA417KV", "JEC8731", "KA98ZX")


@dataclass(frozen=True)
class Device:
    """One box that writes bundles of invented cases."""

    key: DeviceKey
    log_key: LogKey
    writer: BundleWriter
    chance: random.Random
    start: datetime = START
    """When its first case is seen, or some seconds later."""
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @classmethod
    def make(
        cls,
        folder: Path,
        seed: int,
        kind: Literal["live", "replay"] = "replay",
        start: datetime = START,
    ) -> Device:
        """A new box in an empty folder; the same seed invents the same cases."""
        key = DeviceKey.load_or_create(folder / "state", "box-1", ManualClock(start))
        media_sha256 = f"{seed:064x}" if kind == "replay" else None
        media = Media("street.mp4", kind, media_sha256, start, "given")
        cameras = {"c1": CameraOrigin(media, ModelInfo("yolo", "cd" * 32))}
        site = {"name": "plaza", "lat": 52.5, "lon": 13.4}
        origin = Origin(site, "box-1", f"{seed:032x}", "ef" * 32, "edge-agent 0", cameras)
        kerb = Polygon([(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)])
        settings, zones = Evidence(sheet=False), {"c1": {"kerb": kerb}}
        writer = BundleWriter(folder / "evidence", key, origin, settings, zones)
        log_key = LogKey.load_or_create(folder / "state")
        writer.log = MerkleLog(folder / "log", log_key, origin.log)
        return cls(key, log_key, writer, random.Random(seed), start)

    def bundles(self, count: int) -> Iterator[Path]:
        """Write so many cases, one after the other."""
        for n in itertools.islice(self.numbers, count):
            case = _case(f"s{n}", self.chance, self.start)
            clip = self.chance.randbytes(2000) if self.chance.random() < 0.7 else None
            yield Path(self.writer.write(case, clip).path)


class _Reader:
    """Reads one plate, or nothing, whatever it is shown."""

    models: tuple[ModelInfo, ...] = (ModelInfo("plates", "ab" * 32),)

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._text = chance.choice(PLATES)

    def read(self, frame: Frame, tracks: Iterable[Track]) -> tuple[PlateRead, ...]:
        return ()

    def look(self, frame: Frame, vehicle: Box) -> PlateRead | None:
        if self._chance.random() < 0.2:
            return None
        scores = tuple(round(self._chance.uniform(0.9, 1), 4) for _ in self._text)
        corners = ((60.0, 60.0), (90.0, 60.0), (90.0, 66.0), (60.0, 66.0))
        return PlateRead(0, self._text, scores, "eu", corners, 0.9)


def _case(subject: str, chance: random.Random, start: datetime) -> Case:
    since_s = _on_frame(chance.uniform(3, 60))
    begin_s = since_s + _on_frame(chance.uniform(5, 30))
    end_s = begin_s + _on_frame(chance.uniform(10, 200))
    has_left = chance.random() < 0.6
    times: dict[Role, float] = {
        "enter": since_s - chance.uniform(0.5, 2.5),
        "wide": begin_s + chance.uniform(0, 1),
        "close": begin_s + chance.uniform(1, 5),
    }
    if has_left:
        times["leave"] = end_s - chance.uniform(0.5, 2)
    elif chance.random() < 0.3:
        del times["close"]
    begin = _event(subject, "begin", (since_s, begin_s), start)
    latest = _event(subject, "end", (since_s, end_s), start) if has_left else begin
    photos = tuple(_photo(role, _on_frame(at_s), chance, start) for role, at_s in times.items())
    reasons = () if has_left else ("vehicle has not left",)
    clip_s = (begin_s - 5, begin_s + 5)
    case = Case(subject, begin, latest, photos, clip_s, has_left, reasons)
    return with_plates(case, _Reader(chance)) if chance.random() < 0.5 else case


def _on_frame(t_s: float) -> float:
    return round(t_s * FPS) / FPS


def _event(
    subject: str, phase: Literal["begin", "end"], times_s: tuple[float, float], start: datetime
) -> Event:
    since_s, t_s = times_s
    wall = start + timedelta(seconds=t_s)
    kind, frame = "parking.illegal", round(t_s * FPS)
    return Event("c1", kind, subject, phase, since_s, t_s, wall, frame, "kerb")


def _photo(role: Role, at_s: float, chance: random.Random, start: datetime) -> Photo:
    wall = start + timedelta(seconds=at_s)
    frame = Frame("c1", round(at_s * FPS), at_s, wall, ArrayPicture(_image(chance)))
    x, y = chance.uniform(20, 80), chance.uniform(20, 50)
    box = Box(x, y, x + 40, y + 30)
    return Photo(role, frame, box, box if role == "close" else None, round(chance.random(), 3))


def _image(chance: random.Random) -> Image:
    noise = np.frombuffer(chance.randbytes(18 * 32 * 3), np.uint8).reshape(18, 32, 3)
    return np.asarray(cv2.resize(noise, (160, 90)), np.uint8)
