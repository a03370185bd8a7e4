"""How long a vehicle stood: never longer than from begin to end, whatever the tracker tells."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_agent.analyzers.standing.stay import Change, Limits, Stay, StayWatch
from edge_agent.geometry import Polygon
from edge_agent.types import ArrayPicture, Box, Detections, Frame, Scene, Track

PICTURE = ArrayPicture(np.zeros((100, 200, 3), np.uint8))
START = datetime(2026, 5, 13, 9, 0, tzinfo=UTC)
ZONE = Polygon([(0.0, 0.0), (0.75, 0.0), (0.75, 1), (0.0, 1)])
PLACES = {"here": 90.0, "nearby": 30.0, "outside": 180.0}
"""Where the middle of the vehicle is, in px; the zone ends at 150."""
STEP_S = 0.5
REENTRY_S = 3.0

Happening = tuple[str, int]
"""What is seen of the vehicle, over how many scenes."""

PLACED = st.sampled_from([*PLACES])
WAYS = st.one_of(PLACED, st.sampled_from(["moving", "hidden", "gone", "reload", "off"]))
LASTS = st.integers(1, 30)


@dataclass
class Street:
    """One vehicle, the tracker that follows it and the rule that watches it."""

    watch: StayWatch
    t_s: float = 0.0
    tracks: int = 0
    track: Track | None = None

    def see(self, what: str, scenes: int) -> Iterator[tuple[Change, float, float]]:
        """What changed: how long it stood by then, and how long it is since it first stood."""
        if what == "reload":
            state = json.loads(json.dumps(self.watch.remember(), allow_nan=False))
            self.watch, self.track = watch(), None
            self.watch.recall(state, lambda t_s: t_s)
            self.t_s += scenes * STEP_S
            return
        for _ in range(scenes):
            self._track(what)
            shown = () if self.track is None else (self.track,)
            frame = Frame("c1", 0, self.t_s, START + timedelta(seconds=self.t_s), PICTURE)
            scene = Scene(frame, Detections.none(), shown, ())
            yield from map(_account, self.watch.update(scene, is_active=what != "off"))
            self.t_s += STEP_S

    def _track(self, what: str) -> None:
        if what == "gone":
            self.track = None
        elif what != "hidden" or self.track is None:  # what is hidden stays as it was last seen
            x = PLACES.get(what, PLACES["here"])
            if self.track is None:
                self.tracks += 1
                self.track = Track(
                    self.tracks, "car", 0.9, _box(x), (0, 0), self.t_s, self.t_s, self.t_s
                )
            still_s = self.t_s if self.track.still_since_s is None else self.track.still_since_s
            self.track = replace(
                self.track,
                box=_box(x),
                last_s=self.t_s,
                still_since_s=None if what == "moving" else still_s,
            )


def watch() -> StayWatch:
    return StayWatch(ZONE, frozenset({"car"}), Limits(5.0, REENTRY_S, update_s=2.0))


def _box(x: float) -> Box:
    return Box(x - 10, 70, x + 10, 90)


def _account(told: tuple[Change, Stay]) -> tuple[Change, float, float]:
    change, stay = told
    return change, stay.dwell_s, 0.0 if stay.begin_s is None else stay.end_s - stay.begin_s


def play(ways: list[Happening]) -> list[tuple[Change, float, float]]:
    street = Street(watch())
    told = [each for what, scenes in ways for each in street.see(what, scenes)]
    return told + [_account(each) for each in street.watch.finish()]


@given(st.lists(st.tuples(WAYS, LASTS), min_size=1, max_size=12))
@example([("here", 40), ("outside", 1), ("here", 40)])
@example([("here", 40), ("outside", 1), ("reload", 2), ("here", 40)])
@example([("here", 40), ("reload", 2), ("outside", 1), ("here", 40)])
@example([("here", 40), ("reload", 2), ("here", 2), ("outside", 1), ("here", 40)])
@example([("here", 8), ("reload", 2), ("here", 2), ("outside", 1), ("here", 40)])
@example([("here", 40), ("reload", 2), ("reload", 2), ("here", 40)])
@example([("here", 40), ("outside", 1), ("hidden", 3), ("here", 2), ("outside", 1), ("here", 9)])
def test_nobody_stands_longer_than_from_begin_to_end(ways: list[Happening]) -> None:
    begun = [each for each in play(ways) if each[0] in ("begun", "standing", "ended")]
    for change, dwell_s, elapsed_s in begun:
        assert 0 <= dwell_s <= elapsed_s + 1e-9, (change, ways)


@given(
    st.lists(
        st.tuples(st.sampled_from(["outside", "reload"]), st.integers(1, 5), LASTS), max_size=6
    )
)
@example([("outside", 1, 4), ("reload", 1, 1), ("outside", 1, 30)])
def test_only_what_was_not_seen_of_it_is_not_counted(gaps: list[tuple[str, int, int]]) -> None:
    """It stands there all the time; flickers and reloads take away just what they last."""
    ways = [("here", 20), *(way for gap, n, m in gaps for way in ((gap, n), ("here", m)))]
    *_, (change, dwell_s, elapsed_s) = play(ways)
    assert change == "ended"
    gone_s = sum((n + 1) * STEP_S for _, n, _ in gaps)
    assert elapsed_s - gone_s <= dwell_s + 1e-9
    assert elapsed_s == pytest.approx(sum(n for _, n in ways) * STEP_S - STEP_S)
