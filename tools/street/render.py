"""The renderer: still street once, moving objects every frame, then a camera's picture."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray

from .camera import HEIGHT, WIDTH, Camera, sun_matrix
from .cars import PLAIN, body, fittings, wheel
from .figure import cyclist, person
from .lettering import PLATE_PX, SIGN_PX, plate, shop_signs
from .mesh import Array, Mesh, box
from .scene import SUN, ZONE_X, ZONE_Y, street
from .story import ACTORS, STRIDE_M, Actor, Pose

SIZE = (WIDTH, HEIGHT)
Shape = moderngl.VertexArray
Value = bytes | float | tuple[float, ...]
MAX_FOOTPRINTS = 12


def model_matrix(pose: Pose) -> Array:
    """Object -> world, shape (4, 4); the object looks along its own +y."""
    ahead_x, ahead_y = pose.ahead
    return np.array(
        [
            [ahead_y, ahead_x, 0, pose.x],
            [-ahead_x, ahead_y, 0, pose.y],
            [0, 0, 1, 0],
            [0, 0, 0, 1],
        ]
    )


def _raw(matrix: Array) -> bytes:
    return matrix.T.astype("f4").tobytes()


class Renderer:
    """Draws frames of the story; needs OpenGL 3.3 (a software one will do)."""

    def __init__(self, seed: int, passes: int = 16, actors: Sequence[Actor] = ACTORS) -> None:
        settings: Any = {"standalone": True, "backend": "egl"}
        self._gl = moderngl.create_context(**settings)
        self._gl.gc_mode = "auto"
        self._actors = actors
        self._camera = Camera()
        self._sources = resources.files(__package__) / "shaders"
        self._street = self._program("object.vert", "street.frag")
        self._actor = self._program("object.vert", "actor.frag")
        self._ground = self._program("screen.vert", "ground.frag")
        self._develop = self._program("screen.vert", "develop.frag")
        self._shade = self._gl.program(
            self._text("shadow.vert"), fragment_shader=self._text("shadow.frag")
        )
        self._moving, self._moving_depth = self._shadow_map(2048)
        self._sun = sun_matrix(SUN, np.array([-19, 6, 0.0]), np.array([8, 44, 2.4]))
        self._targets()
        self._stills(seed, passes)
        self._casts: dict[str, list[tuple[Shape, Shape]]] = {}
        self._load_actors()

    def _text(self, name: str) -> str:
        return (self._sources / name).read_text(encoding="utf-8")

    def _program(self, vertex: str, fragment: str) -> moderngl.Program:
        head = "#version 330\n" + self._text("common.glsl")
        return self._gl.program(self._text(vertex), fragment_shader=head + self._text(fragment))

    def _shadow_map(self, size: int) -> tuple[moderngl.Framebuffer, moderngl.Texture]:
        depth = self._gl.depth_texture((size, size))
        depth.compare_func = "<="
        depth.repeat_x = depth.repeat_y = False
        return self._gl.framebuffer(depth_attachment=depth), depth

    def _targets(self) -> None:
        gl = self._gl
        self._many = gl.framebuffer(
            [gl.renderbuffer(SIZE, 4, samples=4, dtype="f2")],
            gl.depth_renderbuffer(SIZE, samples=4),
        )
        self._light = gl.texture(SIZE, 4, dtype="f2")
        self._single = gl.framebuffer([self._light])
        self._picture = gl.framebuffer([gl.texture(SIZE, 4)])
        corners = gl.buffer(np.array([-1, -1, 3, -1, -1, 3], "f4").tobytes())
        self._ground_vao = gl.vertex_array(self._ground, [(corners, "2f", "in_position")])
        self._develop_vao = gl.vertex_array(self._develop, [(corners, "2f", "in_position")])

    def _upload(self, mesh: Mesh, program: moderngl.Program) -> tuple[Shape, Shape]:
        """Vertex arrays for the picture and for the shadow map."""
        vertices = self._gl.buffer(mesh.vertices.astype("f4").tobytes())
        triangles = self._gl.buffer(mesh.triangles.astype("i4").tobytes())
        names = ("in_position", "in_normal", "in_part", "in_extra")
        full = self._gl.vertex_array(program, [(vertices, "3f 3f 1f 3f", *names)], triangles)
        shadow = self._gl.vertex_array(
            self._shade, [(vertices, "3f 28x", "in_position")], triangles
        )
        return full, shadow

    def _textures(
        self, pictures: NDArray[np.uint8], size: tuple[int, int]
    ) -> moderngl.TextureArray:
        array = self._gl.texture_array((*size, len(pictures)), 3, pictures.tobytes())
        array.build_mipmaps()
        array.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        array.anisotropy = 8.0
        array.repeat_x = array.repeat_y = False
        return array

    def _put(self, program: moderngl.Program, **values: Value) -> None:
        """Sets uniforms; those that the compiler found unused are left out."""
        for name, value in values.items():
            uniform = program.get(name, None)
            if isinstance(uniform, moderngl.Uniform):
                if isinstance(value, bytes):
                    uniform.write(value)
                else:
                    uniform.value = value

    def _stills(self, seed: int, passes: int) -> None:
        """Renders what never moves, `passes` times with shifted pixels, into three textures."""
        gl, camera = self._gl, self._camera
        mesh = street(seed)
        full, shadow = self._upload(mesh, self._street)
        from_sun = sun_matrix(SUN, np.array([-30, 0, 0.0]), np.array([12, 50, 10.5]))
        static_map, static_depth = self._shadow_map(4096)
        self._cast_shadows(static_map, from_sun, [(shadow, np.eye(4))])
        targets = [gl.texture(SIZE, 4, dtype="f4") for _ in range(3)]
        screen = gl.framebuffer(targets, gl.depth_renderbuffer(SIZE))
        static_depth.use(0)
        signs = self._textures(shop_signs(), SIGN_PX)
        signs.use(1)
        self._put(
            self._street, static_map=0, signs=1, from_sun=_raw(from_sun), model=_raw(np.eye(4)),
            sun_dir=tuple(SUN), eye=camera.position, zone=(*ZONE_X, *ZONE_Y),
        )  # fmt: skip
        sums = [np.zeros((HEIGHT, WIDTH, 4), np.float64) for _ in range(2)]
        gl.enable(moderngl.DEPTH_TEST)
        for i in range(passes + 1):  # the last one, unshifted, says where everything is
            shift = ((i * 0.7549) % 1 - 0.5, (i * 0.5698) % 1 - 0.5) if i < passes else (0.0, 0.0)
            screen.use()
            screen.clear(0.5, 0.55, 0.6, 0.0)
            self._put(self._street, to_clip=_raw(camera.matrix(shift)))
            full.render()
            if i < passes:
                for k, target in enumerate(targets[:2]):
                    sums[k] += np.frombuffer(target.read(), "f4").reshape(HEIGHT, WIDTH, 4)
        self._ambient, self._sunlight = (
            gl.texture(SIZE, 4, (total / passes).astype("f4").tobytes(), dtype="f4")
            for total in sums
        )
        self._place = targets[2]
        for texture in (self._ambient, self._sunlight, self._place):
            texture.filter = (moderngl.NEAREST, moderngl.NEAREST)

    def _load_actors(self) -> None:
        cars = [actor for actor in self._actors if actor.model]
        if not cars:
            self._plates = self._textures(np.stack([plate("EA 100")]), PLATE_PX)
            return
        self._plates = self._textures(np.stack([plate(a.plate) for a in cars]), PLATE_PX)
        for layer, actor in enumerate(cars):
            assert actor.model
            shells = (body(actor.model), fittings(actor.model, layer), wheel(actor.model))
            self._casts[actor.name] = [self._upload(m, self._actor) for m in shells]

    def _cast_shadows(
        self, target: moderngl.Framebuffer, from_sun: Array, things: list[tuple[Shape, Array]]
    ) -> None:
        target.use()
        target.clear(depth=1.0)
        self._gl.enable(moderngl.DEPTH_TEST)
        for shadow, matrix in things:
            self._put(self._shade, to_clip=_raw(from_sun), model=_raw(matrix))
            shadow.render()

    def _wheels(self, actor: Actor, pose: Pose) -> list[Array]:
        model = actor.model
        assert model
        spin = -pose.travelled / model.wheel_radius
        turn = np.eye(4)
        turn[1:3, 1:3] = [[np.cos(spin), -np.sin(spin)], [np.sin(spin), np.cos(spin)]]
        places = []
        for axle in model.axles:
            for side in (-1.0, 1.0):
                at = np.eye(4)
                at[:3, 3] = (side * (model.half_width - 0.115), axle, model.wheel_radius)
                at[0, 0] = side
                places.append(model_matrix(pose) @ at @ turn)
        return places

    def _things(self, actor: Actor, pose: Pose) -> list[tuple[Shape, Shape, Array]]:
        """Every mesh of an actor with its place: (picture, shadow, matrix)."""
        matrix = model_matrix(pose)
        if actor.size is not None:
            across, along, high = actor.size
            low = (-across / 2, -along / 2, 0.0)
            mesh = box(low, (across / 2, along / 2, high), PLAIN, actor.paint)
            return [(*self._upload(mesh, self._actor), matrix)]
        if actor.model is None:
            step = 2 * np.pi * pose.travelled / STRIDE_M
            if actor.is_riding:
                mesh = cyclist(step / 2, actor.paint, actor.trousers)
                return [(*self._upload(mesh, self._actor), matrix)]
            mesh = person(step, actor.paint, actor.trousers, actor.helmet)
            matrix[2, 3] = 0.13 if pose.x > 0 or pose.x < -9.2 else 0.0
            matrix[2, 3] += 0.03 * abs(np.cos(step)) - 0.02
            return [(*self._upload(mesh, self._actor), matrix)]
        shell, fitting, rim = self._casts[actor.name]
        spots = self._wheels(actor, pose)
        return [(*shell, matrix), (*fitting, matrix), *((*rim, spot) for spot in spots)]

    def frame(self, t_s: float, exposure: float = 0.82) -> NDArray[np.uint8]:
        """The noise-free picture at a time of the story, (H, W, 3) RGB."""
        gl = self._gl
        cast = [(a, p) for a in self._actors if (p := a.pose(t_s))]
        drawn = [(a, self._things(a, p)) for a, p in cast]
        self._cast_shadows(self._moving, self._sun, [(s, m) for _, ts in drawn for _, s, m in ts])
        self._draw_ground(cast)
        self._draw_actors(drawn, t_s)
        gl.copy_framebuffer(self._single, self._many)
        self._picture.use()
        gl.disable(moderngl.DEPTH_TEST)
        self._light.use(0)
        self._put(self._develop, light=0, exposure=exposure, pixel=(1 / WIDTH, 1 / HEIGHT))
        self._develop_vao.render()
        return np.frombuffer(self._picture.read(components=3), np.uint8).reshape(HEIGHT, WIDTH, 3)

    def _draw_ground(self, cast: list[tuple[Actor, Pose]]) -> None:
        feet = np.zeros((MAX_FOOTPRINTS, 4), "f4")
        sizes = np.zeros((MAX_FOOTPRINTS, 4), "f4")
        for i, (actor, pose) in enumerate(cast[:MAX_FOOTPRINTS]):
            feet[i] = (pose.x, pose.y, pose.ahead[1], -pose.ahead[0])
            sizes[i] = (0.15, 0.2, 0.3, 0.6)
            if actor.model:
                sizes[i] = (actor.model.half_width - 0.05, actor.model.length / 2 - 0.1, 0.45, 1.0)
        self._many.use()
        self._many.clear()
        self._gl.enable(moderngl.DEPTH_TEST)
        for unit, texture in enumerate((self._ambient, self._sunlight, self._place)):
            texture.use(unit)
        self._moving_depth.use(3)
        self._put(
            self._ground, ambient_map=0, sun_map=1, place_map=2, moving_map=3, count=len(cast),
            from_sun=_raw(self._sun), to_clip=_raw(self._camera.matrix()),
            footprints=feet.tobytes(), sizes=sizes.tobytes(),
        )  # fmt: skip
        self._ground_vao.render()

    def _draw_actors(
        self, drawn: list[tuple[Actor, list[tuple[Shape, Shape, Array]]]], t_s: float
    ) -> None:
        self._plates.use(0)
        self._put(
            self._actor, plates=0, moving_map=3, from_sun=_raw(self._sun), sun_dir=tuple(SUN),
            eye=self._camera.position, to_clip=_raw(self._camera.matrix()),
        )  # fmt: skip
        for actor, things in drawn:
            if actor.model:
                self._put(self._actor, **_appearance(actor, t_s))
            for full, _, matrix in things:
                self._put(self._actor, model=_raw(matrix))
                full.render()


def _appearance(actor: Actor, t_s: float) -> dict[str, Value]:
    model = actor.model
    assert model
    return {
        "paint": actor.paint,
        "dims": (model.length / 2, model.half_width, model.belt, model.wheel_radius),
        "axles": (*model.axles, *model.lamp),
        "panes": (*model.pillars, model.outline[6][1]),
        "rear_glass": model.rear_glass,
        "lamps": actor.lamps(t_s),
    }
