"""A broker inside the process, for demonstrations and tests; it speaks MQTT 3.1.1 only."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from concurrent.futures import Future
from typing import Any, Self

from edge_agent.config.models import Mqtt
from edge_agent.errors import UplinkError

_START_S = 10.0
_HOST = "127.0.0.1"


class EmbeddedBroker:
    """An amqtt broker on 127.0.0.1 and a free port, in a thread of its own; a context manager.

    Raises UplinkError when amqtt (extra `demo`) is not installed or does not start.
    """

    def __init__(self) -> None:
        try:
            import amqtt.broker  # noqa: F401
        except ImportError as error:
            raise UplinkError(
                "the embedded broker needs amqtt: pip install 'edge-agent[demo]', or name a broker "
                "in the site file's mqtt section"
            ) from error
        self.host = _HOST
        self.port = _free_port()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)

    @property
    def mqtt(self) -> Mqtt:
        """How a client reaches it."""
        return Mqtt(host=self.host, port=self.port, protocol="3.1.1")

    def __enter__(self) -> Self:
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._thread.start()
        try:
            self._started.result(_START_S)
        except (TimeoutError, OSError, UplinkError) as error:
            self.close()
            raise UplinkError(f"the embedded broker does not start: {error}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect everybody and stop."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(_START_S)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        from amqtt.broker import Broker
        from amqtt.errors import BrokerError

        config: dict[str, Any] = {
            "listeners": {"default": {"type": "tcp", "bind": f"{self.host}:{self.port}"}},
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
            },
        }
        broker = Broker(config, loop=self._loop)
        try:
            await broker.start()
        except BrokerError as error:
            self._started.set_exception(UplinkError(str(error)))
            return
        self._started.set_result(None)
        await self._stopping.wait()
        await broker.shutdown()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
