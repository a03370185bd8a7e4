"""What the system's watchdog hears of a box that takes over a changed site file slowly."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml

from edge_agent.clock import SystemClock
from edge_agent.live import appliance
from edge_agent.live.appliance import Appliance
from edge_agent.live.remote import Remote
from edge_agent.live.requests import Requests
from edge_agent.live.service import serve

pytestmark = pytest.mark.slow

SLOW_S = 1.5
"""Of each part that may hang: a camera, the old connection, the new lines."""
FEED_S = 0.4
PATIENCE_S = 30.0


@pytest.fixture
def site(tmp_path: Path, make_video: Callable[..., Path]) -> dict[str, Any]:
    video = str(make_video(tmp_path / "lane.mp4", 50))
    return {
        "site": {"name": "plaza"},
        "device": "box",
        "state_dir": str(tmp_path / "state"),
        "gpio": {"factory": "mock"},
        "health_output": {"line": 13},
        "mqtt": {"host": "127.0.0.1", "port": 9},
        "cameras": {
            "north": {
                "source": {"kind": "file", "path": video, "loop": True},
                "detector": {"model": "motion"},
                "rules": [{"kind": "camera.health"}],
            }
        },
    }


def slowly(act: Callable[..., Any]) -> Callable[..., Any]:
    def late(*args: Any) -> Any:
        threading.Event().wait(SLOW_S)
        return act(*args)

    return late


def test_the_watchdog_is_fed_while_each_part_of_a_reload_takes_its_time(
    site: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, clock, fed_s = tmp_path / "site.yaml", SystemClock(), list[float]()
    config.write_text(yaml.safe_dump(site))
    notifier = Mock(watchdog_interval_s=FEED_S)
    notifier.watchdog.side_effect = lambda: fed_s.append(clock.monotonic())
    box, requests = Appliance(config, clock, workers=1), Requests()
    with box.running():
        watch = threading.Thread(
            target=serve, args=(box, requests, notifier, Remote(box, requests))
        )
        watch.start()
        try:
            box._uplinks.callback(threading.Event().wait, SLOW_S)
            monkeypatch.setattr(box.daemon, "remove", slowly(box.daemon.remove))
            monkeypatch.setattr(appliance, "make_cabinet", slowly(appliance.make_cabinet))
            site["mqtt"]["keepalive_s"] = 20
            site["health_output"]["line"] = 19
            site["cameras"]["south"] = site["cameras"].pop("north")
            config.write_text(yaml.safe_dump(site))
            assert requests.ask_reload().result(PATIENCE_S) is None
            assert list(box.daemon.cameras) == ["south"]
        finally:
            requests.stop.set()
            watch.join(PATIENCE_S)
    assert fed_s[-1] - fed_s[0] > 2 * SLOW_S
    assert max(after - before for before, after in pairwise(fed_s)) < SLOW_S
