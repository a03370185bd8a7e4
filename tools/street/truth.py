"""Exact truth of the rendered street: boxes from the meshes, times from the story."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .camera import FPS, HEIGHT, WIDTH, Camera
from .cars import body
from .figure import person
from .mesh import Array
from .scene import LINE_X, LINE_Y, zone_polygon
from .story import ACTORS, OFFENDER, STRIDE_M, Actor, Pose

LINE_NAME, ZONE_NAME = "middle", "kerb"
SCREENS = ((3.2, 17.0, 32.0), (-12.6, 6.0, 34.0))
"""Walls that hide the cross street from the camera: x, first and last y, metres."""


class Bounds:
    """Boxes of actors in the picture, normalised to 0..1."""

    def __init__(self) -> None:
        self._camera = Camera()
        self._shells = {a.name: body(a.model).vertices[:, :3] for a in ACTORS if a.model}

    def box(self, actor: Actor, t_s: float) -> list[float] | None:
        """[x1, y1, x2, y2] of the part inside the picture; None while out of sight."""
        pose = actor.pose(t_s)
        if pose is None:
            return None
        shell = self._shells.get(actor.name)
        if shell is None:
            shell = person(
                2 * np.pi * pose.travelled / STRIDE_M, actor.paint, actor.trousers
            ).vertices[:, :3]
        world = _placed(shell, pose)
        pixels = self._camera.project(world[self._is_open(world)])
        if len(pixels) < len(shell) * 0.08:
            return None
        low = np.maximum(pixels.min(axis=0), 0) / (WIDTH, HEIGHT)
        high = np.minimum(pixels.max(axis=0), (WIDTH, HEIGHT)) / (WIDTH, HEIGHT)
        if np.any((high - low) * (WIDTH, HEIGHT) < 6):
            return None
        return [round(float(v), 4) for v in (*low, *high)]

    def _is_open(self, world: Array) -> NDArray[np.bool_]:
        """Which points no wall hides and that lie in front of the camera."""
        eye = np.array(self._camera.position)
        is_open = world[:, 1] > 2.0
        for x, first, last in SCREENS:
            share = (x - eye[0]) / (world[:, 0] - eye[0])
            y = eye[1] + share * (world[:, 1] - eye[1])
            is_open &= ~((share > 0) & (share < 1) & (y > first) & (y < last))
        return is_open

    def on_ground(self, points: Array) -> list[list[float]]:
        """World points in the picture, normalised and clipped to it."""
        pixels = self._camera.project(points) / (WIDTH, HEIGHT)
        return [[round(float(v), 4) for v in p] for p in np.clip(pixels, 0, 1)]


def _placed(points: Array, pose: Pose) -> Array:
    ahead = np.array(pose.ahead)
    side = np.array([ahead[1], -ahead[0]])
    floor = points[:, :1] * side + points[:, 1:2] * ahead + (pose.x, pose.y)
    return np.column_stack([floor, points[:, 2]])


def _crossings(bounds: Bounds, seconds: float, line: list[list[float]]) -> list[dict[str, Any]]:
    """When the middle of a vehicle's lower box edge passes the line, and which way."""
    (ax, ay), (bx, by) = line
    events = []
    for actor in (a for a in ACTORS if a.model):
        before: float | None = None
        for i in range(int(seconds * FPS)):
            box = bounds.box(actor, i / FPS)
            if box is None:
                continue
            x, y = (box[0] + box[2]) / 2, box[3]
            side = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
            if before is not None and side * before < 0 and ax < x < bx:
                way = "towards" if side > 0 else "away"
                events.append(_crossing(i / FPS, way, actor.plate))
            before = side
    return sorted(events, key=lambda e: float(e["begin_s"]))


def _crossing(t_s: float, way: str, plate: str) -> dict[str, Any]:
    return {"type": "flow.line_crossing", "begin_s": round(t_s, 2), "end_s": round(t_s, 2),
            "line": LINE_NAME, "direction": way, "plate": plate}  # fmt: skip


def _objects(bounds: Bounds, seconds: float) -> list[dict[str, Any]]:
    objects = []
    for actor in ACTORS:
        seen = [(t, bounds.box(actor, float(t))) for t in range(int(seconds) + 1) if t < seconds]
        boxes = [{"t_s": t, "box": box} for t, box in seen if box]
        if boxes:
            kind = "vehicle" if actor.model else "person"
            objects.append({"name": actor.name, "kind": kind, "plate": actor.plate, "boxes": boxes})
    return objects


def truth(seconds: float) -> dict[str, Any]:
    """The truth file's content for the first `seconds` of the story."""
    bounds = Bounds()
    line = bounds.on_ground(np.array([[x, LINE_Y, 0.0] for x in LINE_X]))
    begin_s, end_s = OFFENDER.legs[1].end_s, OFFENDER.legs[2].begin_s
    events = _crossings(bounds, seconds, line)
    if begin_s < seconds:
        events.insert(
            0,
            {"type": "parking.illegal", "begin_s": begin_s, "end_s": min(end_s, seconds),
             "box": bounds.box(OFFENDER, begin_s), "plate": OFFENDER.plate},
        )  # fmt: skip
    return {
        "video": "street.mp4",
        "fps": FPS,
        "width": WIDTH,
        "height": HEIGHT,
        "events": events,
        "ignore": [],
        "zones": {ZONE_NAME: bounds.on_ground(zone_polygon())},
        "lines": {
            LINE_NAME: {"a": line[0], "b": line[1], "to_right": "towards", "to_left": "away"}
        },
        "objects": _objects(bounds, seconds),
    }
