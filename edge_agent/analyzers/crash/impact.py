"""Did two vehicles collide? Mechanics of outlines in the picture, in own sizes and seconds.

The unit is the size of the vehicle (root of its box's area: 1.6 m for a car from the front, 2.6 m
from the side), so that no calibration is needed. A collision is a *contact*, outlines that meet
with a closing speed, with an *impulse*, a change of velocity sooner than brakes or steering can
bring about, after which the two do not go on through each other. Traffic that merely crosses in
the picture keeps its velocities; a queue has lost its closing speed before outlines meet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from edge_agent.analyzers.crash.trails import Sight, Trail, around, size_of
from edge_agent.geometry import Edges, edges_iou

WINDOW_S = 0.5
"""Velocities are measured over so long before and after; so much later it shows what happened."""
FEWEST = 3
LONGEST_S = 0.7
"""Or over so many sights, if they are not spread over longer."""
LEAST_S = 0.15
"""Shorter sights tell no velocity ..."""
KNOWN_S = 0.1
"""... while the other vehicle need not be known as well."""
BORDER = 0.01
"""Edges nearer than this share of the picture to its border are cut off."""
SEEN = 0.6
"""A vehicle must be seen in that share of the pictures; what flickers is mistaken for another."""
STEADY = 0.15
LEAP = 0.6
SLACK = 0.1
"""Sights may stray by so much of the way, and no step may be so much of it; and by so much of the
size: else one vehicle was taken for another, or a part for the whole."""
MEETS_S = 0.2
"""Outlines touch, or would within this time."""
MEETINGS_S = (-MEETS_S / 2, 0.0, MEETS_S / 2, MEETS_S)
TOUCH = 0.15
"""Outlines no farther apart than this, in sizes of the smaller, touch."""
LEVEL = 1.0
"""Vehicles whose feet differ by more than this, in sizes of the smaller, stand apart in depth."""
SAME = 0.6
"""IoU from which an outline afterwards shows a vehicle that went on as before."""

Vector = tuple[float, float]

Size = tuple[int, int]
"""Of the picture: width, height in px."""

Cut = tuple[bool, bool, bool, bool]
"""Which edges lie on the border of the picture."""

UNCUT: Cut = (False, False, False, False)


@dataclass(frozen=True, slots=True)
class Motion:
    """How a vehicle moved over a window."""

    sights: Sequence[Sight]
    edges: Edges
    """Velocity of each edge, px/s."""
    size_px: float
    cut: Cut

    @property
    def velocity(self) -> Vector:
        """px/s, by the edges that are not cut off."""
        return common(self.edges, self.cut)

    @property
    def speed(self) -> float:
        """Own sizes/s."""
        return math.hypot(*self.velocity) / self.size_px

    @property
    def stir(self) -> float:
        """Own sizes/s of the edge that moves most."""
        return max(abs(edge) for edge in self.edges) / self.size_px

    @property
    def aspect(self) -> float:
        """Width by height."""
        width = median(s.box[2] - s.box[0] for s in self.sights)
        height = median(s.box[3] - s.box[1] for s in self.sights)
        return max(width, 1e-3) / max(height, 1e-3)

    @property
    def is_steady(self) -> bool:
        """True for one vehicle that is seen most of the time and goes its way without a leap."""
        sights = self.sights
        if len(sights) < max(FEWEST, SEEN * (sights[-1].step - sights[0].step + 1)):
            return False
        path = [centre(s.box) for s in sights]
        vx, vy = centre(self.edges)
        way = math.hypot(vx, vy) * (sights[-1].t_s - sights[0].t_s) / self.size_px
        leap = max(math.dist(a, b) for a, b in pairwise(path)) / self.size_px
        strays = [(x - vx * s.t_s, y - vy * s.t_s) for (x, y), s in zip(path, sights, strict=True)]
        mx, my = (sum(axis) / len(strays) for axis in zip(*strays, strict=True))
        scatter = math.sqrt(sum((x - mx) ** 2 + (y - my) ** 2 for x, y in strays) / len(strays))
        return leap <= SLACK + LEAP * way and scatter / self.size_px <= SLACK + STEADY * way

    def place(self, box: Edges, dt_s: float) -> Edges:
        """Where a box will be that goes on like this."""
        v = self.edges
        return (
            box[0] + v[0] * dt_s,
            box[1] + v[1] * dt_s,
            box[2] + v[2] * dt_s,
            box[3] + v[3] * dt_s,
        )


@dataclass(frozen=True, slots=True)
class Impulse:
    """A change of velocity of one vehicle at one time."""

    trail: Trail
    t_s: float
    change: float
    """Own sizes/s."""
    before: Motion
    after: Motion


@dataclass(frozen=True, slots=True)
class Contact:
    """The other one that it met."""

    other: Trail
    closing: float
    """Mean sizes/s along the line between the two, before."""
    relative_before: float
    relative_after: float
    """Mean sizes/s, whatever the direction."""


def common(d: Edges, cut: Cut) -> Vector:
    """What opposite edges have in common; an edge that is cut off goes with the other one.

    An edge that another vehicle hides, or that takes it in, moves alone and counts for nothing.
    """
    return _both(d[0], d[2], cut[0], cut[2]), _both(d[1], d[3], cut[1], cut[3])


def _both(low: float, high: float, is_low_cut: bool, is_high_cut: bool) -> float:
    if is_low_cut and is_high_cut:
        return 0.0
    a, b = high if is_low_cut else low, low if is_high_cut else high
    return math.copysign(min(abs(a), abs(b)), a) if a * b > 0 else 0.0


def motion(sights: Sequence[Sight], least_s: float, picture: Size) -> Motion | None:
    """How it moved over these sights; None where they are too few or over a shorter time.

    Sights at the border are left out if the others are enough.
    """
    if len(sights) < 2 or not _lasts(sights, least_s):
        return None  # nor do the whole ones among them
    left, top = BORDER * picture[0], BORDER * picture[1]
    right, bottom = picture[0] - left, picture[1] - top
    boxes = [s.box for s in sights]
    cuts = [(b[0] < left, b[1] < top, b[2] > right, b[3] > bottom) for b in boxes]
    cut = _any(cuts)
    if cut != UNCUT:
        whole = [s for s, own in zip(sights, cuts, strict=True) if own == UNCUT]
        if len(whole) >= FEWEST and _lasts(whole, least_s):
            sights, cut = whole, UNCUT
    return Motion(sights, _fit(sights), median([s.size_px for s in sights]), cut)


def _any(cuts: Sequence[Cut]) -> Cut:
    left, top, right, bottom = (any(edges) for edges in zip(*cuts, strict=True))
    return left, top, right, bottom


def _fit(sights: Sequence[Sight]) -> Edges:
    """Velocity of every edge by least squares, px/s."""
    mean_s = sum([s.t_s for s in sights]) / len(sights)
    norm = x1 = y1 = x2 = y2 = 0.0
    for s in sights:
        weight, box = s.t_s - mean_s, s.box
        norm += weight * weight
        x1 += weight * box[0]
        y1 += weight * box[1]
        x2 += weight * box[2]
        y2 += weight * box[3]
    return x1 / norm, y1 / norm, x2 / norm, y2 / norm


def _lasts(sights: Sequence[Sight], least_s: float) -> bool:
    return sights[-1].t_s - sights[0].t_s >= least_s - 1e-6


def centre(box: Edges) -> Vector:
    """Of a box, or the velocity of the centre of moving edges."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def impulse(trail: Trail, least: float, picture: Size) -> Impulse | None:
    """The change of its velocity `WINDOW_S` ago; None where it cannot be told or is clearly less.

    `least` is in own sizes/s.
    """
    when = _moment(trail)
    if when is None:
        return None
    moment, first = trail.sights[when], _first_before(trail, when)
    if moment.t_s - first.t_s < LEAST_S - 1e-6:
        return None
    if _bend(first, moment, trail.sights[-1]) < least / 2:
        return None
    earlier, later = before(trail, moment.t_s), list(trail.sights)[when + 1 :]
    ahead, behind = motion(earlier, LEAST_S, picture), motion(later, LEAST_S, picture)
    if ahead is None or behind is None:
        return None
    return Impulse(trail, moment.t_s, _change(ahead, behind), ahead, behind)


def _bend(first: Sight, moment: Sight, last: Sight) -> float:
    """Roughly the change of velocity, own sizes/s: cheap, and too little for most vehicles."""
    before_s, after_s = moment.t_s - first.t_s, last.t_s - moment.t_s
    a, b, c = centre(first.box), centre(moment.box), centre(last.box)
    dx = (c[0] - b[0]) / after_s - (b[0] - a[0]) / before_s
    dy = (c[1] - b[1]) / after_s - (b[1] - a[1]) / before_s
    return math.hypot(dx, dy) / moment.size_px


def _moment(trail: Trail) -> int | None:
    """Which is the last sight with enough after it."""
    sights, latest_s = trail.sights, trail.last_s - WINDOW_S + 1e-6
    for i in range(len(sights) - 1 - FEWEST, -1, -1):
        if sights[i].t_s <= latest_s and sights[i].is_own:
            return i
    return None


def _first_before(trail: Trail, when: int) -> Sight:
    """The first sight of what `before` gives, without the others: most trails need no more."""
    sights = trail.sights
    first, count, t_s = sights[when], 1, sights[when].t_s
    since_s, recent_s = t_s - LONGEST_S, t_s - WINDOW_S - 1e-6
    for i in range(when - 1, -1, -1):
        sight = sights[i]
        if sight.t_s < (since_s if count < FEWEST else recent_s):
            break
        if sight.is_own:
            first, count = sight, count + 1
    return first


def before(trail: Trail, t_s: float) -> list[Sight]:
    """Its latest sights until then in which it was seen alone."""
    since_s, until_s, recent_s = t_s - LONGEST_S, t_s + 1e-6, t_s - WINDOW_S - 1e-6
    alone = [s for s in trail.sights if since_s <= s.t_s <= until_s and s.is_own]
    recent = sum([s.t_s >= recent_s for s in alone])
    return alone[-max(FEWEST, recent) :]


def after(trail: Trail, t_s: float) -> list[Sight]:
    """Its sights since then."""
    return [s for s in trail.sights if s.t_s > t_s + 1e-6]


def _change(before: Motion, after: Motion) -> float:
    """Own sizes/s; what perspective explains is no change.

    Speeds in sizes grow with the size of what comes straight on, and not of what passes.
    """
    cut = _any([before.cut, after.cut])
    unit = (before.size_px, after.size_px)
    if any(cut):  # what comes into the picture only seems to grow
        unit = (max(unit), max(unit))
    changes = []
    for growth in (1.0, unit[1] / unit[0]):
        x1, y1, x2, y2 = (
            new / unit[1] - old / unit[0] * growth
            for old, new in zip(before.edges, after.edges, strict=True)
        )
        changes.append(math.hypot(*common((x1, y1, x2, y2), cut)))
    return min(changes)


def contact(found: Impulse, other: Trail, picture: Size) -> Contact | None:
    """How it met the other one at that time, or None if it did not."""
    sights = before(other, found.t_s)
    theirs = motion(sights, KNOWN_S, picture)
    if theirs is None or _are_joined(found, other):
        return None
    mine = before(found.trail, found.t_s)[-1].box
    place = theirs.place(sights[-1].box, found.t_s - sights[-1].t_s)
    meetings = ((found.before.place(mine, dt), theirs.place(place, dt)) for dt in MEETINGS_S)
    if not any(touch(a, b) for a, b in meetings):
        return None
    unit = (size_of(mine), size_of(place))
    if abs(mine[3] - place[3]) > LEVEL * min(unit):
        return None
    later = motion(after(other, found.t_s), LEAST_S, picture)
    mean = math.sqrt(unit[0] * unit[1])
    relative = _minus(centre(found.before.edges), centre(theirs.edges))
    parting = _minus(found.after.velocity, later.velocity if later else (0.0, 0.0))
    way = _minus(centre(place), centre(mine))
    closing = (relative[0] * way[0] + relative[1] * way[1]) / max(math.hypot(*way), 1e-6)
    return Contact(other, closing / mean, math.hypot(*relative) / mean, math.hypot(*parting) / mean)


def _are_joined(found: Impulse, other: Trail) -> bool:
    """True when both were in one outline already: then one is passing the other."""
    return any(other.id in s.company for s in before(found.trail, found.t_s))


def _minus(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1]


def is_undisturbed(found: Impulse, others: Sequence[Trail], picture: Size) -> bool:
    """True when vehicles that go on as they went explain what is seen afterwards.

    Then the outline shows this one where it would be anyway, or another one that it was taken
    for, or both of them, passing each other.
    """
    now_s = found.trail.last_s
    box = found.trail.box
    own = found.before.place(before(found.trail, found.t_s)[-1].box, now_s - found.t_s)
    if edges_iou(own, box) >= SAME:
        return True
    for other in others:
        sights = before(other, found.t_s)
        theirs = motion(sights, KNOWN_S, picture)
        if theirs is None:
            continue
        place = theirs.place(sights[-1].box, now_s - sights[-1].t_s)
        if max(edges_iou(place, box), edges_iou(around(own, place), box)) >= SAME:
            return True
    return False


def touch(a: Edges, b: Edges) -> bool:
    """True when two outlines meet or nearly do."""
    slack = TOUCH * min(size_of(a), size_of(b))
    across = max(a[0], b[0]) - min(a[2], b[2])
    down = max(a[1], b[1]) - min(a[3], b[3])
    return across <= slack and down <= slack
