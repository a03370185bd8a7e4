"""What Prometheus scrapes, over HTTP, read with its own parser."""

import socket
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_agent.config.uplink import Metrics
from edge_agent.errors import ConfigError
from edge_agent.health import CameraHealth, Snapshot
from edge_agent.live.metrics import served

NORTH = CameraHealth("online", None, 100, 40, 3, 1, 24.9, 0.04, (12.0, 60.5))
SOUTH = CameraHealth("lost", "no route", 0, 0, 0, 2, 0.0, None, None, ("parking.illegal",))
SNAPSHOT = Snapshot(
    {"north": NORTH, "south": SOUTH}, 12.5, 2, 0, 10**9, 2 * 10**8, None, True, "online"
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def scrape(port: int) -> Mapping[tuple[str, ...], float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_figures_are_those_of_the_moment() -> None:
    now = [SNAPSHOT]
    with served(Metrics(port=free_port()), lambda: now[0]) as port:
        found = scrape(port)
        assert found["edge_agent_camera_frames_total", "north"] == 100
        assert found["edge_agent_camera_losses_total", "south"] == 2
        assert found["edge_agent_camera_state", "south", "lost"] == 1
        assert found["edge_agent_camera_state", "south", "online"] == 0
        assert found["edge_agent_camera_lag_seconds", "north", "0.99"] == pytest.approx(0.0605)
        assert found["edge_agent_camera_rules_off", "south"] == 1
        assert found["edge_agent_well",] == 0
        assert found["edge_agent_uplink_online",] == 1
        assert ("edge_agent_camera_frame_age_seconds", "south") not in found
        assert ("edge_agent_temperature_celsius",) not in found
        now[0] = replace(SNAPSHOT, temperature_c=61.5, cameras={})
        assert scrape(port)["edge_agent_temperature_celsius",] == 61.5
    with pytest.raises(OSError):
        scrape(port)


def test_names_follow_the_conventions() -> None:
    """prometheus.io/docs/practices/naming: base units, `_total` for counters alone."""
    with served(Metrics(port=free_port()), lambda: SNAPSHOT) as port:
        names = {name for name, *_ in scrape(port)}
    assert all(name.startswith("edge_agent_") for name in names)
    assert not [name for name in names if name.endswith(("_ms", "_mb", "_percent", "_count"))]


def test_nobody_else_can_ask() -> None:
    with served(Metrics(port=free_port()), lambda: SNAPSHOT) as port:
        addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
        for address in addresses - {"127.0.0.1", "127.0.1.1", "::1"}:
            with pytest.raises(OSError):
                socket.create_connection((str(address), port), 2).close()


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = int(other.getsockname()[1])
        wanted = rf"metrics\.port: 127\.0\.0\.1:{port}: .*in use.*choose a port"
        with pytest.raises(ConfigError, match=wanted), served(Metrics(port=port), lambda: SNAPSHOT):
            pass


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    wanted = r"pip install 'edge-agent\[metrics\]'"
    with pytest.raises(ConfigError, match=wanted), served(Metrics(), lambda: SNAPSHOT):
        pass
