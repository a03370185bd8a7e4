"""What is sent next, decided without a broker: a window, refusals, losses, silence."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from edge_agent.clock import ManualClock
from edge_agent.errors import UplinkError
from edge_agent.uplink import Outbox
from edge_agent.uplink.delivery import RESERVED, WINDOW, Delivery
from edge_agent.uplink.session import Ack, Message


@dataclass
class Wire:
    """A session that only remembers."""

    receive_maximum: int = 65535
    limit: int = 10**6
    sent: list[int] = field(default_factory=list)

    @property
    def room(self) -> int:
        return self.receive_maximum

    def fits(self, message: Message) -> bool:
        return len(message.body) <= self.limit

    def publish(self, message: Message) -> None:
        self.sent.append(message.key)


@pytest.fixture
def outbox() -> Iterator[Outbox]:
    with Outbox(":memory:") as box:
        yield box


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def delivery(outbox: Outbox, clock: ManualClock) -> Delivery:
    found = Delivery(outbox, clock, ack_timeout_s=30.0)
    found.begin()
    return found


def add(outbox: Outbox, count: int, size: int = 0) -> None:
    for _ in range(count):
        body = {"id": f"e{outbox.last_sequence}", "pad": "x" * size}
        outbox.add(body, "t")


def good(*keys: int) -> list[Ack]:
    return [Ack(key, None) for key in keys]


def test_the_window_bounds_what_is_on_its_way(outbox: Outbox, delivery: Delivery) -> None:
    add(outbox, WINDOW + 5)
    wire = Wire()
    delivery.fill(wire)
    delivery.fill(wire)
    assert wire.sent == list(range(1, WINDOW + 1))
    assert delivery.settle(good(1, 2))
    delivery.fill(wire)
    assert wire.sent[WINDOW:] == [WINDOW + 1, WINDOW + 2]
    assert outbox.waiting == WINDOW + 3


def test_the_broker_may_ask_for_a_smaller_window(outbox: Outbox, delivery: Delivery) -> None:
    add(outbox, 10)
    wire = Wire(receive_maximum=3 + RESERVED)
    delivery.fill(wire)
    assert wire.sent == [1, 2, 3]


def test_a_new_session_sends_everything_unacknowledged_in_order(
    outbox: Outbox, delivery: Delivery
) -> None:
    add(outbox, 4)
    delivery.fill(Wire())
    delivery.settle(good(2))
    delivery.lose()
    delivery.begin()
    wire = Wire()
    delivery.fill(wire)
    assert wire.sent == [1, 3, 4]


def test_a_refused_row_stays_and_is_tried_again_later_and_later(
    outbox: Outbox, delivery: Delivery, clock: ManualClock
) -> None:
    add(outbox, 3)
    wire = Wire()
    delivery.fill(wire)
    delivery.settle([*good(1, 3), Ack(2, "Not authorized")])
    assert [row.sequence for row in outbox.pending()] == [2]
    assert "Not authorized" in str(delivery.complaint)
    waits: list[float] = []
    for _ in range(8):
        before = clock.monotonic()
        while len(wire.sent) == 3 + len(waits):
            clock.advance(0.5)
            delivery.fill(wire)
        waits.append(clock.monotonic() - before)
        delivery.settle([Ack(2, "Not authorized")])
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    clock.advance(60)
    delivery.fill(wire)
    delivery.settle(good(2))
    assert (outbox.waiting, delivery.complaint) == (0, None)


def test_refused_rows_do_not_hold_up_the_others(outbox: Outbox, delivery: Delivery) -> None:
    add(outbox, 250)
    wire = Wire()
    delivery.fill(wire)
    while fresh := wire.sent[:]:
        wire.sent.clear()
        delivery.settle([Ack(key, None if key > 220 else "Quota exceeded") for key in fresh])
        delivery.fill(wire)
    assert [row.sequence for row in outbox.pending(limit=300)] == list(range(1, 221))


def test_a_reason_is_logged_once(
    outbox: Outbox, delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    add(outbox, 5)
    delivery.fill(Wire())
    delivery.settle([Ack(key, "Not authorized") for key in range(1, 6)])
    assert len(caplog.records) == 1


def test_a_message_above_the_brokers_limit_waits_aside(outbox: Outbox, delivery: Delivery) -> None:
    add(outbox, 1)
    add(outbox, 1, size=900)
    add(outbox, 1)
    wire = Wire(limit=500)
    delivery.fill(wire)
    assert wire.sent == [1, 3]
    assert "bytes" in str(delivery.complaint)


def test_a_message_that_costs_the_connection_is_singled_out(
    outbox: Outbox, delivery: Delivery
) -> None:
    add(outbox, 5)
    sent = []
    for _ in range(3):
        delivery.begin()
        wire = Wire()
        delivery.fill(wire)
        sent.append(wire.sent)
        delivery.lose()
    assert sent == [[1, 2, 3, 4, 5], [1], [1]]
    delivery.begin()
    wire = Wire()
    delivery.fill(wire)
    assert wire.sent == [2]
    delivery.settle(good(2))
    delivery.fill(wire)
    assert wire.sent == [2, 3, 4, 5]
    assert "lost" in str(delivery.complaint)


def test_losing_an_idle_connection_blames_nothing(outbox: Outbox, delivery: Delivery) -> None:
    for _ in range(5):
        delivery.begin()
        delivery.lose()
    add(outbox, 2)
    wire = Wire()
    delivery.begin()
    delivery.fill(wire)
    assert wire.sent == [1, 2]


def test_a_broker_that_never_acknowledges_is_left(
    outbox: Outbox, delivery: Delivery, clock: ManualClock
) -> None:
    clock.advance(1000)
    delivery.fill(Wire())
    add(outbox, 1)
    delivery.fill(Wire())
    clock.advance(30)
    delivery.fill(Wire())
    clock.advance(0.1)
    with pytest.raises(UplinkError, match="not acknowledged anything for 30 s"):
        delivery.fill(Wire())


def test_acknowledged_status_messages_are_not_progress(delivery: Delivery) -> None:
    assert not delivery.settle(good(0, 0))
    assert not delivery.has_progress
    delivery.settle([Ack(0, "Not authorized")])
    assert "Not authorized" in str(delivery.complaint)
