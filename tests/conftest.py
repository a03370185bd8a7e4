"""Fixtures shared by all tests."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import av
import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell's background job: programs that the tests start would be deaf to Ctrl-C as well
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with other people's footage and weights; skips, by name, where it is absent."""
    folder = Path(os.environ.get("EDGE_AGENT_SHARED", ROOT.parent / "shared"))
    if not (folder / "footage").is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"shared material is missing on CI: {folder} (set EDGE_AGENT_SHARED)")
        pytest.skip(f"SHARED MATERIAL ABSENT: {folder} (set EDGE_AGENT_SHARED to run this test)")
    return folder


Sketch = NDArray[np.uint8]


def _numbered(count: int, size: tuple[int, int]) -> Iterator[Sketch]:
    """Textured BGR pictures with a moving square; on top their index as 8 black or white cells."""
    width, height = size
    noise = np.random.default_rng(0).integers(60, 200, (height // 8 + 1, width // 8 + 1, 3))
    texture = np.kron(noise, np.ones((8, 8, 1)))[:height, :width].astype(np.uint8)
    side, cell, top = width // 5, width // 8, height // 2
    for index in range(count):
        image = texture.copy()
        left = (3 * index) % (width - side)
        image[top : top + side, left : left + side] = (40, 40, 230)
        for bit in range(8):
            image[: height // 6, bit * cell : (bit + 1) * cell] = 255 * (index >> (7 - bit) & 1)
        yield image


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    """Writes a small video: `make_video(tmp_path / "a.mp4", 50, fps=10, size=(160, 120))`.

    `frames` is a number of numbered sketches, or the BGR pictures themselves; `times_ms` are their
    presentation times (default: 1/fps apart); the suffix chooses the container.
    """

    def make(
        path: Path,
        frames: int | Iterable[Sketch] = 50,
        *,
        fps: int = 25,
        codec: str = "libx264",
        size: tuple[int, int] = (160, 120),
        times_ms: Sequence[int] | None = None,
        rotation: int = 0,
        layout: str = "yuv420p",
        options: Mapping[str, str] = MappingProxyType({}),
        metadata: Mapping[str, str] = MappingProxyType({}),
    ) -> Path:
        pictures = frames if not isinstance(frames, int) else _numbered(frames, size)
        tick = Fraction(1, 1000) if times_ms else Fraction(1, fps)
        muxing = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
        with av.open(str(path), "w", options=muxing) as output:
            output.metadata.update(metadata)
            stream = output.add_stream(codec, rate=fps, options={"g": "25", **options})
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = *size, layout
            stream.codec_context.time_base = tick
            if rotation:
                stream.set_display_rotation(rotation)
            for index, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture, "bgr24")
                frame.pts, frame.time_base = times_ms[index] if times_ms else index, tick
                output.mux(stream.encode(frame))
            output.mux(stream.encode())
        return path

    return make


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment for child processes: weights from the shared folder, state of their own."""
    folder = Path(os.environ.get("EDGE_AGENT_SHARED", ROOT.parent / "shared"))
    state = tmp_path_factory.mktemp("state")
    return {
        **os.environ,
        "EDGE_AGENT_MODELS": str(folder / "models"),
        "XDG_STATE_HOME": str(state),
        "XDG_CACHE_HOME": str(state),
        "COLUMNS": "200",
    }


@pytest.fixture(scope="session")
def edge_agent(
    environment: dict[str, str],
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line as a user would and returns what came of it."""

    def run(*args: object, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edge_agent", *map(str, args)]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    return run
