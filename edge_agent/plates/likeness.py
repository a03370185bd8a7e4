"""When two reads of plates say that they are two plates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final

SURE: Final = 0.9
"""Characters that look alike contradict each other only if both were read with this score."""
UNSURE: Final = 0.5
"""A character read with less than this contradicts nothing."""
_LOOK_ALIKE: Final = ("0ODQ", "1IL7T", "2Z", "4A", "5S", "6G", "8B3", "VY", "UV", "MN", "CG")
"""Letters and digits that a blurred or dirty plate makes hard to tell apart."""
_PAIRS: Final = frozenset(
    frozenset(pair) for group in _LOOK_ALIKE for pair in combinations(group, 2)
)

Text = tuple[str, Sequence[float]]
"""A text and the score of each of its characters."""


def contradict(a: Text, b: Text) -> bool:
    """True when two reads that are sound by themselves cannot be of one plate.

    Sound reads are whole, so one of another length is of another plate.
    """
    if len(a[0]) != len(b[0]):
        return True
    pairs = zip(a[0], a[1], b[0], b[1], strict=True)
    return any(_differ(x, y, min(p, q)) for x, p, y, q in pairs)


def _differ(x: str, y: str, score: float) -> bool:
    limit = SURE if frozenset((x, y)) in _PAIRS else UNSURE
    return x != y and score >= limit
