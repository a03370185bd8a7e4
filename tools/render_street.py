"""Renders the demo footage: a street with one illegal parking, and the truth about it.

Needs the extra `render` (moderngl, pillow) and EGL; a software OpenGL is enough:
`apt-get install libegl1 libgl1 libgl1-mesa-dri`.
"""

from __future__ import annotations

import ctypes.util
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from street import film, story
from street.camera import FPS
from street.truth import truth

if TYPE_CHECKING:
    from street.render import Renderer


def _require_renderer() -> None:
    """Raises click.ClickException, saying what to install, where rendering cannot work."""
    for module in ("moderngl", "PIL"):
        if importlib.util.find_spec(module) is None:
            raise click.ClickException(
                f"the Python module {module} is missing: pip install 'edge-agent[render]'"
            )
    for library in ("EGL", "GL"):
        if ctypes.util.find_library(library) is None:
            raise click.ClickException(
                f"lib{library} is missing, so nothing can be drawn: "
                "apt-get install libegl1 libgl1 libgl1-mesa-dri"
            )


def _pictures(renderer: Renderer, seconds: float, seed: int) -> Iterator[NDArray[np.uint8]]:
    sensor = film.Sensor(seed)
    console = Console(stderr=True)
    for i in track(range(round(seconds * FPS)), "rendering", console=console):
        t_s = i / FPS
        yield sensor.expose(renderer.frame(t_s, film.exposure(t_s)))


@click.command(epilog="Example: python tools/render_street.py --out edge_agent/demo")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True,
              help="Folder for street.mp4 and street.truth.json.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0.08, story.SECONDS), default=story.SECONDS,
              show_default=True, help="Render only the beginning.")  # fmt: skip
@click.option("--seed", type=int, default=7, show_default=True,
              help="Decides about shop fronts, trees and noise.")  # fmt: skip
@click.option("--still", type=click.FloatRange(0, story.SECONDS), default=None,
              help="Write only this second's picture, as street.jpg.")  # fmt: skip
def main(out: Path, seconds: float, seed: int, still: float | None) -> None:
    """Render the demo street. The same options give the same bytes on the same machine."""
    _require_renderer()
    from PIL import Image  # both need the extra `render`

    from street.render import Renderer

    out.mkdir(parents=True, exist_ok=True)
    renderer = Renderer(seed)
    if still is not None:
        picture = film.Sensor(seed).expose(renderer.frame(still, film.exposure(still)))
        Image.fromarray(picture).save(out / "street.jpg", quality=88)
        return
    film.write_video(_pictures(renderer, seconds, seed), out / "street.mp4")
    text = json.dumps(truth(seconds), indent=1, ensure_ascii=False)
    (out / "street.truth.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
