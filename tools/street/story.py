"""Who is in the street, when and where: one parking offence among ordinary traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .cars import ESTATE, HATCH, SALOON, VAN, Model
from .mesh import Array

SECONDS = 65.0
STRIDE_M = 1.42
"""Two steps of a walker."""
Shape = tuple[tuple[float, float], ...]

STEADY: Shape = ((0, 1), (1, 1))
INTO_JUNCTION: Shape = ((0, 1), (0.4, 1), (0.7, 0.5), (1, 0.6))
OUT_OF_JUNCTION: Shape = ((0, 0.5), (0.3, 0.5), (0.55, 1), (1, 1))
BRAKE: Shape = ((0, 1), (0.4, 1), (1, 0))
CREEP: Shape = ((0, 0), (0.25, 1), (0.6, 0.9), (1, 0))
PULL_OUT: Shape = ((0, 0), (0.45, 1), (0.62, 1), (0.8, 0.75), (1, 1))


@dataclass(frozen=True)
class Pose:
    """Where an object stands and where it looks (unit vector), metres."""

    x: float
    y: float
    ahead: tuple[float, float]
    travelled: float
    speed: float
    accelerating: float


class Leg:
    """A way through the street between two times; `shape` says how the speed varies."""

    def __init__(
        self,
        times: tuple[float, float],
        corners: Sequence[tuple[float, float]],
        shape: Shape = STEADY,
        is_reversing: bool = False,
        round_m: float = 1.5,
    ) -> None:
        self.begin_s, self.end_s = times
        self.is_reversing = is_reversing
        points = np.array(corners, float)
        step = np.linalg.norm(np.diff(points, axis=0), axis=1)
        far = np.cumsum([0, *step])
        dense = np.arange(0, far[-1], 0.05)
        line = np.stack([np.interp(dense, far, points[:, i]) for i in (0, 1)], axis=1)
        self._line = _rounded(line, int(round_m / 0.05))
        self._far = np.cumsum([0, *np.linalg.norm(np.diff(self._line, axis=0), axis=1)])
        tick = np.linspace(0, 1, 2001)
        speed = np.interp(tick, [s[0] for s in shape], [s[1] for s in shape])
        gone = np.cumsum([0, *((speed[1:] + speed[:-1]) / 2)])
        self._tick, self._gone = tick, gone / gone[-1] * self._far[-1]

    def at(self, t_s: float) -> Pose:
        """The pose at a time, held at the ends."""
        share = (t_s - self.begin_s) / (self.end_s - self.begin_s)
        span = 0.1 / (self.end_s - self.begin_s)
        gone = np.interp([share - span, share, share + span], self._tick, self._gone)
        ways = np.interp([gone[1] - 0.1, gone[1] + 0.1], self._far, np.arange(len(self._far)))
        ends = [self._point(way) for way in ways]
        ahead = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
        x, y = self._point(float(np.interp(gone[1], self._far, np.arange(len(self._far)))))
        sign = -1.0 if self.is_reversing else 1.0
        before, after = (gone[1] - gone[0]) / 0.1, (gone[2] - gone[1]) / 0.1
        towards = (float(ahead[0]) * sign, float(ahead[1]) * sign)
        return Pose(float(x), float(y), towards, gone[1] * sign, (before + after) / 2,
                    (after - before) / 0.1)  # fmt: skip

    def _point(self, way: float) -> Array:
        low = min(int(way), len(self._line) - 2)
        part = way - low
        return np.asarray(self._line[low] * (1 - part) + self._line[low + 1] * part)


def _rounded(line: Array, width: int) -> Array:
    """The line with its corners rounded over `width` samples; the ends stay."""
    before = 2 * line[0] - line[width:0:-1]
    after = 2 * line[-1] - line[-2 : -width - 2 : -1]
    wide = np.concatenate([before, line, after])
    weight = np.hanning(2 * width + 3)[1:-1]
    weight /= weight.sum()
    return np.stack([np.convolve(wide[:, i], weight, "valid") for i in (0, 1)], axis=1)


@dataclass(frozen=True)
class Actor:
    """A vehicle (with model, paint and plate), a thing, or, without a model or a size, a person."""

    name: str
    legs: tuple[Leg, ...]
    paint: tuple[float, float, float]
    model: Model | None = None
    plate: str = ""
    trousers: tuple[float, float, float] = (0.03, 0.035, 0.06)
    helmet: tuple[float, float, float] | None = None
    """Colour of a hard hat."""
    size: tuple[float, float, float] | None = None
    """Of a thing, metres: across, along, high."""
    is_riding: bool = False
    """A person on a bicycle."""

    def pose(self, t_s: float) -> Pose | None:
        """The pose, or None before the first and after the last leg."""
        if t_s < self.legs[0].begin_s or t_s > self.legs[-1].end_s:
            return None
        leg = [leg for leg in self.legs if leg.begin_s <= t_s][-1]
        return leg.at(t_s)

    def lamps(self, t_s: float) -> tuple[float, float, float, float]:
        """Brake, reverse, indicator (sign = side) and head lamps, 0 to 1."""
        number = max(i for i, leg in enumerate(self.legs) if leg.begin_s <= t_s)
        leg, pose = self.legs[number], self.legs[number].at(t_s)
        is_through = len(self.legs) == 1
        is_leaving = not is_through and number == len(self.legs) - 1
        halted_s = t_s - leg.end_s  # above 0: standing until the next leg
        is_braking = pose.accelerating < -0.6 or 0 <= halted_s < 1.2
        is_signalling = t_s < leg.begin_s + 3 if is_leaving else halted_s < 1
        is_blink = is_signalling and not is_through and (t_s * 1.5) % 1 < 0.5
        return (
            float(is_braking),
            float(leg.is_reversing and halted_s < 0),
            (-1.0 if is_leaving else 1.0) * is_blink,
            0.5 if is_through else 0.0,
        )


_UP = ((-4.25, -9.0), (-4.25, 33.2), (-4.0, 37.0))
_DOWN = ((-7.55, 33.0), (-7.55, -6.0))
_TO_LEFT = (*_UP[:2], (-4.2, 40.6), (-18, 40.6))
_FROM_LEFT = ((-18, 37), (-7.9, 37.0), *_DOWN)
_FROM_RIGHT = ((13, 40.6), (-7.2, 40.6), *_DOWN)

OFFENDER = Actor(
    "offender",
    (
        Leg((2.3, 7.6), ((-4.2, -9), (-4.2, 10), (-3.75, 15), (-3.75, 20.2)), BRAKE),
        Leg((8.2, 12.0), ((-3.75, 20.2), (-3.75, 19.4), (-1.2, 14.4), (-1.2, 13.0)), CREEP, True),
        Leg(
            (45.0, 54.2),
            ((-1.2, 13.0), (-1.2, 14.0), (-4.1, 21.5), (-4.2, 33.2), (-4.0, 37.0), (9.0, 37.0)),
            PULL_OUT,
        ),
    ),
    (0.012, 0.032, 0.095),
    SALOON,
    "EA 417 KV",
)
SHORT_STOP = Actor(
    "short stop",
    (
        Leg((49.0, 54.4), ((-4.2, -9), (-4.2, 8), (-1.25, 16.5), (-1.25, 19.2)), BRAKE),
        Leg(
            (60.4, 66.4),
            ((-1.25, 19.2), (-1.25, 20), (-4.2, 27), (-4.2, 33.2), (-4, 37), (9, 37)),
            PULL_OUT,
        ),
    ),
    (0.33, 0.28, 0.21),
    HATCH,
    "EF 046 RB",
)
CROSSING_WALKER = Actor(
    "crossing walker",
    (
        Leg(
            (30.5, 53.0),
            ((-10.9, 16.5), (-10.9, 30.4), (1.5, 30.5), (1.7, 34.2), (7.5, 34.2)),
            round_m=0.6,
        ),
    ),
    (0.40, 0.06, 0.05),
)
LEFT_WALKER = Actor(
    "left walker",
    (Leg((13.0, 30.0), ((-15, 34.8), (-11.4, 34.2), (-11.3, 14.0)), round_m=0.6),),
    (0.05, 0.12, 0.16),
    trousers=(0.12, 0.10, 0.07),
)


def _passing(
    name: str, leg: Leg, what: tuple[Model, str], paint: tuple[float, float, float]
) -> Actor:
    return Actor(name, (leg,), paint, *what)


ACTORS = (
    OFFENDER,
    _passing("red hatchback", Leg((14.0, 22.0), _FROM_LEFT, OUT_OF_JUNCTION), (HATCH, "EC 280 LM"),
             (0.26, 0.014, 0.012)),
    _passing("delivery van", Leg((18.6, 26.6), (*_UP, (14, 37)), INTO_JUNCTION), (VAN, "EV 655 DH"),
             (0.50, 0.50, 0.485)),
    _passing("grey saloon", Leg((26.0, 34.0), _FROM_RIGHT, OUT_OF_JUNCTION), (SALOON, "EB 902 TN"),
             (0.20, 0.205, 0.21)),
    _passing("green estate", Leg((31.2, 39.2), _TO_LEFT, INTO_JUNCTION), (ESTATE, "ED 318 PA"),
             (0.03, 0.085, 0.05)),
    _passing("yellow hatchback", Leg((36.4, 44.4), _FROM_LEFT, OUT_OF_JUNCTION),
             (HATCH, "EA 771 SC"), (0.52, 0.27, 0.02)),
    SHORT_STOP,
    _passing("white saloon", Leg((55.0, 63.0), _FROM_LEFT, OUT_OF_JUNCTION), (SALOON, "EB 133 WG"),
             (0.46, 0.46, 0.45)),
    CROSSING_WALKER,
    LEFT_WALKER,
)  # fmt: skip
