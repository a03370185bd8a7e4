"""The scenes: who is in the street, what the site file says, and what is to be seen of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from gallery import effects
from street.camera import HEIGHT, WIDTH, Camera
from street.story import ACTORS, Actor

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
Corner = tuple[float, float]
"""x to the right of the street, y along it, metres."""


@dataclass(frozen=True)
class Shown:
    """One kind of event that the scene is there to show."""

    kind: str
    title: str
    text: str
    phase: str = "begin"
    which: int = 0
    """Which of its events is drawn."""


@dataclass(frozen=True)
class Scene:
    """A short story and the rules that watch it."""

    actors: Sequence[Actor]
    seconds: float
    shows: Sequence[Shown]
    rules: Sequence[Mapping[str, Any]]
    zones: Mapping[str, Sequence[Corner]] = field(default_factory=dict)
    """Corners on the ground."""
    lines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """`a` and `b` on the ground, and the names of the two directions."""
    camera: Mapping[str, Any] = field(default_factory=dict)
    """More of the camera's part of the site file."""
    site_keys: Mapping[str, Any] = field(default_factory=dict)
    signals: Sequence[Mapping[str, Any]] = ()
    effect: effects.Effect = effects.none
    model: str = "yolox_nano"
    start: datetime = START

    def site(self, name: str) -> dict[str, Any]:
        """The site file."""
        zones = {key: [seen(corner) for corner in corners] for key, corners in self.zones.items()}
        lines = {
            key: {**line, "a": seen(line["a"]), "b": seen(line["b"])}
            for key, line in self.lines.items()
        }
        measured = [(-9.0, 8.0), (-0.5, 8.0), (-0.5, 30.0), (-9.0, 30.0)]
        ground = [{"picture": seen(m, clip=False), "metres": list(m)} for m in measured]
        inside = all(0 <= v <= 1 for point in ground for v in point["picture"])
        camera = {
            "detector": {"model": self.model},
            "zones": zones,
            "lines": lines,
            **({"ground": ground} if inside else {}),
            **self.camera,
            "rules": [dict(rule) for rule in self.rules],
        }
        info = {"name": name, "timezone": "Europe/Berlin", "responsible": "City of Example"}
        return {
            "site": {**info, "safety_manager": "A. Example, +49 30 1234"},
            "device": "gallery-box",
            **self.site_keys,
            "cameras": {"street": camera},
        }


def seen(corner: Corner, clip: bool = True) -> list[float]:
    """Where a point of the ground lies in the picture, normalised."""
    pixels = Camera().project(np.array([[*corner, 0.0]]))[0] / (WIDTH, HEIGHT)
    pixels = np.clip(pixels, 0, 1) if clip else pixels
    return [round(float(v), 4) for v in pixels]


KERB = ((-2.45, 9.4), (-0.1, 9.4), (-0.1, 22.6), (-2.45, 22.6))
CARRIAGEWAY = ((-9.1, 9.0), (-0.1, 9.0), (-0.1, 31.0), (-9.1, 31.0))

SCENES: Mapping[str, Scene] = {
    "street": Scene(
        actors=ACTORS,
        seconds=65.0,
        shows=(
            Shown("parking.illegal", "Illegal parking",
                  "stands where and when it must not; ends in a four-photo case."),
            Shown("flow.line_crossing", "Line counts",
                  "one event per vehicle, line and direction.", phase="end"),
        ),
        rules=(
            {"kind": "parking.illegal", "zone": "kerb", "dwell_s": 15},
            {"kind": "flow.line_crossing", "line": "middle", "classes": ["vehicle"]},
        ),
        zones={"kerb": KERB},
        lines={"middle": {"a": (-9.2, 25.2), "b": (-0.3, 25.2), "to_right": "towards",
                          "to_left": "away"}},
    ),
}  # fmt: skip
