"""Vehicles: a body inflated from its side view, wheels, mirrors and number plates."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .mesh import Array, Mesh, box, ellipsoid, grid, joined, pictured_quad, tube

PAINT, WHEEL, PLATE, PLAIN, TRIM, SHELL = 0.0, 1.0, 2.0, 3.0, 4.0, 5.0
PLATE_SIZE_M = (0.56, 0.13)

Outline = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Model:
    """A vehicle type; `outline` is its side view (y, z) from the front underside over the roof.

    The fourteen outline points mean the same in every model: 2 nose, 3 bonnet edge, 4 and 5
    windscreen, 7 and 8 rear window, 9 boot edge, 10 tail, 11 bumper. The shader cuts windows out
    by these numbers.
    """

    outline: Outline
    half_width: float
    belt: float
    """Height of the window line, metres."""
    lean: float
    """How far the windows lean inwards, metres per metre."""
    axles: tuple[float, float]
    wheel_radius: float
    pillars: tuple[float, float, float]
    """y of the pillars between side windows, and the y behind which there is no glass."""
    lamp: tuple[float, float]
    """Lower and upper edge of the rear lamps."""
    plates: tuple[float, float]
    """Outline position of the front and the rear number plate."""
    rear_glass: tuple[float, float] = field(default=(7.12, 7.9))

    @property
    def length(self) -> float:
        """Bumper to bumper, metres."""
        return self.outline[2][0] - self.outline[11][0]


HATCH = Model(
    outline=(
        (1.5, 0.22), (1.9, 0.24), (2.03, 0.5), (1.88, 0.72), (1.02, 0.98), (0.22, 1.42),
        (-0.55, 1.5), (-1.5, 1.4), (-1.86, 1.02), (-1.95, 0.9), (-2.02, 0.62), (-2.06, 0.48),
        (-1.98, 0.24), (-1.5, 0.22),
    ),
    half_width=0.9, belt=0.93, lean=0.32, axles=(1.27, -1.27), wheel_radius=0.315,
    pillars=(-0.12, -1.02, -1.5), lamp=(0.74, 1.06), plates=(2.05, 9.7),
)  # fmt: skip
SALOON = Model(
    outline=(
        (1.75, 0.21), (2.2, 0.23), (2.32, 0.48), (2.18, 0.7), (1.15, 0.95), (0.28, 1.37),
        (-0.5, 1.44), (-1.1, 1.38), (-1.78, 1.02), (-2.2, 1.0), (-2.33, 0.66), (-2.36, 0.47),
        (-2.26, 0.24), (-1.8, 0.21),
    ),
    half_width=0.92, belt=0.92, lean=0.36, axles=(1.4, -1.4), wheel_radius=0.325,
    pillars=(-0.1, -0.98, -1.45), lamp=(0.72, 0.94), plates=(2.05, 9.6),
)  # fmt: skip
ESTATE = Model(
    outline=(
        (1.6, 0.26), (2.1, 0.28), (2.22, 0.56), (2.08, 0.86), (1.15, 1.08), (0.42, 1.56),
        (-0.4, 1.66), (-1.75, 1.6), (-2.1, 1.1), (-2.16, 0.98), (-2.2, 0.66), (-2.24, 0.52),
        (-2.14, 0.28), (-1.6, 0.26),
    ),
    half_width=0.94, belt=1.04, lean=0.28, axles=(1.36, -1.36), wheel_radius=0.345,
    pillars=(-0.05, -1.0, -1.78), lamp=(0.8, 1.14), plates=(2.05, 9.65),
)  # fmt: skip
VAN = Model(
    outline=(
        (2.1, 0.26), (2.5, 0.28), (2.62, 0.58), (2.5, 0.98), (1.98, 1.22), (1.2, 2.0),
        (0.7, 2.16), (-2.42, 2.18), (-2.54, 1.35), (-2.56, 1.2), (-2.58, 0.7), (-2.62, 0.5),
        (-2.55, 0.28), (-2.1, 0.26),
    ),
    half_width=0.98, belt=1.22, lean=0.1, axles=(1.65, -1.55), wheel_radius=0.34,
    pillars=(0.62, 0.6, 0.58), lamp=(0.72, 1.25), plates=(2.05, 9.75),
    rear_glass=(7.3, 7.92),
)  # fmt: skip


def _rounded_outline(model: Model) -> tuple[Array, Array]:
    """The closed side view, corners rounded (N, 2), and its outline position (N,)."""
    knots = np.array([*model.outline, model.outline[0]])
    step = np.linalg.norm(np.diff(knots, axis=0), axis=1)
    at = np.interp(np.linspace(0, step.sum(), 241), np.cumsum([0, *step]), np.arange(len(knots)))
    path = np.stack([np.interp(at, np.arange(len(knots)), knots[:, i]) for i in (0, 1)], axis=1)
    reach = np.arange(-10, 11)
    weight = np.exp(-0.5 * (reach / 2.6) ** 2)
    weight /= weight.sum()
    ring = np.concatenate([path[-11:-1], path, path[1:11]])
    smooth = np.stack([np.convolve(ring[:, i], weight, "valid") for i in (0, 1)], axis=1)
    return smooth, at


def _half_width(model: Model, y: Array, z: Array) -> Array:
    """How wide the body is at a point of the side view, metres from the middle."""
    to_end = np.clip((np.abs(y) - model.length / 2 + 0.9) / 0.9, 0, 1)
    wide = model.half_width * (1 - 0.11 * to_end**2.4)
    wide = wide - 0.05 * ((z - 0.55) / 0.5) ** 2 * (z < 0.55)
    wide = wide + 0.012 * np.exp(-(((z - model.belt + 0.16) / 0.05) ** 2))
    above = np.maximum(z - model.belt, 0)
    return np.asarray(wide - 0.02 * (above > 0) * np.minimum(above / 0.03, 1) - model.lean * above)


def body(model: Model) -> Mesh:
    """The painted shell; extras are outline position, place across (+-2 = flank), inset metres."""
    path, at = _rounded_outline(model)
    spine = np.stack([np.clip(path[:, 0], 0.3 - model.length / 2, model.length / 2 - 0.3)], 1)
    spine = np.concatenate([spine, np.full_like(spine, model.belt * 0.72)], axis=1)
    reach = np.linalg.norm(spine - path, axis=1)[:, None]
    radius = 0.11
    turn = radius * (1 - np.cos(np.linspace(0, np.pi / 2, 7)))
    inset = np.concatenate([np.minimum(turn, 1) + 0 * reach, 0 * reach], axis=1)[:, :7]
    rest = radius + (reach - radius) * np.linspace(0, 1, 9)[None, 1:]
    inset = np.minimum(np.concatenate([inset, rest], axis=1), reach)
    flank = path[:, None] + (spine - path)[:, None] * (inset / np.maximum(reach, 1e-6))[..., None]
    back = 1 - np.minimum(inset / radius, 1)
    wide = _half_width(model, flank[..., 0], flank[..., 1])
    wide = wide - radius * (1 - np.sqrt(np.maximum(1 - back**2, 0)))
    right = np.concatenate([wide[..., None], flank], axis=2)
    across = np.linspace(-1, 1, 17)
    tangent = np.gradient(path, axis=0)
    out = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    out = -out / np.linalg.norm(out, axis=1)[:, None]
    is_under = (at < 1) | (at > 12)
    crown = np.where(is_under, 0.0, np.interp(at, [0, 2, 4, 6, 8, 11, 13], _CROWN))
    bulge = crown[:, None] * (1 - across**2)
    top = np.zeros((len(path), 17, 3))
    top[..., 0] = across * wide[:, :1]
    top[..., 1:] = path[:, None] + out[:, None] * bulge[..., None]
    return _shell(right, top, at, inset)


_CROWN = [0.0, 0.1, 0.05, 0.03, 0.05, 0.1, 0.0]


def _shell(right: Array, top: Array, at: Array, inset: Array) -> Mesh:
    left = right * [-1, 1, 1]
    points = np.concatenate([left[:, :0:-1], top, right[:, 1:]], axis=1)
    deep = inset.shape[1] - 1
    extras = np.zeros_like(points)
    extras[..., 0] = at[:, None]
    extras[..., 1] = np.concatenate([np.full(deep, -2), np.linspace(-1, 1, 17), np.full(deep, 2)])
    extras[:, :deep, 2] = inset[:, :0:-1]
    extras[:, -deep:, 2] = inset[:, 1:]
    return grid(points.transpose(1, 0, 2), PAINT, extras.transpose(1, 0, 2))


def wheel(model: Model) -> Mesh:
    """One wheel facing +x; extras are radius share, angle and 0 rim or 1 tread."""
    r, width = model.wheel_radius, 0.2
    angle = np.linspace(0, 2 * np.pi, 33)
    shape = np.array([(0.0, 0.06), (0.3, 0.05), (0.62, 0.08), (0.7, 0.1), (0.95, 0.1), (1.0, 0.06),
                      (1.0, -0.1)])  # fmt: skip
    points = np.stack(
        [
            np.broadcast_to(shape[:, 1] * width / 0.2, (33, 7)),
            r * shape[:, 0] * np.cos(angle)[:, None],
            r * shape[:, 0] * np.sin(angle)[:, None],
        ],
        axis=2,
    )
    extras = np.zeros_like(points)
    extras[..., 0] = shape[:, 0]
    extras[..., 1] = angle[:, None]
    return grid(points.transpose(1, 0, 2)[::-1], WHEEL, extras.transpose(1, 0, 2)[::-1])


def _plate(model: Model, at: float, layer: float) -> Mesh:
    path, position = _rounded_outline(model)
    i = int(np.argmin(np.abs(position - at)))
    tangent = path[i + 2] - path[i - 2]
    out = np.array([0, tangent[1], -tangent[0]]) / np.linalg.norm(tangent)
    out[2] = 0.35 * out[2]  # plates hang nearly upright
    out /= np.linalg.norm(out)
    along = np.cross([0, 0, 1.0], out)
    along /= np.linalg.norm(along)
    up = np.cross(out, along)
    bulge = float(np.interp(at, [0, 2, 4, 6, 8, 11, 13], _CROWN))
    centre = np.array([0, *path[i]]) + out * (bulge + 0.03)
    width, height = PLATE_SIZE_M
    corner = centre - along * width / 2 - up * height / 2
    frame = box([-0.5, -0.5, -0.5], [0.5, 0.5, 0.5], TRIM, (0.02, 0.02, 0.02))
    size = np.stack([along * (width + 0.03), out * 0.02, up * (height + 0.03)], axis=1)
    return joined(
        [
            pictured_quad(corner, along * width, up * height, PLATE, layer),
            frame.turned(size).moved(centre - out * 0.014),
        ]
    )


def fittings(model: Model, layer: float) -> Mesh:
    """Mirrors, door handles, aerial, wiper and both number plates."""
    mirror_y = model.outline[4][0] - 0.28
    wide = float(_half_width(model, np.array(mirror_y), np.array(model.belt)))
    parts = [_plate(model, at, layer) for at in model.plates]
    for side in (-1, 1):
        at = (side * (wide + 0.09), mirror_y, model.belt + 0.07)
        foot = (side * (wide - 0.06), mirror_y, model.belt + 0.03)
        parts.append(ellipsoid(at, (0.095, 0.06, 0.068), SHELL, (1, 1, 1)))
        parts.append(tube(foot, at, (0.035, 0.03), TRIM, (0.03, 0.03, 0.03)))
        for y in (model.pillars[0] + 0.16, model.pillars[1] + 0.12):
            x = side * float(_half_width(model, np.array(y), np.array(model.belt - 0.1)))
            low, high = (x - 0.012, y, model.belt - 0.1), (x + 0.012, y + 0.17, model.belt - 0.07)
            parts.append(box(low, high, TRIM, (0.05, 0.05, 0.05)))
    roof = model.outline[7]
    aerial = ellipsoid((0, roof[0] + 0.2, roof[1] + 0.05), (0.02, 0.07, 0.045), TRIM, (0.02,) * 3)
    return joined([*parts, aerial])
