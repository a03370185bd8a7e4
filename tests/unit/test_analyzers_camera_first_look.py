"""What a camera with calls suspects, and how soon."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.analyzers.camera.first_look import WINDOW_S, FirstLook
from edge_agent.analyzers.camera.health import CameraHealth
from edge_agent.analyzers.view import View
from edge_agent.types import ArrayPicture, Detections, Frame, Scene

Picture = NDArray[np.uint8]
VIEW = View("c1", {}, {}, ZoneInfo("UTC"), has_calls=True)
ON_S, END_S, PAUSE_S = 20.0, 22.0, 0.2
STREET = np.kron(
    np.random.default_rng(3).integers(40, 220, (12, 20, 1)).repeat(3, axis=2), np.ones((15, 16, 1))
).astype(np.uint8)


def noisy(image: Picture, t_s: float) -> Picture:
    noise = np.random.default_rng(round(t_s * 1000)).normal(0, 2, image.shape)
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


def suspicions(
    show: Callable[[float], Picture], view: View = VIEW, end_s: float = END_S
) -> list[tuple[float, str]]:
    """When it begins to suspect what, at five pictures a second."""
    rule, found, was = CameraHealth(CameraHealth.Settings(), view), [], None
    for number in range(round(end_s / PAUSE_S)):
        t_s = number * PAUSE_S
        wall = datetime(2026, 5, 13, tzinfo=UTC)
        frame = Frame("c1", number, t_s, wall, ArrayPicture(show(t_s)))
        list(rule.update(Scene(frame, Detections.none(), ())))
        if rule.suspicion and rule.suspicion != was:
            found.append((round(t_s, 3), rule.suspicion))
        was = rule.suspicion
    return found


@pytest.mark.parametrize(
    ("level", "what"), [(12, "covered"), (120, "covered"), (255, "covered"), (None, "frozen")]
)
def test_a_lens_that_shows_nothing_is_suspected_within_a_second(
    level: int | None, what: str
) -> None:
    def show(t_s: float) -> Picture:
        if t_s < ON_S:
            return noisy(STREET, t_s)
        return noisy(STREET, ON_S) if level is None else noisy(np.full_like(STREET, level), t_s)

    (first_s, found), *more = suspicions(show)
    assert (found, more) == (f"camera perhaps {what}", [])
    assert 0.0 < first_s - ON_S <= 0.7


def test_one_odd_picture_is_not_suspected() -> None:
    def show(t_s: float) -> Picture:
        is_flash = abs(t_s - ON_S) < 0.01
        return noisy(np.full_like(STREET, 255) if is_flash else STREET, t_s)

    assert suspicions(show) == []


def test_odd_pictures_with_good_ones_between_are_not_suspected() -> None:
    def show(t_s: float) -> Picture:
        is_flash = t_s >= ON_S and round(t_s / PAUSE_S) % 2
        return noisy(np.full_like(STREET, 255) if is_flash else STREET, t_s)

    assert suspicions(show) == []


def test_what_froze_once_is_suspected_as_soon_again() -> None:
    def show(t_s: float) -> Picture:
        is_frozen = ON_S <= t_s < ON_S + 15 or t_s >= ON_S + 20
        return noisy(STREET, ON_S if is_frozen else t_s)

    first, again = suspicions(show, end_s=ON_S + 25)
    assert first[0] - ON_S <= 0.7 and again[0] - (ON_S + 20) <= 0.7


def test_a_picture_that_stands_by_nature_is_suspected_only_after_three_times_as_long() -> None:
    def show(t_s: float) -> Picture:
        """Every second a new one; from `ON_S` on none."""
        return noisy(STREET, min(t_s, ON_S) // 1)

    *taught, frozen = suspicions(show, end_s=ON_S + 5)
    assert [round(t_s) for t_s, _ in taught] == [1, 2], "twice is no accident"
    assert 2.2 <= frozen[0] - ON_S <= 3.0


def standing(spells: list[tuple[float, float]], frozen_s: float) -> Callable[[float], Picture]:
    """A quiet street whose picture stands from when to when, and for good in the end."""

    def show(t_s: float) -> Picture:
        spells_now = [begin_s for begin_s, end_s in spells if begin_s <= t_s < end_s]
        return noisy(STREET, spells_now[0] if spells_now else min(t_s, frozen_s))

    return show


def test_one_stutter_makes_nobody_blind() -> None:
    show = standing([(ON_S, ON_S + 9)], ON_S + 30)
    stutter, frozen = suspicions(show, end_s=ON_S + 35)
    assert stutter[0] - ON_S <= 0.7 and frozen[0] - (ON_S + 30) <= 0.7


@pytest.mark.parametrize(("rest_s", "is_known"), [(10.0, True), (3 * WINDOW_S, False)])
def test_how_a_picture_stands_by_nature_outlives_a_restart_but_not_an_evening(
    rest_s: float, is_known: bool
) -> None:
    before, after = (FirstLook(lambda _: None) for _ in range(2))
    show = standing([(20.0, 21.0), (25.0, 26.0)], 1e9)

    def play(look: FirstLook, begin_s: float, end_s: float, is_still: bool = False) -> float | None:
        """After how long it is suspected."""
        for number in range(round((end_s - begin_s) / PAUSE_S)):
            t_s = begin_s + number * PAUSE_S
            look.see(show(begin_s if is_still else t_s)[..., 0], t_s, False)
            if is_still and look.suspicion:
                return t_s - begin_s
        return None

    play(before, 0.0, 30.0)
    state = json.loads(json.dumps(before.remember()))
    after.recall(state, lambda t_s: t_s + 1000.0)
    play(after, 1030.0 + rest_s, 1040.0 + rest_s)
    found_s = play(after, 1040.0 + rest_s, 1050.0 + rest_s, is_still=True)
    assert found_s is not None and (found_s > 2.0) == is_known


def test_the_rule_remembers_it() -> None:
    rules = [CameraHealth(CameraHealth.Settings(), VIEW) for _ in range(2)]
    assert rules[0]._first_look is not None and rules[1]._first_look is not None
    rules[0]._first_look._present = [1.0, 2.0]
    rules[1].recall(rules[0].remember(), lambda t_s: t_s)
    assert rules[1]._first_look.remember() == rules[0]._first_look.remember()
    older = {key: value for key, value in rules[0].remember().items() if key != "glance"}
    rules[1].recall(older, lambda t_s: t_s)


def test_without_calls_nothing_is_suspected() -> None:
    assert suspicions(lambda _: STREET, replace(VIEW, has_calls=False)) == []
