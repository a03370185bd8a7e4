"""What is measured, and the ratchet that keeps it from getting worse unnoticed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Better = Literal["higher", "lower"]
DECIMALS = 4
"""As figures are kept."""
ROUNDING = 1e-4
"""What differs by no more than the rounding has not changed."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number; shares are 0..1."""

    name: str
    """`section.what.detail`, e.g. `plates.romania.exact`."""
    value: float
    better: Better
    of: int | None = None
    """How many photos, clips or vehicles it is a share or a sum of."""
    slack: float = 0.0
    """How much it may differ from machine to machine without having changed."""

    def falls_below(self, earlier: Figure) -> bool:
        """True when this one is worse than the earlier one by more than the slack of both."""
        worse = (
            earlier.value - self.value if self.better == "higher" else self.value - earlier.value
        )
        return worse > max(self.slack, earlier.slack) + ROUNDING


@dataclass(frozen=True, slots=True)
class Fall:
    """A figure that got worse and nobody has said why."""

    now: Figure
    before: Figure | None
    """None for a figure that is gone: `now` is then what it was."""

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.now.name} is not measured any more (it was {self.now.value:.4g})"
        return f"{self.now.name} fell from {self.before.value:.4g} to {self.now.value:.4g}"


def falls(now: Iterable[Figure], before: Iterable[Figure]) -> Iterator[Fall]:
    """Every figure that is worse than it was, or that is gone."""
    fresh = {figure.name: figure for figure in now}
    for earlier in before:
        figure = fresh.get(earlier.name)
        if figure is None:
            yield Fall(earlier, None)
        elif figure.falls_below(earlier):
            yield Fall(figure, earlier)


def read_figures(results: Mapping[str, Any]) -> list[Figure]:
    """The figures of a results file."""
    return [Figure(**item) for item in results["figures"]]


def load_results(path: Path) -> dict[str, Any]:
    """The content of `docs/results.json`; without one, no figures."""
    if not path.is_file():
        return {"figures": [], "reasons": {}}
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def as_json(figures: Iterable[Figure]) -> list[dict[str, Any]]:
    """The figures by name, rounded to what they can bear."""
    ordered = sorted(figures, key=lambda figure: figure.name)
    return [{**asdict(figure), "value": round(figure.value, DECIMALS)} for figure in ordered]
