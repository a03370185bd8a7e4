"""Counts and rates of one run, as JSON and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from rich.table import Table

from edge_agent.score.files import TrueEvent, Truth, checked_truth
from edge_agent.score.happenings import DOCUMENTED, Reported, happenings
from edge_agent.score.matching import counts, match
from edge_agent.types import JSON

_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Measures:
    """The figures of one event type; a rate without a denominator is None."""

    true: int
    reported: int
    matched: int
    detection_rate: float | None
    false_alarm_rate: float | None
    mean_time_to_detect_s: float | None
    false_per_camera_day: float | None
    share_unverifiable: float | None

    @property
    def missed(self) -> int:
        return self.true - self.matched

    @property
    def false(self) -> int:
        return self.reported - self.matched


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of one run."""

    total: Measures
    types: Mapping[str, Measures]
    duration_s: float
    cameras: int
    missed: tuple[TrueEvent, ...]
    false: tuple[Reported, ...]

    @property
    def is_perfect(self) -> bool:
        """Nothing missed, nothing false."""
        return not self.missed and not self.false

    def as_json(self) -> dict[str, JSON]:
        """Plain JSON values, rounded to what the figures can bear."""
        return {
            "duration_s": round(self.duration_s, 3),
            "cameras": self.cameras,
            "total": _measures_json(self.total),
            "types": {name: _measures_json(each) for name, each in self.types.items()},
            "missed": [each.model_dump(mode="json", exclude_none=True) for each in self.missed],
            "false": [
                {
                    "type": each.type,
                    "subject": each.subject,
                    "begin_s": each.begin_s,
                    "end_s": each.end_s,
                    **each.places,
                }
                for each in self.false
            ],
        }

    def as_table(self) -> Table:
        """One row per event type, then the total."""
        cameras = "1 camera" if self.cameras == 1 else f"{self.cameras} cameras"
        table = Table(title=f"{self.duration_s:.1f} s of footage, {cameras}")
        table.add_column("event type", no_wrap=True)
        heads = ("true", "reported", "matched", "detected", "false", "time to detect")
        for head in (*heads, "false per camera-day", "unverifiable"):
            table.add_column(head, justify="right")
        for name, each in self.types.items():
            table.add_row(name, *_cells(each))
        table.add_section()
        table.add_row("total", *_cells(self.total), style="bold")
        return table


def score_events(
    events: Iterable[Mapping[str, JSON]],
    truth: Mapping[str, JSON],
    documented: frozenset[str] = DOCUMENTED,
) -> Score:
    """Compare event envelopes, in order, with a truth file's content.

    Raises ConfigError for a truth or an envelope that is not what it should be.
    """
    known = checked_truth(truth)
    reported = [each for each in happenings(events, documented) if counts(each, known)]
    hits = match(reported, known.events)
    pairs = [(reported[i], known.events[j]) for i, j in hits]
    duration_s, cameras = _exposure(reported, known)
    camera_days = cameras * duration_s / _DAY_S
    named = [*(r.type for r in reported), *(e.type for e in known.events), *(known.types or ())]
    types = {
        name: _measures(
            [each for each in reported if each.type == name],
            [each for each in known.events if each.type == name],
            [pair for pair in pairs if pair[0].type == name],
            camera_days,
        )
        for name in sorted(set(named))
    }
    found, right = {j for _, j in hits}, {i for i, _ in hits}
    return Score(
        total=_measures(reported, known.events, pairs, camera_days),
        types=types,
        duration_s=duration_s,
        cameras=cameras,
        missed=tuple(each for j, each in enumerate(known.events) if j not in found),
        false=tuple(each for i, each in enumerate(reported) if i not in right),
    )


def _exposure(reported: Sequence[Reported], truth: Truth) -> tuple[float, int]:
    """Seconds of footage and cameras: as the truth says, else what anything mentions at least."""
    named = {each.camera for each in truth.events if each.camera is not None}
    seen = named | {each.places["camera"] for each in reported}
    cameras = truth.cameras or max(1, len(seen))
    if truth.duration_s is not None:
        return truth.duration_s, cameras
    if truth.frames is not None and truth.fps is not None:
        return truth.frames / truth.fps, cameras
    ends = [each.end_s for each in reported]
    ends += [each.end_s for each in truth.events] + [each.end_s for each in truth.ignore]
    return max(ends, default=0.0), cameras


def _measures(
    reported: Sequence[Reported],
    true: Sequence[TrueEvent],
    pairs: Sequence[tuple[Reported, TrueEvent]],
    camera_days: float,
) -> Measures:
    false = len(reported) - len(pairs)
    delays_s = [ours.told_s - theirs.begin_s for ours, theirs in pairs]
    return Measures(
        true=len(true),
        reported=len(reported),
        matched=len(pairs),
        detection_rate=_ratio(len(pairs), len(true)),
        false_alarm_rate=_ratio(false, len(reported)),
        mean_time_to_detect_s=_ratio(sum(delays_s), len(pairs)),
        false_per_camera_day=_ratio(false, camera_days),
        share_unverifiable=_ratio(sum(not each.is_verifiable for each in reported), len(reported)),
    )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _measures_json(each: Measures) -> dict[str, JSON]:
    figures = {**asdict(each), "missed": each.missed, "false": each.false}
    return {
        key: round(value, 4) if isinstance(value, float) else value
        for key, value in figures.items()
    }


def _cells(each: Measures) -> list[str]:
    return [
        str(each.true),
        str(each.reported),
        str(each.matched),
        _cell(each.detection_rate, 100, " %"),
        _cell(each.false_alarm_rate, 100, " %"),
        _cell(each.mean_time_to_detect_s, 1, " s"),
        _cell(each.false_per_camera_day, 1, ""),
        _cell(each.share_unverifiable, 100, " %"),
    ]


def _cell(value: float | None, factor: float, unit: str) -> str:
    return "-" if value is None else f"{value * factor:.1f}{unit}"
