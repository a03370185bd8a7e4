"""A walking person, built of tapering bars."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .cars import PLAIN
from .mesh import Array, Mesh, ellipsoid, joined, tube

Colour = tuple[float, float, float]


def _limb(joint: Array, angles: tuple[float, float], lengths: tuple[float, float]) -> list[Array]:
    """Joint, elbow or knee, and end of a limb that swings along y; angles in radians."""
    first = joint + lengths[0] * np.array([0, np.sin(angles[0]), -np.cos(angles[0])])
    second = first + lengths[1] * np.array([0, np.sin(angles[1]), -np.cos(angles[1])])
    return [joint, first, second]


def person(step: float, coat: Colour, trousers: Colour, helmet: Colour | None = None) -> Mesh:
    """The figure at `step` (radians, one stride = 2 pi), 1.75 m tall, walking towards +y."""
    skin, hair, shoe = (0.5, 0.3, 0.22), (0.05, 0.035, 0.03), (0.03, 0.03, 0.03)
    parts = [
        ellipsoid((0, 0.0, 1.24), (0.2, 0.125, 0.31), PLAIN, coat),
        ellipsoid((0, 0.0, 1.42), (0.23, 0.11, 0.1), PLAIN, coat),
        ellipsoid((0, 0.0, 0.96), (0.175, 0.12, 0.17), PLAIN, trousers),
        ellipsoid((0, 0.015, 1.64), (0.078, 0.095, 0.115), PLAIN, skin),
        ellipsoid((0, -0.02, 1.67), (0.085, 0.095, 0.1), PLAIN, hair),
        tube((0, 0, 1.45), (0, 0.01, 1.58), (0.055, 0.05), PLAIN, skin),
    ]
    if helmet is not None:
        parts += [
            ellipsoid((0, -0.01, 1.715), (0.135, 0.16, 0.125), PLAIN, helmet),
            ellipsoid((0, 0.05, 1.70), (0.13, 0.175, 0.02), PLAIN, helmet),
        ]
    for side in (-1, 1):
        swing = 0.48 * np.sin(step) * side
        knee = swing - 0.75 * max(0.0, np.cos(step) * side) ** 2
        hip, mid, foot = _limb(np.array([side * 0.09, 0, 0.93]), (swing, knee), (0.44, 0.42))
        parts += [
            tube(hip, mid, (0.092, 0.066), PLAIN, trousers),
            ellipsoid(mid, (0.066, 0.066, 0.066), PLAIN, trousers),
            tube(mid, foot, (0.064, 0.047), PLAIN, trousers),
            ellipsoid(foot + np.array([0, 0.06, -0.03]), (0.045, 0.125, 0.045), PLAIN, shoe),
        ]
        bend = -0.42 * np.sin(step) * side
        shoulder, elbow, hand = _limb(
            np.array([side * 0.23, 0, 1.43]), (bend, bend + 0.35), (0.29, 0.27)
        )
        parts += [
            tube(shoulder, elbow, (0.062, 0.05), PLAIN, coat),
            ellipsoid(elbow, (0.05, 0.05, 0.05), PLAIN, coat),
            tube(elbow, hand, (0.05, 0.038), PLAIN, coat),
            ellipsoid(hand, (0.04, 0.05, 0.06), PLAIN, skin),
        ]
    return joined(parts)


def cyclist(turn: float, coat: Colour, trousers: Colour) -> Mesh:
    """Somebody on a bicycle, riding towards +y; `turn` (radians) is where the pedals are."""
    steel, tyre = (0.25, 0.03, 0.03), (0.03, 0.03, 0.03)
    saddle, bars = np.array([0, -0.25, 0.95]), np.array([0, 0.42, 1.05])
    crank = np.array([0, -0.05, 0.3])
    parts = [
        tube((0, -0.52, 0.34), (0, -0.05, 0.3), (0.02, 0.02), PLAIN, steel),
        tube(crank, saddle, (0.02, 0.02), PLAIN, steel),
        tube(crank, (0, 0.4, 0.85), (0.022, 0.022), PLAIN, steel),
        tube(saddle, (0, 0.4, 0.85), (0.02, 0.02), PLAIN, steel),
        tube((0, 0.55, 0.34), bars, (0.02, 0.02), PLAIN, steel),
        tube((-0.28, 0.4, 1.05), (0.28, 0.4, 1.05), (0.018, 0.018), PLAIN, tyre),
        ellipsoid((0, -0.25, 0.97), (0.08, 0.14, 0.04), PLAIN, tyre),
    ]
    for hub in (-0.52, 0.55):
        rim = [
            np.array([0, hub + 0.33 * np.cos(a), 0.34 + 0.33 * np.sin(a)])
            for a in np.linspace(0, 2 * np.pi, 17)
        ]
        parts += [tube(a, b, (0.022, 0.022), PLAIN, tyre) for a, b in pairwise(rim)]
    body = person(np.pi / 2, coat, trousers)
    high = body.vertices[:, 2] > 0.9
    torso = body.vertices.copy()
    torso[:, 1] += 0.25 * np.maximum(torso[:, 2] - 0.95, 0) - 0.2
    torso[:, 2] += 0.08
    whole = np.all(high[body.triangles], axis=1)
    parts.append(Mesh(torso, body.triangles[whole]))
    for side in (-1, 1):
        pedal = crank + 0.17 * np.array([0, np.cos(turn) * side, np.sin(turn) * side])
        pedal[0] = side * 0.1
        knee = (saddle + pedal) / 2 + np.array([side * 0.08, 0.28, 0.1])
        hip = saddle + np.array([side * 0.09, 0, 0.02])
        parts += [
            tube(hip, knee, (0.09, 0.065), PLAIN, trousers),
            tube(knee, pedal, (0.064, 0.047), PLAIN, trousers),
            tube((side * 0.2, 0.0, 1.45), (side * 0.26, 0.4, 1.07), (0.055, 0.04), PLAIN, coat),
        ]
    return joined(parts)
