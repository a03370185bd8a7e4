"""Emergency vehicles by their flashing lights: advice to people and signals, never a command."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edge_agent import config
from edge_agent.analyzers.view import Happening, View, expand_classes, rule_name
from edge_agent.types import Box, Event, Frame, Scene, Track

Floats = NDArray[np.float64]

Shares = tuple[float, ...]
"""Colour by colour: shares of the left and right half of a vehicle's upper part that shine."""

Colour = Literal["blue", "red"]

LOOK_WIDTH = 640
"""px; at this width of the picture vehicles are looked at."""
UPPER = 0.4
"""The upper part of the box, where beacons are, and indicators and brake lights are not."""
LEAST_PX = 32
"""A vehicle narrower than this in the reduced picture shows no beacon."""
ENOUGH_PX = 48
"""So many pixels across a vehicle show one as well as more would: of a wider one some are left
out."""
HZ: Final = (1.0, 5.0)
"""Beacons flash at 2 to 4 Hz (UN ECE R65), in the United States at 1 to 4 Hz (SAE J845)."""
WINDOW_S = 3.0
"""Rhythm is looked for in so much time ..."""
LEAST_S = 2.0
"""... or, while no more has been seen, in this ..."""
DARK_S = 0.079
"""Pause between two looks at a vehicle on which nothing has shone of late: enough to notice the
first flash, after which every picture counts. A little less than at 12.5 pictures a second."""
JUDGE_S = 0.2
"""Pause between two judgements of one vehicle: seconds of looks hardly change in less."""
PERIODS = 3.0
"""... that has so many flashes."""
LEAST_FPS = 10.0
"""Twice the fastest flashing (Nyquist); nothing is concluded from fewer looks a second."""
RHYTHM = 0.6
"""Autocorrelation after a period, at least; half a period earlier it is lower by as much."""
NEARLY = 0.85
"""The shortest period counts that is so nearly as good as the best one."""
CONTRAST = 0.004
"""By so much of the upper part of the box at least does the shining share change."""
DEPTH = 0.5
"""(on - off) / (on + off): what shines all the time, as red paint does, is no lamp."""
GONE_S = 3.0
"""Without flashing for longer than this, it has ended."""
HUES: Final[dict[Colour, tuple[tuple[int, int], ...]]] = {
    "blue": ((100, 130),),
    "red": ((0, 6), (174, 180)),
}
"""Of OpenCV, 0..180; amber, as indicators are, lies at 10..25."""
SATURATION, VALUE = 120, 150
"""Of 255: what shines in a colour is saturated and bright at once."""
SHINES = np.array((0, SATURATION, VALUE)), np.array((180, 255, 255))
"""Least and greatest hue, saturation and value."""


@dataclass(slots=True)
class _Watched:
    """What one vehicle's upper part has shown."""

    track: Track
    looks: deque[tuple[float, Shares]] = field(default_factory=deque)
    """Media time, and what shines (`_shining`)."""
    shone_s: float = -np.inf
    """When enough shone last to be a lamp."""
    judged_s: float = -np.inf
    flashed_s: float = 0.0
    happening: Happening | None = None

    def is_resting(self, t_s: float) -> bool:
        """True while it is dark and was looked at a moment ago."""
        is_dark = t_s - self.shone_s > WINDOW_S
        return is_dark and bool(self.looks) and t_s - self.looks[-1][0] < DARK_S


@dataclass(frozen=True, slots=True)
class _Flashing:
    """A rhythm that was found."""

    colour: Colour
    hz: float
    strength: float
    """Autocorrelation at the period, 0..1."""


class EmergencyVehicle:
    """`flow.emergency_vehicle`, advisory: begin when blue or red lights flash, end when they stop.

    Nothing is concluded below ten looks a second, nor of vehicles that are small in the picture,
    nor in a camera whose exposure hides the lamps. It knows neither sirens nor liveries.
    """

    kind = "flow.emergency_vehicle"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        zone: str | None = None
        """The whole picture when absent."""
        colours: Annotated[tuple[Colour, ...], Field(min_length=1)] = ("blue", "red")
        """Lights that are looked for."""
        classes: tuple[str, ...] = ("vehicle",)

    def __init__(self, settings: Settings, view: View) -> None:
        self._settings = settings
        self._name = rule_name(self.kind, settings.zone or "picture", settings)
        self._zone = view.zones[settings.zone] if settings.zone else None
        self._classes = expand_classes(settings.classes)
        self._watched: dict[int, _Watched] = {}

    def update(self, scene: Scene) -> Iterable[Event]:
        for track in scene.ended:
            if watched := self._watched.pop(track.id, None):
                yield from self._end(watched, scene, "left")
        for watched in self._look(scene):
            is_due = scene.frame.t_s - watched.judged_s >= JUDGE_S
            if is_due and scene.frame.t_s - watched.shone_s <= WINDOW_S:
                yield from self._judge(watched, scene)
        for watched in self._watched.values():
            if watched.happening and scene.frame.t_s - watched.flashed_s > GONE_S:
                yield from self._end(watched, scene, "lights off")

    def finish(self, scene: Scene) -> Iterable[Event]:
        for watched in self._watched.values():
            yield from self._end(watched, scene, "recording_ended")
        self._watched.clear()

    def _is_candidate(self, track: Track, scene: Scene) -> bool:
        frame = scene.frame
        if track.cls not in self._classes or track.last_s != frame.t_s:
            return False
        if track.box.width * min(1.0, LOOK_WIDTH / frame.width) < LEAST_PX:
            return False
        return self._zone is None or self._zone.contains(track.box.foot, frame.width, frame.height)

    def _look(self, scene: Scene) -> Iterator[_Watched]:
        frame = scene.frame
        for track in scene.tracks:
            if not self._is_candidate(track, scene):
                continue
            watched = self._watched.get(track.id)
            if watched is None:
                watched = self._watched[track.id] = _Watched(track)
            watched.track = track
            if watched.is_resting(frame.t_s):
                continue
            shares = _shining(frame, track.box, self._settings.colours)
            watched.looks.append((frame.t_s, shares))
            if max(shares) >= CONTRAST:
                watched.shone_s = frame.t_s
            while frame.t_s - watched.looks[0][0] > WINDOW_S:
                watched.looks.popleft()
            yield watched

    def _judge(self, watched: _Watched, scene: Scene) -> Iterator[Event]:
        t_s = watched.judged_s = scene.frame.t_s
        flashing = _flashing(watched, self._settings.colours)
        if flashing is None:
            return
        watched.flashed_s = t_s
        if watched.happening is None:
            subject = f"{self._name}/{watched.track.id}@{t_s:.3f}"
            begin_s = watched.looks[0][0]
            watched.happening = Happening(self.kind, subject, begin_s, self._settings.zone)
            facts = {
                "advisory": True,
                "colour": flashing.colour,
                "flash_hz": round(flashing.hz, 2),
                "rhythm": round(flashing.strength, 3),
            }
            yield watched.happening.event(scene, "begin", watched.track, facts)

    def _end(self, watched: _Watched, scene: Scene, reason: str) -> Iterator[Event]:
        if watched.happening is not None:
            facts = {
                "advisory": True,
                "end_s": round(watched.flashed_s, 3),
                "end_reason": reason,
            }
            yield watched.happening.event(scene, "end", watched.track, facts)
        watched.happening = None


def _shining(frame: Frame, box: Box, colours: Sequence[Colour]) -> Shares:
    """What shines in the upper part of a box (px).

    Halves, because the lamps on either side often take turns.
    """
    x1, x2 = max(0, round(box.x1)), min(frame.width, round(box.x2))
    y1, y2 = max(0, round(box.y1)), min(frame.height, round(box.y1 + UPPER * box.height))
    nothing = (0.0, 0.0) * len(colours)
    step = max(1, frame.width // LOOK_WIDTH, (x2 - x1) // ENOUGH_PX)
    if x2 - x1 < 2 * step or y2 - y1 < step:
        return nothing
    part = frame.picture.sample((x1, y1, x2, y2), step)
    hsv = cv2.cvtColor(part, cv2.COLOR_BGR2HSV)
    shines = cv2.inRange(hsv, *SHINES)
    if not cv2.countNonZero(shines):
        return nothing
    middle = part.shape[1] // 2
    halves = slice(middle), slice(middle, None)
    hues = [np.bincount(hsv[:, at, 0][shines[:, at] > 0], minlength=256).tolist() for at in halves]
    return tuple(
        sum(sum(count[low : high + 1]) for low, high in HUES[colour]) / shines[:, at].size
        for colour in colours
        for count, at in zip(hues, halves, strict=True)
    )


def _flashing(watched: _Watched, colours: Sequence[Colour]) -> _Flashing | None:
    """The strongest rhythm of the latest looks, or None."""
    times, shares = zip(*watched.looks, strict=True)
    span_s = times[-1] - times[0]
    fps = (len(times) - 1) / max(span_s, 1e-9)
    if span_s < LEAST_S or fps < 0.99 * LEAST_FPS:
        return None
    found = []
    for i, series in enumerate(zip(*shares, strict=True)):
        if _is_lamp(series):
            even = np.interp(np.linspace(times[0], times[-1], len(times)), times, series)
            rhythm = _rhythm(even, fps)
            if rhythm is not None:
                found.append(_Flashing(colours[i // 2], *rhythm))
    return max(found, key=lambda each: each.strength, default=None)


def _is_lamp(shares: Sequence[float]) -> bool:
    """True for what shines and goes out, but for a tenth of the looks either way."""
    if max(shares) - min(shares) < CONTRAST:
        return False  # cheaper, and true of most
    ordered = sorted(shares)
    off, on = ordered[len(ordered) // 10], ordered[-1 - len(ordered) // 10]
    return on - off >= CONTRAST and on - off >= DEPTH * (on + off)


def _rhythm(signal: Floats, fps: float) -> tuple[float, float] | None:
    """Frequency in Hz and strength of a periodic signal, by its autocorrelation; or None."""
    x = signal - signal.mean()
    n = len(x)
    power = float(x @ x) / n
    longest = min(round(fps / HZ[0]), int((n - 1) / PERIODS))
    lagged = np.correlate(x, x, "full")[n - 1 : n + longest + 1]
    likeness = (lagged / np.arange(n, n - longest - 2, -1) / power).tolist()
    found: list[tuple[float, float]] = []
    for lag in range(max(2, round(fps / HZ[1])), longest + 1):
        here = likeness[lag]
        is_peak = here >= max(likeness[lag - 1], likeness[lag + 1])
        if is_peak and here >= RHYTHM and min(likeness[:lag]) <= here - RHYTHM:
            found.append((fps / lag, min(1.0, here)))
    # Every multiple of a period is one as well.
    best = max((strength for _, strength in found), default=0.0)
    return next((each for each in found if each[1] >= NEARLY * best), None)
