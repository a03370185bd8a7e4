"""Photos through any order of refusals, losses, restarts, revisions and deletions."""

import hashlib
import json
import random
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge_agent.clock import ManualClock
from edge_agent.config.uplink import MediaSettings
from edge_agent.uplink import Outbox
from edge_agent.uplink.courier import WINDOW, Courier
from edge_agent.uplink.session import Ack, Message

WIDE = MediaSettings(roles=("wide",))
NAMES = "abc"


class Broker:
    """Takes, refuses, or is gone; `taken` is what it has said yes to."""

    receive_maximum = 65535

    def __init__(self) -> None:
        self.limit = 16_384
        self.flying: list[Message] = []
        self.taken: list[Message] = []

    @property
    def room(self) -> int:
        return self.receive_maximum - len(self.flying)

    def fits(self, message: Message) -> bool:
        return len(message.body) <= self.limit

    def publish(self, message: Message) -> None:
        assert self.fits(message)
        self.flying.append(message)

    def holds(self, name: str, photo: bytes) -> bool:
        """True when all parts of one cut of this photo have been taken."""
        wanted, parts = hashlib.sha256(photo).hexdigest(), dict[int, dict[int, bytes]]()
        for message in self.taken:
            line, _, part = message.body.partition(b"\n")
            head = json.loads(line)
            if message.topic == f"s/case/{name}/media/wide" and head["sha256"] == wanted:
                parts.setdefault(head["count"], {})[head["index"]] = part
        whole = (
            b"".join(part for _, part in sorted(found.items()))
            for count, found in parts.items()
            if len(found) == count
        )
        return photo in whole


class Model(RuleBasedStateMachine):
    """A box with three cases, and what its broker must have in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.clock, self.broker = ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), Broker()
        self.revisions = 0
        self.photos: dict[str, bytes] = {}
        """Of bundles that are on the disk and whose records have been delivered."""
        self.open()

    def open(self) -> None:
        self.outbox = Outbox(self.path / "o.db")
        self.courier = Courier(self.outbox, WIDE, self.clock, 1e9)
        self.courier.begin()

    @rule(name=st.sampled_from(NAMES), size=st.sampled_from([10, 20_000, 70_000]))
    def revise(self, name: str, size: int) -> None:
        self.revisions += 1
        photo = random.Random(self.revisions).randbytes(size)
        facts = {"case": {"id": name}, "privacy": {"delete_after": None}, "media": []}
        listed = {
            "path": "derived/wide-redacted.jpg",
            "sha256": hashlib.sha256(photo).hexdigest(),
        }
        with zipfile.ZipFile(self.path / f"{name}.evb", "w") as bundle:
            bundle.writestr("manifest.json", json.dumps({**facts, "derived": [listed]}))
            bundle.writestr("derived/wide-redacted.jpg", photo)
        record = {"id": f"{name}{self.outbox.last_sequence}", "dataref": f"{name}.evb"}
        self.outbox.add(record, f"s/case/{name}")
        self.outbox.delivered(self.outbox.last_sequence, followers=WIDE.roles)
        self.photos[name] = photo

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        (self.path / f"{name}.evb").unlink(missing_ok=True)
        self.photos.pop(name, None)

    @rule(answers=st.lists(st.sampled_from([True, True, True, False]), max_size=12))
    def go_on(self, answers: list[bool]) -> None:
        """The broker takes or refuses what comes, in any order."""
        self.courier.fill(self.broker)
        for is_taken in answers:
            if self.broker.flying:
                self._answer(is_taken, len(answers) % len(self.broker.flying))
                self.courier.fill(self.broker)

    def _answer(self, is_taken: bool, which: int = 0) -> None:
        message = self.broker.flying.pop(which)
        if is_taken:
            self.broker.taken.append(message)
        self.courier.settle([Ack(message.key, None if is_taken else "Quota exceeded")])

    @rule(limit=st.sampled_from([2_000, 16_384]))
    def lose(self, limit: int) -> None:
        self.broker.flying.clear()
        self.broker.limit = limit
        self.courier.lose()
        self.courier.begin()

    @rule()
    def die(self) -> None:
        self.broker.flying.clear()
        self.outbox.close()
        self.open()

    @rule(seconds=st.sampled_from([0.5, 60.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def few_are_on_their_way(self) -> None:
        # those of a file that was put off are still to be answered
        assert len(self.courier._load.flying if self.courier._load else ()) <= WINDOW

    @invariant()
    def nothing_is_struck_off_that_was_not_taken(self) -> None:
        if self.outbox.waiting_media == 0:
            for name, photo in self.photos.items():
                assert self.broker.holds(name, photo), name

    def teardown(self) -> None:
        for _ in range(500):
            self.clock.advance(60)
            self.courier.fill(self.broker)
            while self.broker.flying:
                self._answer(is_taken=True)
                self.courier.fill(self.broker)
            if self.outbox.waiting_media == 0:
                break
        try:
            assert self.outbox.waiting_media == 0, "a stuck queue"
            self.nothing_is_struck_off_that_was_not_taken()
            assert self.courier.complaint is None
        finally:
            self.outbox.close()
            self.folder.cleanup()


TestCourierModel = Model.TestCase
TestCourierModel.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
