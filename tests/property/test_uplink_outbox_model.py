"""The outbox against a model of it: any order of adding, delivering, and reopening."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge_agent.uplink import Outbox


class Model(RuleBasedStateMachine):
    """Numbers by id, and which of them still wait."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.outbox = Outbox(Path(self.folder.name) / "o.db")
        self.numbers: dict[str, int] = {}
        self.waiting: set[int] = set()

    @rule(name=st.sampled_from([f"e{n}" for n in range(12)]))
    def add(self, name: str) -> None:
        final = self.outbox.add({"id": name}, "t")
        if name not in self.numbers:
            self.numbers[name] = len(self.numbers) + 1
            self.waiting.add(self.numbers[name])
        assert final["sequence"] == f"{self.numbers[name]:020d}"

    @rule(numbers=st.sets(st.integers(1, 12), max_size=4))
    def deliver(self, numbers: set[int]) -> None:
        self.outbox.delivered(*numbers)
        self.waiting -= numbers

    @rule()
    def reopen(self) -> None:
        self.outbox.close()
        self.outbox = Outbox(Path(self.folder.name) / "o.db")

    @invariant()
    def agrees(self) -> None:
        rows = self.outbox.pending()
        assert [row.sequence for row in rows] == sorted(self.waiting)
        assert self.outbox.waiting == len(self.waiting)
        assert self.outbox.waiting_bytes == sum(len(row.body) for row in rows)
        assert self.outbox.last_sequence == len(self.numbers)

    def teardown(self) -> None:
        self.outbox.close()
        self.folder.cleanup()


TestOutboxModel = Model.TestCase
TestOutboxModel.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
