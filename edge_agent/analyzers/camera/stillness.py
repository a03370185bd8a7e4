"""A picture that stands while its stream goes on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.recollection import Moved
from edge_agent.types import JSON

MIN_NOISE = 0.1
"""Share of pixels that a sensor's noise changes within half a second; measured 0.2 to 1."""
MEMORY = 0.05
"""Weight of the newest sample in the camera's usual noise."""
PATIENCE = 3.0
"""How many times longer than any natural standstill before."""
BREAKS = 2
"""So many changed pictures in a row end a standstill; one may be a key frame's."""
MIN_SPELL_S = 4.0
"""Shorter spells of equal pictures between key frames prove nothing."""


@dataclass
class Stillness:
    """Tells a frozen picture from a quiet scene.

    A sensor always has some noise. A codec may hide it for a while, so the standstill must last
    `PATIENCE` times longer than any before, on a camera that has shown noise.
    """

    after_s: float
    is_on: bool = False
    begun_s: float = 0.0
    """Since when the picture has stood, or stood the last time that it counted as frozen."""
    since_s: float = 0.0
    _last: NDArray[np.uint8] | None = None
    _noise: float | None = None
    _longest_s: float = 0.0
    _spell_s: float = 0.0
    _breaks: int = BREAKS
    _has_spell: bool = False

    def remember(self) -> JSON:
        """Whether it stands, and how this camera usually does; no picture."""
        return [self.is_on, self.begun_s, self._noise, self._longest_s]

    def recall(self, state: JSON, moved: Moved) -> None:
        """Go on from there."""
        self.is_on, begun_s, self._noise, self._longest_s = state
        self.begun_s = moved(begun_s)

    def update(self, grey: NDArray[np.uint8], t_s: float) -> bool:
        """Look at the next sampled picture; True when it has just frozen or come back."""
        last, self._last = self._last, grey
        if last is None or last.shape != grey.shape:
            self._spell_s = self.since_s = t_s
            return False
        changed = np.count_nonzero(last != grey)
        return self._change(changed / grey.size, t_s) if changed else self._stand(t_s)

    def _stand(self, t_s: float) -> bool:
        self._has_spell = self._has_spell or t_s - self._spell_s >= MIN_SPELL_S
        self._breaks = 0
        stood_s = t_s - self.since_s
        if self.is_on or self._noise is None or self._noise < MIN_NOISE:
            return False
        self.is_on = self._has_spell and stood_s >= max(self.after_s, PATIENCE * self._longest_s)
        if self.is_on:
            self.begun_s = self.since_s
        return self.is_on

    def _change(self, share: float, t_s: float) -> bool:
        self._breaks += 1
        if self._breaks < BREAKS and self._has_spell:
            self._spell_s = t_s
            return False
        was_on, self.is_on = self.is_on, False
        if not was_on:
            self._longest_s = max(self._longest_s, self._spell_s - self.since_s)
        self._spell_s = self.since_s = t_s
        self._has_spell = False
        usual = share if self._noise is None else self._noise
        self._noise = usual + MEMORY * (share - usual)
        return was_on
