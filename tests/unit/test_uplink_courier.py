"""Photos after records, decided without a broker: order, refusals, losses, what is gone."""

import hashlib
import json
import logging
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_agent.clock import ManualClock
from edge_agent.config.uplink import MediaSettings
from edge_agent.errors import UplinkError
from edge_agent.uplink import Outbox
from edge_agent.uplink.courier import FIRST_KEY, WINDOW, Courier
from edge_agent.uplink.delivery import Delivery
from edge_agent.uplink.parcel import NothingToSend, Parcel
from edge_agent.uplink.session import Ack, Message

START = datetime(2026, 5, 13, tzinfo=UTC)
BOTH = MediaSettings(roles=("wide", "close"))
CASE = "edge/v1/s/d/case/"


@dataclass
class Wire:
    """A session that only remembers."""

    receive_maximum: int = 65535
    limit: int = 10**6
    sent: list[Message] = field(default_factory=list)

    @property
    def room(self) -> int:
        return self.receive_maximum

    def fits(self, message: Message) -> bool:
        return len(message.body) <= self.limit

    def publish(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def roles(self) -> list[str]:
        return [message.topic.rpartition("/")[2] for message in self.sent]


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db") as box:
        yield box


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def courier(outbox: Outbox, clock: ManualClock) -> Courier:
    found = Courier(outbox, BOTH, clock, ack_timeout_s=30.0)
    found.begin()
    return found


def file(folder: Path, name: str, until: str | None = None, **photos: bytes) -> None:
    """A bundle, as far as it matters here."""
    derived = [
        {"path": f"derived/{role}-redacted.jpg", "sha256": hashlib.sha256(data).hexdigest()}
        for role, data in photos.items()
    ]
    facts = {
        "case": {"id": name},
        "privacy": {"delete_after": until},
        "media": [],
        "derived": derived,
    }
    (folder / "evidence").mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "evidence" / f"{name}.evb", "w") as bundle:
        bundle.writestr("manifest.json", json.dumps(facts))
        for role, data in photos.items():
            bundle.writestr(f"derived/{role}-redacted.jpg", data)


def deliver(outbox: Outbox, name: str, revision: int = 1) -> None:
    """Its record has been acknowledged."""
    record = {"id": f"{name}/{revision}", "dataref": f"evidence/{name}.evb"}
    outbox.add(record, CASE + name)
    outbox.delivered(outbox.last_sequence, followers=BOTH.roles)


def go_on(courier: Courier, wire: Wire, failure: str | None = None) -> None:
    """The broker answers everything that is on its way, until nothing more comes."""
    done = 0
    courier.fill(wire)
    while done < len(wire.sent):
        acks = [Ack(message.key, failure) for message in wire.sent[done:]]
        done = len(wire.sent)
        courier.settle(acks)
        if failure is None:
            courier.fill(wire)


def test_a_record_goes_first_and_only_its_delivery_makes_photos_due(
    outbox: Outbox, courier: Courier, clock: ManualClock, tmp_path: Path
) -> None:
    file(tmp_path, "a", wide=b"w" * 40_000, close=b"c" * 100)
    delivery, wire = Delivery(outbox, clock, 30.0), Wire()
    delivery.followers = BOTH.roles
    outbox.add({"id": "e"}, "edge/v1/s/d/cam/c/event/zone/trespass")
    outbox.add({"id": "1", "dataref": "evidence/a.evb"}, CASE + "a")
    delivery.begin()
    delivery.fill(wire)
    courier.fill(wire)
    assert [message.key for message in wire.sent] == [1, 2] and courier.waiting == 0
    delivery.settle([Ack(1, None), Ack(2, "Quota exceeded")])
    assert courier.waiting == 0
    clock.advance(1)
    delivery.fill(wire)
    delivery.settle([Ack(2, None)])
    assert (courier.waiting, outbox.waiting) == (2, 0)


def test_few_are_on_their_way_and_a_file_is_due_until_its_last_part_is_taken(
    outbox: Outbox, courier: Courier, tmp_path: Path
) -> None:
    file(tmp_path, "a", wide=b"w" * 50_000)
    deliver(outbox, "a")
    wire = Wire()
    courier.fill(wire)
    courier.fill(wire)
    assert len(wire.sent) == WINDOW
    while len(wire.sent) < 4:
        assert not courier.settle([Ack(wire.sent[-2].key, None), Ack(wire.sent[-1].key, None)])
        courier.fill(wire)
    assert not courier.settle([Ack(wire.sent[2].key, None)])
    assert outbox.waiting_media == 2
    assert courier.settle([Ack(wire.sent[3].key, None)])
    assert outbox.waiting_media == 1
    assert not courier.settle([Ack(FIRST_KEY + 99, None)])


def test_an_event_that_waits_is_sent_before_the_next_part(
    outbox: Outbox, clock: ManualClock
) -> None:
    delivery, wire = Delivery(outbox, clock, 30.0), Wire(receive_maximum=5)
    delivery.begin()
    delivery.fill(wire)
    assert delivery.is_drained
    for name in "ab":
        outbox.add({"id": name}, "t")
    delivery.fill(wire)
    assert not delivery.is_drained, "the broker takes one at a time"


def test_a_new_session_repeats_only_what_is_unacknowledged(
    outbox: Outbox, courier: Courier, tmp_path: Path
) -> None:
    file(tmp_path, "a", wide=b"w" * 60_000)
    deliver(outbox, "a")
    wire, later = Wire(), Wire()
    courier.fill(wire)
    courier.settle([Ack(wire.sent[0].key, None)])
    courier.lose()
    courier.begin()
    go_on(courier, later)
    assert later.sent[0].body == wire.sent[1].body
    assert len({message.body for message in wire.sent + later.sent}) == 4
    assert len(later.sent) == 3 and outbox.waiting_media == 0


def test_a_restart_begins_the_file_anew(
    outbox: Outbox, courier: Courier, clock: ManualClock, tmp_path: Path
) -> None:
    file(tmp_path, "a", wide=b"w" * 60_000, close=b"c")
    deliver(outbox, "a")
    wire = Wire()
    courier.fill(wire)
    courier.settle([Ack(wire.sent[0].key, None)])
    outbox.close()
    with Outbox(tmp_path / "outbox.db") as reopened:
        fresh, later = Courier(reopened, BOTH, clock, 30.0), Wire()
        fresh.begin()
        go_on(fresh, later)
        assert later.roles == ["wide"] * 4 + ["close"] and reopened.waiting_media == 0


def test_a_refused_photo_is_put_off_longer_and_longer_and_others_go(
    outbox: Outbox, courier: Courier, clock: ManualClock, tmp_path: Path
) -> None:
    file(tmp_path, "a", wide=b"w" * 100, close=b"c" * 100)
    deliver(outbox, "a")
    wire = Wire()
    courier.fill(wire)
    courier.settle([Ack(wire.sent[0].key, "Quota exceeded")])
    courier.fill(wire)
    assert wire.roles == ["wide"] and "Quota exceeded" in str(courier.complaint)
    clock.advance(1)
    courier.fill(wire)
    courier.settle([Ack(wire.sent[1].key, None)])
    assert wire.roles == ["wide", "close"] and outbox.waiting_media == 1
    courier.fill(wire)
    courier.settle([Ack(wire.sent[2].key, "Quota exceeded")])
    waits = []
    for n in range(8):
        before = clock.monotonic()
        while len(wire.sent) == 3 + n:
            clock.advance(0.5)
            courier.fill(wire)
        courier.settle([Ack(wire.sent[-1].key, "Quota exceeded")])
        waits.append(clock.monotonic() - before)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    clock.advance(60)
    courier.fill(wire)
    courier.settle([Ack(wire.sent[-1].key, None)])
    assert (outbox.waiting_media, courier.complaint) == (0, None)


def test_a_new_photo_goes_before_all_that_were_put_off(
    outbox: Outbox, courier: Courier, clock: ManualClock, tmp_path: Path
) -> None:
    """Else a role that the broker never takes would hold up the others, by a minute per case."""
    for name in "abcde":
        file(tmp_path, name, wide=b"w")
        deliver(outbox, name)
    wire = Wire()
    for number in range(8):  # each of them once, and some again
        clock.advance(60)
        courier.fill(wire)
        courier.settle([Ack(wire.sent[number].key, "Not authorized")])
    assert [message.topic[len(CASE)] for message in wire.sent] == list("abcdeabc")
    file(tmp_path, "f", close=b"c")
    deliver(outbox, "f")
    clock.advance(60)
    courier.fill(wire)
    assert wire.sent[-1].topic == f"{CASE}f/media/close"
    courier.settle([Ack(wire.sent[-1].key, None)])
    assert "Not authorized" in str(courier.complaint), "what was put off waits still"


def test_a_photo_that_costs_the_connection_is_put_off(
    outbox: Outbox, courier: Courier, clock: ManualClock, tmp_path: Path
) -> None:
    file(tmp_path, "a", wide=b"w" * 100, close=b"c" * 100)
    deliver(outbox, "a")
    sent = []
    for _ in range(4):
        courier.begin()
        wire = Wire()
        courier.fill(wire)
        sent.append(wire.roles)
        courier.lose()
    assert sent == [["wide"], ["wide"], ["wide"], []]
    clock.advance(1)
    courier.begin()
    wire = Wire()
    go_on(courier, wire)
    assert wire.roles == ["close", "wide"]
    assert (outbox.waiting_media, courier.complaint) == (0, None)


def test_losses_between_which_parts_are_taken_are_nobodys_fault(
    outbox: Outbox, courier: Courier, tmp_path: Path
) -> None:
    file(tmp_path, "a", wide=b"w" * 120_000)
    deliver(outbox, "a")
    for has_progress in (False, False, True, False, False):
        courier.begin()
        courier.fill(wire := Wire())
        if has_progress:
            courier.settle([Ack(wire.sent[0].key, None)])
        courier.lose()
    assert courier.complaint is None


def test_what_was_sent_is_forgotten_with_its_record(tmp_path: Path, clock: ManualClock) -> None:
    with Outbox(tmp_path / "outbox.db", keep=2) as outbox:
        courier = Courier(outbox, BOTH, clock, 30.0)
        for name in "abcdef":
            file(tmp_path, name, wide=b"w", close=b"c")
            deliver(outbox, name)
            go_on(courier, Wire())
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as found:
        assert found.execute("SELECT count(*) FROM media").fetchone()[0] <= 3 * len(BOTH.roles)


def test_what_retention_has_deleted_is_struck_off(
    outbox: Outbox, courier: Courier, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for name in "abc":
        file(tmp_path, name, wide=b"w", close=b"c")
        deliver(outbox, name)
    (tmp_path / "evidence" / "a.evb").unlink()
    (tmp_path / "evidence" / "b.evb").write_bytes(b"PK")
    wire = Wire()
    go_on(courier, wire)
    assert {message.topic for message in wire.sent} == {
        f"{CASE}c/media/wide",
        f"{CASE}c/media/close",
    }
    assert outbox.waiting_media == 0 and courier.complaint is None
    assert [record.message for record in caplog.records] == ["photo not sent"] * 4


def test_what_was_altered_on_the_disk_is_not_sent(
    outbox: Outbox, courier: Courier, tmp_path: Path
) -> None:
    file(tmp_path, "a", wide=b"w", close=b"c")
    with zipfile.ZipFile(tmp_path / "evidence" / "a.evb") as bundle:
        text = bundle.read("manifest.json")
    with zipfile.ZipFile(tmp_path / "evidence" / "a.evb", "w") as bundle:
        bundle.writestr("manifest.json", text)
        bundle.writestr("derived/wide-redacted.jpg", b"forged")
        bundle.writestr("derived/close-redacted.jpg", b"c")
    deliver(outbox, "a")
    wire = Wire()
    go_on(courier, wire)
    assert wire.roles == ["close"] and outbox.waiting_media == 0


def test_a_revision_sends_what_has_changed_only(
    outbox: Outbox, courier: Courier, tmp_path: Path
) -> None:
    file(tmp_path, "a", wide=b"w", close=b"c")
    deliver(outbox, "a")
    wire = Wire()
    go_on(courier, wire)
    file(tmp_path, "a", wide=b"w", close=b"other")
    deliver(outbox, "a", revision=2)
    again = Wire()
    go_on(courier, again)
    assert (wire.roles, again.roles) == (["wide", "close"], ["close"])
    assert outbox.waiting_media == 0


def test_a_revision_that_comes_while_a_photo_is_on_its_way_stays_due(
    outbox: Outbox, courier: Courier, tmp_path: Path
) -> None:
    file(tmp_path, "a", wide=b"w")
    deliver(outbox, "a")
    wire = Wire()
    courier.fill(wire)
    file(tmp_path, "a", wide=b"other")
    deliver(outbox, "a", revision=2)
    courier.settle([Ack(wire.sent[0].key, None)])
    go_on(courier, again := Wire())
    assert again.roles == ["wide"] and b"other" in again.sent[0].body


def test_parts_are_as_small_as_the_broker_wants_them(
    outbox: Outbox, courier: Courier, clock: ManualClock, tmp_path: Path
) -> None:
    file(tmp_path, "a", wide=b"w" * 30_000)
    deliver(outbox, "a")
    courier.fill(Wire())
    courier.lose()
    courier.begin()
    small = Wire(limit=5000)
    go_on(courier, small)
    assert {len(message.body) <= 5000 for message in small.sent} == {True}
    assert len(small.sent) > 6 and outbox.waiting_media == 0
    file(tmp_path, "b", wide=b"w")
    deliver(outbox, "b")
    courier.fill(Wire(limit=500))
    assert "takes no messages of 1024 bytes" in str(courier.complaint)


def test_a_photo_expires_with_its_evidence(
    outbox: Outbox, courier: Courier, tmp_path: Path
) -> None:
    for name, hours in (("a", 2), ("b", -1), ("c", 24 * 365)):
        until = START + timedelta(hours=hours)
        file(tmp_path, name, until=until.isoformat(), wide=b"w")
        deliver(outbox, name)
    go_on(courier, wire := Wire())
    assert [message.expiry_s for message in wire.sent] == [7200, 3600, 7 * 24 * 3600]


def test_a_broker_that_never_acknowledges_is_left(
    outbox: Outbox, courier: Courier, clock: ManualClock, tmp_path: Path
) -> None:
    file(tmp_path, "a", wide=b"w")
    deliver(outbox, "a")
    clock.advance(1000)
    courier.fill(Wire())
    clock.advance(30)
    courier.fill(Wire())
    clock.advance(0.1)
    with pytest.raises(UplinkError, match="part of a photo for 30 s"):
        courier.fill(Wire())


def test_who_does_not_want_photos_waits_for_none(
    outbox: Outbox, clock: ManualClock, tmp_path: Path
) -> None:
    file(tmp_path, "a", wide=b"w")
    deliver(outbox, "a")
    off, wire = Courier(outbox, None, clock, 30.0), Wire()
    off.fill(wire)
    assert (wire.sent, off.waiting) == ([], 0)
    less = Courier(outbox, MediaSettings(roles=("close",)), clock, 30.0)
    less.fill(wire)
    assert (wire.sent, less.waiting) == ([], 0)


def test_originals_go_as_they_lie_in_the_bundle(tmp_path: Path, outbox: Outbox) -> None:
    """Encrypted ones encrypted; and never where copies are asked for and there are none."""
    sealed = b"age-encryption.org/v1" + bytes(100)
    media = {"role": "wide", "path": "media/wide.jpg.age"}
    media["sha256"] = hashlib.sha256(sealed).hexdigest()
    facts = {"case": {"id": "a"}, "privacy": {"delete_after": None}, "derived": []}
    path = tmp_path / "a.evb"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("manifest.json", json.dumps({**facts, "media": [media]}))
        bundle.writestr("media/wide.jpg.age", sealed)
    found = Parcel.read(path, "wide", originals=True)
    assert (found.data, found.name) == (sealed, "media/wide.jpg.age")
    head, _, part = found.cut(2048)[0][0].partition(b"\n")
    assert part == sealed and json.loads(head)["content_type"] == "application/octet-stream"
    with pytest.raises(NothingToSend, match="no redacted copy of the role wide"):
        Parcel.read(path, "wide", originals=False)
    for originals in (True, False):
        with pytest.raises(NothingToSend, match="has no photo of the role close"):
            Parcel.read(path, "close", originals)
