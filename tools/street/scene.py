"""What stands still: road, kerbs, pavements, shops, trees and lamp posts."""

from __future__ import annotations

import numpy as np

from .mesh import Array, Mesh, Vec, box, ellipsoid, grid, joined, pictured_quad, quad, tube

ROAD, SLABS, KERB, WALL, GLASS, LEAVES, CLOTH, SIGN, BARK, PLAIN = range(10, 20)

# The painted no-parking zone and the counting line, metres in the world.
ZONE_X, ZONE_Y = (-2.45, -0.1), (9.4, 22.6)
LINE_Y, LINE_X = 25.2, (-9.2, -0.3)
KERB_Z = 0.13
SUN = np.array([0.24, -0.42, 0.875]) / np.linalg.norm([0.24, -0.42, 0.875])
SIGNS = (
    "BAKERY", "BOOKS & MAPS", "PHARMACY", "CAFE LINDEN", "FLOWERS", "OPTICIAN", "HARDWARE",
    "TAILOR", "TEA HOUSE", "CYCLES", "MARKET", "PRINT SHOP",
)  # fmt: skip
NO_STOPPING = len(SIGNS)  # sign layer after the shop signs


def _pavement(side: float, kerb_x: float) -> Mesh:
    """Kerb stones round the corner into the cross street, and the slabs behind them."""
    turn = np.linspace(0, np.pi / 2, 13)
    arc = np.stack([3 - 3 * np.cos(turn), 32.2 + 3 * np.sin(turn)], axis=1)
    start = np.stack([np.zeros(33), np.linspace(0, 32, 33)], axis=1)
    path = np.concatenate([start, arc, [[12.0, 35.2], [40.0, 35.2]]])
    path = path * [side, 1] + [kerb_x, 0]
    step = np.gradient(path, axis=0)
    out = np.stack([step[:, 1], -step[:, 0]], axis=1) * side
    out /= np.linalg.norm(out, axis=1)[:, None]
    shape = [(0.0, -0.05), (0.0, 0.10), (0.03, KERB_Z), (0.18, KERB_Z)]
    strips = [np.column_stack([path + out * across, np.full(len(path), z)]) for across, z in shape]
    far = np.stack(
        [side * np.maximum(path[:, 0] * side, 8 + kerb_x * side), np.minimum(path[:, 1], 30)], 1
    )
    behind = np.column_stack([far, np.full(len(far), KERB_Z)])
    pieces = []
    for i in range(3):
        pieces.append(_flat_grid(strips[i], strips[i + 1], KERB, side))
    pieces.append(_flat_grid(strips[3], behind, SLABS, side))
    return joined(pieces)


def _flat_grid(first: Array, second: Array, part: float, side: float) -> Mesh:
    rows = np.stack([second, first] if side > 0 else [first, second], axis=1)
    return grid(rows, part, np.ones(3))


def _bay(width: float, dice: np.random.Generator, layer: int) -> Mesh:
    """One shop front, facing -y, from x = 0 to `width`."""
    frame = [(0.05, 0.05, 0.055), (0.22, 0.2, 0.18), (0.06, 0.12, 0.09), (0.2, 0.05, 0.04)][
        int(dice.integers(4))
    ]
    goods = dice.uniform(0.15, 0.75, 3)
    stone = (0.42, 0.39, 0.34)
    parts = [
        box((0, -0.12, 0), (0.35, 0.1, 3.5), PLAIN, stone),
        box((0.35, -0.05, 0), (width, 0.1, 0.5), PLAIN, frame),
        quad((0.35, 0.0, 0.5), (width - 0.35, 0, 0), (0, 0, 2.2), GLASS, goods),
        box((0.0, -0.16, 2.7), (width, 0.1, 3.3), PLAIN, frame),
        box((0.0, -0.24, 3.3), (width, 0.1, 3.42), PLAIN, stone),
        pictured_quad((0.5, -0.165, 2.74), (width - 1.0, 0, 0), (0, 0, 0.52), SIGN, layer),
    ]
    door = float(dice.choice([0.35, width - 1.4]))
    parts.append(box((door, -0.06, 0), (door + 1.05, 0.05, 2.35), PLAIN, frame))
    parts.append(quad((door + 0.14, -0.07, 0.3), (0.77, 0, 0), (0, 0, 1.9), GLASS, goods))
    for x in np.arange(0.35, width, 1.3):
        parts.append(box((x, -0.04, 0.5), (x + 0.06, 0.05, 2.7), PLAIN, frame))
    if dice.random() < 0.5:
        cloth = dice.choice([(0.42, 0.07, 0.05), (0.06, 0.2, 0.1), (0.55, 0.5, 0.42)])
        slope = quad((0.3, -1.25, 2.25), (width - 0.5, 0, 0), (0, 1.12, 0.5), CLOTH, cloth)
        flap = quad((0.3, -1.26, 2.05), (width - 0.5, 0, 0), (0, 0, 0.21), CLOTH, cloth)
        parts += [slope, flap]
    return joined(parts)


def _windows(width: float, wall: Vec) -> Mesh:
    parts = [quad((0, 0, 3.4), (width, 0, 0), (0, 0, 7.0), WALL, wall)]
    for x in np.arange(0.9, width - 1, 1.9):
        parts.append(box((x, -0.07, 4.1), (x + 1.1, 0, 4.2), PLAIN, (0.45, 0.43, 0.4)))
        parts.append(quad((x, -0.02, 4.2), (1.1, 0, 0), (0, 0, 1.7), GLASS, (0.3, 0.3, 0.3)))
    return joined(parts)


def _row(length: float, dice: np.random.Generator, first_sign: int) -> Mesh:
    """Shops side by side, facing -y."""
    walls = [(0.34, 0.15, 0.10), (0.52, 0.48, 0.40), (0.44, 0.34, 0.22), (0.46, 0.46, 0.45)]
    parts, x, number = [], 0.0, first_sign
    while x < length - 0.1:
        width = min(float(dice.uniform(3.8, 5.2)), length - x)
        width = length - x if length - x - width < 2.5 else width
        shop = joined([_bay(width, dice, number % len(SIGNS)), _windows(width, walls[number % 4])])
        parts.append(shop.moved((x, 0, KERB_Z)))
        x, number = x + width, number + 1
    return joined(parts)


def _quarter_turn(mesh: Mesh, sign: float) -> Mesh:
    return mesh.turned(np.array([[0, -sign, 0], [sign, 0, 0], [0, 0, 1.0]]))


def _buildings(dice: np.random.Generator) -> Mesh:
    wall = (0.44, 0.34, 0.22)
    return joined(
        [
            _quarter_turn(_row(28.0, dice, 0), 1).moved((-12.6, 6.0, 0)),
            quad((-13.2, 34.0, 0), (-30, 0, 0), (0, 0, 9), WALL, wall),
            _quarter_turn(_row(15.0, dice, 5), -1).moved((3.2, 32.0, 0)),
            box((3.22, 17, 0), (9, 32, 9.5), WALL, (0.34, 0.15, 0.10)),
            _row(70.0, dice, 3).moved((-42, 45.2, 0)),
        ]
    )


def _tree(foot: tuple[float, float], dice: np.random.Generator) -> Mesh:
    x, y = foot
    pit = box(
        (x - 0.55, y - 0.55, 0), (x + 0.55, y + 0.55, KERB_Z + 0.01), BARK, (0.06, 0.045, 0.03)
    )
    bark = (0.12, 0.09, 0.065)
    parts = [pit, tube((x, y, 0.1), (x + 0.06, y, 3.2), (0.15, 0.1), BARK, bark)]
    for angle in np.linspace(0.4, 6.0, 5):
        tip = (x + 1.1 * np.cos(angle), y + 1.1 * np.sin(angle), 4.6)
        parts.append(tube((x + 0.06, y, 2.6 + 0.1 * angle), tip, (0.07, 0.03), BARK, bark))
    for _ in range(1100):
        way = dice.normal(size=3)
        way *= dice.uniform(0.45, 1.0) ** 0.4 / np.linalg.norm(way)
        at = np.array([x, y, 4.5]) + way * [1.75, 1.75, 1.55]
        a, b = dice.normal(size=3), dice.normal(size=3)
        a, b = 0.13 * a / np.linalg.norm(a), 0.13 * b / np.linalg.norm(b)
        parts.append(quad(at, a, b, LEAVES))
    return joined(parts)


def _street_furniture() -> Mesh:
    steel, green = (0.16, 0.17, 0.17), (0.03, 0.07, 0.05)
    parts = []
    for x, y in ((-10.0, 24.2), (0.75, 27.5)):
        parts.append(tube((x, y, 0), (x, y, 1.1), (0.1, 0.09), PLAIN, steel))
        parts.append(tube((x, y, 1.1), (x, y, 7.5), (0.065, 0.05), PLAIN, steel))
    for y in (16.5, 19.7, 28.6, 32.4):
        parts.append(tube((-9.75, y, 0), (-9.75, y, 1.0), (0.06, 0.06), PLAIN, green))
        parts.append(ellipsoid((-9.75, y, 1.0), (0.075, 0.075, 0.075), PLAIN, green))
    parts.append(tube((0.42, 22.9, 0), (0.42, 22.9, 2.75), (0.03, 0.03), PLAIN, steel))
    parts.append(pictured_quad((0.14, 22.86, 2.02), (0.56, 0, 0), (0, 0, 0.7), SIGN, NO_STOPPING))
    parts.append(box((-11.9, 26.0, 0.12), (-11.45, 26.5, 1.05), PLAIN, green))
    parts.append(box((0.55, 24.6, 0.12), (0.95, 25.0, 1.0), PLAIN, green))
    for y in (20.6, 21.0, 21.4):
        parts.append(box((-12.0, y, 0.55), (-11.65, y + 0.3, 0.6), PLAIN, (0.2, 0.12, 0.06)))
    return joined(parts)


def street(seed: int) -> Mesh:
    """The whole still street."""
    dice = np.random.default_rng(seed)
    grounds = [
        quad((-42, -2, 0), (72, 0, 0), (0, 46, 0), ROAD),
        box((-42, 42.4, -0.1), (30, 42.6, KERB_Z), KERB),
        quad((-42, 42.6, KERB_Z), (72, 0, 0), (0, 2.8, 0), SLABS),
        _pavement(1, 0.0),
        _pavement(-1, -9.2),
    ]
    trees = [_tree(foot, dice) for foot in ((1.75, 20.8), (-10.4, 21.6), (-10.4, 30.8))]
    return joined([*grounds, _buildings(dice), *trees, _street_furniture()])


def zone_polygon() -> Array:
    """Ground corners of the no-parking zone in the world, going round, shape (4, 3)."""
    (left, right), (near, far) = ZONE_X, ZONE_Y
    return np.array([[left, far, 0], [right, far, 0], [right, near, 0], [left, near, 0]], float)
