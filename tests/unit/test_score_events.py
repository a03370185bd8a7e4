"""Reports are matched one to one with the truth, and the figures follow."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edge_agent.errors import ConfigError
from edge_agent.score import Score, load_events, load_truth, score_events

PARKING, STOPPED, COUNT = "parking.illegal", "incident.stopped_vehicle", "flow.line_crossing"
HOUR_S = 3600.0


def envelope(kind: str, subject: str, pts_s: float, **data: Any) -> dict[str, Any]:
    return {
        "type": f"edge.{kind}.v1",
        "subject": f"case/{subject}",
        "data": {
            "source": {"kind": "replay", "camera": data.pop("camera", "north")},
            "time": {"pts_s": pts_s},
            "evidential": False,
            "reasons": ["replay"],
            **data,
        },
    }


def stay(
    kind: str, subject: str, begin_s: float, told_s: float, end_s: float, **data: Any
) -> list[dict[str, Any]]:
    return [
        envelope(kind, subject, told_s, phase="begin", begin_s=begin_s, **data),
        envelope(kind, subject, end_s + 1, phase="end", begin_s=begin_s, end_s=end_s, **data),
    ]


def case(subject: str, **data: Any) -> dict[str, Any]:
    return envelope("evidence.case", subject, 0.0, **data)


def truth(*events: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"video": "street.mp4", "events": list(events), "duration_s": HOUR_S, **more}


def true(kind: str, begin_s: float, end_s: float, **more: Any) -> dict[str, Any]:
    return {"type": kind, "begin_s": begin_s, "end_s": end_s, **more}


def test_figures() -> None:
    events = [
        *stay(STOPPED, "a", begin_s=10, told_s=20, end_s=60),
        *stay(STOPPED, "b", begin_s=100, told_s=114, end_s=160),
        *stay(STOPPED, "c", begin_s=500, told_s=510, end_s=520),
    ]
    result = score_events(
        events,
        truth(
            true(STOPPED, 9, 61),
            true(STOPPED, 100, 150),
            true(STOPPED, 300, 310),
            true(STOPPED, 700, 800),
        ),
    )
    total = result.total
    assert (total.true, total.reported, total.matched) == (4, 3, 2)
    assert (total.missed, total.false) == (2, 1)
    assert total.detection_rate == 0.5
    assert total.false_alarm_rate == pytest.approx(1 / 3)
    assert total.mean_time_to_detect_s == pytest.approx((11 + 14) / 2)
    assert total.false_per_camera_day == pytest.approx(24)
    assert [each.subject for each in result.false] == ["case/c"]
    assert [each.begin_s for each in result.missed] == [300, 700]
    assert result.types == {STOPPED: total}
    assert not result.is_perfect


def test_nothing_true_and_nothing_reported() -> None:
    result = score_events([], truth())
    assert result.is_perfect
    assert result.types == {}
    assert (result.total.detection_rate, result.total.false_alarm_rate) == (None, None)
    assert result.total.false_per_camera_day == 0


@pytest.mark.parametrize(
    ("begin_s", "end_s", "matches"),
    [(0, 8, True), (0, 7.9, False), (22, 30, True), (22.1, 30, False), (12, 14, True)],
)
def test_times_overlap_within_two_seconds(begin_s: float, end_s: float, matches: bool) -> None:
    events = stay(STOPPED, "a", begin_s, end_s, end_s)
    assert score_events(events, truth(true(STOPPED, 10, 20))).is_perfect is matches


@pytest.mark.parametrize(
    ("box", "matches"),
    [([0.1, 0.1, 0.3, 0.3], True), ([0.2, 0.1, 0.4, 0.3], True), ([0.3, 0.3, 0.5, 0.5], False)],
)
def test_boxes_overlap_where_both_have_them(box: list[float], matches: bool) -> None:
    events = stay(STOPPED, "a", 10, 20, 60, object={"track": 1, "box": [0.1, 0.1, 0.3, 0.3]})
    assert score_events(events, truth(true(STOPPED, 10, 60, box=box))).is_perfect is matches
    without = stay(STOPPED, "a", 10, 20, 60, object={"track": 1})
    assert score_events(without, truth(true(STOPPED, 10, 60, box=box))).is_perfect


@pytest.mark.parametrize("key", ["camera", "zone", "line", "direction"])
def test_places_are_the_same_where_both_name_them(key: str) -> None:
    events = [envelope(COUNT, "a", 5.0, begin_s=5.0, **{key: "up"})]
    assert score_events(events, truth(true(COUNT, 5, 5, **{key: "up"}))).is_perfect
    assert not score_events(events, truth(true(COUNT, 5, 5, **{key: "down"}))).is_perfect
    assert score_events(events, truth(true(COUNT, 5, 5))).is_perfect


def test_types_do_not_mix() -> None:
    events = stay(STOPPED, "a", 10, 20, 60)
    result = score_events(events, truth(true(PARKING, 10, 60)))
    assert (result.types[STOPPED].false, result.types[PARKING].missed) == (1, 1)


def test_as_many_matches_as_possible() -> None:
    """The nearest pair first would take the only report that the other true event can have."""
    events = [envelope(COUNT, "a", 10.0), envelope(COUNT, "b", 12.9)]
    result = score_events(events, truth(true(COUNT, 9, 9), true(COUNT, 11, 11)))
    assert result.is_perfect
    result = score_events(events, truth(true(COUNT, 11, 11), true(COUNT, 9, 9)))
    assert result.is_perfect


MOMENTS = st.lists(st.integers(0, 30).map(float), max_size=5)


@given(reported=MOMENTS, real=MOMENTS)
def test_no_other_pairing_is_better(reported: list[float], real: list[float]) -> None:
    events = [envelope(COUNT, str(i), t, begin_s=t) for i, t in enumerate(reported)]
    result = score_events(events, truth(*(true(COUNT, t, t) for t in real)))
    few, many = sorted((reported, real), key=len)
    best = max(
        sum(abs(a - b) <= 2 for a, b in zip(few, order, strict=True))
        for order in permutations(many, len(few))
    )
    assert result.total.matched == best


def test_ignored_spans_count_neither_way() -> None:
    events = [*stay(STOPPED, "a", 10, 20, 60), *stay(STOPPED, "b", 100, 110, 150)]
    inside = {"begin_s": 5, "end_s": 61}
    assert score_events(events, truth(ignore=[inside])).total.reported == 1
    for miss in ({**inside, "end_s": 59}, {**inside, "type": COUNT}, {**inside, "camera": "x"}):
        assert score_events(events, truth(ignore=[miss])).total.reported == 2


def test_types_narrow_what_the_truth_speaks_about() -> None:
    events = [*stay(STOPPED, "a", 10, 20, 60), envelope(COUNT, "b", 5.0)]
    result = score_events(events, truth(types=[PARKING, COUNT]))
    assert list(result.types) == [COUNT, PARKING]
    assert result.total.reported == 1


def test_what_could_not_be_verified() -> None:
    events = [
        *stay(PARKING, "proven", 10, 20, 60),
        case("proven"),
        *stay(PARKING, "no-case", 100, 110, 160),
        *stay(PARKING, "partial", 200, 210, 260),
        case("partial"),
        case("partial", reasons=["replay", "arrival not seen"]),
        *stay(PARKING, "clock", 300, 310, 360),
        case("clock", reasons=["replay", "clock not synchronised"]),
        *stay(STOPPED, "needs-none", 10, 20, 60),
        *stay(STOPPED, "motion", 100, 110, 160, reasons=["replay", "model motion is not ..."]),
        *stay(STOPPED, "live", 200, 210, 260, evidential=True, reasons=[]),
        *stay(STOPPED, "live-bad", 300, 310, 360, reasons=["clock not synchronised"]),
    ]
    result = score_events(events, truth())
    assert result.types[PARKING].share_unverifiable == pytest.approx(2 / 4)
    assert result.types[STOPPED].share_unverifiable == pytest.approx(2 / 4)
    none_needed = score_events(events, truth(), documented=frozenset())
    assert none_needed.types[PARKING].share_unverifiable == pytest.approx(1 / 4)


@pytest.mark.parametrize(
    ("more", "duration_s"),
    [
        ({"duration_s": 50.0}, 50.0),
        ({"duration_s": None, "fps": 25, "frames": 500}, 20.0),
        ({"duration_s": None, "fps": 25}, 60.0),
        ({"duration_s": None, "ignore": [{"begin_s": 0, "end_s": 90}]}, 90.0),
    ],
)
def test_length_of_the_footage(more: dict[str, Any], duration_s: float) -> None:
    events = stay(STOPPED, "a", 10, 20, 60)
    assert score_events(events, truth(**more)).duration_s == pytest.approx(duration_s)


def test_cameras_are_counted_or_given() -> None:
    events = [envelope(COUNT, "a", 1.0), envelope(COUNT, "b", 2.0, camera="south")]
    assert score_events(events, truth()).cameras == 2
    assert score_events(events, truth(true(COUNT, 9, 9, camera="west"))).cameras == 3
    assert score_events(events, truth(cameras=4)).total.false_per_camera_day == pytest.approx(12)


def test_json_and_table() -> None:
    events = [*stay(STOPPED, "a", 10, 20, 60), envelope(COUNT, "b", 5.0, line="y200")]
    result: Score = score_events(events, truth(true(STOPPED, 10, 60), true(PARKING, 5, 9)))
    plain = json.loads(json.dumps(result.as_json()))
    assert plain["types"][STOPPED]["detection_rate"] == 1.0
    assert plain["missed"] == [{"type": PARKING, "begin_s": 5.0, "end_s": 9.0}]
    assert plain["false"][0]["line"] == "y200"
    console = Console(width=140, force_terminal=False)
    with console.capture() as capture:
        console.print(result.as_table())
    text = capture.get()
    assert "3600.0 s of footage, 1 camera" in text
    assert "100.0 %" in text
    assert "total" in text


def test_files(tmp_path: Path) -> None:
    log, answers = tmp_path / "events.jsonl", tmp_path / "truth.json"
    events = stay(STOPPED, "a", 10, 20, 60)
    log.write_text("".join(json.dumps(each) + "\n" for each in events))
    answers.write_text(json.dumps(truth(true(STOPPED, 10, 60))))
    assert score_events(load_events(log), load_truth(answers)).is_perfect


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    log.write_text('{"type": "a"}\n\n{"type": "ed')
    with pytest.raises(ConfigError, match=r"events\.jsonl:3: is not JSON .*column 10.*cut off"):
        list(load_events(log))
    log.write_text("[1]\n")
    with pytest.raises(ConfigError, match=r"events\.jsonl:1: expected a JSON object"):
        list(load_events(log))
    log.write_text("[" * 100_000)
    with pytest.raises(ConfigError, match=r"events\.jsonl:1: is not JSON"):
        list(load_events(log))
    with pytest.raises(ConfigError, match="cannot be read"):
        list(load_events(tmp_path / "none.jsonl"))
    log.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        list(load_events(log))


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"type": "edge.a.b.v1"}, "event 1 is not an event envelope: subject: is missing"),
        ({"type": "other", "subject": "x", "data": {}}, "type: `other` is not written as expec"),
        (
            {"type": "edge.a.b.v1", "subject": "x", "data": {"time": {"pts_s": "now"}}},
            "data.time.pts_s: expected a number",
        ),
    ],
)
def test_a_bad_envelope_is_named(event: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        score_events([event], truth())
    assert said in str(caught.value)


def test_every_mistake_of_a_truth_is_named(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    bad = truth(
        {"type": PARKING, "begin_s": 5, "end_s": 3},
        {"type": PARKING, "begin_s": -1, "end_s": 3, "direcion": "up"},
        {"begin_s": 1, "end_s": 2, "box": [0, 0, 640, 1]},
        fps=0,
    )
    path.write_text(json.dumps(bad))
    with pytest.raises(ConfigError) as caught:
        load_truth(path)
    said = str(caught.value).replace(str(path), "truth.json").splitlines()
    assert [line.split("; ")[0] for line in said] == [
        "truth.json: events[0]: end_s 3 lies before begin_s 5",
        "truth.json: events[1].begin_s: -1 is below 0",
        "truth.json: events[1].direcion: unknown key",
        "truth.json: events[2].type: is missing",
        "truth.json: events[2].box[2]: 640 is above 1",
        "truth.json: fps: 0 is not above 0",
    ]
    assert "did you mean `direction`?" in said[2]
    path.write_text('{"events": [,]}')
    with pytest.raises(ConfigError, match=r"truth\.json: is not JSON"):
        load_truth(path)
