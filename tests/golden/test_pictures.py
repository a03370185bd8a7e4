"""Camera health on real clips: nothing on sound ones, and what was done to the others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.analyzers.camera.health import CameraHealth
from edge_agent.types import Detections, Frame, ModelInfo
from evaluate.everything import views
from evaluate.pictures import CHANGES, ON_S, Recorded, play, record

pytestmark = pytest.mark.slow


class Nothing:
    """A detector that sees nothing: camera health needs none."""

    model = ModelInfo("nothing", None)
    is_ordered = False
    min_score = 0.5
    names: tuple[str, ...] = ()

    def detect(self, frame: Frame) -> Detections:
        return Detections.none()


@pytest.fixture(scope="module")
def clips(shared: Path) -> Iterator[list[Recorded]]:
    yield [
        record(shared / "footage" / name, view, Nothing())
        for name, view in views().items()
        if "one-by-one" not in name  # long, and indoors
    ]


def test_no_sound_clip_is_called_unsound(clips: list[Recorded]) -> None:
    events = {clip.name: [e.kind for e in play(clip, [CameraHealth])] for clip in clips}
    assert {name: kinds for name, kinds in events.items() if kinds} == {}


@pytest.mark.parametrize(
    ("change", "missed"),
    [("shift 5 %", 0), ("blur 0.3 % of width", 1), ("bright cover in 4 s", 0), ("frozen", 0)],
)
def test_what_is_done_to_a_clip_is_noticed(clips: list[Recorded], change: str, missed: int) -> None:
    kind, make = CHANGES[change]
    unnoticed = []
    for clip in clips:
        events = play(clip, [CameraHealth], make())
        begun = [event for event in events if event.kind == f"camera.{kind}"]
        if not begun or not ON_S <= begun[0].t_s <= ON_S + 13:
            unnoticed.append(clip.name)
    assert len(unnoticed) <= missed, unnoticed
