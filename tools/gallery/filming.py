"""A scene becomes a clip."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from edge_agent.sources import open_recording
from edge_agent.types import Image
from gallery.scene import Scene
from gallery.scenes import SCENES
from street import film
from street.camera import FPS

SEED = 7


def film_scene(name: str, clip: Path) -> None:
    """Write the clip: rendered, or taken from a film, with the effect on top."""
    scene = SCENES[name]
    part = clip.with_suffix(".part.mp4")
    pictures = _filmed(scene) if scene.film else _rendered(scene)
    count = round(scene.seconds * FPS)
    console = Console(stderr=True)
    film.write_video(track(pictures, f"filming {name}", total=count, console=console), part)
    part.rename(clip)


def _filmed(scene: Scene) -> Iterator[Image]:
    assert scene.film is not None
    source = open_recording(scene.film, "scene")
    for frame in islice(source.frames(), round(scene.seconds * FPS)):
        picture = np.ascontiguousarray(frame.image[..., ::-1])
        yield scene.effect(picture, frame.t_s)
    source.close()


def _rendered(scene: Scene) -> Iterator[Image]:
    from street.render import Renderer  # needs EGL

    renderer, sensor = Renderer(SEED, actors=scene.actors), film.Sensor(SEED)
    for t_s in (i / FPS for i in range(round(scene.seconds * FPS))):
        yield sensor.expose(scene.effect(renderer.frame(t_s, film.exposure(t_s)), t_s))
