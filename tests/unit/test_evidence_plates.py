"""Plates and doubts in a case: collected, signed, verified."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent.clock import ManualClock
from edge_agent.config import Evidence
from edge_agent.evidence import BundleWriter, CaseCollector, DeviceKey, verify
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.verification.consistency import contradictions
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import (
    ArrayPicture,
    Box,
    Case,
    Detections,
    Event,
    Frame,
    Media,
    ModelInfo,
    Phase,
    Photo,
    PlateRead,
    Scene,
    Track,
)

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
NOISE = np.random.default_rng(7).integers(0, 255, (180, 320, 3), np.uint8)
FPS = 10


def read(text: str, x: float, score: float = 0.95, reason: str | None = None) -> PlateRead:
    corners = ((x, 80.0), (x + 40, 80.0), (x + 40, 88.0), (x, 88.0))
    return PlateRead(0, text, (score,) * len(text), "eu", corners, 0.9, reason)


def car_x(t_s: float) -> float:
    """It comes at 0 s, parks from 3 s to 20 s, and leaves to the right."""
    return 100 - 40 * max(0.0, 3 - t_s) + 40 * max(0.0, t_s - 20)


@dataclass
class Painted:
    """A reader of plates that are written in time: from when on which text is seen."""

    texts: Mapping[float, str | None]
    reason: str | None = None
    score: float = 0.95
    models: tuple[ModelInfo, ...] = ()

    def read(self, frame: Frame, tracks: Iterable[Track]) -> tuple[PlateRead, ...]:
        return ()

    def look(self, frame: Frame, vehicle: Box) -> PlateRead | None:
        text = [text for since, text in self.texts.items() if since <= frame.t_s][-1]
        return None if text is None else read(text, vehicle.x1, self.score, self.reason)


def scene(n: int, reads: Iterable[PlateRead] = ()) -> Scene:
    t_s = n / FPS
    frame = Frame("c1", n, t_s, START + timedelta(seconds=t_s), ArrayPicture(NOISE))
    return Scene(frame, Detections.none(), (track(t_s),), plates=tuple(reads))


def track(t_s: float) -> Track:
    x = car_x(t_s)
    is_still = 3.6 <= t_s < 20
    pace = 0.0 if is_still else 40.0
    since = 3.0 if is_still else None
    return Track(1, "car", 0.9, Box(x, 60, x + 60, 100), (pace, 0.0), 0.0, t_s, since)


def event(phase: Phase, t_s: float, **changes: Any) -> Event:
    base = Event(
        camera="c1",
        kind="parking.illegal",
        subject="parking.illegal/kerb/1",
        phase=phase,
        begin_s=3.0,
        t_s=t_s,
        wall=START + timedelta(seconds=t_s),
        frame=round(t_s * FPS),
        zone="kerb",
        track=track(t_s),
        facts={"dwell_s": max(0.0, round(min(t_s, 20.0) - 3, 3)), "end_reason": "left"},
    )
    return replace(base, **changes)


def health(kind: str, phase: Phase, t_s: float, camera: str = "c1") -> Event:
    return event(phase, t_s, kind=kind, subject=kind, zone=None, track=None, camera=camera)


def play(
    reader: Painted | None = None,
    *,
    more: Iterable[Event] = (),
    seen: Mapping[int, PlateRead] | None = None,
    end_s: float = 24.0,
    **end: Any,
) -> list[Case]:
    collector = CaseCollector(Evidence(clip_before_s=1, clip_after_s=2), plates=reader)
    story = [event("suspect", 1.0), event("begin", 8.0), event("end", end_s, **end), *more]
    cases: list[Case] = []
    for n in range(260):
        reads = [replace(seen[n], track_id=1)] if seen and n in seen else []
        cases += collector.update(scene(n, reads), [e for e in story if e.frame == n])
    return cases


def photo(case: Case, role: str) -> Photo:
    return next(each for each in case.photos if each.role == role)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes cases as a live device does, which has no doubts of its own, or as a replay."""
    key = DeviceKey.load_or_create(tmp_path / "state", "box-1", ManualClock(START))

    def write(cases: Iterable[Case], kind: Any = "live") -> Path:
        media = Media("x", kind, "ab" * 32 if kind == "replay" else None, START, "given")
        cameras = {"c1": CameraOrigin(media, ModelInfo("yolo", "cd" * 32))}
        origin = Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", cameras)
        writer = BundleWriter(tmp_path / kind, key, origin, Evidence(), {})
        for each in cases:
            path = Path(writer.write(each, None).path)
        return path

    return write


def test_a_plate_that_all_photos_show(write: Callable[..., Path]) -> None:
    cases = play(Painted({0: "AB12"}))
    last = cases[-1]
    assert (last.is_complete, last.reasons, last.doubts) == (True, (), ())
    assert last.plates is not None and [each.role for each in last.photos] == list(last.plates)
    assert last.plate is not None
    # Parked pictures count once: arriving, standing, leaving.
    assert (last.plate["text"], last.plate["reads"]) == ("AB12", 3)
    report = verify(write(cases))
    assert report.is_valid and report.facts["evidential"]
    assert report.facts["plate"]["text"] == "AB12"
    assert [m["plate"]["text"] for m in report.facts["media"] if "plate" in m] == ["AB12"] * 4


@pytest.mark.parametrize(
    ("reader", "doubt"),
    [
        (Painted({0: "AB12", 20.5: "XY99"}), "plates disagree"),
        (Painted({0: "AB12", 20.5: "A812"}), "plates disagree"),  # both sure of it
        (Painted({0: "AB12"}, reason="plate too narrow"), "plate too narrow"),
        (Painted({0: "AB12", 8: None}, reason="plate too narrow"), "plate too narrow"),
        (Painted({0: "AB12"}, reason="unsure"), "plate not legible"),
        (Painted({0: None}), "plate not legible"),
    ],
)
def test_plates_that_prove_nothing(reader: Painted, doubt: str, write: Callable[..., Path]) -> None:
    cases = play(reader)
    assert cases[-1].doubts == (doubt,) and cases[-1].is_complete
    assert cases[-1].plate is not None and cases[-1].plate["text"] is None
    report = verify(write(cases))
    assert report.is_valid and not report.facts["evidential"]
    assert report.facts["reasons"] == [doubt]
    assert report.facts["plate"]["reason"] in (doubt, reader.reason, "no plate found")


def test_look_alikes_read_without_certainty_are_one_plate() -> None:
    case = play(Painted({0: "AB12", 20.5: "A812"}, score=0.8))[-1]
    assert case.doubts == ()
    assert case.plate is not None and case.plate["reason"] == "reads disagree"  # but not told


def test_one_legible_photo_is_enough_to_look_at_and_too_little_to_tell() -> None:
    case = play(Painted({0: "AB12", 3.5: None}))[-1]
    assert case.doubts == ()
    assert case.plate is not None and case.plate["reason"] == "one look only"


def test_what_the_track_agreed_on_is_told_unless_a_photo_contradicts() -> None:
    told = {"text": "AB12", "confidence": 0.9, "region": "eu", "reads": 4, "chars": [0.9] * 4}
    assert play(Painted({0: "AB12", 3.5: None}), plate=told)[-1].plate == told
    other = play(Painted({0: "XY99", 3.5: None}), plate=told)[-1]
    assert other.doubts == ("plates disagree",)
    assert other.plate is not None and other.plate["text"] is None
    unseen = play(Painted({0: None}), plate=told)[-1]
    assert (unseen.plate, unseen.doubts) == (told, ("plate not legible",))


def test_the_close_up_is_one_in_which_the_plate_was_read() -> None:
    without = photo(play()[-1], "close").frame.seq
    good, better = read("AB12", 0, 0.5), read("AB12", 0, 0.9)
    unsound = read("AB12", 0, 0.99, "plate too narrow")
    seen = {13: good, 27: better, 101: good, 203: unsound}
    assert without not in seen
    assert photo(play(seen=seen)[-1], "close").frame.seq == 27
    assert photo(play(seen={203: unsound})[-1], "close").frame.seq == without


def test_models_that_read_plates_are_named_and_must_be_fit_for_it(
    write: Callable[..., Path],
) -> None:
    models = (ModelInfo("finder", "12" * 32), ModelInfo("toy", None, is_evidential=False))
    report = verify(write(play(Painted({0: "AB12"}, models=models))))
    assert report.is_valid and report.facts["reasons"] == ["model toy is not evidential"]
    assert report.facts["plate"]["models"] == [
        {"name": "finder", "sha256": "12" * 32},
        {"name": "toy", "sha256": None},
    ]


def test_where_no_plates_are_read_nothing_is_said_of_them(write: Callable[..., Path]) -> None:
    cases = play()
    assert (cases[-1].plates, cases[-1].plate, cases[-1].doubts) == (None, None, ())
    report = verify(write(cases))
    assert report.is_valid and "plate" not in json.dumps(report.facts)


def test_whatever_the_camera_is_doubted_for_in_between_makes_the_case_doubtful(
    write: Callable[..., Path],
) -> None:
    cases = play(more=[health("camera.moved", "begin", 12.0), health("camera.moved", "end", 13.0)])
    assert [each.doubts for each in cases] == [(), ("camera moved",)]
    report = verify(write(cases))
    assert report.is_valid and report.facts["reasons"] == ["camera moved"]


@pytest.mark.parametrize(
    "stranger",
    [
        health("camera.moved", "begin", 0.5),  # over before, or the case's events say so
        health("camera.moved", "begin", 24.5),
        health("camera.moved", "end", 12.0),
        health("camera.moved", "begin", 12.0, camera="c2"),
        health("camera.fine", "begin", 12.0),
    ],
)
def test_other_doubts_are_not_its_own(stranger: Event) -> None:
    assert play(more=[stranger])[-1].doubts == ()


def test_what_comes_after_the_end_is_no_doubt_while_the_clip_goes_on() -> None:
    (case,) = play(more=[health("camera.moved", "begin", 9.5)], end_s=9.0)
    assert case.doubts == ()


def test_doubts_of_its_own_events_are_collected() -> None:
    update = event("update", 10.0, doubts=("camera blurred",))
    case = play(more=[update], doubts=("picture too dark", "camera blurred"))[-1]
    assert case.doubts == ("camera blurred", "picture too dark")


def forged(path: Path, change: Callable[[dict[str, Any]], None]) -> list[str]:
    manifest = dict(verify(path).facts)
    del manifest["manifest_sha256"]
    change(manifest)
    return list(contradictions(Manifest.model_validate_json(json.dumps(manifest))))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("plate"), "nothing is said of them together"),
        (lambda m: m["media"][0].pop("plate"), "not looked at in every photo"),
        (lambda m: m["media"][0]["plate"].update(text="AB123"), "contradicts its scores"),
        (lambda m: m["media"][0]["plate"].update(text=None, chars=[]), "or its reason"),
        (lambda m: m["plate"].update(confidence=1.0), "surer than its weakest character"),
        (lambda m: m["plate"].update(reads=1), "not read twice"),
        (lambda m: m["plate"].update(text="XY99"), "the photos say `plates disagree`"),
        (lambda m: m["media"][0]["plate"].update(text="XY99"), "the photos say `plates disagree`"),
    ],
)
def test_what_cannot_be_true_of_plates(
    write: Callable[..., Path], change: Callable[[dict[str, Any]], None], words: str
) -> None:
    path = write(play(Painted({0: "AB12"})))
    assert forged(path, lambda manifest: None) == []
    assert any(words in text for text in forged(path, change)), forged(path, change)


def test_evidence_that_says_its_plates_disagree_is_none(write: Callable[..., Path]) -> None:
    def praise(manifest: dict[str, Any]) -> None:
        manifest.update(evidential=True, reasons=[])

    path = write(play(Painted({0: "AB12", 20.5: "XY99"})))
    assert forged(path, praise) == ["the photos say `plates disagree`, its reasons do not"]


def test_a_case_with_plates_repeats_to_the_byte(write: Callable[..., Path]) -> None:
    first = write(play(Painted({0: "AB12"})), "replay").read_bytes()
    assert write(play(Painted({0: "AB12"})), "replay").read_bytes() == first
