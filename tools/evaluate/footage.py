"""All rules on together over every shared clip: what was found, what was missed, what was false."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edge_agent.app import Observer, ReplayRequest, cores, run_replay
from edge_agent.score import Measures, Score, score_events
from evaluate.everything import STAFF, site, views
from evaluate.truths import truth


@dataclass(frozen=True)
class Played:
    """One clip, replayed with every rule on."""

    clip: str
    events: bytes
    """Of `events.jsonl`."""
    envelopes: tuple[Mapping[str, Any], ...]
    duration_s: float
    is_damaged: bool


def play(shared: Path, clip: str, folder: Path, workers: int) -> Played:
    """Replay one clip of the shared footage with every rule that its view has a place for."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "site.yaml"
    config.write_text(yaml.safe_dump(site(clip, views()[clip])), encoding="utf-8")
    (folder / "staff.csv").write_text(STAFF, encoding="utf-8")
    out = folder / f"out-{workers}"
    video = shared / "footage" / clip
    request = ReplayRequest(config, out, [(None, video)], workers=workers, overwrite=True)
    result = run_replay(request, Observer())
    return Played(
        clip,
        result.folder.events.read_bytes(),
        tuple(result.envelopes),
        result.lanes[0].last_s,
        result.is_damaged,
    )


def evaluate(shared: Path) -> dict[str, Any]:
    """Every clip twice, on one worker and on all cores; scores, false alarms, differences."""
    scores: dict[str, Score] = {}
    differing, damaged = [], []
    with tempfile.TemporaryDirectory() as name:
        for number, (clip, view) in enumerate(views().items()):
            folder = Path(name) / str(number)
            played, again = (play(shared, clip, folder, n) for n in (cores(), 1))
            differing += [clip] if played.events != again.events else []
            damaged += [clip] if played.is_damaged else []
            known = {**truth(shared, clip, view), "duration_s": played.duration_s}
            scores[clip] = score_events(played.envelopes, known)
    return {
        "clips": len(scores),
        "seconds": round(sum(score.duration_s for score in scores.values()), 1),
        "differ when repeated": differing,
        "damaged": damaged,
        "types": {kind: _summed(kind, scores.values()) for kind in _kinds(scores.values())},
        "missed": [_told(clip, e.type, e.begin_s) for clip, s in scores.items() for e in s.missed],
        "false": [_told(clip, r.type, r.told_s) for clip, s in scores.items() for r in s.false],
    }


def _told(clip: str, kind: str, t_s: float) -> dict[str, Any]:
    return {"clip": clip, "type": kind, "t_s": round(t_s, 1)}


def _kinds(scores: Iterable[Score]) -> list[str]:
    """Types that happened or were reported somewhere."""
    each = (kind for s in scores for kind, m in s.types.items() if m.true or m.reported)
    return sorted(set(each))


def _summed(kind: str, scores: Iterable[Score]) -> dict[str, Any]:
    """The figures of one type over all clips whose truth speaks about it."""
    parts = [(score.types[kind], score) for score in scores if kind in score.types]
    true, reported, matched = (
        sum(getattr(each, key) for each, _ in parts) for key in ("true", "reported", "matched")
    )
    days = sum(score.cameras * score.duration_s for _, score in parts) / 86_400
    return {
        "true": true,
        "reported": reported,
        "matched": matched,
        "detection_rate": _ratio(matched, true),
        "false_alarm_rate": _ratio(reported - matched, reported),
        "mean_time_to_detect_s": _ratio(sum(_delays(each for each, _ in parts)), matched),
        "false_per_camera_day": _ratio(reported - matched, days),
        "share_unverifiable": _ratio(sum(_unproven(each for each, _ in parts)), reported),
    }


def _delays(parts: Iterable[Measures]) -> Iterator[float]:
    for each in parts:
        if each.mean_time_to_detect_s is not None:
            yield each.mean_time_to_detect_s * each.matched


def _unproven(parts: Iterable[Measures]) -> Iterator[float]:
    for each in parts:
        if each.share_unverifiable is not None:
            yield each.share_unverifiable * each.reported


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None
