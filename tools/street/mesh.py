"""Triangle meshes: position, normal, part number and three free numbers per vertex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Vec = Sequence[float] | Array


@dataclass(frozen=True)
class Mesh:
    """`vertices` (N, 10): xyz, normal, part, three extras; `triangles` (M, 3) indices."""

    vertices: Array
    triangles: NDArray[np.int64]

    def moved(self, offset: Vec) -> Mesh:
        """The same mesh somewhere else."""
        vertices = self.vertices.copy()
        vertices[:, :3] += np.asarray(offset)
        return Mesh(vertices, self.triangles)

    def turned(self, matrix: Array) -> Mesh:
        """The same mesh under a linear map, shape (3, 3)."""
        vertices = self.vertices.copy()
        vertices[:, :3] = vertices[:, :3] @ matrix.T
        normals = vertices[:, 3:6] @ np.linalg.inv(matrix)
        vertices[:, 3:6] = normals / np.maximum(np.linalg.norm(normals, axis=1)[:, None], 1e-9)
        return Mesh(vertices, self.triangles)


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh out of many."""
    starts = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.triangles + s for m, s in zip(meshes, starts, strict=True)]),
    )


def grid(points: Array, part: float, extras: Array) -> Mesh:
    """A smooth surface through `points` (R, C, 3), normals right-handed over rows x columns."""
    rows, columns = points.shape[:2]
    normals = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-12)
    parts = np.full((rows, columns, 1), part)
    vertices = np.concatenate(
        [points, normals, parts, np.broadcast_to(extras, points.shape)], axis=2
    ).reshape(-1, 10)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    first = np.stack([corner, corner + columns, corner + 1], axis=1)
    second = np.stack([corner + 1, corner + columns, corner + columns + 1], axis=1)
    return Mesh(vertices, np.concatenate([first, second]))


def quad(corner: Vec, along: Vec, up: Vec, part: float, extras: Vec = (1, 1, 1)) -> Mesh:
    """A flat parallelogram facing `along` x `up`."""
    corner, along, up = np.asarray(corner, float), np.asarray(along, float), np.asarray(up, float)
    points = np.stack(
        [np.stack([corner, corner + up]), np.stack([corner + along, corner + along + up])]
    )
    return grid(points, part, np.asarray(extras, float))


def pictured_quad(corner: Vec, along: Vec, up: Vec, part: float, layer: float) -> Mesh:
    """A quad whose extras are texture coordinates (u, v down) and a texture layer."""
    extras = np.array([[[0, 1, layer], [0, 0, layer]], [[1, 1, layer], [1, 0, layer]]], float)
    flat = quad(corner, along, up, part)
    vertices = flat.vertices.copy()
    vertices[:, 7:10] = extras.reshape(-1, 3)
    return Mesh(vertices, flat.triangles)


def box(low: Vec, high: Vec, part: float, extras: Vec = (1, 1, 1)) -> Mesh:
    """An axis-parallel box with flat faces."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    x, y, z = np.diag(high - low)
    return joined(
        [
            quad(low, x, z, part, extras),
            quad(low + y, -y, z, part, extras),
            quad(low + x, y, z, part, extras),
            quad(high - z, -x, z, part, extras),
            quad(low + z, x, y, part, extras),
            quad(low + y, x, -y, part, extras),
        ]
    )


def ellipsoid(centre: Vec, radii: Vec, part: float, extras: Vec) -> Mesh:
    """A ball, stretched."""
    down, round_ = np.meshgrid(np.linspace(0, np.pi, 11), np.linspace(0, 2 * np.pi, 17))
    ball = np.stack(
        [np.sin(down) * np.cos(round_), np.sin(down) * np.sin(round_), np.cos(down)], axis=2
    )
    surface = grid(ball.transpose(1, 0, 2), part, np.asarray(extras, float))
    surface.vertices[:, 3:6] = surface.vertices[:, :3]  # exact, also at the poles
    return surface.turned(np.diag(np.asarray(radii, float))).moved(centre)


def tube(start: Vec, end: Vec, radii: tuple[float, float], part: float, extras: Vec) -> Mesh:
    """A tapering round bar from `start` to `end` without caps."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    axis = (end - start) / np.linalg.norm(end - start)
    side = np.cross(axis, [0.0, 0.0, 1.0] if abs(axis[2]) < 0.9 else [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    angle = np.linspace(0, 2 * np.pi, 15)[:, None]
    ring = np.cos(angle) * side + np.sin(angle) * np.cross(axis, side)
    points = np.stack([start + ring * radii[0], end + ring * radii[1]], axis=1)
    return grid(points, part, np.asarray(extras, float))
