"""A first suspicion that a picture shows nothing: weaker than an event, and within a second."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge_agent.analyzers.camera.stillness import PATIENCE

LOOK_S = 0.15
"""Pause between two looks; every picture of five a second is looked at."""
LOOKS = 2
"""So many in a row have to agree: a switching filter or a flash spoils one."""
STILL_S = 0.6
"""A picture that has stood for so long is suspected, on a camera whose pictures never do."""


class Glance:
    """Looks at single pictures, and suspects those that show nothing of the view, or stand.

    A camera whose pictures have stood by nature is suspected only after three times as long: a
    codec that hides the noise teaches that once or twice.
    """

    def __init__(self, hidden: Callable[[NDArray[np.uint8]], str | None]) -> None:
        """hidden: what hides the view in a picture; None while it is there, or not known yet."""
        self._hidden = hidden
        self.suspicion: str | None = None
        """What may be wrong with the latest picture."""
        self._looked_s: float | None = None
        self._last: NDArray[np.uint8] | None = None
        self._changed_s = self._stood_s = self._longest_s = 0.0
        self._agree = 0

    def see(self, grey: NDArray[np.uint8], t_s: float, is_frozen: bool) -> None:
        """Take the next picture; is_frozen: it is known to stand, which is not its nature."""
        if self._looked_s is not None and t_s - self._looked_s < LOOK_S:
            return
        self._looked_s = t_s
        stands = self._stands(grey, t_s, is_frozen)
        what = self._hidden(grey)
        self._agree = self._agree + 1 if what else 0
        self.suspicion = what if self._agree >= LOOKS else stands

    def _stands(self, grey: NDArray[np.uint8], t_s: float, is_frozen: bool) -> str | None:
        last, self._last = self._last, grey
        if last is None or last.shape != grey.shape or not np.array_equal(last, grey):
            if not is_frozen:
                self._longest_s = max(self._longest_s, self._stood_s)
            self._changed_s, self._stood_s = t_s, 0.0
            return None
        self._stood_s = t_s - self._changed_s
        return "frozen" if self._stood_s >= max(STILL_S, PATIENCE * self._longest_s) else None
