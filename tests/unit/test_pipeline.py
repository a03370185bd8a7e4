"""What the pipeline adds to the components that it joins."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import numpy as np

from edge_agent.config import Evidence, TrackerSettings
from edge_agent.evidence import CaseCollector
from edge_agent.pipeline import Pipeline, RuleSlot
from edge_agent.tracking import Tracker
from edge_agent.types import (
    ArrayPicture,
    Box,
    Detections,
    Event,
    Frame,
    HeadSighting,
    ModelInfo,
    Phase,
    PlateRead,
    Scene,
    Track,
)

PICTURE = ArrayPicture(np.zeros((90, 160, 3), np.uint8))


class Blind:
    """A detector that sees nothing."""

    model, is_ordered, min_score = ModelInfo("blind", None), False, 0.5
    names: tuple[str, ...] = ()

    def detect(self, frame: Frame) -> Detections:
        return Detections.none()


class Told:
    """A rule that says what it was told to, at its times."""

    def __init__(self, kind: str, says: dict[float, Phase]) -> None:
        self.kind, self._says = kind, says

    def update(self, scene: Scene) -> Iterator[Event]:
        frame = scene.frame
        if frame.t_s in self._says:
            phase = self._says[frame.t_s]
            yield Event(
                frame.camera, self.kind, self.kind, phase, 0.0, frame.t_s, frame.wall, frame.seq
            )

    def finish(self, scene: Scene) -> Iterable[Event]:
        return ()


class Eye:
    """Looks at plates and heads that are always there."""

    models: tuple[ModelInfo, ...] = ()

    def read(self, frame: Frame, tracks: Iterable[Track]) -> tuple[PlateRead, ...]:
        return (PlateRead(1, "AB12", (0.9,) * 4, None, (), 0.9),)

    def look(self, frame: Frame, vehicle: Box) -> PlateRead | None:
        return None

    def find(self, frame: Frame, tracks: Iterable[Track]) -> tuple[HeadSighting, ...]:
        return (HeadSighting(1, Box(0, 0, 8, 8), True, 0.9),)


class Witness:
    """A rule that keeps the scenes."""

    kind = "test.witness"

    def __init__(self) -> None:
        self.scenes: list[Scene] = []

    def update(self, scene: Scene) -> Iterable[Event]:
        self.scenes.append(scene)
        return ()

    def finish(self, scene: Scene) -> Iterable[Event]:
        return ()


def pipeline(*rules: Told | Witness) -> Pipeline:
    slots = [RuleSlot(rule.kind, lambda rule=rule: rule) for rule in rules]  # type: ignore[misc]
    tracker, collector = Tracker(TrackerSettings(), 0.5), CaseCollector(Evidence())
    return Pipeline(Blind(), tracker, slots, collector)


def frame(t_s: float) -> Frame:
    return Frame("c1", int(t_s), t_s, datetime(2026, 1, 1, tzinfo=UTC), PICTURE)


def doubts(line: Pipeline, until_s: int) -> dict[float, tuple[str, ...]]:
    found: dict[float, tuple[str, ...]] = {}
    for t in range(until_s):
        for event in line.step(frame(float(t)), Detections.none()).events:
            if event.kind == "incident.crash":
                found[event.t_s] = event.doubts
    return found


def test_nothing_is_evidential_while_the_camera_has_moved() -> None:
    moved = Told("camera.moved", {2.0: "begin", 3.0: "update", 5.0: "end"})
    crash = Told("incident.crash", dict.fromkeys((1.0, 2.0, 4.0, 5.0, 6.0), "update"))
    found = doubts(pipeline(moved, crash), 8)
    assert found == {
        1.0: (),
        2.0: ("camera moved",),
        4.0: ("camera moved",),
        5.0: (),
        6.0: (),
    }


def test_doubts_add_up() -> None:
    moved = Told("camera.moved", {1.0: "begin"})
    dark = Told("camera.dark", {2.0: "begin", 4.0: "end"})
    crash = Told("incident.crash", {3.0: "begin", 5.0: "end"})
    found = doubts(pipeline(moved, dark, crash), 6)
    assert found == {3.0: ("camera moved", "picture too dark"), 5.0: ("camera moved",)}


def test_rules_see_what_a_closer_look_showed_and_the_signals() -> None:
    witness = Witness()
    line = pipeline(witness)
    line.plates = line.heads = Eye()
    line.step(frame(0.0), Detections.none(), {"main": "red"})
    (scene,) = witness.scenes
    assert scene.plates[0].text == "AB12"
    assert scene.plates[0].score == 0.9
    assert scene.heads[0].has_helmet
    assert scene.signals == {"main": "red"}
