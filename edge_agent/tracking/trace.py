"""One object as the tracker remembers it."""

from __future__ import annotations

from edge_agent.geometry import Edges, area_of, clamp, edges_iou
from edge_agent.tracking.kalman import Motion, scaled, size_of
from edge_agent.tracking.stillness import Stillness, way
from edge_agent.types import Box, Track

SURE_S = 0.5
"""After having been hidden, a still object must be seen standing this long before it may leave."""
SAME_PLACE = 0.2
"""Until then it may not be farther than this (own sizes) from where it reappeared."""
STARTS = 0.2
"""What stood in the picture before is not farther than this (own sizes) from its place now."""
ARRIVES_S = 1.0
"""What moved for longer than this before it stood was seen to arrive."""
WHOLE = 0.75
"""A still object whose box fits its place less well than this is partly hidden."""


class Trace:
    """The state of one track; `id` is 0 until it is confirmed."""

    def __init__(
        self, t_s: float, edges: Edges, vote: tuple[str, float], size: tuple[int, int]
    ) -> None:
        self.id = 0
        self.first_s = t_s
        self.last_s = t_s
        self.unseen_s = 0.0
        self.known_s = 0.0
        """For how long it was clearly seen."""
        self.missed_s = 0.0
        """For how long it has not been clearly seen, although nothing hides it."""
        self.hits = 0
        self.born = self.box = edges
        self.score = 0.0
        self.motion = Motion(edges)
        self.stillness = Stillness(size)
        self._votes: dict[str, float] = {}
        self._back: tuple[float, Edges] | None = None
        self.see(t_s, edges, vote)

    @property
    def cls(self) -> str:
        """The class with the most votes; the earlier one of equals."""
        return max(self._votes, key=lambda name: self._votes[name])

    @property
    def is_still(self) -> bool:
        """It stands, as far as anyone can tell, and holds its place while hidden."""
        return self.stillness.anchor is not None and not self.stillness.is_leaving

    @property
    def place(self) -> Edges:
        """Where it stands, or else where it is expected."""
        return self.stillness.anchor or self.motion.edges

    @property
    def is_holding(self) -> bool:
        """It is hidden and holds its place."""
        return self.is_hidden and self.is_still

    @property
    def is_settled(self) -> bool:
        """It has stood for a while, so that it will not be far away in the next picture."""
        return self.is_still and self.stillness.is_frozen

    @property
    def has_arrived(self) -> bool:
        """It was seen moving before it stood."""
        since_s = self.stillness.since_s
        return since_s is not None and since_s - self.first_s > ARRIVES_S

    @property
    def is_back(self) -> bool:
        """It was hidden until just now."""
        return self._back is not None

    @property
    def is_hidden(self) -> bool:
        """It was not seen in the latest picture that was looked at."""
        return self.unseen_s > 0

    def see(self, t_s: float, edges: Edges, vote: tuple[str, float], covered: bool = False) -> None:
        """It is here, and looks like that (class name and score); maybe something covers it."""
        name, self.score = vote
        self._votes[name] = self._votes.get(name, 0.0) + self.score
        if self.is_holding:
            self._back = (t_s, edges)
        elif self._back and t_s - self._back[0] > SURE_S:
            self._back = None
        if self.hits:
            self.motion.correct(edges)
        self.box = edges
        self.last_s = t_s
        self.unseen_s = 0.0
        self.hits += 1
        self.stillness.observe(t_s, edges, covered)

    def stay(self, t_s: float) -> None:
        """The picture has not changed since it was seen."""
        self.last_s = t_s
        self.hits += 1
        self.stillness.observe(t_s, self.box)

    def miss(self, dt_s: float) -> None:
        """It was not found in the picture `dt_s` after the one before."""
        self.unseen_s += dt_s
        anchor = self.stillness.anchor
        if anchor is not None and self.is_still:
            self.motion.pin(anchor)
        else:
            self.motion.coast()

    def weigh(self, dt_s: float, is_clear: bool, is_covered: bool) -> None:
        """Keep account of how well it is known and how long it has been missed."""
        if is_clear:
            self.known_s, self.missed_s = self.known_s + dt_s, 0.0
        elif not is_covered:
            self.missed_s += dt_s

    def absorb(self, other: Trace) -> None:
        """The other one, which stands at the same place, is this one: take its better outline."""
        if (other.is_hidden, -area_of(other.place)) < (self.is_hidden, -area_of(self.place)):
            since_s = self.stillness.since_s
            self.box, self.motion, self.stillness = other.box, other.motion, other.stillness
            self.last_s, self.unseen_s = other.last_s, other.unseen_s
            self.stillness.backdate(since_s)
        self.known_s += other.known_s
        self.missed_s = min(self.missed_s, other.missed_s)
        for name, votes in other._votes.items():
            self._votes[name] = self._votes.get(name, 0.0) + votes

    def may_be(self, edges: Edges, is_near: bool) -> bool:
        """False for a box that something else shows where this object stands or stood.

        One is that of a passer-by where the object was hidden until just now; the other has gone
        farther, and is not near, than a vehicle can that still stood in the picture before.
        """
        if self._back is not None and way(self._back[1], edges) > SAME_PLACE:
            return False
        return is_near or not self.is_settled or way(self.place, edges) <= STARTS

    def predict(self, dt_s: float) -> None:
        """Expect it at its place if it stands, on its course if it moves."""
        if not self.is_holding:
            self.motion.predict(dt_s)

    def is_outside(self, width: int, height: int) -> bool:
        """It left a picture of that size, as far as anyone can tell."""
        x1, y1, x2, y2 = self.motion.edges
        return x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height

    def reach(self, sigmas: float, sizes: float) -> float:
        """How far from its prediction it may be, in px."""
        return min(sigmas * self.motion.doubt, sizes * size_of(self.motion.edges))

    def scale(self, x: float, y: float) -> None:
        """The picture has another size now."""
        self.motion.scale(x, y)
        self.stillness.scale(x, y)
        self.born, self.box = scaled(self.born, x, y), scaled(self.box, x, y)

    def track(self, width: int, height: int, sure: float) -> Track:
        """What the rest of the world sees, within a picture of that size; sure from that score."""
        edges, stillness, is_still = self.motion.edges, self.stillness, self.is_still
        anchor = stillness.anchor
        if is_still and anchor and (stillness.is_frozen or edges_iou(anchor, edges) < WHOLE):
            edges = anchor
        return Track(
            id=self.id,
            cls=self.cls,
            score=self.score,
            box=clamp(Box(*edges), width, height),
            velocity=(0.0, 0.0) if is_still else self.motion.velocity,
            first_s=self.first_s,
            last_s=self.last_s,
            still_since_s=stillness.since_s,
            is_sure=self.score >= sure,
            born=Box(*self.born),
            seen=Box(*self.box),
        )
