"""What a bench reports: rules and closer looks apart, each over one inference."""

from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from edge_agent import app
from edge_agent.assembly import model_paths
from edge_agent.bench import Plan, Result, Stopwatch, Timed, run_bench
from edge_agent.cli.bench import table_of
from edge_agent.clock import ManualClock, SystemClock

SITE = """
site: {name: test, timezone: UTC}
device: box
cameras:
  gate:
    detector: {model: helmets}
    heads: {model: helmets}
    lines: {middle: {a: [0.5, 0], b: [0.5, 1], to_right: out, to_left: in}}
    rules:
      - {kind: camera.health}
      - {kind: flow.line_crossing, line: middle, classes: [helmet]}
"""


@pytest.fixture(scope="module")
def result(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "site.yaml").write_text(SITE)
    site = app.load(folder / "site.yaml")
    video = make_video(folder / "a.mp4", 12)
    plan = Plan(site, video, model_paths(site), workers=1, frames=10, rounds=1)
    return run_bench(plan, SystemClock(), lambda step: None)


def test_rules_and_closer_looks_are_told_apart(result: Result) -> None:
    assert set(result.rules_ms) == {"camera.health", "flow.line_crossing"}
    assert set(result.looks_ms) == {"heads"}
    infer_ms = result.stages_ms["infer"]
    assert result.rules_share == pytest.approx(sum(result.rules_ms.values()) / infer_ms)
    assert result.looks_share == pytest.approx(sum(result.looks_ms.values()) / infer_ms)
    assert sum(result.rules_ms.values()) < result.stages_ms["rules"]


def test_both_shares_are_in_the_json_and_in_the_table(result: Result) -> None:
    figures = result.as_json()
    assert {"rules_ms", "rules_share", "looks_ms", "looks_share"} <= figures.keys()
    console = Console(width=100, file=StringIO())
    with console.capture() as capture:
        console.print(table_of(result))
    text = capture.get()
    assert "rules: flow.line_crossing" in text
    assert "closer looks: heads" in text
    assert f"{result.rules_share:.1%}" in text
    assert f"{result.looks_share:.1%}" in text


class Slow:
    """A rule that works only while its answer is read."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def update(self, steps: int) -> Iterator[int]:
        for i in range(steps):
            self._clock.advance(0.5)
            yield i


def test_work_is_timed_that_a_rule_does_while_its_answer_is_read() -> None:
    clock = ManualClock()
    watch = Stopwatch(clock)
    timed = Timed(Slow(clock), "slow", watch)
    answer = timed.update(3)
    clock.advance(7)
    assert list(answer) == [0, 1, 2]
    assert watch.per_frame(2) == {"slow": 750.0}


def test_a_thread_that_waits_is_not_busy() -> None:
    clock = SystemClock()
    begin_s, begin_busy_s = clock.monotonic(), clock.busy()
    clock.sleep(0.2)
    assert clock.busy() - begin_busy_s < 0.1 < clock.monotonic() - begin_s
