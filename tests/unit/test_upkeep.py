"""What a box does once a day: its disk stays flat, and nothing goes that somebody still needs."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.checkpoints import CheckpointFeed
from edge_agent.clock import ManualClock
from edge_agent.config import Evidence, Site
from edge_agent.config.lists import rotating_keys
from edge_agent.config.privacy import Privacy
from edge_agent.evidence import BundleWriter, DeviceKey
from edge_agent.evidence.bundle import container
from edge_agent.evidence.custody.retention import survey
from edge_agent.evidence.log import Checkpoint, LogKey, MerkleLog, Note, Proof, Vkey, cosign
from edge_agent.evidence.log.audit import LogAudit
from edge_agent.evidence.log.merkle import is_consistent, leaf_hash
from edge_agent.evidence.log.note import COSIGNATURE
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.journal import Journal
from edge_agent.live.upkeep import Upkeep
from edge_agent.types import Box, Case, Event, Media, ModelInfo, Track
from edge_agent.uplink import Outbox
from edge_agent.uplink.session import Message, Received
from edge_agent.witness import Request

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CAR = Track(1, "car", 0.9, Box(80, 90, 160, 140), (0.0, 0.0), 0.1, 9.0, 4.0)
CAMERA = CameraOrigin(
    Media("rtsp://camera", "live", None, START, "given"), ModelInfo("yolo", "cd" * 32)
)
LIVE = Origin({"name": "plaza"}, "box-1", "boot", "ef" * 32, "edge-agent 0", {"c1": CAMERA})
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SEEN_BY = Vkey("city.example/witness", WITNESS.public_key().public_bytes_raw(), COSIGNATURE)


def event(number: int, wall: datetime) -> Event:
    subject, facts = f"parking.illegal/kerb/{number}", {"dwell_s": 8.0, "picture": [320, 180]}
    return Event("c1", "parking.illegal", subject, "begin", 4.0, 12.0, wall, 9, "kerb", CAR, facts)


@dataclass
class Box1:
    """A box whose days pass as fast as the test likes."""

    folder: Path
    site: Site
    key: DeviceKey
    journal: Journal
    feed: CheckpointFeed
    sent: list[Message]
    now: datetime = START
    left: Sequence[int] = ()
    """Bundles that were there after every step of the latest upkeep."""

    @property
    def log(self) -> MerkleLog:
        assert self.journal.bundles.log is not None
        return self.journal.bundles.log

    def files(self) -> list[Path]:
        return [path for path in (self.folder / "log/tile").rglob("*") if path.is_file()]

    def live(self, records: int, cases: int = 0) -> list[Path]:
        """One day: records, cases, a checkpoint, and the files' dates as if it were that day."""
        old, first = set(self.files()), self.log.size
        for number in range(records):
            self.log.append_leaf(leaf_hash(f"record {first + number}".encode()))
        told = [event(first + number, self.now) for number in range(cases)]
        written = [
            self.journal.bundles.write(Case(e.subject, e, e, (), None, False, ("test",)), None)
            for e in told
        ]
        self.journal.checkpoint()
        when_s = self.now.timestamp()
        for path in set(self.files()) - old:
            os.utime(path, (when_s, when_s))
        self.now += DAY
        return [Path(each.path) for each in written]

    def keep_up(self, is_clock_trusted: bool = True) -> None:
        policy = self.site.privacy.policy
        kept = [] if policy is None else survey(self.folder / "evidence", policy)
        upkeep = Upkeep(self.site, self.folder, self.key, self.journal, self.feed)
        folder = self.folder / "evidence"
        self.left = [
            len(list(folder.glob("*.evb"))) for _ in upkeep.do(kept, self.now, is_clock_trusted)
        ]

    def hear(self, note: Note) -> None:
        signed = note.with_signature(cosign(note.text, SEEN_BY.name, WITNESS, 1_800_000_000))
        self.feed.hear(Received("answer", signed.to_bytes()))

    def asked(self) -> list[Request]:
        """What the witness has been asked since the last time."""
        self.sent.clear()
        self.feed.tell()
        return [Request.from_bytes(m.body) for m in self.sent if "add-checkpoint" in m.topic]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box1]:
    key = DeviceKey.load_or_create(tmp_path, "box-1", ManualClock(START))
    bundles = BundleWriter(tmp_path / "evidence", key, LIVE, Evidence(), {})
    log = bundles.log = MerkleLog(tmp_path / "log", LogKey.load_or_create(tmp_path), LIVE.log)
    site = Site.model_construct(
        site=None,
        device="box-1",
        evidence=Evidence(log_days=30),
        privacy=Privacy(retention="lu", plates="hashed", rotate_days=7),
    )
    sent: list[Message] = []
    with Outbox(tmp_path / "outbox.db") as outbox, Journal(LIVE, outbox, bundles) as journal:
        feed = CheckpointFeed(log, "edge/v1/plaza/box-1", sent.append)
        yield Box1(tmp_path, site, key, journal, feed, sent)


def sent_out(box: Box1) -> None:
    box.journal.outbox.delivered(*(row.sequence for row in box.journal.outbox.pending(limit=9999)))


def test_months_pass_and_the_disk_stays_flat(box: Box1, tmp_path: Path) -> None:
    """300 records and now and then a case every day; one case is on hold all the time."""
    sizes, checkpoints, handed_out = [], [], []
    for day in range(100):
        written = box.live(300, cases=day % 20 == 3)
        if day == 3:
            held = written[0]
            hold = {"action": "hold", "at": "2026-05-16T00:00:00Z", "by": "J. Doe", "reason": "x"}
            (tmp_path / "evidence/holds").mkdir()
            (tmp_path / f"evidence/holds/{held.stem}.json").write_text(json.dumps([hold]))
        handed_out += [path.read_bytes() for path in written]
        checkpoints.append(Checkpoint.parse(box.log.checkpoint().text))
        box.keep_up()
        sent_out(box)
        sizes.append(len(box.files()))
    assert max(sizes[50:]) - min(sizes[50:]) <= 4, "tiles: 30 days of them, and of spared ones"
    assert max(sizes) < 50 < 100 * 300 / 256
    assert [path for path in (tmp_path / "evidence").glob("*.evb")] == [held]
    for data in handed_out:
        members = container.contents(data)
        proof = Proof.from_bytes(members["proof.tlog-proof"])
        assert proof.flaw(members["manifest.json"]) is None
    place = json.loads(container.contents(held.read_bytes())["manifest.json"])["log"]["index"]
    text = container.contents(held.read_bytes())["manifest.json"]
    assert place < box.log.minimum and box.log.prove(place).flaw(text) is None
    now = Checkpoint.parse(box.log.checkpoint().text)
    for old in checkpoints[-30:]:
        steps = box.log.consistency(old.size)
        assert is_consistent((old.size, old.root), (now.size, now.root), steps)
    assert list(LogAudit.open(tmp_path / "log").tree_flaws()) == []
    assert box.log.root() == MerkleLog(tmp_path / "log", box.log._key, LIVE.log).root()


def test_what_was_not_delivered_can_still_be_proven(box: Box1) -> None:
    box.live(600)
    box.journal.event(event(7, box.now))
    for _ in range(40):
        box.live(600)
    box.keep_up()
    assert box.log.minimum == 600
    sent_out(box)
    box.keep_up()
    assert box.log.minimum > 5_000


def test_a_clock_that_may_be_wrong_and_null_days_keep_everything(box: Box1) -> None:
    for _ in range(40):
        box.live(600)
    box.keep_up(is_clock_trusted=False)
    assert box.log.minimum == 0
    box.site = box.site.model_copy(update={"evidence": Evidence(log_days=None)})
    box.keep_up()
    assert box.log.minimum == 0


def test_a_witness_that_was_not_heard_holds_it_and_one_that_lags_is_spared(
    box: Box1, caplog: pytest.LogCaptureFixture
) -> None:
    box.feed.witnesses = [SEEN_BY]
    box.live(700)
    lagging = box.log.checkpoint()
    for _ in range(40):
        box.live(700)
    with caplog.at_level(logging.WARNING):
        box.keep_up()
    assert box.log.minimum == 0
    assert SEEN_BY.name in caplog.records[-1].__dict__["why"]
    box.hear(lagging)
    box.keep_up()
    assert box.log.minimum > 700
    (request,) = box.asked()
    old, new = (Checkpoint.parse(note.text) for note in (lagging, request.note))
    assert is_consistent((old.size, old.root), (new.size, new.root), request.steps)


def test_a_witness_set_back_behind_what_is_left_is_told_of_and_not_asked(
    box: Box1, caplog: pytest.LogCaptureFixture
) -> None:
    other = Vkey("b.example/witness", bytes(32), COSIGNATURE)
    box.feed.witnesses = [SEEN_BY, other]
    box.live(700)
    before = box.log.checkpoint()
    box.live(700)
    box.hear(box.log.checkpoint())
    box.feed.witnesses = [SEEN_BY]
    for _ in range(40):
        box.live(700)
    box.hear(box.log.checkpoint())
    box.keep_up()
    assert box.log.minimum > 1_400
    box.feed.witnesses = [SEEN_BY, other]
    box.hear(before)
    for _ in range(3):
        (request,) = box.asked()
        assert request.old_size == 0, "the other one"
    told = [record for record in caplog.records if "stands where" in record.message]
    assert [record.__dict__["stands_at"] for record in told] == [700]
    box.hear(box.log.checkpoint())
    assert len(box.asked()) == 2


def test_keys_of_plates_go_with_the_evidence_of_their_time(box: Box1, tmp_path: Path) -> None:
    keys = rotating_keys(box.site, tmp_path)
    keys.at(START - 40 * DAY)
    keys.at(START)
    box.keep_up(is_clock_trusted=False)
    assert len(list((tmp_path / "box-1/plate-keys").iterdir())) == 2
    box.keep_up()
    (left,) = (tmp_path / "box-1/plate-keys").iterdir()
    assert left.stem > "2026-05"


def test_what_cannot_be_done_keeps_nothing_else_from_being_done(
    box: Box1, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(40):
        box.live(600)
    for _ in range(12):  # a clock that jumped ahead would delete so much at once
        box.live(0, cases=1)
    box.now += 30 * DAY
    box.keep_up()
    assert "check the date" in caplog.records[-1].__dict__["why"]
    assert len(list((tmp_path / "evidence").glob("*.evb"))) == 12
    assert (tmp_path / "evidence/.register.json").exists()
    assert box.log.minimum > 0


def test_many_bundles_go_a_few_at_a_time(box: Box1) -> None:
    box.live(1, cases=45)
    box.now += 60 * DAY
    box.live(1, cases=50)
    sent_out(box)
    box.keep_up()
    assert box.left[:5] == [85, 75, 65, 55, 50]
    assert box.journal.outbox.waiting == 45, "each is told"
