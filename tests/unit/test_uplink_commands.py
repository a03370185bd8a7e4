"""Commands: who may ask for what, where the answer goes, and what a flood does."""

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.clock import ManualClock
from edge_agent.errors import SourceError
from edge_agent.uplink.commands import REPEAT_S, WAITING, Commands
from edge_agent.uplink.session import Message, Received

TREE = "edge/v1/s/d"
SNAPSHOT = f"{TREE}/cmd/snapshot"
OWN = f"{SNAPSHOT}/response"


class Desk:
    """Handlers and answers that are remembered."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self.answers: list[Message] = []
        self.clock = ManualClock()
        self.gate = threading.Event()
        self.gate.set()
        self._changed = threading.Condition()
        handlers = {"snapshot": self.snapshot, "reload": self.snapshot, "selftest": self.fail}
        self.commands = Commands(TREE, ("snapshot", "selftest"), handlers, self._keep, self.clock)

    def snapshot(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.gate.wait(10)
        self.asked.append(body)
        return {"camera": body.get("camera", "all")}

    def fail(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        if "odd" in body:
            raise RuntimeError("a mistake")
        if "huge" in body:
            return {"text": "x" * 70_000}
        if "set" in body:
            return {"text": {1, 2}}
        raise SourceError("camera north: no picture: check its cable")

    def ask(self, body: bytes = b"", topic: str = SNAPSHOT, **more: Any) -> None:
        self.commands.hear(Received(topic, body, **more))

    def wait(self, count: int) -> list[dict[str, Any]]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.answers) >= count, 10)
            return [json.loads(message.body) for message in self.answers]

    def _keep(self, message: Message) -> None:
        with self._changed:
            self.answers.append(message)
            self._changed.notify_all()


@pytest.fixture
def desk() -> Iterator[Desk]:
    found = Desk()
    with found.commands:
        yield found
        found.gate.set()


def test_a_request_is_answered_where_it_asks_to_be(desk: Desk) -> None:
    desk.ask(b'{"camera": "north"}', response_topic=f"{OWN}/office-7", correlation=b"\x01\xff")
    (answer,) = desk.wait(1)
    assert answer == {"command": "snapshot", "ok": True, "result": {"camera": "north"}}
    assert (desk.answers[0].topic, desk.answers[0].correlation) == (f"{OWN}/office-7", b"\x01\xff")
    assert desk.answers[0].expiry_s == 60


def test_without_properties_the_answer_bears_the_requests_id(desk: Desk) -> None:
    desk.ask(b'{"id": "q1"}')
    (answer,) = desk.wait(1)
    assert (desk.answers[0].topic, answer["id"]) == (OWN, "q1")


@pytest.mark.parametrize(
    "wished",
    [
        f"{TREE}/status",
        f"{TREE}/case/1",
        "edge/v1/s/other/cmd/snapshot/response",
        f"{TREE}/cmd/snapshot",
        f"{OWN}x",
        f"{OWN}/#",
        f"{OWN}/+/a",
        f"{OWN}/\x00",
        f"{OWN}/{'a' * 300}",
        "$SYS/x",
        "",
    ],
)
def test_the_device_speaks_nowhere_else_in_its_own_name(desk: Desk, wished: str) -> None:
    desk.ask(response_topic=wished, correlation=b"c")
    (answer,) = desk.wait(1)
    assert not answer["ok"] and "response topic must be" in answer["error"]
    assert [message.topic for message in desk.answers] == [OWN]
    assert desk.asked == []


@pytest.mark.parametrize("name", ["reload", "shutdown", "", "x" * 500])
def test_what_is_not_on_the_list_is_not_even_answered(desk: Desk, name: str) -> None:
    desk.ask(topic=f"{TREE}/cmd/{name}")
    desk.ask()
    assert [answer["command"] for answer in desk.wait(1)] == ["snapshot"]
    assert len(desk.asked) == 1


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"reboot", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[1]", "JSON object"),
        (b"[" * 4000, "no JSON"),
        (b'{"a": "' + b"x" * 5000 + b'"}', "at most 4096 bytes"),
    ],
)
def test_nonsense_is_answered_and_not_fatal(desk: Desk, body: bytes, why: str) -> None:
    desk.ask(body)
    assert why in desk.wait(1)[0]["error"]
    desk.ask()
    assert desk.wait(2)[1]["ok"]


def test_handlers_may_fail(desk: Desk) -> None:
    topic = f"{TREE}/cmd/selftest"
    for number, body in enumerate((b"{}", b'{"odd": 1}', b'{"huge": 1}', b'{"set": 1}')):
        desk.ask(body, topic)
        desk.wait(number + 1)
    errors = [answer["error"] for answer in desk.wait(4)]
    assert errors[0] == "camera north: no picture: check its cable"
    assert errors[1] == "it failed inside; the device's log says how"
    assert "more than 61440" in errors[2]
    assert errors[3] == "the answer is no JSON"


def test_a_retained_command_is_refused(desk: Desk) -> None:
    """It would be carried out anew at every connection."""
    desk.ask(is_retained=True)
    desk.ask(b'{"id": "2"}')
    assert [answer.get("id") for answer in desk.wait(1)] == ["2"]
    assert len(desk.asked) == 1


def test_what_comes_twice_is_done_once(desk: Desk) -> None:
    desk.gate.clear()
    desk.ask(correlation=b"a")
    desk.ask(correlation=b"a")  # while the first one runs
    desk.gate.set()
    desk.wait(1)
    desk.ask(correlation=b"a")
    first, again = desk.wait(2)
    assert first == again and len(desk.asked) == 1
    desk.clock.sleep(REPEAT_S + 1)
    desk.ask(correlation=b"a")
    desk.wait(3)
    assert len(desk.asked) == 2


def test_a_flood_is_told_to_come_again(desk: Desk) -> None:
    desk.gate.clear()
    for number in range(1000):
        desk.ask(correlation=str(number).encode())
    desk.gate.set()
    answers = desk.wait(1000)
    busy = [answer for answer in answers if not answer["ok"]]
    assert {answer["error"] for answer in busy} == {"busy: ask again later"}
    assert WAITING <= len(desk.asked) <= WAITING + 1
    desk.ask(correlation=b"999")  # was refused, so this is no repetition
    desk.wait(1001)
    assert WAITING + 1 <= len(desk.asked) <= WAITING + 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=st.binary(max_size=200), topic=st.text(max_size=80), wished=st.text(max_size=80))
def test_nothing_is_raised_whatever_comes(desk: Desk, body: bytes, topic: str, wished: str) -> None:
    desk.ask(body, topic, response_topic=wished)
    desk.ask(body, response_topic=wished)
    assert all(message.topic.startswith(OWN) for message in desk.answers)


def test_an_identity_that_is_no_text_is_survived(desk: Desk) -> None:
    desk.ask(b'{"id": "\\ud800"}')
    assert desk.wait(1)
