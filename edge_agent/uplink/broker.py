"""A broker inside the process, for demonstrations and tests; it speaks MQTT 3.1.1 only."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from functools import partial
from typing import Any, Self

from edge_agent.config.uplink import Mqtt
from edge_agent.errors import UplinkError

_START_S = 10.0
_HOST = "127.0.0.1"
_LISTENER = "default"


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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._port: Future[int] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="broker", daemon=True
        )

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        return self._port.result(_START_S)

    @property
    def mqtt(self) -> Mqtt:
        """How a client reaches it."""
        return Mqtt(host=self.host, port=self.port, protocol="3.1.1")

    def __enter__(self) -> Self:
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._thread.start()
        self._port.result(_START_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect everybody and stop."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(_START_S)

    async def _serve(self) -> None:
        from amqtt.broker import Broker
        from amqtt.errors import AMQTTError

        config: dict[str, Any] = {
            "listeners": {_LISTENER: {"type": "external"}},
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
            },
        }
        self._loop = asyncio.get_running_loop()
        broker = Broker(config, loop=self._loop)
        try:
            await broker.start()
            server = await asyncio.start_server(partial(_take, broker), self.host, 0)
        except (AMQTTError, OSError) as error:
            self._port.set_exception(UplinkError(f"the embedded broker does not start: {error}"))
            return
        self._port.set_result(server.sockets[0].getsockname()[1])
        await self._stopping.wait()
        server.close()
        await broker.shutdown()


async def _take(
    broker: Any,  # noqa: ANN401  (amqtt is optional)
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """One client; the connection is closed here because amqtt leaves refused ones open."""
    from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter

    try:
        ends = (StreamReaderAdapter(reader), StreamWriterAdapter(writer))
        await broker.external_connected(*ends, _LISTENER)
    finally:
        writer.close()
