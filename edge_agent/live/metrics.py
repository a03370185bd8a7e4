"""The daemon's figures for Prometheus, over HTTP on this machine only."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from edge_agent.config.uplink import Metrics
from edge_agent.errors import ConfigError
from edge_agent.health import CameraHealth, Snapshot

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_HOST: Final = "127.0.0.1"
_PREFIX: Final = "edge_agent"
_STATES: Final = ("starting", "online", "lost", "stopped")

Figure = tuple[str, str, float | None]
"""Name, what it says, value; None where there is none."""


@contextmanager
def served(settings: Metrics, look: Callable[[], Snapshot]) -> Iterator[int]:
    """Answer `GET /metrics` on the loopback while the block runs; yields the port.

    Raises ConfigError when prometheus_client (extra `metrics`) is missing or the port is taken.
    """
    if (text := missing_library()) is not None:
        raise ConfigError(f"metrics: {text}")
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    registry.register(_Collector(look))
    try:
        server, thread = start_http_server(settings.port, _HOST, registry)
    except OSError as error:
        raise ConfigError(f"metrics.port: {_why_not(settings, error)}") from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def missing_library() -> str | None:
    """What is not installed and how to get it; None when all is there."""
    if importlib.util.find_spec("prometheus_client") is not None:
        return None
    return "needs prometheus_client: pip install 'edge-agent[metrics]', or leave out `metrics:`"


def taken_port(settings: Metrics) -> str | None:
    """Why the port cannot be had now; None if it can."""
    try:
        socket.create_server((_HOST, settings.port)).close()
    except OSError as error:
        return _why_not(settings, error)
    return None


def _why_not(settings: Metrics, error: OSError) -> str:
    return (
        f"{_HOST}:{settings.port}: {error.strerror or error}: choose a port that nobody uses, "
        "e.g. with `ss -ltn`"
    )


class _Collector:
    """Looks when it is asked, so that nothing is counted twice."""

    def __init__(self, look: Callable[[], Snapshot]) -> None:
        self._look = look

    def describe(self) -> list[Metric]:
        """Nothing in advance: the daemon may not be up yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        snapshot = self._look()
        for name, text, value in _device(snapshot):
            if value is not None:
                yield GaugeMetricFamily(f"{_PREFIX}_{name}", text, value=value)
        for families, figures in (
            (CounterMetricFamily, _counters),
            (GaugeMetricFamily, _gauges),
        ):
            yield from _by_camera(families, figures, snapshot.cameras)
        states = GaugeMetricFamily(
            f"{_PREFIX}_camera_state",
            "1 for the state that a camera is in",
            labels=["camera", "state"],
        )
        lags = GaugeMetricFamily(
            f"{_PREFIX}_camera_lag_seconds",
            "From taking a frame to having decided on it, lately",
            labels=["camera", "quantile"],
        )
        for camera, health in snapshot.cameras.items():
            for state in _STATES:
                states.add_metric([camera, state], float(health.state == state))
            for quantile, lag in zip(("0.5", "0.99"), health.lag_ms or (), strict=False):
                lags.add_metric([camera, quantile], lag / 1000)
        yield states
        yield lags


def _device(snapshot: Snapshot) -> list[Figure]:
    return [
        ("well", "1 while cameras, rules and disk are in order", float(snapshot.is_well)),
        ("uptime_seconds", "Since the start of the process", snapshot.uptime_s),
        ("outbox_events", "Events that no broker has acknowledged", snapshot.waiting),
        ("backlog_items", "Events and cases that the disk has not taken", snapshot.backlog),
        ("disk_free_bytes", "Free where evidence is kept", snapshot.disk_free_bytes),
        (
            "shedding",
            "1 while new cases lose clips or photos",
            float(snapshot.shedding is not None),
        ),
        ("memory_bytes", "Resident memory of the process", snapshot.memory_bytes),
        ("temperature_celsius", "Of the processor", snapshot.temperature_c),
        ("clock_synced", "1 while the wall clock can be trusted", float(snapshot.clock_synced)),
        ("uplink_online", "1 while the broker is connected", float(snapshot.uplink == "online")),
    ]


def _counters(health: CameraHealth) -> list[Figure]:
    return [
        ("frames", "Decoded frames", health.frames),
        ("inferred_frames", "Frames that a model looked at", health.inferred),
        ("dropped_frames", "Frames replaced before a worker was free", health.dropped),
        ("losses", "How often the link was lost", health.losses),
    ]


def _gauges(health: CameraHealth) -> list[Figure]:
    return [
        ("frames_per_second", "Decoded, lately", health.rate_fps),
        ("frame_age_seconds", "Since the latest frame", health.age_s),
        ("rules_off", "Rules switched off because they failed or hung", len(health.rules_off)),
    ]


def _by_camera(
    make: Any,  # noqa: ANN401  (a class of an optional library)
    figures: Callable[[CameraHealth], list[Figure]],
    cameras: Mapping[str, CameraHealth],
) -> Iterator[Metric]:
    families: dict[str, Any] = {}
    for camera, health in cameras.items():
        for name, text, value in figures(health):
            if name not in families:
                families[name] = make(f"{_PREFIX}_camera_{name}", text, labels=["camera"])
            if value is not None:
                families[name].add_metric([camera], value)
    yield from families.values()
