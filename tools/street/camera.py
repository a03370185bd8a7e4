"""The pole camera: where it hangs and how it maps the street onto the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

WIDTH, HEIGHT = 1280, 720
FPS = 12.5
NEAR_M, FAR_M = 1.0, 120.0


@dataclass(frozen=True)
class Camera:
    """A pinhole; world axes in metres are x right of the street, y along it, z up."""

    position: tuple[float, float, float] = (0.15, 0.0, 4.35)
    yaw_deg: float = 10.5
    """Turned to the left of the street's direction."""
    pitch_deg: float = 13.0
    """Tilted down."""
    focal_px: float = 1930.0

    def axes(self) -> Array:
        """Rows: right, up and forward of the camera in the world, shape (3, 3)."""
        yaw, pitch = np.radians((self.yaw_deg, self.pitch_deg))
        right = np.array([np.cos(yaw), np.sin(yaw), 0.0])
        level = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        ahead = level * np.cos(pitch) - [0.0, 0.0, np.sin(pitch)]
        return np.stack([right, np.cross(right, ahead), ahead])

    def project(self, points: Array) -> Array:
        """World points (N, 3) -> pixels (N, 2); points behind the camera land far outside."""
        seen = (np.asarray(points, np.float64) - self.position) @ self.axes().T
        depth = np.maximum(seen[:, 2], 0.05)
        return np.stack(
            [
                WIDTH / 2 + self.focal_px * seen[:, 0] / depth,
                HEIGHT / 2 - self.focal_px * seen[:, 1] / depth,
            ],
            axis=1,
        )

    def matrix(self, jitter_px: tuple[float, float] = (0.0, 0.0)) -> Array:
        """World -> clip space, shape (4, 4); `jitter_px` shifts the picture for antialiasing."""
        view = np.eye(4)
        view[:3, :3] = self.axes() * [[1.0], [1.0], [-1.0]]
        view[:3, 3] = -view[:3, :3] @ np.array(self.position)
        clip = np.zeros((4, 4))
        clip[0, 0] = 2 * self.focal_px / WIDTH
        clip[1, 1] = 2 * self.focal_px / HEIGHT
        clip[0, 2] = -2 * jitter_px[0] / WIDTH
        clip[1, 2] = -2 * jitter_px[1] / HEIGHT
        clip[2, 2] = -(FAR_M + NEAR_M) / (FAR_M - NEAR_M)
        clip[2, 3] = -2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)
        clip[3, 2] = -1.0
        return np.asarray(clip @ view)


def sun_matrix(sun: Array, low: Array, high: Array) -> Array:
    """World -> the sun's view (orthographic) of the box `low`..`high`, shape (4, 4)."""
    right = np.cross([0.0, 1.0, 0.0], sun)
    right /= np.linalg.norm(right)
    rows = np.stack([right, np.cross(sun, right), sun])
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    seen = (low + corners * (high - low)) @ rows.T
    middle = (seen.min(0) + seen.max(0)) / 2
    scale = 2 / (np.ptp(seen, axis=0) + 0.2)
    scale[2] = -scale[2]  # nearer to the sun means smaller depth
    matrix = np.eye(4)
    matrix[:3, :3] = rows * scale[:, None]
    matrix[:3, 3] = -middle * scale
    return matrix
