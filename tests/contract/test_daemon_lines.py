"""A whole box on mock lines: it starts in call, tells, changes its wires, lets go in call."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_agent.errors import SignalError
from edge_agent.live.appliance import Appliance
from edge_agent.signals import WiredCabinet

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path: Path, make_video: Callable[..., Path]) -> Path:
    """A site with one camera, a call, an alarm, a phase and a health output."""
    camera = {
        "source": {
            "kind": "file",
            "path": str(make_video(tmp_path / "lane.mp4", 50)),
            "loop": True,
        },
        "zones": {"stop": [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]},
        "rules": [{"kind": "camera.health"}],
    }
    text = {
        "site": {"name": "plaza"},
        "device": "box",
        "state_dir": str(tmp_path / "state"),
        "data_dir": str(tmp_path / "data"),
        "gpio": {"factory": "mock"},
        "cameras": {"north": camera},
        "calls": {"ns": {"line": 5, "camera": "north", "zone": "stop", "active_low": True}},
        "outputs": {"gate": {"line": 6}},
        "phases": {"ns": {"red": 17, "amber": 22, "green": 23}},
        "health_output": {"line": 13},
    }
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump(text))
    return path


def _wired(box: Appliance) -> WiredCabinet:
    assert isinstance(box.cabinet, WiredCabinet)
    return box.cabinet


def _pin(box: Appliance, line: int) -> Any:
    return _wired(box).lines.factory.pin(line)


def test_a_box_calls_tells_and_moves_its_health_output(boxes: Any, config: Path) -> None:
    with boxes.running(config) as box:
        call, health = _pin(box, 5), _pin(box, 13)
        assert (call.function, bool(call.state)) == ("output", True)
        assert boxes.goes_on(box, "north")
        assert boxes.comes_true(lambda: len(health.states) > 4)
        assert boxes.comes_true(lambda: box.outbox.last_sequence >= 2), "io.fault and io.conflict"
        assert box.cabinet.feed("north").at(box.clock.monotonic()) == {"ns": "conflict"}
        pulse = box.journal.outputs.pulse("gate", box.clock.now())
        assert pulse is not None and pulse.backend == "mock"
        assert boxes.comes_true(lambda: [s.state for s in _pin(box, 6).states][-2:] == [1, 0])
        assert [state.state for state in call.states] == [False, True], "not an output, at rest"


def test_wires_are_changed_and_a_wrong_change_changes_nothing(boxes: Any, config: Path) -> None:
    text = config.read_text()
    with boxes.running(config) as box:
        assert boxes.goes_on(box, "north")
        config.write_text(text.replace("line: 6", "line: nowhere"))
        why = boxes.reload(box)
        assert why is not None and "outputs.gate.line: line nowhere" in why
        assert box.site.outputs["gate"].line == 6 and _pin(box, 6).function == "output"
        assert box.journal.outputs is box.daemon.cabinet is box.cabinet

        config.write_text(text.replace("line: 5", "line: 19"))
        old = _pin(box, 5)
        assert boxes.reload(box) is None
        assert bool(old.states[-1].state), "at rest when it was let go"
        assert bool(_pin(box, 19).state) and box.site.calls["ns"].line == 19
        assert box.journal.outputs is box.daemon.cabinet is box.cabinet
        assert boxes.goes_on(box, "north")


def test_lines_are_taken_anew_only_for_what_they_serve(boxes: Any, config: Path) -> None:
    """Every time puts every call of the crossing on for half a minute."""
    text = yaml.safe_load(config.read_text())
    north = text["cameras"]["north"]
    text["cameras"]["south"] = {
        "source": north["source"],
        "zones": {"bay": [[0, 0], [1, 0], [1, 1]]},
    }

    def reloaded(box: Appliance) -> WiredCabinet:
        config.write_text(yaml.safe_dump(text))
        assert boxes.reload(box) is None
        return _wired(box)

    config.write_text(yaml.safe_dump(text))
    with boxes.running(config) as box:
        before = _wired(box)
        south = text["cameras"]["south"]
        for dwell_s in (20, 30):
            south["rules"] = [{"kind": "parking.illegal", "zone": "bay", "dwell_s": dwell_s}]
            assert reloaded(box) is before
        north["zones"]["drive"] = [[0, 0], [1, 0], [1, 0.5]]
        assert reloaded(box) is before, "no call serves it"
        north["zones"]["stop"][0] = [0.1, 0.5]
        after = reloaded(box)
        assert after is not before
        after.tick(box.clock.monotonic())
        assert {call.logic.fault for call in after._calls} == {"reload"}
        assert box.daemon.cabinet is after


def test_lines_are_driven_while_a_dead_broker_is_left_for_another(boxes: Any, config: Path) -> None:
    """A main thread that waits for it would be taken for one that hangs, and every call go on."""
    text = yaml.safe_load(config.read_text())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        config.write_text(yaml.safe_dump({**text, "mqtt": _broker(port)}))
        with boxes.running(config) as box:
            health = _pin(box, 13)
            assert boxes.goes_on(box, "north")
            with _newest(silent):  # and never a word of TLS
                count = len(health.states)
                config.write_text(yaml.safe_dump({**text, "mqtt": _broker(port, keepalive_s=20)}))
                assert boxes.reload(box) is None
                assert boxes.comes_true(lambda: len(health.states) > count + 1)
            assert max(state.timestamp for state in health.states[count:]) < 2.0


def _newest(listener: socket.socket) -> socket.socket:
    """The next connection, whatever waits already."""
    listener.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
    listener.settimeout(30.0)
    return listener.accept()[0]


def _broker(port: int, **more: int) -> dict[str, object]:
    return {"host": "127.0.0.1", "port": port, "tls": {}, **more}


def test_lines_that_cannot_be_let_go_are_taken_again(
    boxes: Any, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_cabinet: WiredCabinet) -> None:
        raise SignalError("the pin is stuck")

    with boxes.running(config) as box:
        before, text = _wired(box), yaml.safe_load(config.read_text())
        text["health_output"]["line"] = 25
        config.write_text(yaml.safe_dump(text))
        with monkeypatch.context() as patch:
            patch.setattr(WiredCabinet, "_let_go", refuse)
            assert "the pin is stuck" in str(boxes.reload(box))
        assert box.daemon.cabinet is _wired(box) is not before
        assert boxes.goes_on(box, "north")
        health = _pin(box, 13)
        assert boxes.comes_true(lambda: len(health.states) > 2), "and they are driven"


def test_lines_that_cannot_be_had_back_are_a_case_for_a_new_process(
    boxes: Any, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise SignalError("the chip is gone")

    with boxes.running(config) as box:
        assert box.stuck(box.clock.monotonic()) is None
        monkeypatch.setattr("edge_agent.live.appliance.make_cabinet", refuse)
        text = yaml.safe_load(config.read_text())
        text["health_output"] = {**text["health_output"], "line": 25}
        config.write_text(yaml.safe_dump(text))
        assert "the chip is gone" in str(boxes.reload(box))
        assert "the chip is gone" in str(box.stuck(box.clock.monotonic()))


def test_a_box_whose_lines_are_not_there_does_not_start(boxes: Any, config: Path) -> None:
    config.write_text(config.read_text().replace("line: 13", "line: 99"))
    with pytest.raises(SignalError, match=r"health_output: line 99"), boxes.running(config):
        pass
