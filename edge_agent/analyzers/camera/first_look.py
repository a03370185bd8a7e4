"""A first suspicion that a picture shows nothing: weaker than an event, and within a second."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge_agent.analyzers.camera.stillness import PATIENCE
from edge_agent.recollection import Moved
from edge_agent.types import JSON

LOOK_S = 0.15
"""Pause between two looks; every picture of five a second is looked at."""
LOOKS = 2
"""So many in a row have to agree: a switching filter or a flash spoils one."""
STILL_S = 0.6
"""A picture that has stood for so long is suspected, on a camera whose pictures never do."""
WINDOW_S = 3600.0
"""A standstill is a camera's nature when another as long came within so long, and for so long."""


class FirstLook:
    """Looks at single pictures, and suspects those that show nothing of the view, or stand.

    A camera whose pictures stand by nature is suspected only after three times as long: a codec
    that hides the noise teaches that twice. The second longest of the last hour or two counts, so
    that one stutter makes nobody blind.
    """

    def __init__(self, hidden: Callable[[NDArray[np.uint8]], str | None]) -> None:
        """hidden: what hides the view in a picture; None while it is there, or not known yet."""
        self._hidden = hidden
        self.suspicion: str | None = None
        """What may be wrong with the latest picture."""
        self._looked_s: float | None = None
        self._last: NDArray[np.uint8] | None = None
        self._changed_s = self._stood_s = self._window_s = 0.0
        self._before = self._present = [0.0, 0.0]
        """The two longest standstills, in seconds, of the last window and of this one."""
        self._agree = 0

    def remember(self) -> JSON:
        """How this camera's pictures stand by nature; no picture."""
        return [self._window_s, self._before, self._present]

    def recall(self, state: JSON, moved: Moved) -> None:
        """Go on from there."""
        window_s, self._before, self._present = state
        self._window_s = moved(window_s)

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
                self._learn(self._stood_s, t_s)
            self._changed_s, self._stood_s = t_s, 0.0
            return None
        self._stood_s = t_s - self._changed_s
        usual_s = sorted((*self._before, *self._present))[-2]
        return "frozen" if self._stood_s >= max(STILL_S, PATIENCE * usual_s) else None

    def _learn(self, stood_s: float, t_s: float) -> None:
        if (age_s := t_s - self._window_s) >= WINDOW_S:
            self._before = self._present if age_s < 2 * WINDOW_S else [0.0, 0.0]
            self._present, self._window_s = [0.0, 0.0], t_s
        self._present = sorted((*self._present, stood_s))[-2:]
