"""What a running box says beside its events, and what it does when it is asked from afar."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import cv2

from edge_agent.errors import UsageError
from edge_agent.identity import Origin
from edge_agent.live.appliance import Appliance
from edge_agent.live.requests import Requests
from edge_agent.live.site_file import is_paced
from edge_agent.uplink import Uplink, topics
from edge_agent.uplink.commands import Commands
from edge_agent.uplink.presence import introduce, present
from edge_agent.uplink.session import Message
from edge_agent.uplink.standing import StandingFeed

LOOK_S = 2.0
"""Between two looks at what has changed."""
RELOAD_S = 60.0
"""A site file with many models takes a while."""
QUALITY = 60
"""Of a picture that is sent; faces are a few pixels wide in it."""


class Remote:
    """A box's standing messages and commands, on whichever connection it has."""

    def __init__(self, box: Appliance, requests: Requests) -> None:
        self._box, self._requests = box, requests
        self._feed: StandingFeed | None = None
        self._origin: Origin | None = None
        """As it was told last."""
        handlers = {
            "snapshot": self.take_picture,
            "reload": self.reload,
            "selftest": self.test_itself,
        }
        tree = topics.root(box.site.site.name, box.site.device, is_paced(box.site))
        self._commands = Commands(tree, (), handlers, self._answer, box.clock)

    def join(self, uplink: Uplink, stack: ExitStack) -> None:
        """Speak and listen on a new connection for as long as `stack` lasts."""
        box = self._box
        presence = present(box.site, uplink, box.journal.origin, self._commands)
        self._feed, self._origin = stack.enter_context(presence), box.journal.origin

    def close(self) -> None:
        """Do nothing more of what is asked; waits for what is being done, but not for ever."""
        self._commands.close()

    def _answer(self, message: Message) -> None:
        """On the connection that there is by now: a reload may have changed it."""
        if self._box.uplink is not None:
            self._box.uplink.publish(message)

    def tell(self) -> None:
        """Tell what has changed, every `LOOK_S`; waits for a disk that is busy."""
        box, origin = self._box, self._box.journal.origin
        if box.uplink is not None and origin is not self._origin:  # a reload has been through
            self._origin = origin
            introduce(box.site, box.uplink, origin)
        if self._feed is not None:
            self._feed.tick(box.clock.monotonic(), box.snapshot(), box.cabinet.states())

    def take_picture(self, wish: Mapping[str, Any]) -> Mapping[str, Any]:
        """The newest picture of a camera, small."""
        cameras = self._box.daemon.cameras
        name = wish.get("camera") or next(iter(cameras))
        frame = cameras[name].latest if name in cameras else None
        if frame is None:
            raise UsageError(
                f"`{name}`: has no picture yet"
                if name in cameras
                else f"no camera `{name}`: there are {', '.join(cameras)}"
            )
        _, encoded = cv2.imencode(".jpg", frame.small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        jpeg = encoded.tobytes()
        return {
            "camera": name,
            "time": frame.wall.isoformat(),
            "sha256": hashlib.sha256(jpeg).hexdigest(),
            "jpeg_base64": base64.b64encode(jpeg).decode(),
        }

    def reload(self, wish: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take over the site file as it lies on the box."""
        why_not = self._requests.ask_reload().result(RELOAD_S)
        if why_not is not None:
            raise UsageError(why_not)
        return {"config_sha256": self._box.journal.origin.config_sha256}

    def test_itself(self, wish: Mapping[str, Any]) -> Mapping[str, Any]:
        """Whether every part of the box does what it is there for."""
        box = self._box
        snapshot, now_s = box.snapshot(), box.clock.monotonic()
        stuck = box.stuck(now_s)
        box.key.sign(b"selftest")
        return {
            "well": snapshot.is_well and stuck is None,
            "stuck": stuck,
            "log_entries": box.feed.log.size,
            **asdict(snapshot),
        }
