"""What several looks at one number plate agree on.

Looks at the same picture prove nothing twice: between two looks that count, the plate must have
moved in the picture. A plate is agreed on only when its whole text was read in two such looks,
and in more of them than anything else was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import hypot
from typing import TypeVar

from edge_agent.types import JSON, PlateRead

Choice = TypeVar("Choice", int, str)

MOVED = 1.0
"""Heights of the plate that one of its corners must have moved: the finder's jitter and a mast
that sways stay below, a vehicle that drives past it does so within tenths of a second."""
MIN_CONFIDENCE = 0.6
"""Of the weakest character: two good reads outweigh one that contradicts them, one does not."""
MAX_LOOKS = 32
"""At more places than this nobody is looked at; the least certain look is given up then."""
SAME_PICTURE = "vehicle did not move"
"""All looks were at one picture, in effect: their agreement proves nothing."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a plate."""

    t_s: float
    read: PlateRead
    still_since_s: float | None = None
    """Since when the vehicle had not moved, as far as its track tells."""

    @property
    def order(self) -> tuple[float, str, tuple[float, ...]]:
        """Sorts looks by time, and equal times always alike."""
        return self.t_s, self.read.text, self.read.char_scores


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a plate after all looks at it."""

    text: str | None
    """None when it counts as unread."""
    char_scores: tuple[float, ...] = ()
    """0..1 per character: the best score that it was read with, times the share of all votes."""
    region: str | None = None
    looks: int = 0
    """Looks that agree on the whole text, each after the vehicle had moved."""
    reason: str | None = None
    """Why it counts as unread."""

    @property
    def confidence(self) -> float:
        """The weakest character's score; 0 when unread."""
        return min(self.char_scores, default=0.0)

    def as_json(self) -> dict[str, JSON]:
        """As the envelope's `data.plate` says it."""
        if self.text is None:
            nothing = {"text": None, "confidence": 0.0, "region": None, "reads": self.looks}
            return {**nothing, "reason": self.reason}
        return {
            "text": self.text,
            "confidence": round(self.confidence, 4),
            "region": self.region,
            "reads": self.looks,
            "chars": [round(score, 4) for score in self.char_scores],
        }


@dataclass(slots=True)
class PlateVote:
    """Everything that was read of one vehicle's plate.

    The order in which looks come does not matter, as long as there are no more than `MAX_LOOKS`.
    """

    looks: list[Look] = field(default_factory=list)
    complaints: Counter[str] = field(default_factory=Counter)
    """Why reads were unsound -> how many of them."""

    def add(self, look: Look) -> None:
        """Take one more look into account; an unsound one only says why it was."""
        if look.read.reason is not None or not look.read.text:
            self.complaints[look.read.reason or "plate not legible"] += 1
            return
        self.looks.append(look)
        if len(self.looks) > MAX_LOOKS:
            self._thin_out()

    def _thin_out(self) -> None:
        """Give up what says the least: a look that repeats another one, else the weakest."""
        ranked = sorted(self.looks, key=lambda look: (-look.read.score, look.order))
        for i, look in enumerate(ranked):
            for better in ranked[:i]:
                if better.read.text == look.read.text and not has_moved(better, look):
                    self.looks.remove(look)
                    return
        self.looks.remove(ranked[-1])

    def verdict(self, min_reads: int = 2, min_confidence: float = MIN_CONFIDENCE) -> Verdict:
        """What the looks agree on, or why they do not."""
        if not self.looks:
            most = min(self.complaints.items(), key=lambda item: (-item[1], item[0]), default=None)
            return Verdict(None, reason=most[0] if most else "no plate found")
        ballot = _Ballot(sorted(self.looks, key=lambda look: look.order))
        text, shares = ballot.winner()
        agreeing = [look.read for look in ballot.looks if look.read.text == text]
        looks = ballot.count(lambda read: read.text == text)
        if looks < min_reads:
            return Verdict(None, looks=looks, reason=ballot.complaint())
        if looks <= ballot.count(lambda read: read.text != text):
            return Verdict(None, looks=looks, reason="reads disagree")
        best = (max(read.char_scores[i] for read in agreeing) for i in range(len(text)))
        scores = tuple(score * share for score, share in zip(best, shares, strict=True))
        if min(scores) < min_confidence:
            return Verdict(None, looks=looks, reason="reads disagree")
        regions = Counter(read.region for read in agreeing if read.region is not None)
        region = min(regions, key=lambda name: (-regions[name], name), default=None)
        return Verdict(text, scores, region, looks)


def decide(looks: Iterable[Look], min_reads: int = 2) -> Verdict:
    """The verdict on some looks."""
    vote = PlateVote()
    for look in looks:
        vote.add(look)
    return vote.verdict(min_reads)


def has_moved(a: Look, b: Look) -> bool:
    """True when the vehicle moved between the looks, so that they saw different pictures."""
    earlier, later = (a, b) if a.t_s <= b.t_s else (b, a)
    if earlier.t_s == later.t_s:
        return False
    if later.still_since_s is not None and later.still_since_s <= earlier.t_s:
        return False
    before, after = earlier.read.corners, later.read.corners
    if len(before) != 4 or len(after) != 4:
        return False
    height_px = max(_height(before), _height(after))
    shifts = (hypot(x - u, y - v) for (x, y), (u, v) in zip(before, after, strict=True))
    return max(shifts) > MOVED * height_px


def _height(corners: Sequence[tuple[float, float]]) -> float:
    """Mean length of the left and the right edge."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = corners
    return (hypot(dx - ax, dy - ay) + hypot(cx - bx, cy - by)) / 2


class _Ballot:
    """Weighs chains of looks between which the vehicle moved."""

    def __init__(self, looks: Sequence[Look]) -> None:
        self.looks = looks
        self._before = [
            [j for j in range(i) if has_moved(looks[j], looks[i])] for i in range(len(looks))
        ]

    def weight(self, of: Callable[[PlateRead], float]) -> float:
        """The greatest sum over looks that each saw the vehicle elsewhere than the one before.

        Another look can only add to it, and a parked vehicle's picture counts once, however often
        it was looked at.
        """
        best: list[float] = []
        for look, before in zip(self.looks, self._before, strict=True):
            own = of(look.read)
            best.append(own + max((best[j] for j in before), default=0.0) if own else 0.0)
        return max(best)

    def count(self, does_count: Callable[[PlateRead], bool]) -> int:
        """How many such looks there are in the longest chain."""
        return round(self.weight(lambda read: float(does_count(read))))

    def winner(self) -> tuple[str, list[float]]:
        """The text that wins position by position, and the share of all votes per character."""
        length, length_share = self._most(lambda read: len(read.text), lambda read: read.score)
        letters = [self._letter(i, length) for i in range(length)]
        return "".join(letter for letter, _ in letters), [s * length_share for _, s in letters]

    def _letter(self, i: int, length: int) -> tuple[str, float]:
        return self._most(
            lambda read: read.text[i] if len(read.text) == length else "",
            lambda read: read.char_scores[i],
        )

    def _most(
        self, choice: Callable[[PlateRead], Choice], score: Callable[[PlateRead], float]
    ) -> tuple[Choice, float]:
        """The choice that most votes are for, and its share of them."""

        def weight(wanted: Choice) -> float:
            return self.weight(lambda read: score(read) if choice(read) == wanted else 0.0)

        choices = sorted({choice(look.read) for look in self.looks} - {""})
        weights = {wanted: weight(wanted) for wanted in choices}
        best = max(choices, key=lambda wanted: weights[wanted])
        return best, weights[best] / max(sum(weights.values()), 1e-9)

    def complaint(self) -> str:
        """Why no text has enough looks that agree on it."""
        if len({look.t_s for look in self.looks}) == 1:
            return "one look only"
        if len({look.read.text for look in self.looks}) > 1:
            return "reads disagree"
        if self.count(lambda read: True) == 1:
            return SAME_PICTURE
        return "too few reads"
