"""Requests from afar: an allow-list, one at a time, each answered, none of them fatal."""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from edge_agent.clock import Clock
from edge_agent.errors import EdgeError, UplinkError
from edge_agent.uplink import topics
from edge_agent.uplink.envelope import canonical
from edge_agent.uplink.session import Message, Received

log = logging.getLogger(__name__)

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Takes the request's JSON object and returns the answer's `result`; may take seconds."""

WAITING: Final = 4
"""So many requests may wait for the one that runs; more are answered `busy`."""
REPEAT_S: Final = 60.0
"""A request that comes again so soon, by its correlation, is answered again but not done again."""
EXPIRY_S: Final = 60
"""Who has not fetched an answer by then has given up."""
_REMEMBERED: Final = 256
_REQUEST_LIMIT: Final = 4096
"""Bytes of a request."""
_ANSWER_LIMIT: Final = 60 * 1024
"""Bytes of an answer, which may hold a small picture; some clouds take no more than 64 KB."""
_TOPIC_LIMIT: Final = 256


@dataclass(frozen=True, slots=True)
class _Request:
    name: str
    body: Mapping[str, Any]
    answer_to: str
    correlation: bytes | None

    @property
    def identity(self) -> tuple[str, bytes] | None:
        """What a repetition has in common with the first; None when it cannot be told."""
        correlation = self.correlation or str(self.body.get("id", "")).encode(
            "utf-8", "backslashreplace"
        )
        return (self.name, correlation) if correlation else None


@dataclass
class Commands:
    """Carries out what arrives on `<tree>/cmd/<name>` in a thread of its own; a context manager.

    `allowed` is the site file's list; every other name is refused. Answers go to the request's
    response topic if that lies below `<tree>/cmd/<name>/response`, where nothing else is ever
    published: whoever may ask must not make the device speak elsewhere in its own name.
    """

    tree: str
    allowed: Collection[str]
    handlers: Mapping[str, Handler]
    answer: Callable[[Message], None]
    clock: Clock
    _queue: queue.Queue[_Request | None] = field(init=False)
    _seen: dict[tuple[str, bytes], tuple[float, Message | None]] = field(init=False)
    """When a request came, and its answer once there is one."""
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._queue = queue.Queue(WAITING)
        self._seen = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def requests(self) -> str:
        """Topic filter of what is asked."""
        return topics.command(self.tree, "+")

    def close(self, timeout_s: float = 2.0) -> None:
        """Take no more; waits for the running one, but not for ever."""
        self.allowed = ()
        try:
            self._queue.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    def hear(self, received: Received) -> None:
        """Take a request; returns at once, raises nothing."""
        name = received.topic.rpartition("/")[2]
        if received.is_retained:  # it would come again with every connection
            log.warning("command refused: it is retained", extra={"command": name})
            return
        answer_to = _answer_topic(self.tree, name, received.response_topic)
        try:
            if name not in self.allowed or name not in self.handlers:
                raise UplinkError(f"`{name[:40]}` is not allowed: see mqtt.commands")
            if answer_to is None:
                own = topics.response(self.tree, name)
                raise UplinkError(f"the response topic must be {own} or lie below it")
            body = _parse(received.body)
        except UplinkError as error:
            self._refuse(received, name, str(error))
            return
        self._accept(_Request(name, body, answer_to, received.correlation))

    def _accept(self, request: _Request) -> None:
        known = self._recall(request)
        if known is not None:
            if known[1] is not None:
                self.answer(known[1])
            return
        try:
            self._queue.put_nowait(request)
        except queue.Full:
            self._forget(request)
            log.warning("command refused: busy", extra={"command": request.name})
            self.answer(_answer(request, {"ok": False, "error": "busy: ask again later"}))

    def _refuse(self, received: Received, name: str, why: str) -> None:
        log.warning("command refused: %s", why, extra={"command": name[:40]})
        if name in self.allowed:
            request = _Request(name, {}, topics.response(self.tree, name), received.correlation)
            self.answer(_answer(request, {"ok": False, "error": why}))

    def _recall(self, request: _Request) -> tuple[float, Message | None] | None:
        """What is known of the same request; remembers it when it is new."""
        identity, now_s = request.identity, self.clock.monotonic()
        if identity is None:
            return None
        with self._lock:
            for old in [key for key, (at_s, _) in self._seen.items() if now_s - at_s > REPEAT_S]:
                del self._seen[old]
            known = self._seen.get(identity)
            if known is None:
                if len(self._seen) >= _REMEMBERED:
                    del self._seen[next(iter(self._seen))]
                self._seen[identity] = (now_s, None)
            return known

    def _forget(self, request: _Request) -> None:
        if request.identity is not None:
            with self._lock:
                self._seen.pop(request.identity, None)

    def _run(self) -> None:
        while (request := self._queue.get()) is not None:
            details = {"command": request.name, "answer_to": request.answer_to}
            log.info("command asked", extra={**details, "id": _readable(request)})
            outcome = self._carry_out(request)
            log.info("command done", extra={**details, "ok": outcome["ok"]})
            message = _answer(request, outcome)
            if request.identity is not None:
                with self._lock:
                    self._seen[request.identity] = (self.clock.monotonic(), message)
            self.answer(message)

    def _carry_out(self, request: _Request) -> dict[str, Any]:
        try:
            return {"ok": True, "result": dict(self.handlers[request.name](request.body))}
        except EdgeError as error:
            return {"ok": False, "error": str(error)}
        except Exception:
            log.exception("command failed", extra={"command": request.name})
            return {"ok": False, "error": "it failed inside; the device's log says how"}


def _answer_topic(tree: str, name: str, wished: str | None) -> str | None:
    """Where an answer goes; None for a place that is nobody's to choose."""
    own = topics.response(tree, name)
    if wished is None or wished == own:
        return own
    is_below = wished.startswith(f"{own}/") and len(wished) <= _TOPIC_LIMIT
    return wished if is_below and wished.isprintable() and not set(wished) & set("+#") else None


def _parse(body: bytes) -> Mapping[str, Any]:
    if len(body) > _REQUEST_LIMIT:
        raise UplinkError(f"a request has at most {_REQUEST_LIMIT} bytes")
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise UplinkError("the request is no JSON") from error
    if not isinstance(found, dict):
        raise UplinkError('the request must be a JSON object, e.g. {"camera": "north"}')
    return found


def _answer(request: _Request, outcome: Mapping[str, Any]) -> Message:
    head: dict[str, Any] = {"command": request.name}
    identity = request.body.get("id")
    if isinstance(identity, str | int) and not isinstance(identity, bool):
        head["id"] = identity if isinstance(identity, str) else str(identity)
    try:
        body = canonical({**head, **outcome})
    except (ValueError, TypeError, RecursionError):  # what a handler returned is no JSON
        body = canonical({"command": request.name, "ok": False, "error": "the answer is no JSON"})
    if len(body) > _ANSWER_LIMIT:
        error = f"the answer has {len(body)} bytes, more than {_ANSWER_LIMIT}"
        body = canonical({**head, "ok": False, "error": error})
    return Message(request.answer_to, body, expiry_s=EXPIRY_S, correlation=request.correlation)


def _readable(request: _Request) -> str:
    correlation = request.correlation.hex() if request.correlation else ""
    return correlation or str(request.body.get("id", ""))[:64]
