"""What a scene is: who is in the street, what the site file says, and what is to be seen of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from gallery import effects
from street.camera import HEIGHT, WIDTH, Camera
from street.story import Actor

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
    at_s: float | None = None
    """Draw the picture of this moment, where the event comes when there is nothing left to see."""


@dataclass(frozen=True)
class Scene:
    """A short story and the rules that watch it."""

    seconds: float
    shows: Sequence[Shown]
    rules: Sequence[Mapping[str, Any]]
    actors: Sequence[Actor] = ()
    zones: Mapping[str, Sequence[Corner]] = field(default_factory=dict)
    """Corners on the ground."""
    directions: Mapping[str, tuple[Corner, Corner]] = field(default_factory=dict)
    """Zone -> an arrow along the way of its traffic."""
    lines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """`a` and `b` on the ground, and the names of the two directions."""
    camera: Mapping[str, Any] = field(default_factory=dict)
    """More of the camera's part of the site file."""
    site_keys: Mapping[str, Any] = field(default_factory=dict)
    signals: Sequence[Mapping[str, Any]] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    """Name -> text of what lies beside the site file."""
    effect: effects.Effect = effects.none
    film: Path | None = None
    """A clip that is there already and takes the place of the actors."""
    model: str = "yolox_nano"
    start: datetime = START

    def site(self, name: str) -> dict[str, Any]:
        """The site file."""
        zones = {key: [seen(corner) for corner in corners] for key, corners in self.zones.items()}
        lines = {
            key: {**line, "a": seen(line["a"]), "b": seen(line["b"])}
            for key, line in self.lines.items()
        }
        measured = [(-6.0, 12.0), (-1.0, 12.0), (-0.5, 30.0), (-9.0, 30.0)]
        ground = [{"picture": seen(point), "metres": list(point)} for point in measured]
        camera = {
            "detector": {"model": self.model},
            "zones": zones,
            "directions": {k: [seen(a), seen(b)] for k, (a, b) in self.directions.items()},
            "lines": lines,
            "ground": ground,
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


def seen(corner: Corner) -> list[float]:
    """Where a point of the ground lies in the picture, normalised and clipped to it."""
    pixels = Camera().project(np.array([[*corner, 0.0]]))[0] / (WIDTH, HEIGHT)
    return [round(float(v), 4) for v in np.clip(pixels, 0, 1)]
