"""Static structure of a camera's view: what `camera.health` compares pictures with.

A picture is reduced to a field of gradient directions, which exposure and gain leave alone
(orientation correlation: Fitch et al., BMVC 2002). The running mean of these fields keeps what
stands still; traffic and leaves average out.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.types import JSON

Field = NDArray[np.complex64]
"""(h, w) gradient vectors of length 0..1, x in the real part, y in the imaginary part."""
Array = NDArray[Any]

WIDTH = 160
"""px; structure is compared at this width, sharpness at twice of it."""
BLOCK = 8
"""px of that size; shares are shares of the blocks that have structure."""
NOISE = 1.0
"""Grey levels per px; gradients far below this count for nothing."""
MIN_BLOCKS = 12
"""With fewer blocks of structure nothing can be said about the view."""
HAS_STRUCTURE = 0.04
"""Mean squared length of the learned vectors from which on a block counts."""
HAS_EDGES = 16.0
"""Grey levels squared of middle-sized detail, without which sharpness cannot be told."""
IS_PRESENT = 0.4
"""Share of its learned structure that a block must show."""
IS_FAINT = 0.5
"""Share of its learned edge energy below which a block has lost its edges."""
IS_SOFT = 0.35
"""Share of its learned fine detail below which a block is out of focus (blur of a pixel: 0.2)."""
REACH = 0.3
"""Share of the learned blocks that must still be in view for a move to be told."""
TURNS_DEG = tuple(range(-14, 15, 2))
SCALES = tuple(1.06**k for k in range(-4, 5))


@dataclass(frozen=True, slots=True)
class Pose:
    """How the view has moved: turned and scaled about the picture's centre, then shifted."""

    shift: tuple[float, float] = (0.0, 0.0)
    """Share of the picture's width; positive when things moved right and down."""
    turn_deg: float = 0.0
    """Positive when things turned counter-clockwise on the screen."""
    scale: float = 1.0

    def displacement(self, aspect: float) -> float:
        """Mean way of the picture's corners as a share of its width; `aspect` is height/width."""
        change = self.scale * self.rotation() - 1
        corners = [complex(x / 2, y * aspect / 2) for x in (-1, 1) for y in (-1, 1)]
        return sum(abs(corner * change + complex(*self.shift)) for corner in corners) / 4

    def rotation(self) -> complex:
        """What turns a vector of the screen (y down)."""
        turn = math.radians(-self.turn_deg)
        return complex(math.cos(turn), math.sin(turn))

    def matrix(self, width: int, height: int) -> Array:
        """(2, 3) from learned to present px in a picture of that size."""
        centre = ((width - 1) / 2, (height - 1) / 2)
        matrix = np.asarray(cv2.getRotationMatrix2D(centre, self.turn_deg, self.scale))
        matrix[:, 2] += np.array(self.shift) * width
        return matrix


HOME = Pose()


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What is kept of one picture."""

    field: Field
    fine: Array
    """(rows, columns) mean square of detail of about a pixel, per block."""
    middle: Array
    """The same for detail of a few pixels."""
    coarse: Array
    """The same for detail of several pixels."""

    @classmethod
    def of(cls, grey: NDArray[np.uint8]) -> Sight:
        """Reduce a grey picture; flat places and noise come out short."""
        height = max(BLOCK, round(grey.shape[0] * WIDTH / grey.shape[1]))
        size = (2 * WIDTH, 2 * height)
        exact = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        soft = cv2.GaussianBlur(exact, (0, 0), 1.0)
        softer = cv2.GaussianBlur(soft, (0, 0), 2.0)
        small = cv2.resize(softer, (WIDTH, height), interpolation=cv2.INTER_AREA)
        dx, dy = (cv2.Sobel(small, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
        field = np.asarray((dx + 1j * dy) / (cv2.magnitude(dx, dy) + NOISE), np.complex64)
        fine, middle = (_blocks(band**2, 2 * BLOCK) for band in (exact - soft, soft - softer))
        coarse = _blocks((small - cv2.GaussianBlur(small, (0, 0), 3.0)) ** 2)
        return cls(field, fine, middle, coarse)

    def remember(self) -> JSON:
        """Directions of edges in 1/127 at `WIDTH`, and energies: no picture, nobody's face."""
        planes = np.stack([self.field.real, self.field.imag])
        return {
            "field": _packed(np.rint(127 * planes).astype(np.int8)),
            **{
                band: _packed(getattr(self, band).astype(np.float32))
                for band in ("fine", "middle", "coarse")
            },
        }

    @classmethod
    def recalled(cls, state: JSON) -> Sight:
        """What `remember` gave; raises ValueError for anything else."""
        planes = _unpacked(state["field"], np.int8, 3) / np.float32(127)
        bands = (_unpacked(state[band], np.float32, 2) for band in ("fine", "middle", "coarse"))
        return cls(np.asarray(planes[0] + 1j * planes[1], np.complex64), *bands)


@dataclass(frozen=True, slots=True)
class Look:
    """How much of the learned structure one picture shows."""

    blocks: int
    """With structure, in view."""
    present: float = 0.0
    """Share of them that look as learned."""
    faint: float = 0.0
    """Share of them that do not and have no edges of their own either."""
    soft: float | None = None
    """Share of the blocks with edges that have lost their fine detail; None when too few."""
    energy: float = 0.0
    """Edge energy of the whole picture, over what was learned."""
    pose: Pose = HOME


class Structure:
    """The learned structure of one view."""

    def __init__(self) -> None:
        self._mean: Sight | None = None
        self._weight_s = 0.0

    def remember(self) -> JSON:
        """None before anything was learned."""
        if self._mean is None:
            return None
        return {"mean": self._mean.remember(), "weight_s": self._weight_s}

    def recall(self, state: JSON) -> None:
        """Go on from what `remember` gave."""
        self._mean, self._weight_s = Sight.recalled(state["mean"]), float(state["weight_s"])

    def is_like(self, sight: Sight) -> bool:
        """False for a picture of other proportions: nothing of it can be compared."""
        return self._mean is None or self._mean.field.shape == sight.field.shape

    def learn(self, sight: Sight, step_s: float, memory_s: float, pose: Pose = HOME) -> None:
        """Blend in a picture that stands for `step_s`; until `memory_s` it is a plain mean."""
        mean = self._mean
        if mean is None or not self.is_like(sight):
            self._mean, self._weight_s = sight, step_s
            return
        self._weight_s = min(self._weight_s + step_s, memory_s)
        share = np.float32(min(1.0, step_s / self._weight_s))
        field = sight.field if pose == HOME else _moved(sight.field, pose, is_back=True)
        self._mean = Sight(
            mean.field + share * (field - mean.field),
            mean.fine + share * (sight.fine - mean.fine),
            mean.middle + share * (sight.middle - mean.middle),
            mean.coarse + share * (sight.coarse - mean.coarse),
        )

    def look(self, sight: Sight, pose: Pose = HOME) -> Look:
        """Compare with a picture, supposing that the view has moved like that."""
        assert self._mean is not None
        mean, field = self._mean.field, sight.field
        expected = mean if pose == HOME else _moved(mean, pose)
        learned = _blocks(_square(expected))
        counts = learned > HAS_STRUCTURE
        count, known = int(counts.sum()), _blocks(_square(mean))
        if count < max(MIN_BLOCKS, REACH * (known > HAS_STRUCTURE).sum()):
            return Look(count, pose=pose)
        is_present = _blocks((np.conj(expected) * field).real) > IS_PRESENT * learned
        energy = _blocks(_square(field))
        is_faint = ~is_present & (energy < IS_FAINT * learned)
        present, faint = (float(each[counts].mean()) for each in (is_present, is_faint))
        soft = self._softness(sight, counts & is_present) if pose == HOME else None
        return Look(count, present, faint, soft, float(energy.sum() / known.sum()), pose)

    def find(self, sight: Sight) -> Look:
        """Compare with a picture that may have moved: where it agrees best.

        Tries all turns and scales; each is placed by one correlation.
        """
        assert self._mean is not None
        half, spectrum = _halved(self._mean.field), np.fft.fft2(_halved(sight.field))
        poses = [Pose((0.0, 0.0), turn, scale) for scale in SCALES for turn in TURNS_DEG]
        best = _best(poses, half, spectrum)
        finer = [
            Pose((0.0, 0.0), best.turn_deg + turn, best.scale * scale)
            for turn in (-1, 0, 1)
            for scale in (0.97, 1.0, 1.03)
        ]
        return self.look(sight, _best(finer, self._mean.field, np.fft.fft2(sight.field)))

    def slid(self, sight: Sight) -> Look:
        """Like `find`, but only for shifts."""
        assert self._mean is not None
        return self.look(sight, _best([HOME], self._mean.field, np.fft.fft2(sight.field)))

    def _softness(self, sight: Sight, where: Array) -> float | None:
        assert self._mean is not None
        mean = self._mean
        usable = where & (mean.middle > HAS_EDGES) & (sight.coarse > 1.0)
        if usable.sum() < MIN_BLOCKS:
            return None
        fine, middle, coarse = (
            getattr(sight, band)[usable] / getattr(mean, band)[usable]
            for band in ("fine", "middle", "coarse")
        )
        is_soft = (fine < IS_SOFT * middle) | (middle < IS_SOFT * coarse)
        return float(is_soft.mean())


def _best(poses: Sequence[Pose], mean: Field, spectrum: Array) -> Pose:
    """The pose in which the learned field fits a picture's spectrum best, shifted to there."""
    found = [_placed(pose, mean, spectrum) for pose in poses]
    return max(found, key=lambda placed: placed[1])[0]


def _placed(pose: Pose, mean: Field, spectrum: Array) -> tuple[Pose, float]:
    """The pose shifted to where it fits best, and the correlation there."""
    moved = mean if pose == HOME else _moved(mean, pose)
    surface = np.fft.ifft2(np.conj(np.fft.fft2(moved)) * spectrum).real
    height, width = surface.shape
    y, x = divmod(int(np.argmax(surface)), width)
    dx, dy = (x + width // 2) % width - width // 2, (y + height // 2) % height - height // 2
    return Pose((dx / width, dy / width), pose.turn_deg, pose.scale), float(surface[y, x])


def _halved(field: Field) -> Field:
    height, width = field.shape
    planes = np.stack([field.real, field.imag], axis=2)
    half = cv2.resize(planes, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(half[:, :, 0] + 1j * half[:, :, 1], np.complex64)


def _moved(field: Field, pose: Pose, *, is_back: bool = False) -> Field:
    """The field as it would look after such a move, or a moved one as it was before."""
    height, width = field.shape
    planes = np.stack([field.real, field.imag], axis=2)
    how = cv2.INTER_LINEAR | (cv2.WARP_INVERSE_MAP if is_back else 0)
    warped = cv2.warpAffine(planes, pose.matrix(width, height), (width, height), flags=how)
    turn = pose.rotation().conjugate() if is_back else pose.rotation()
    return np.asarray((warped[:, :, 0] + 1j * warped[:, :, 1]) * turn, np.complex64)


def _square(field: Field) -> Array:
    return np.asarray(field.real**2 + field.imag**2)


def _blocks(values: Array, side: int = BLOCK) -> Array:
    """(h // side, w // side) means of square blocks."""
    rows, columns = values.shape[0] // side, values.shape[1] // side
    cut = np.ascontiguousarray(values[: rows * side, : columns * side])
    return cv2.resize(cut, (columns, rows), interpolation=cv2.INTER_AREA).reshape(rows, columns)


def _packed(values: Array) -> JSON:
    data = zlib.compress(np.ascontiguousarray(values).tobytes())
    return {"shape": list(values.shape), "data": base64.b64encode(data).decode()}


def _unpacked(state: JSON, kind: type, dimensions: int) -> Array:
    shape = tuple(int(side) for side in state["shape"])
    if len(shape) != dimensions or not all(0 < side <= 4 * WIDTH for side in shape):
        raise ValueError(f"structure: has the shape {shape}")
    inflate = zlib.decompressobj()
    size = math.prod(shape) * np.dtype(kind).itemsize
    try:
        data = inflate.decompress(base64.b64decode(state["data"], validate=True), size + 1)
    except zlib.error as error:
        raise ValueError(f"structure: {error}") from error
    return np.frombuffer(data, kind).reshape(shape).copy()
