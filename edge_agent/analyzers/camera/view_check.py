"""What is wrong with one view, picture by picture; how long it lasts is for others to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.analyzers.camera.structure import (
    HOME,
    MIN_BLOCKS,
    Look,
    Pose,
    Sight,
    Structure,
)
from edge_agent.types import JSON

LEARN_S = 3.0
"""How long a new view is looked at before it is judged."""
MEMORY_S = 300.0
"""Time constant with which the reference follows the light of the day while all is well."""
SEARCH_S = 2.5
"""Pause between two searches for where the view has gone."""

IS_HOME = 0.85
"""Share of the usual structure in its place from which on nobody asks where the view has gone."""
IS_FOUND = 0.5
"""Share of the structure that must be found at another place to call that the new view."""
EXPLAINS = 0.5
"""Share of what is missing in the old place that must be there: burnt-in text does not move."""
MIN_GAIN = 0.05
"""And so much at least, as a share of all structure."""
USUAL = 0.05
"""Weight of the newest picture in how much structure is usually seen."""
IS_LOST = 0.3
"""With less in its old place and no new place found, it is another view."""
HAS_OWN_EDGES = 0.5
"""Edge energy, over what was learned, from which on another view is one."""
IS_COVERED = 0.5
"""Share of the structure that is gone with nothing sharp in its place."""
IS_BLURRED = 0.4
"""Share of the edges that have lost their fine detail."""
SUDDEN_S = 3.0
"""Night takes longer than this to hide a view; a hand does not."""

DARK_LEVEL, DARK_SHARE = 40, 0.9
"""So many of the pixels below this grey level leave nothing to recognise."""
BRIGHT_LEVEL, BRIGHT_SHARE = 250, 0.5
"""So many of the pixels above this grey level are clipped."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether something is wrong with a picture, and what tells."""

    holds: bool
    facts: Mapping[str, Any]


class ViewCheck:
    """Compares the pictures of one camera with what its view used to be."""

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._structure = Structure()
        self._learned_s = 0.0
        self._searched_s = -SEARCH_S
        self._usual = 1.0
        """Share of the structure that traffic usually leaves to be seen."""
        self._pose = HOME
        """Where the view was found last."""
        self._home_s = self._seen_s = 0.0
        """When the structure was last in its place: as much as usual, and most of it."""
        self._is_unlit = self._is_hidden = False
        self._was_hidden_first = False
        """It was hidden when it became dark: that is no nightfall."""

    def remember(self) -> JSON:
        """What the view used to be; None before it was learned."""
        if self._learned_s < LEARN_S:
            return None
        pose = [*self._pose.shift, self._pose.turn_deg, self._pose.scale]
        view = {"structure": self._structure.remember(), "pose": pose}
        return {**view, "learned_s": self._learned_s, "usual": self._usual}

    def recall(self, state: JSON) -> None:
        """Compare with that, not with what the view is now."""
        if state is None:
            return
        self._structure.recall(state["structure"])
        x, y, turn_deg, scale = (float(each) for each in state["pose"])
        self._pose = Pose((x, y), turn_deg, scale)
        self._learned_s, self._usual = float(state["learned_s"]), float(state["usual"])

    def judge(
        self, grey: NDArray[np.uint8], t_s: float, step_s: float, *, is_settled: bool
    ) -> dict[str, Finding]:
        """A finding for every kind that this picture says anything about.

        step_s: how long the picture stands for. is_settled: nothing is suspected; only then is
        the picture learned.
        """
        findings = _light(grey)
        is_unlit = any(finding.holds for finding in findings.values())
        sight = Sight.of(grey)
        if not self._structure.is_like(sight):  # somebody has set the camera: learn it anew
            self._structure, self._pose = Structure(), HOME
            self._learned_s, self._usual = 0.0, 1.0
        if self._learned_s < LEARN_S:
            if not is_unlit:
                self._learn(sight, step_s, HOME)
            return findings
        look = self._look(sight, t_s)
        if look.blocks >= MIN_BLOCKS:
            findings["covered"] = self._cover(look, t_s, is_unlit)
        if look.blocks >= MIN_BLOCKS and not is_unlit and not findings["covered"].holds:
            findings |= self._move(look, grey.shape[0] / grey.shape[1])
        if is_settled and not any(finding.holds for finding in findings.values()):
            self._learn(sight, step_s, look.pose)
            self._usual += USUAL * (look.present - self._usual)
        return findings

    def hidden(self, grey: NDArray[np.uint8]) -> str | None:
        """What by itself hides the view in one picture; learns nothing from it."""
        if self._learned_s < LEARN_S:
            return None
        sight = Sight.of(grey)
        if not self._structure.is_like(sight):
            return None
        look = self._structure.look(sight)
        if look.blocks >= MIN_BLOCKS and look.faint >= IS_COVERED:
            return "covered"
        return next((kind for kind, finding in _light(grey).items() if finding.holds), None)

    def _learn(self, sight: Sight, step_s: float, pose: Pose) -> None:
        self._structure.learn(sight, step_s, MEMORY_S, pose)
        self._learned_s += step_s

    def _look(self, sight: Sight, t_s: float) -> Look:
        """In the old place, unless more of the structure is found elsewhere."""
        home = self._structure.look(sight)
        enough = IS_HOME * self._usual
        if home.present >= IS_FOUND:
            self._seen_s = t_s
        if home.present >= enough:
            self._home_s, self._pose = t_s, HOME
            return home
        if home.faint >= IS_COVERED or home.blocks < MIN_BLOCKS:
            return home
        guesses = [self._structure.slid(sight)]
        if self._pose != HOME:
            guesses.append(self._structure.look(sight, self._pose))
        best = max(guesses, key=lambda look: look.present)
        is_pressing = home.present < IS_FOUND or t_s - self._home_s >= SEARCH_S
        if best.present < enough and is_pressing and t_s - self._searched_s >= SEARCH_S:
            best = max(best, self._structure.find(sight), key=lambda look: look.present)
            self._searched_s = t_s
        gain = max(MIN_GAIN, EXPLAINS * (self._usual - home.present))
        if best.present < max(IS_FOUND, home.present + gain):
            return home
        self._pose = best.pose
        return replace(best, soft=home.soft)

    def _cover(self, look: Look, t_s: float, is_unlit: bool) -> Finding:
        is_hidden = look.faint >= IS_COVERED
        if is_unlit and not self._is_unlit:
            is_sudden = self._is_hidden or t_s - self._seen_s <= SUDDEN_S
            self._was_hidden_first = is_hidden and is_sudden
        self._is_unlit, self._is_hidden = is_unlit, is_hidden
        holds = is_hidden and (self._was_hidden_first or not is_unlit)
        return Finding(holds, {"covered_share": round(look.faint, 3)})

    def _move(self, look: Look, aspect: float) -> dict[str, Finding]:
        """Moved, or else perhaps blurred."""
        facts: dict[str, Any] = {"present_share": round(look.present, 3)}
        has_moved = look.pose.displacement(aspect) >= self._tolerance
        if has_moved:
            x, y = look.pose.shift
            facts |= {
                "shift": [round(x, 4), round(y / aspect, 4)],
                "turn_deg": look.pose.turn_deg,
                "zoom": round(look.pose.scale, 3),
            }
        is_lost = look.present < IS_LOST and look.energy >= HAS_OWN_EDGES
        findings = {"moved": Finding(has_moved or is_lost, facts)}
        if not findings["moved"].holds and look.soft is not None:
            facts = {"blurred_share": round(look.soft, 3)}
            findings["blurred"] = Finding(look.soft >= IS_BLURRED, facts)
        return findings


def _light(grey: NDArray[np.uint8]) -> dict[str, Finding]:
    dark, bright = (
        float(np.count_nonzero(is_so) / grey.size)
        for is_so in (grey < DARK_LEVEL, grey >= BRIGHT_LEVEL)
    )
    return {
        "dark": Finding(dark >= DARK_SHARE, {"dark_share": round(dark, 3)}),
        "overexposed": Finding(bright >= BRIGHT_SHARE, {"bright_share": round(bright, 3)}),
    }
