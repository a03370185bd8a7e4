"""The forecast must beat that nothing changes, and know when it knows nothing."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from edge_agent.analyzers.bays.forecast import OccupancyForecast

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
BAYS = 40
STEP_MIN = 5


def lot_history(days: int, seed: int) -> list[int]:
    """Taken bays every 5 minutes: Poisson arrivals by hour and day, long and short stays."""
    random = np.random.default_rng(seed)
    leaves: list[float] = []
    taken = []
    for minute in range(0, days * 1440, STEP_MIN):
        now = MONDAY + timedelta(minutes=minute)
        hour, is_weekend = now.hour + now.minute / 60, now.weekday() >= 5
        morning = 0.0 if is_weekend else 14 * np.exp(-(((hour - 8.5) / 1.2) ** 2))
        per_hour = morning + 6 * np.exp(-(((hour - 13) / 2.5) ** 2))
        leaves = [leave for leave in leaves if leave > minute]
        for _ in range(random.poisson(per_hour * STEP_MIN / 60)):
            typical_min = 420 if random.random() < morning / per_hour else 70
            if len(leaves) < BAYS:
                leaves.append(minute + typical_min * random.lognormal(0, 0.4))
        taken.append(len(leaves))
    return taken


def judged(seed: int) -> Iterator[tuple[float, float, bool | None]]:
    """(error, error of `as now`, was it in the range) of every forecast from the third week on."""
    history, forecast = lot_history(28, seed), OccupancyForecast(BAYS)
    for i, taken in enumerate(history[: -60 // STEP_MIN]):
        now = MONDAY + timedelta(minutes=STEP_MIN * i)
        forecast.observe(now, taken)
        found, came = forecast.forecast(now, taken), history[i + 60 // STEP_MIN]
        if now >= MONDAY + timedelta(days=14) and found is not None:
            is_within = None
            if found.low is not None and found.high is not None:
                is_within = found.low <= came <= found.high
            yield abs(found.taken - came), abs(taken - came), is_within


def test_beats_that_nothing_changes() -> None:
    for seed in (0, 1):
        errors, as_now, within = zip(*judged(seed), strict=True)
        assert np.mean(errors) < 0.7 * np.mean(as_now)
        assert 0.7 < np.mean([each for each in within if each is not None]) < 0.9


def test_without_history_it_says_nothing() -> None:
    forecast = OccupancyForecast(BAYS)
    assert forecast.forecast(MONDAY, 3) is None
    for minute in range(0, 120, STEP_MIN):
        forecast.observe(MONDAY + timedelta(minutes=minute), 3)
    assert forecast.forecast(MONDAY + timedelta(hours=12), 3) is None
    found = forecast.forecast(MONDAY + timedelta(days=1), 3)
    assert found is not None
    assert (found.taken, found.low, found.days) == (3.0, None, 1)


def test_a_break_in_the_record_teaches_nothing() -> None:
    forecast = OccupancyForecast(BAYS)
    forecast.observe(MONDAY, 0)
    forecast.observe(MONDAY + timedelta(hours=30), 40)
    forecast.observe(MONDAY + timedelta(hours=31, minutes=15), 40)
    assert forecast.changes == {}


def test_goes_on_from_its_saved_state() -> None:
    forecast = OccupancyForecast(BAYS)
    for i, taken in enumerate(lot_history(8, 3)):
        forecast.observe(MONDAY + timedelta(minutes=STEP_MIN * i), taken)
    again = OccupancyForecast.from_json(json.loads(json.dumps(forecast.to_json())))
    now = MONDAY + timedelta(days=9, hours=8)
    assert again.forecast(now, 5) == forecast.forecast(now, 5)
