"""What stands at a broker beside events: how the device, its cameras and its contacts are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_agent.clock import utc_text
from edge_agent.health import CameraHealth, Snapshot
from edge_agent.ports import LineState
from edge_agent.uplink import topics
from edge_agent.uplink.envelope import canonical
from edge_agent.uplink.session import Message

EVERY_S = 30
"""Between two heartbeats."""
EXPIRY_S = 3 * EVERY_S
"""A heartbeat that is older tells nothing (MQTT 5)."""


def heartbeat(tree: str, snapshot: Snapshot) -> Message:
    """The device now, without what `camera_status` tells."""
    body = {
        "well": snapshot.is_well,
        "uptime_s": round(snapshot.uptime_s, 1),
        "waiting": snapshot.waiting,
        "backlog": snapshot.backlog,
        "disk_free_bytes": snapshot.disk_free_bytes,
        "shedding": snapshot.shedding,
        "memory_bytes": snapshot.memory_bytes,
        "temperature_c": snapshot.temperature_c,
        "clock_synced": snapshot.clock_synced,
        "cameras": {name: _vitals(camera) for name, camera in snapshot.cameras.items()},
    }
    return Message(topics.health(tree), canonical(body), expiry_s=EXPIRY_S)


def camera_status(tree: str, name: str, camera: CameraHealth) -> Message:
    """Whether it delivers, and if not, why and what to do."""
    body = {
        "state": camera.state,
        "reason": camera.reason,
        "rules_off": list(camera.rules_off),
    }
    return Message(topics.camera_status(tree, name), canonical(body), is_retained=True)


def line_state(tree: str, line: LineState) -> Message:
    """A contact's state, and since when."""
    body = canonical({"state": line.state, "since": utc_text(line.since)})
    return Message(topics.line(tree, line.direction, line.name), body, is_retained=True)


@dataclass
class StandingFeed:
    """Tells what has changed as soon as it is asked to look, and a heartbeat every `EVERY_S`."""

    tree: str
    """Root of the device's topics."""
    announce: Callable[[Message], None]
    _told: dict[str, Message] = field(default_factory=dict, init=False)
    _beat_s: float | None = field(default=None, init=False)

    def tick(self, now_s: float, snapshot: Snapshot, lines: Iterable[LineState] = ()) -> None:
        """`now_s` is monotonic."""
        if self._beat_s is None or now_s - self._beat_s >= EVERY_S:
            self._beat_s = now_s
            self.announce(heartbeat(self.tree, snapshot))
        cameras = [camera_status(self.tree, *item) for item in snapshot.cameras.items()]
        found = {each.topic: each for each in cameras}
        found |= {each.topic: each for each in (line_state(self.tree, line) for line in lines)}
        for topic in self._told.keys() - found.keys():  # a camera that is no more
            self.announce(Message(topic, b"", is_retained=True))
        for topic, message in found.items():
            if self._told.get(topic) != message:
                self.announce(message)
        self._told = found


def _vitals(camera: CameraHealth) -> Mapping[str, Any]:
    p50, p99 = camera.lag_ms or (None, None)
    return {
        "state": camera.state,
        "frames": camera.frames,
        "inferred": camera.inferred,
        "dropped": camera.dropped,
        "losses": camera.losses,
        "rate_fps": camera.rate_fps,
        "age_s": None if camera.age_s is None else round(camera.age_s, 2),
        "lag_p50_ms": p50,
        "lag_p99_ms": p99,
    }
